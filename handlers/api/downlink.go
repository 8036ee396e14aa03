package api

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/tidwall/gjson"

	"thingpost/db"
	"thingpost/handlers"
	"thingpost/internal/downlink"
	"thingpost/internal/iot"
)

// maxWait bounds how long a device can wait for a downlink in one request.
const maxWait = time.Minute

// pathDevice returns the path's device. A device's own key opens no other.
func (s *server) pathDevice(r *http.Request, c *caller) (*iot.Device, error) {
	name := r.PathValue("device")
	if c.device == nil {
		return s.device(r, c)
	}
	if !c.device.IsNamed(name) {
		return nil, iot.NewError(iot.Forbidden, "This key belongs to another device than the path names.")
	}
	return c.device, nil
}

func (s *server) listDownlinks(w http.ResponseWriter, r *http.Request, c *caller) error {
	d, err := s.pathDevice(r, c)
	if err != nil {
		return err
	}
	q, page, err := handlers.Query(r, "status")
	if err != nil {
		return err
	}
	f := db.DownlinkFilter{DeviceKey: d.Key, Status: iot.DownlinkIsQueued, Limit: page.Limit}
	if q.Has("status") {
		f.Status = iot.DownlinkStatus(q.Get("status"))
		if !slices.Contains(iot.DownlinkStatuses(), f.Status) {
			return iot.FieldError("status", "must be queued, sent, forwarded, acked, failed or cancelled.")
		}
	}
	if f.After, err = page.ID(); err != nil {
		return err
	}
	list, err := s.DB.Downlinks(r.Context(), d, f)
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, handlers.List[*iot.Downlink]{Items: list.Items, Next: list.Next.String()})
}

// orders reads one downlink, a list of them, or {"downlinks": a list}.
func orders(body []byte) ([]downlink.Order, error) { return oneOrMany[downlink.Order](body) }

// forwarded reads the same for a device whose downlinks are forwarded to another
// system, with unknown members.
func forwarded(body []byte) ([]downlink.Order, error) {
	list, err := oneOrMany[json.RawMessage](body)
	return downlink.Forward(list), err
}

func oneOrMany[T any](body []byte) ([]T, error) {
	body = iot.TrimMark(body)
	switch v := gjson.ParseBytes(body); {
	case v.IsArray():
		var list []T
		return list, handlers.ParseJSON(body, &list)
	case v.Get("downlinks").Exists():
		var many struct {
			Downlinks []T `json:"downlinks"`
		}
		err := handlers.ParseJSON(body, &many)
		return many.Downlinks, err
	}
	var one T
	err := handlers.ParseJSON(body, &one)
	return []T{one}, err
}

func (s *server) pushDownlinks(w http.ResponseWriter, r *http.Request, c *caller) error {
	return s.push(w, r, c, false, http.StatusCreated)
}

func (s *server) replaceDownlinks(w http.ResponseWriter, r *http.Request, c *caller) error {
	return s.push(w, r, c, true, http.StatusOK)
}

func (s *server) push(w http.ResponseWriter, r *http.Request, c *caller, replace bool, status int) error {
	d, err := s.device(r, c)
	if err != nil {
		return err
	}
	body, err := handlers.ReadBody(r, handlers.MaxJSONBytes)
	if err != nil {
		return err
	}
	read := orders
	if forwards, err := s.Downlinks.Forwards(r.Context(), c.project, d); err != nil {
		return err
	} else if forwards {
		read = forwarded
	}
	list, err := read(body)
	if err != nil {
		return err
	}
	pushed, err := s.Downlinks.Push(r.Context(), c.project, d, list, replace)
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, status, map[string][]*iot.Downlink{"items": pushed})
}

func (s *server) clearDownlinks(w http.ResponseWriter, r *http.Request, c *caller) error {
	d, err := s.device(r, c)
	if err != nil {
		return err
	}
	if err := s.Downlinks.Clear(r.Context(), c.project, d); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *server) showDownlink(w http.ResponseWriter, r *http.Request, c *caller) error {
	d, id, err := s.pathDownlink(r, c)
	if err != nil {
		return err
	}
	v, err := s.DB.Downlink(r.Context(), d, id)
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, v)
}

// takeDownlink answers a device with the oldest downlink of its queue, or 204 if there
// is none.
func (s *server) takeDownlink(w http.ResponseWriter, r *http.Request, c *caller) error {
	d, err := s.pathDevice(r, c)
	if err == nil {
		err = emptyBody(r)
	}
	if err != nil {
		return err
	}
	wait, err := waitOf(r)
	if err != nil {
		return err
	}
	v, err := s.Downlinks.Take(r.Context(), c.project, d, wait)
	if err != nil {
		return err
	}
	if v == nil {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return handlers.WriteJSON(w, http.StatusOK, v)
}

// waitOf reads ?wait=30s. A number alone is seconds.
func waitOf(r *http.Request) (time.Duration, error) {
	q, err := handlers.Parameters(r, "wait")
	if err != nil || !q.Has("wait") {
		return 0, err
	}
	text := q.Get("wait")
	wait, err := time.ParseDuration(text)
	if err != nil {
		wait, err = time.ParseDuration(text + "s")
	}
	if err != nil || wait < 0 || wait > maxWait {
		return 0, iot.FieldError("wait", "must be 0s to 60s, such as 30s.")
	}
	return wait, nil
}

func (s *server) pathDownlink(r *http.Request, c *caller) (*iot.Device, iot.ID, error) {
	d, err := s.pathDevice(r, c)
	if err != nil {
		return nil, iot.ID{}, err
	}
	id, ok := iot.ParseID(r.PathValue("downlink"))
	if !ok {
		return nil, iot.ID{}, iot.NewError(iot.NotFound, "There is no such downlink.")
	}
	return d, id, nil
}

func (s *server) ackDownlink(w http.ResponseWriter, r *http.Request, c *caller) error {
	d, id, err := s.pathDownlink(r, c)
	if err == nil {
		err = emptyBody(r)
	}
	if err != nil {
		return err
	}
	return answerDownlink(w)(s.Downlinks.Ack(r.Context(), c.project, d, id))
}

func (s *server) nackDownlink(w http.ResponseWriter, r *http.Request, c *caller) error {
	d, id, err := s.pathDownlink(r, c)
	if err == nil {
		err = emptyBody(r)
	}
	if err != nil {
		return err
	}
	return answerDownlink(w)(s.Downlinks.Nack(r.Context(), c.project, d, id))
}

func (s *server) failDownlink(w http.ResponseWriter, r *http.Request, c *caller) error {
	d, id, err := s.pathDownlink(r, c)
	if err != nil {
		return err
	}
	var body struct {
		Error string `json:"error"`
	}
	if err := handlers.DecodeOptionalJSON(r, &body, handlers.MaxJSONBytes); err != nil {
		return err
	}
	return answerDownlink(w)(s.Downlinks.Fail(r.Context(), c.project, d, id, body.Error))
}

func answerDownlink(w http.ResponseWriter) func(*iot.Downlink, error) error {
	return func(v *iot.Downlink, err error) error {
		if err != nil {
			return err
		}
		return handlers.WriteJSON(w, http.StatusOK, v)
	}
}

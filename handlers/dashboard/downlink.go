package dashboard

import (
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"thingpost/db"
	"thingpost/handlers"
	"thingpost/internal/downlink"
	"thingpost/internal/iot"
	"thingpost/views/pages"
	"thingpost/views/ui"
)

// downlinkRoutes are what is done with a device's queue; the device's page shows
// it.
func (s *site) downlinkRoutes() []route {
	const q = "/projects/{project}/devices/{device}/downlinks"
	return []route{
		{get, q, inProject, iot.SendDownlinks, s.newDownlink},
		{post, q, inProject, iot.SendDownlinks, s.pushDownlink},
		{get, q + "/clear", inProject, iot.SendDownlinks, s.confirmClearDownlinks},
		{post, q + "/clear", inProject, iot.SendDownlinks, s.clearDownlinks},
		{post, q + "/{downlink}/remove", inProject, iot.SendDownlinks, s.removeDownlink},
	}
}

// shownDownlinks is how many of a queue a device's page shows.
const shownDownlinks = 8

// lookedAtSent is how many of those that were sent are looked at for such as wait
// for the device's answer.
const lookedAtSent = 100

// downlinkQueue reads the part of a device's queue that its page shows.
func (s *site) downlinkQueue(r *http.Request, v *visit, d *iot.Device) (pages.QueueProps, error) {
	p := pages.QueueProps{In: v.in(), Device: d, Now: s.now(), MayPush: v.may(iot.SendDownlinks)}
	queued, err := s.DB.Downlinks(r.Context(), d, db.DownlinkFilter{DeviceKey: d.Key, Status: iot.DownlinkIsQueued, Limit: shownDownlinks})
	if err != nil {
		return p, err
	}
	sent, err := s.DB.Downlinks(r.Context(), d, db.DownlinkFilter{DeviceKey: d.Key, Status: iot.DownlinkIsSent, Limit: lookedAtSent})
	if err != nil {
		return p, err
	}
	p.Queued = queued.Items
	for _, x := range sent.Items {
		// What was sent and needs no confirmation is done.
		if x.Confirmed && len(p.Sent) < shownDownlinks {
			p.Sent = append(p.Sent, x)
		}
	}
	p.Count, err = s.DB.CountDownlinks(r.Context(), d.Key)
	return p, err
}

// newDownlink shows the empty form of a downlink.
func (s *site) newDownlink(w http.ResponseWriter, r *http.Request, v *visit) error {
	d, err := s.device(r, v)
	if err != nil {
		return err
	}
	form := pages.PayloadJSON
	if d.DevEUI != "" {
		form = pages.PayloadHex
	}
	return s.downlinkForm(w, r, v, http.StatusOK, handlers.NewForm("as", form, "priority", "NORMAL"), d)
}

func (s *site) downlinkForm(w http.ResponseWriter, r *http.Request, v *visit, status int, f *handlers.Form, d *iot.Device) error {
	p := pages.DownlinkPage{In: v.in(), Device: d, Form: f}
	if handlers.IsFragment(r, ui.DialogID) {
		p.InDialog = true
		return handlers.Render(w, r, status, pages.DownlinkForm(p))
	}
	var err error
	if p.Shell, err = s.shell(w, r, v, shellFor{title: "Push a downlink", here: v.in().Devices()}); err != nil {
		return err
	}
	return handlers.Render(w, r, status, pages.Downlink(p))
}

// pushDownlink queues a downlink.
func (s *site) pushDownlink(w http.ResponseWriter, r *http.Request, v *visit) error {
	d, err := s.device(r, v)
	if err != nil {
		return err
	}
	f, err := form(w, r)
	if err != nil {
		return err
	}
	order, err := downlinkOf(f)
	if err == nil {
		_, err = s.Downlinks.Push(r.Context(), v.project, d, []downlink.Order{order}, false)
	}
	if err != nil {
		if f.Fail(payloadFault(err), "payload", "as", "f_port", "priority") {
			return s.downlinkForm(w, r, v, http.StatusUnprocessableEntity, f, d)
		}
		return err
	}
	return s.done(w, r, v.in().Device(d.ID), "The downlink was queued.")
}

// downlinkOf reads the form of a downlink.
func downlinkOf(f *handlers.Form) (downlink.Order, error) {
	o := downlink.Order{Confirmed: f.Checked("confirmed")}
	var faults iot.Faults
	if text := f.Value("f_port"); text != "" {
		n, err := strconv.Atoi(text)
		faults.Check(err == nil && n > 0, "f_port", "must be a number from 1 to 255.")
		o.FPort = n
	}
	faults.Check(o.Priority.UnmarshalText([]byte(f.Value("priority"))) == nil, "priority", "must be one of the list.")
	text := strings.TrimSpace(f.Raw("payload"))
	switch as := f.Value("as"); as {
	case pages.PayloadJSON, pages.PayloadDecoded:
		if _, err := iot.ReadJSON([]byte(text)); err != nil {
			faults.Add("payload", payloadSentence(err, `must be JSON, like {"valve": "open"}.`))
		} else if as == pages.PayloadJSON {
			o.Payload = []byte(text)
		} else {
			o.DecodedPayload = []byte(text)
		}
	case pages.PayloadBase64:
		faults.Check(o.FRMPayload.UnmarshalText([]byte(text)) == nil, "payload", "must be base64, like vu8=.")
	case pages.PayloadHex:
		b, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
		faults.Check(err == nil, "payload", "must be hex digits, two for each byte, like BE EF.")
		o.FRMPayload = b
	default:
		faults.Add("as", "must be one of the list.")
	}
	return o, faults.Err()
}

// payloadSentence says what is wrong with the JSON of a payload that was typed:
// mostly that it is none.
func payloadSentence(err error, notJSON string) string {
	if errors.Is(err, iot.ErrJSONBounds) {
		return strings.Replace(handlers.ErrorOf(err).Message, "The body", "It", 1)
	}
	return notJSON
}

// payloadFault puts what is wrong with either form of a payload at the one field
// that the form has for it.
func payloadFault(err error) error {
	e, ok := err.(*iot.Error) //nolint:errorlint // rules give it bare
	if !ok || e.Fields == nil {
		return err
	}
	for _, name := range []string{"frm_payload", "decoded_payload"} {
		if text, ok := e.Fields[name]; ok {
			delete(e.Fields, name)
			e.Fields["payload"] = text
		}
	}
	return e
}

// confirmClearDownlinks asks before a queue is emptied, and says how much is lost.
func (s *site) confirmClearDownlinks(w http.ResponseWriter, r *http.Request, v *visit) error {
	d, err := s.device(r, v)
	if err != nil {
		return err
	}
	n, err := s.DB.CountDownlinks(r.Context(), d.Key)
	if err != nil {
		return err
	}
	return s.confirm(w, r, v, shellFor{title: "Clear the queue", here: v.in().Devices()}, http.StatusOK, ui.ConfirmProps{
		Title: "Clear the queue of " + d.ID + "?", Lead: ui.Plural(int64(n), "waiting downlink", "waiting downlinks") +
			" for the device will not be sent. Webhooks for downlink events get a message about it.",
		Action: v.in().ClearDownlinks(d.ID), Confirm: "Clear the queue", Icon: ui.IconTrash, Danger: true, Keep: "Keep them",
		Back: v.in().Device(d.ID),
	})
}

// clearDownlinks empties a queue.
func (s *site) clearDownlinks(w http.ResponseWriter, r *http.Request, v *visit) error {
	d, err := s.device(r, v)
	if err != nil {
		return err
	}
	if err := s.Downlinks.Clear(r.Context(), v.project, d); err != nil {
		return err
	}
	return s.done(w, r, v.in().Device(d.ID), "The queue was cleared.")
}

// removeDownlink takes one downlink out of a queue.
func (s *site) removeDownlink(w http.ResponseWriter, r *http.Request, v *visit) error {
	d, err := s.device(r, v)
	if err != nil {
		return err
	}
	id, ok := iot.ParseID(r.PathValue("downlink"))
	if !ok {
		return iot.NewError(iot.NotFound, "There is no such downlink.")
	}
	if err := s.Downlinks.Remove(r.Context(), v.project, d, id); err != nil {
		return err
	}
	return s.done(w, r, v.in().Device(d.ID), "The downlink was removed.")
}

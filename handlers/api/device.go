package api

import (
	"net/http"
	"strings"

	"thingpost/db"
	"thingpost/handlers"
	"thingpost/internal/iot"
)

func (s *server) listDevices(w http.ResponseWriter, r *http.Request, c *caller) error {
	q, page, err := handlers.Query(r, "search", "silent")
	if err != nil {
		return err
	}
	if page.Cursor != "" && iot.CheckDeviceID("cursor", page.Cursor) != nil {
		return handlers.BadCursor()
	}
	silent := q.Get("silent")
	if silent != "" && silent != "true" {
		return iot.FieldError("silent", "must be true, or left out.")
	}
	all, err := s.DB.Devices(r.Context(), db.DeviceFilter{ProjectKey: c.project.Key, Search: q.Get("search"), Silent: silent != "",
		After: page.Cursor, Limit: page.Limit + 1})
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, handlers.First(all, page.Limit, func(d iot.Device) string { return d.ID }))
}

// deviceWithKey is a device with its key, which is shown when it is new, or with a
// warning why it is not shown.
type deviceWithKey struct {
	*iot.Device
	Key     string `json:"key,omitempty"`
	Warning string `json:"warning,omitempty"`
}

// mayHoldDeviceKey returns a Forbidden error if a device's key, which sends as its
// device as long as that exists, would exceed the caller's rights.
func (c *caller) mayHoldDeviceKey() error {
	switch by := c.made(); {
	case !by.Rights.Has(iot.SendMessages):
		return iot.NewError(iot.Forbidden, "A device's key can send messages. This needs the right "+iot.SendMessages.String()+
			", which this API key does not have.")
	case by.ExpiresAt != 0:
		return iot.NewError(iot.Forbidden, "A device's key does not expire, but this API key does. Use an API key without expiry, a person's "+
			"token, or the device's page.")
	}
	return nil
}

func (s *server) createDevice(w http.ResponseWriter, r *http.Request, c *caller) error {
	var body struct {
		ID      string `json:"id"`
		UUID    string `json:"uuid"`
		Name    string `json:"name"`
		Profile string `json:"profile"`
		DevEUI  string `json:"dev_eui"`
		JoinEUI string `json:"join_eui"`
		DevAddr string `json:"dev_addr"`

		ExpectedIntervalMS int64 `json:"expected_interval_ms"`
	}
	if err := handlers.DecodeJSON(r, &body, handlers.MaxJSONBytes); err != nil {
		return err
	}
	if body.ID == "" && body.Name == "" {
		return iot.FieldError("id", "is missing. With a name the id can be left out: it is made from the name.")
	}
	d := &iot.Device{ProjectKey: c.project.Key, ID: body.ID, UUID: body.UUID, Name: body.Name, Profile: body.Profile,
		DevEUI: strings.ToUpper(body.DevEUI), JoinEUI: strings.ToUpper(body.JoinEUI), DevAddr: strings.ToUpper(body.DevAddr),
		ExpectedIntervalMS: body.ExpectedIntervalMS}
	key := iot.NewDeviceKey()
	if err := s.DB.CreateDevice(d, key, c.actor()); err != nil {
		return err
	}
	answer := deviceWithKey{Device: d, Key: key.Reveal()}
	if err := c.mayHoldDeviceKey(); err != nil {
		answer.Key, answer.Warning = "", "The device's key is not shown. "+handlers.ErrorOf(err).Message
	}
	return handlers.WriteJSON(w, http.StatusCreated, answer)
}

func (s *server) device(r *http.Request, c *caller) (*iot.Device, error) {
	return s.DB.Device(r.Context(), c.project.Key, r.PathValue("device"))
}

func (s *server) showDevice(w http.ResponseWriter, r *http.Request, c *caller) error {
	d, err := s.device(r, c)
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, d)
}

func (s *server) updateDevice(w http.ResponseWriter, r *http.Request, c *caller) error {
	d, err := s.device(r, c)
	if err != nil {
		return err
	}
	var u iot.DeviceUpdate
	if err := handlers.DecodeJSON(r, &u, handlers.MaxJSONBytes); err != nil {
		return err
	}
	if err := s.DB.UpdateDevice(d, u, c.actor()); err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, d)
}

func (s *server) deleteDevice(w http.ResponseWriter, r *http.Request, c *caller) error {
	d, err := s.device(r, c)
	if err != nil {
		return err
	}
	if err := s.DB.DeleteDevice(d, c.actor()); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *server) rotateDeviceKey(w http.ResponseWriter, r *http.Request, c *caller) error {
	d, err := s.device(r, c)
	if err == nil {
		err = c.mayHoldDeviceKey()
	}
	if err == nil {
		err = emptyBody(r)
	}
	if err != nil {
		return err
	}
	key := iot.NewDeviceKey()
	if err := s.DB.SetDeviceKey(d, key, c.actor()); err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, map[string]string{"key": key.Reveal()})
}

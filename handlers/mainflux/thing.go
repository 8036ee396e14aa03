package mainflux

import (
	"encoding/json"
	"net/http"

	"thingpost/db"
	"thingpost/handlers"
	"thingpost/internal/iot"
)

// thingJSON is a device on the wire.
type thingJSON struct {
	ID        string          `json:"id"`
	GroupID   string          `json:"group_id"`
	ProfileID string          `json:"profile_id"`
	Name      string          `json:"name"`
	Type      string          `json:"type"`
	Key       string          `json:"key"`
	Metadata  json.RawMessage `json:"metadata,omitempty"`
}

func thingOf(d *iot.Device, group, profile, key string) thingJSON {
	kind := d.Kind
	if kind == "" {
		kind = kindOther
	}
	return thingJSON{d.UUID, group, profile, d.Name, kind, key, rawOf(d.Metadata)}
}

// kindOther is the type in answers for a device that was created elsewhere.
const kindOther = "device"

func isKind(kind string) bool {
	switch kind {
	case kindOther, "sensor", "actuator", "controller", "gateway":
		return true
	}
	return false
}

type thingBody struct {
	ID        string           `json:"id"`
	ProfileID optional[string] `json:"profile_id"`
	Name      optional[string] `json:"name"`
	Type      optional[string] `json:"type"`
	Key       optional[string] `json:"key"`
	Metadata  optional[object] `json:"metadata"`
}

// check checks the given values of a thing. A new one must have a name and type.
func (b *thingBody) check(isNew bool) error {
	if isNew || b.Name.set {
		if err := checkName(b.Name.value, iot.MaxThingName); err != nil {
			return err
		}
	}
	if (isNew || b.Type.set) && !isKind(b.Type.value) {
		return &fault{http.StatusBadRequest, textThingType, "type must be device, sensor, actuator, controller or gateway."}
	}
	if b.Key.value == "" {
		return nil
	}
	return malformedOf(iot.CheckDeviceKey(b.Key.value))
}

func (s *server) createThings(w http.ResponseWriter, r *http.Request, c *caller) error {
	list, err := decodeList[thingBody](r)
	if err != nil {
		return err
	}
	p, g, err := s.DB.OwnedProfile(r.Context(), c.account.Key, r.PathValue("id"))
	if err != nil {
		return err
	}
	if err := may(g.Role, iot.WriteDevices); err != nil {
		return err
	}
	devices, keys := make([]*iot.Device, len(list)), make([]iot.Secret, len(list))
	for i, body := range list {
		if err := body.check(true); err != nil {
			return err
		}
		devices[i] = &iot.Device{ProjectKey: g.Key, UUID: body.ID, Name: body.Name.value, Profile: p.ID, Kind: body.Type.value,
			Metadata: string(body.Metadata.value)}
		if keys[i] = iot.Secret(body.Key.value); keys[i] == "" {
			keys[i] = iot.NewDeviceKey()
		}
	}
	if err := s.DB.CreateDevices(devices, keys, c.actor()); err != nil {
		if e := handlers.ErrorOf(err); e.Code == iot.Conflict {
			return &fault{http.StatusConflict, textConflict, e.Message}
		}
		return malformedOf(err)
	}
	answers := make([]thingJSON, len(devices))
	for i, d := range devices {
		answers[i] = thingOf(d, g.UUID, p.UUID, keys[i].Reveal())
	}
	return handlers.WriteJSON(w, http.StatusCreated, map[string]any{"things": answers})
}

// answerThings lists devices with masked keys. Keys are shown only when they are
// created.
func (s *server) answerThings(w http.ResponseWriter, r *http.Request, f db.OwnedDevices) error {
	q, err := readQuery(r)
	if err != nil {
		return err
	}
	f.Name, f.ByName, f.Ascending, f.Offset, f.Limit = q.Name, q.Order == "name", q.Dir == "asc", q.Offset, q.Limit
	if len(q.Metadata) > 0 {
		f.Keep = q.keepsMetadata
	}
	page, total, err := s.DB.OwnedDevices(r.Context(), f)
	if err != nil {
		return err
	}
	list := make([]thingJSON, len(page))
	for i := range page {
		list[i] = thingOf(&page[i].Device, page[i].ProjectUUID, page[i].ProfileUUID, iot.Mask)
	}
	return handlers.WriteJSON(w, http.StatusOK, struct {
		pageHead
		Things []thingJSON `json:"things"`
	}{q.head(total), list})
}

func (s *server) listThings(w http.ResponseWriter, r *http.Request, c *caller) error {
	return s.answerThings(w, r, db.OwnedDevices{Account: c.account.Key})
}

func (s *server) listOrgThings(w http.ResponseWriter, r *http.Request, c *caller) error {
	o, err := s.org(r, c, iot.ReadDevices)
	if err != nil {
		return err
	}
	return s.answerThings(w, r, db.OwnedDevices{Account: c.account.Key, Organization: o.Key})
}

func (s *server) listGroupThings(w http.ResponseWriter, r *http.Request, c *caller) error {
	g, err := s.DB.OwnedProject(r.Context(), c.account.Key, r.PathValue("id"))
	if err != nil {
		return err
	}
	return s.answerThings(w, r, db.OwnedDevices{Account: c.account.Key, Project: g.Key})
}

func (s *server) listProfileThings(w http.ResponseWriter, r *http.Request, c *caller) error {
	p, _, err := s.DB.OwnedProfile(r.Context(), c.account.Key, r.PathValue("id"))
	if err != nil {
		return err
	}
	return s.answerThings(w, r, db.OwnedDevices{Account: c.account.Key, Profile: p.Key})
}

// showThing answers a device, with its key masked.
func (s *server) showThing(w http.ResponseWriter, r *http.Request, c *caller) error {
	d, g, err := s.DB.OwnedDevice(r.Context(), c.account.Key, r.PathValue("id"))
	if err != nil {
		return err
	}
	p, err := s.DB.Profile(r.Context(), g.Key, d.Profile)
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, thingOf(d, g.UUID, p.UUID, iot.Mask))
}

func (s *server) updateThing(w http.ResponseWriter, r *http.Request, c *caller) error {
	var body thingBody
	if err := decode(r, &body); err != nil {
		return err
	}
	if body.Type.value == "" {
		body.Type = optional[string]{}
	}
	key := body.Key.value
	body.Key = optional[string]{}
	if err := body.check(false); err != nil {
		return err
	}
	d, g, err := s.DB.OwnedDevice(r.Context(), c.account.Key, r.PathValue("id"))
	if err != nil {
		return err
	}
	if err := may(g.Role, iot.WriteDevices); err != nil {
		return err
	}
	now, err := s.DB.DeviceKey(r.Context(), d)
	if err != nil {
		return err
	}
	// A mask from an answer is not a new key, and neither is the present key.
	if key == iot.Mask || key == now.Reveal() {
		key = ""
	}
	if key != "" {
		if err := iot.CheckDeviceKey(key); err != nil {
			return malformedOf(err)
		}
	}
	u := iot.DeviceUpdate{Name: body.Name.pointer(), Kind: body.Type.pointer(), Metadata: textOf(body.Metadata), Key: iot.Secret(key)}
	if body.ProfileID.value != "" {
		p, err := s.DB.Profile(r.Context(), g.Key, body.ProfileID.value)
		if err != nil {
			return err
		}
		u.Profile = &p.ID
	}
	if err := s.DB.UpdateDevice(d, u, c.actor()); err != nil {
		if iot.CodeOf(err) == iot.Conflict {
			return &fault{http.StatusConflict, textConflict, handlers.ErrorOf(err).Message}
		}
		return malformedOf(err)
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// removeThingsOf deletes devices, after checking that the caller may delete each.
func (s *server) removeThingsOf(w http.ResponseWriter, r *http.Request, c *caller, ids []string) error {
	list := make([]*iot.Device, len(ids))
	for i, id := range ids {
		d, g, err := s.DB.OwnedDevice(r.Context(), c.account.Key, id)
		if err != nil {
			return err
		}
		if err := may(g.Role, iot.WriteDevices); err != nil {
			return err
		}
		list[i] = d
	}
	for _, d := range list {
		if err := s.DB.DeleteDevice(d, c.actor()); err != nil {
			return err
		}
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *server) removeThing(w http.ResponseWriter, r *http.Request, c *caller) error {
	return s.removeThingsOf(w, r, c, []string{r.PathValue("id")})
}

func (s *server) removeThings(w http.ResponseWriter, r *http.Request, c *caller) error {
	ids, err := decodeIDs(r, "thing_ids", "missing thing id")
	if err != nil {
		return err
	}
	return s.removeThingsOf(w, r, c, ids)
}

// identify answers the id of the thing that a key belongs to. It needs no other
// authorization than the key, so guesses are throttled.
func (s *server) identify(w http.ResponseWriter, r *http.Request, _ *caller) error {
	var body struct {
		Key   string `json:"key"`
		Token string `json:"token"` // the key's name in older clients
		Type  string `json:"type"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	if body.Key == "" {
		body.Key = body.Token
	}
	switch {
	case body.Type != "" && body.Type != "internal" && body.Type != "external":
		return badRequest(textKeyType)
	case body.Key == "":
		return malformed("")
	}
	guess, err := s.guesses.Try(w, r)
	if err != nil {
		return err
	}
	d, _, err := s.Ingest.Device(r.Context(), iot.Secret(body.Key))
	if iot.CodeOf(err) == iot.Unauthorized {
		return notFound()
	}
	if err != nil {
		return err
	}
	guess.Right()
	return handlers.WriteJSON(w, http.StatusOK, map[string]string{"id": d.UUID})
}

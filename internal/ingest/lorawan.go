package ingest

import (
	"context"
	"strings"

	"thingpost/internal/iot"
	"thingpost/internal/lorawan"
)

// AcceptUp stores a LoRaWAN message, an ApplicationUp in JSON, with its deliveries, and
// returns when it is on disk. The message names its device by ID or DevEUI; s.Device
// and s.Name are ignored. The body must not be changed afterwards. Messages are not
// deduplicated.
//
// Errors: invalid, too_large, not_found (the device may not be registered),
// limit_reached (the project has its maximum of devices), storage_full, unavailable.
func (i *Ingest) AcceptUp(ctx context.Context, s Sender, body []byte) (iot.ID, error) {
	head, body, err := readUp(body)
	if err != nil {
		return iot.ID{}, err
	}
	return i.acceptUp(ctx, s, head, body)
}

// AcceptProtobuf is AcceptUp for an ApplicationUp in Protocol Buffers. It is converted
// to JSON and stored as JSON.
func (i *Ingest) AcceptProtobuf(ctx context.Context, s Sender, body []byte) (iot.ID, error) {
	if len(body) > iot.MaxMessageBytes {
		return iot.ID{}, errTooLarge
	}
	up, err := lorawan.ParseProtobuf(body)
	if err != nil {
		return iot.ID{}, err
	}
	text, err := lorawan.AppendJSON(make([]byte, 0, 2*len(body)), up)
	if err != nil {
		return iot.ID{}, &iot.Error{Code: iot.Invalid, Message: "The message contains a value that JSON cannot represent.", Err: err}
	}
	return i.AcceptUp(ctx, s, text)
}

// Simulate is AcceptUp for a message that a person wrote, for the device in s.Name. The
// message is marked as simulated. It is received now unless it states another time.
func (i *Ingest) Simulate(ctx context.Context, s Sender, body []byte) (iot.ID, error) {
	_, body, err := readUp(body)
	if err != nil {
		return iot.ID{}, err
	}
	return i.AcceptUp(ctx, s, lorawan.Simulated(body, s.Project.ID, s.Name, i.now()))
}

func readUp(body []byte) (lorawan.Head, []byte, error) {
	if len(body) > iot.MaxMessageBytes {
		return lorawan.Head{}, nil, errTooLarge
	}
	return lorawan.ReadHead(body)
}

func (i *Ingest) acceptUp(ctx context.Context, s Sender, h lorawan.Head, body []byte) (iot.ID, error) {
	d, err := i.endDevice(ctx, s, h)
	if err != nil {
		return iot.ID{}, err
	}
	results := []Result{{}}
	if err := i.acceptAll(ctx, s.Project, []*incoming{i.incoming(s.Project, d, received{kind: h.Type, payload: body})}, results); err != nil {
		return iot.ID{}, err
	}
	return results[0].ID, results[0].Err
}

// endDevice returns the device that a message names. It registers a new one and stores
// identifiers that it lacks.
func (i *Ingest) endDevice(ctx context.Context, s Sender, h lorawan.Head) (*iot.Device, error) {
	if h.DeviceID == "" && h.DevEUI == "" {
		return nil, iot.FieldError("end_device_ids.device_id", "is missing. It must name the device.")
	}
	d, err := i.findEndDevice(ctx, s.Project, h)
	if iot.CodeOf(err) == iot.NotFound && s.Register && s.Project.AutoRegister {
		d, err = i.registerEndDevice(ctx, s, h)
	}
	if iot.CodeOf(err) == iot.NotFound {
		return nil, noDevice(endDeviceName(h))
	}
	if err != nil {
		return nil, err
	}
	return i.learn(ctx, d, s, h)
}

// findEndDevice looks for the message's device by ID, then by DevEUI.
func (i *Ingest) findEndDevice(ctx context.Context, p *iot.Project, h lorawan.Head) (*iot.Device, error) {
	c := &i.cache
	_, changes, _ := known(c, &c.devices, nameOf(p.Key, h.DeviceID))
	d, err := (*iot.Device)(nil), error(errNoDevice)
	if h.DeviceID != "" {
		d, err = i.device(ctx, p, h.DeviceID)
	}
	if iot.CodeOf(err) != iot.NotFound || h.DevEUI == "" {
		return d, err
	}
	if d, err = i.device(ctx, p, h.DevEUI); err == nil && h.DeviceID != "" {
		remember(c, &c.devices, nameOf(p.Key, h.DeviceID), nil, changes) // each message asks for it again
	}
	return d, err
}

// endDeviceName is the slug of the device that a message names.
func endDeviceName(h lorawan.Head) string {
	if h.DeviceID == "" {
		return "eui-" + strings.ToLower(h.DevEUI)
	}
	return h.DeviceID
}

func (i *Ingest) registerEndDevice(ctx context.Context, s Sender, h lorawan.Head) (*iot.Device, error) {
	name := endDeviceName(h)
	if err := iot.CheckSlug("end_device_ids.device_id", name); err != nil {
		return nil, err
	}
	d := &iot.Device{ProjectKey: s.Project.Key, ID: name, Name: name, DevEUI: h.DevEUI, JoinEUI: h.JoinEUI, DevAddr: h.DevAddr}
	err := i.db.CreateDevice(d, iot.NewDeviceKey(), s.Actor)
	if iot.CodeOf(err) == iot.Conflict {
		return i.findEndDevice(ctx, s.Project, h) // another message has registered it meanwhile
	}
	return d, err
}

// learn stores identifiers that a device lacks, and the address that it got by joining.
// Identifiers set by people stay.
func (i *Ingest) learn(ctx context.Context, d *iot.Device, s Sender, h lorawan.Head) (*iot.Device, error) {
	var u iot.DeviceUpdate
	missing := func(has string, sent *string, into **string) {
		if has == "" && *sent != "" {
			*into = sent
		}
	}
	missing(d.DevEUI, &h.DevEUI, &u.DevEUI)
	missing(d.JoinEUI, &h.JoinEUI, &u.JoinEUI)
	missing(d.DevAddr, &h.DevAddr, &u.DevAddr)
	if h.Type == iot.JoinAccept && h.DevAddr != "" && h.DevAddr != d.DevAddr {
		u.DevAddr = &h.DevAddr
	}
	if u == (iot.DeviceUpdate{}) {
		return d, nil
	}
	// The cached device is shared, and may be out of date.
	now, err := i.db.Device(ctx, s.Project.Key, d.UUID)
	if err != nil {
		return nil, err
	}
	return now, i.db.UpdateDevice(now, u, s.Actor)
}

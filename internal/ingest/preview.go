package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"thingpost/db"
	"thingpost/internal/iot"
	"thingpost/internal/webhook"
)

// WebhookWhy is whether a webhook wants a message, and why.
type WebhookWhy struct {
	Webhook *iot.Webhook
	Why     webhook.Why
}

// Why returns for each present webhook of the project whether it wants a message, by
// the rules of Accept.
func (i *Ingest) Why(ctx context.Context, p *iot.Project, m *iot.Message) ([]WebhookWhy, error) {
	s, err := i.settings(ctx, p.Key)
	if err != nil {
		return nil, err
	}
	d, err := i.deviceOf(ctx, p, m)
	if err != nil {
		return nil, err
	}
	list := []WebhookWhy{}
	for _, h := range s.hooks {
		list = append(list, WebhookWhy{h.Webhook, webhook.Match(h.Webhook, m, s.Profiles[d.ProfileKey])})
	}
	return list, nil
}

// Preview is what a webhook would do with a message.
type Preview struct {
	Why webhook.Why
	// Request is the request; nil if it would be skipped or cannot be made.
	Request *webhook.Request
	Skip    string // why nothing would be sent despite the match
	Err     error  // why the settings cannot make a request for this message
}

// Preview renders a message for a webhook, saved or not, by the functions that
// deliveries use. It stores and sends nothing. The webhook must have passed
// webhook.Check.
func (i *Ingest) Preview(ctx context.Context, p *iot.Project, w *iot.Webhook, m *iot.Message) (Preview, error) {
	s, err := i.settings(ctx, p.Key)
	if err != nil {
		return Preview{}, err
	}
	d, err := i.deviceOf(ctx, p, m)
	if err != nil {
		return Preview{}, err
	}
	v := Preview{Why: webhook.Match(w, m, s.Profiles[d.ProfileKey])}
	c, bad := webhook.Compile(w)
	if bad != nil {
		v.Err = bad
		return v, nil //nolint:nilerr // the error is the preview's content
	}
	r, err := c.Render(webhook.Input{Message: m, Device: d, Project: s.Project, At: i.now(), PublicURL: i.o.PublicURL, Version: i.o.Version})
	if skip, ok := errors.AsType[*webhook.Skip](err); ok {
		v.Skip = skip.Reason
	} else if err != nil {
		v.Err = err
	} else {
		v.Request = &r
	}
	return v, nil
}

// deviceOf returns a message's device. For a deleted device or a test it has only what
// the message contains.
func (i *Ingest) deviceOf(ctx context.Context, p *iot.Project, m *iot.Message) (*iot.Device, error) {
	if m.DeviceKey == 0 {
		return iot.TestDevice(p.Key), nil
	}
	d, err := i.device(ctx, p, m.Device)
	if iot.CodeOf(err) == iot.NotFound || err == nil && d.Key != m.DeviceKey { // another device has its ID now
		return &iot.Device{Key: m.DeviceKey, ProjectKey: p.Key, ID: m.Device}, nil
	}
	return d, err
}

// SampleMessage returns a message that a webhook wants, for a test or a preview without
// a real one. It is not stored and has no id.
func SampleMessage(p *iot.Project, w *iot.Webhook, now iot.Instant) *iot.Message {
	d := iot.TestDevice(p.Key)
	m := &iot.Message{ProjectKey: p.Key, Device: d.ID, Type: iot.User, Channel: w.Channel, ReceivedAt: now}
	if types := w.MessageTypes.Types(); len(types) > 0 {
		m.Type = types[0]
	}
	content := map[string]any{"test": true, "text": "This is a test from Thingpost.", "webhook": w.ID}
	switch {
	case m.Type.LoRaWAN():
		content = sampleUp(p, m, content)
	case w.Channel != "":
		content = map[string]any{"webhook_channel": w.Channel, "webhook_payload": content}
	}
	m.Payload, _ = json.Marshal(content) // texts and booleans: cannot fail
	return m
}

// sampleUp returns an ApplicationUp of a message's type with some content.
func sampleUp(p *iot.Project, m *iot.Message, content map[string]any) map[string]any {
	at := m.ReceivedAt.Time().Format("2006-01-02T15:04:05.000Z")
	frame := func(name string) map[string]any {
		return map[string]any{"f_port": 1, "f_cnt": 1, "frm_payload": "VGhpbmdwb3N0", name: content}
	}
	object := frame("decoded_payload")
	switch m.Type {
	case iot.UplinkNormalized:
		object = frame("normalized_payload")
	case iot.JoinAccept:
		object = map[string]any{"session_key_id": "VGhpbmdwb3N0VGVzdA==", "received_at": at}
	case iot.DownlinkFailed:
		object = map[string]any{"downlink": object, "error": map[string]any{"namespace": "thingpost", "name": "test",
			"message_format": content["text"]}}
	case iot.DownlinkQueueInvalided:
		object = map[string]any{"downlinks": []any{object}, "last_f_cnt_down": 1}
	case iot.LocationSolved:
		object = map[string]any{"service": "thingpost-test", "location": map[string]any{"latitude": 45.07, "longitude": 7.69,
			"source": "SOURCE_REGISTRY"}}
	case iot.ServiceData:
		object = map[string]any{"service": "thingpost-test", "data": content}
	}
	return map[string]any{
		"end_device_ids": map[string]any{"device_id": m.Device, "application_ids": map[string]any{"application_id": p.ID}},
		"received_at":    at, "simulated": true, string(m.Type): object,
	}
}

// Test queues a test message for this webhook only, even if it is paused, and returns
// the delivery's id. Errors: invalid if the webhook takes no message type; not_found.
func (i *Ingest) Test(ctx context.Context, p *iot.Project, w *iot.Webhook) (iot.ID, error) {
	if len(w.MessageTypes) == 0 {
		return iot.ID{}, iot.NewError(iot.Invalid, "This webhook sends nothing: choose a message type first.")
	}
	m := SampleMessage(p, w, iot.At(i.now()))
	for {
		s, err := i.settings(ctx, p.Key)
		if err != nil {
			return iot.ID{}, err
		}
		if !slices.ContainsFunc(s.hooks, func(h hook) bool { return h.Key == w.Key }) {
			return iot.ID{}, iot.NewError(iot.NotFound, "There is no such webhook.")
		}
		m.ID = i.db.NewID()
		v := i.delivery(m, w, iot.TriggerTest)
		a := &db.Accept{Message: m, Device: iot.TestDevice(p.Key), Project: s.Project, Version: s.Version,
			Deliveries: []*iot.Delivery{v}, InOrder: []bool{w.Settings.InOrder}}
		if err := i.db.Accept(a); err != nil {
			return iot.ID{}, err
		}
		if !a.Stale {
			return v.ID, nil
		}
		i.cache.forgetSettings(p.Key, s.Version)
	}
}

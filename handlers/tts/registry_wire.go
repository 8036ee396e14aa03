package tts

import (
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"thingpost/internal/iot"
	"thingpost/internal/lorawan/wire"
)

// webhookOf returns a whole webhook in The Things Stack's form, with masked secrets. It
// has no place for message types other than LoRaWAN's.
func webhookOf(application string, w *iot.Webhook) *wire.ApplicationWebhook {
	v := &wire.ApplicationWebhook{
		Ids: &wire.ApplicationWebhookIdentifiers{ApplicationIds: &wire.ApplicationIdentifiers{ApplicationId: application},
			WebhookId: w.ID},
		CreatedAt:      timestamppb.New(w.CreatedAt.Time()),
		UpdatedAt:      timestamppb.New(w.UpdatedAt.Time()),
		BaseUrl:        w.URL,
		Headers:        map[string]string{},
		Format:         string(w.Format),
		TemplateFields: map[string]string{},
		DownlinkApiKey: masked(w.DownlinkKey, true),
		HealthStatus:   healthOf(w.Health),
		Queue:          &wire.ApplicationWebhook_Queue{Enabled: !w.Settings.NoRetry},
		Paused:         w.Paused,
	}
	for _, h := range w.Headers {
		v.Headers[h.Name] = masked(h.Value, h.Secret)
	}
	for name, field := range w.TemplateFields {
		v.TemplateFields[name] = masked(field.Value, field.Secret)
	}
	if w.Template != "" {
		v.TemplateIds = &wire.ApplicationWebhookTemplateIdentifiers{TemplateId: w.Template}
	}
	if len(w.FieldMask) > 0 {
		v.FieldMask = &fieldmaskpb.FieldMask{Paths: slices.Clone(w.FieldMask)}
	}
	for kind, route := range w.MessageTypes {
		if fd := messageField(v, kind); fd != nil {
			v.ProtoReflect().Set(fd, protoreflect.ValueOfMessage((&wire.ApplicationWebhook_Message{Path: route.Path}).ProtoReflect()))
		}
	}
	return v
}

func masked(value iot.Secret, secret bool) string {
	if secret && value != "" {
		return iot.Mask
	}
	return value.Reveal()
}

func healthOf(h iot.Health) *wire.ApplicationWebhookHealth {
	switch h.Status {
	case iot.Healthy:
		return &wire.ApplicationWebhookHealth{Status: &wire.ApplicationWebhookHealth_Healthy{
			Healthy: &wire.ApplicationWebhookHealth_WebhookHealthStatusHealthy{}}}
	case iot.Failing:
		return &wire.ApplicationWebhookHealth{Status: &wire.ApplicationWebhookHealth_Unhealthy{
			Unhealthy: &wire.ApplicationWebhookHealth_WebhookHealthStatusUnhealthy{
				FailedAttempts:           uint64(max(h.ConsecutiveFailures, 0)),
				LastFailedAttemptAt:      timestamppb.New(h.Since.Time()),
				LastFailedAttemptDetails: errDelivery.with("reason", h.LastError).details(),
			}}}
	case iot.HealthUnknown:
	}
	return nil
}

// messageField is the field of a LoRaWAN message type; nil for another type.
func messageField(v proto.Message, kind iot.MessageType) protoreflect.FieldDescriptor {
	if !kind.LoRaWAN() {
		return nil
	}
	return v.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(kind))
}

// change applies fields of a webhook in The Things Stack's form to ours.
type change struct {
	w     *iot.Webhook
	in    *wire.ApplicationWebhook
	by    string
	at    iot.Instant
	reset bool // the health is reset
}

// apply changes the fields that the paths name.
func (c *change) apply(p paths) error {
	fields := c.in.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		below, ok := p[fd.Name()]
		if !ok {
			continue
		}
		if kind := iot.MessageType(fd.Name()); kind.LoRaWAN() && slices.Contains(iot.MessageTypes(), kind) {
			c.message(kind, fd, below)
			continue
		}
		if err := c.field(string(fd.Name())); err != nil {
			return err
		}
	}
	return nil
}

func (c *change) field(name string) error {
	w, in := c.w, c.in
	switch name {
	case "base_url":
		w.URL = in.GetBaseUrl()
	case "headers":
		w.Headers = headersOver(w.Headers, in.GetHeaders())
	case "format":
		format := iot.Format(in.GetFormat())
		if format != iot.JSON && format != iot.Protobuf && (format != w.Format || w.Format == "") {
			return invalidField("format", "ApplicationWebhook", "value must be a format that GetFormats lists", nil)
		}
		w.Format = format
	case "template_ids":
		w.Template = in.GetTemplateIds().GetTemplateId()
	case "template_fields":
		w.TemplateFields = valuesOver(w.TemplateFields, in.GetTemplateFields())
	case "downlink_api_key":
		if in.GetDownlinkApiKey() != iot.Mask {
			w.DownlinkKey = iot.Secret(in.GetDownlinkApiKey())
		}
	case "health_status":
		// Deliveries determine an endpoint's health. It can only be reset.
		c.reset = in.GetHealthStatus().GetUnhealthy() == nil
	case "field_mask":
		w.FieldMask = slices.Clone(in.GetFieldMask().GetPaths())
	case "queue":
		w.Settings.NoRetry = !in.GetQueue().GetEnabled()
	case "paused":
		c.pause(in.GetPaused())
	}
	return nil
}

func (c *change) pause(paused bool) {
	w := c.w
	switch {
	case paused && !w.Paused:
		w.Paused, w.PausedBy, w.PausedReason, w.PausedAt = true, c.by, "", c.at
	case !paused:
		w.Paused, w.PausedBy, w.PausedReason, w.PausedAt = false, "", "", 0
	}
}

// message turns a message type on or off, or changes only its path, which does not turn
// it off.
func (c *change) message(kind iot.MessageType, fd protoreflect.FieldDescriptor, below paths) {
	v := c.in.ProtoReflect()
	_, on := c.w.MessageTypes[kind]
	sent := v.Has(fd)
	path := v.Get(fd).Message().Get(fd.Message().Fields().ByName("path")).String()
	switch {
	case !sent && len(below) == 0:
		delete(c.w.MessageTypes, kind)
	case sent || on:
		c.w.MessageTypes[kind] = iot.Route{Path: path}
	}
}

// headersOver returns headers of a map in a stable order: existing ones in their order,
// then the others by name.
func headersOver(was []iot.Header, sent map[string]string) []iot.Header {
	headers := make([]iot.Header, 0, len(sent))
	rest := maps.Clone(sent)
	for _, h := range was {
		value, ok := rest[h.Name]
		if !ok {
			continue
		}
		delete(rest, h.Name)
		h.Value = iot.Secret(value)
		headers = append(headers, h)
	}
	for _, name := range slices.Sorted(maps.Keys(rest)) {
		headers = append(headers, iot.Header{Name: name, Value: iot.Secret(rest[name])})
	}
	return headers
}

func valuesOver(was map[string]iot.TemplateValue, sent map[string]string) map[string]iot.TemplateValue {
	values := make(map[string]iot.TemplateValue, len(sent))
	for name, value := range sent {
		v := was[name]
		if !v.Secret || value != iot.Mask {
			v.Value = iot.Secret(value)
		}
		values[name] = v
	}
	return values
}

package api

import (
	"net/textproto"
	"strconv"
	"strings"

	"thingpost/internal/iot"
	"thingpost/internal/settings"
)

// webhookBody has the given values of a webhook; nil leaves a value unchanged.
type webhookBody struct {
	ID           *string               `json:"id"`
	Description  *string               `json:"description"`
	URL          *string               `json:"url"`
	MessageTypes *map[string]iot.Route `json:"message_types"`
	Type         *string               `json:"type"` // short for a single message type
	Channel      *string               `json:"channel"`
	PayloadOnly  *bool                 `json:"payload_only"`
	Headers      *[]headerBody         `json:"headers"`
	Format       *iot.Format           `json:"format"`
	FieldMask    *[]string             `json:"field_mask"`
	Device       *string               `json:"device"`
	Signed       *bool                 `json:"signed"`
	DownlinkKey  *iot.Secret           `json:"downlink_key"`
	Settings     *settingsBody         `json:"settings"`
}

type headerBody struct {
	Name  string     `json:"name"`
	Value iot.Secret `json:"value"`
	// Secret is nil if absent: a masked value then stays secret.
	Secret *bool `json:"secret"`
}

type settingsBody struct {
	TimeoutMS     *int64            `json:"timeout_ms"`
	GiveUpAfterMS *int64            `json:"give_up_after_ms"`
	InOrder       *bool             `json:"in_order"`
	MaxInFlight   *int              `json:"max_in_flight"`
	MaxPerSecond  *int              `json:"max_per_second"`
	RetryOn       *[]iot.ErrorClass `json:"retry_on"`
	NoRetry       *bool             `json:"no_retry"`
}

// draft returns the webhook that the body makes of h.
func (b *webhookBody) draft(h *iot.Webhook) settings.Draft {
	return settings.Draft{Webhook: h, Own: true, Apply: func(w *iot.Webhook, f *iot.Faults) error {
		b.apply(w, f)
		return nil
	}}
}

// apply changes a webhook, except for its id. A mask leaves the stored value.
func (b *webhookBody) apply(w *iot.Webhook, f *iot.Faults) {
	set(&w.Description, b.Description)
	set(&w.URL, b.URL)
	set(&w.Channel, b.Channel)
	set(&w.PayloadOnly, b.PayloadOnly)
	set(&w.Format, b.Format)
	set(&w.FieldMask, b.FieldMask)
	set(&w.Device, b.Device)
	set(&w.Signed, b.Signed)
	if b.DownlinkKey != nil && (*b.DownlinkKey != iot.Mask || w.DownlinkKey == "") {
		w.DownlinkKey = *b.DownlinkKey
	}
	b.applyTypes(w, f)
	if b.Headers != nil {
		headers := make([]iot.Header, len(*b.Headers))
		for i, h := range *b.Headers {
			headers[i] = h.over(w.Headers, i, f)
		}
		w.Headers = headers
	}
	if s := b.Settings; s != nil {
		set(&w.Settings.TimeoutMS, s.TimeoutMS)
		set(&w.Settings.GiveUpAfterMS, s.GiveUpAfterMS)
		set(&w.Settings.InOrder, s.InOrder)
		set(&w.Settings.MaxInFlight, s.MaxInFlight)
		set(&w.Settings.MaxPerSecond, s.MaxPerSecond)
		set(&w.Settings.RetryOn, s.RetryOn)
		set(&w.Settings.NoRetry, s.NoRetry)
	}
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

func (b *webhookBody) applyTypes(w *iot.Webhook, f *iot.Faults) {
	f.Check(b.Type == nil || b.MessageTypes == nil, "type", "is short for message_types. Use only one of them.")
	switch {
	case b.Type != nil:
		kind, ok := iot.ParseMessageType(*b.Type)
		f.Check(ok, "type", "must be a message type, such as user or iottly.")
		w.MessageTypes = iot.Routes{kind: {}}
		if !ok {
			w.MessageTypes = iot.Routes{iot.User: {}} // so that only type is named
		}
	case b.MessageTypes != nil:
		w.MessageTypes = iot.Routes{}
		for name, route := range *b.MessageTypes {
			w.MessageTypes[iot.MessageType(name)] = route
		}
	}
}

// over returns the header that replaces stored ones. A mask means the stored value of
// the same name, which stays secret; webhook.CheckChange restores it.
func (h headerBody) over(stored []iot.Header, i int, f *iot.Faults) iot.Header {
	out := iot.Header{Name: h.Name, Value: h.Value}
	set(&out.Secret, h.Secret)
	if h.Value != iot.Mask {
		return out
	}
	for _, old := range stored {
		if !sameHeader(old.Name, h.Name) || !old.Secret {
			continue
		}
		f.Check(h.Secret == nil || *h.Secret, "headers."+strconv.Itoa(i)+".secret",
			"cannot be removed from a stored secret. Enter its value again.")
		out.Secret = true
	}
	return out
}

func sameHeader(a, b string) bool {
	canonical := func(s string) string { return textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(s)) }
	return canonical(a) == canonical(b)
}

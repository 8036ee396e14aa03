package iot

import (
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// Format is the form of a webhook's body.
type Format string

// The formats. webhook.Render describes each.
const (
	Envelope Format = "envelope" // {"msg": …}, iottly's form
	JSON     Format = "json"     // The Things Stack's ApplicationUp as JSON
	Protobuf Format = "protobuf" // the same as Protocol Buffers
)

// Route is how a webhook sends one message type.
type Route struct {
	// Path is appended to the webhook's URL; may be empty, at most 64 characters.
	Path string `json:"path"`
}

// Routes are a webhook's message types with their routes.
type Routes map[MessageType]Route

// Types returns the message types in their usual order.
func (r Routes) Types() []MessageType {
	var types []MessageType
	for _, t := range MessageTypes() {
		if _, ok := r[t]; ok {
			types = append(types, t)
		}
	}
	return types
}

// Header is a header that a person added to a webhook.
type Header struct {
	Name string
	// Value can have variables. It is masked in answers if Secret is set.
	Value  Secret
	Secret bool
}

type headerJSON struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Secret bool   `json:"secret"`
}

// MarshalJSON encodes name, value and secret; a secret value as the mask.
func (h Header) MarshalJSON() ([]byte, error) {
	v := h.Value.Reveal()
	if h.Secret {
		v = Mask
	}
	return json.Marshal(headerJSON{h.Name, v, h.Secret})
}

// UnmarshalJSON reads name, value and secret.
func (h *Header) UnmarshalJSON(b []byte) error {
	var j headerJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*h = Header{j.Name, Secret(j.Value), j.Secret}
	return nil
}

// Health is the state of a webhook's endpoint. It is failing if its last attempt
// failed. It is also failing while deliveries wait for a retry, or one was given up within
// 15 minutes, though others were delivered: ConsecutiveFailures is 0 then.
type Health struct {
	Status              HealthStatus `json:"status"`
	ConsecutiveFailures int64        `json:"consecutive_failures"`
	LastError           string       `json:"last_error"`
	Since               Instant      `json:"since"`
}

// HealthStatus is one of healthy, failing, unknown.
type HealthStatus string

// The health statuses. Unknown means that nothing was sent yet.
const (
	HealthUnknown HealthStatus = "unknown"
	Healthy       HealthStatus = "healthy"
	Failing       HealthStatus = "failing"
)

// Settings are the delivery settings of a webhook.
type Settings struct {
	TimeoutMS     int64 `json:"timeout_ms"`       // of one attempt, 1,000 to 30,000
	GiveUpAfterMS int64 `json:"give_up_after_ms"` // age of a delivery, 1 minute to 30 days
	InOrder       bool  `json:"in_order"`         // per device: no later message before an earlier one has ended
	MaxInFlight   int   `json:"max_in_flight"`    // 1 to 64; 0 is adaptive, up to 64
	MaxPerSecond  int   `json:"max_per_second"`   // requests a second, to 10,000; 0 is no limit
	// RetryOn has the failures that are retried; empty means all. 410 and class config
	// are never retried.
	RetryOn []ErrorClass `json:"retry_on"`
	// NoRetry means that a failed delivery is not tried again, whatever RetryOn says.
	NoRetry bool `json:"no_retry"`
}

// DefaultSettings are the settings of a new webhook.
func DefaultSettings() Settings {
	return Settings{TimeoutMS: 10_000, GiveUpAfterMS: (24 * time.Hour).Milliseconds(), RetryOn: []ErrorClass{}}
}

// MaxSlots is how many deliveries of one webhook can be in flight.
const MaxSlots = 64

// Timeout is the timeout of one attempt.
func (s Settings) Timeout() time.Duration { return time.Duration(s.TimeoutMS) * time.Millisecond }

// GiveUpAfter is the age at which a delivery is no longer tried.
func (s Settings) GiveUpAfter() time.Duration {
	return time.Duration(s.GiveUpAfterMS) * time.Millisecond
}

// Webhook is a configured destination of a project's messages.
type Webhook struct {
	Key        int64       `json:"-"`
	ProjectKey int64       `json:"-"`
	Kind       WebhookKind `json:"-"` // "" means KindWebhook
	// Version rises with each change of what is sent or when.
	Version int64 `json:"-"`

	ID          string `json:"id"` // slug
	UUID        string `json:"uuid"`
	Description string `json:"description"`
	// URL has Mask in place of each secret from a template, as have the paths of
	// MessageTypes; see Hidden.
	URL          string   `json:"url"`
	MessageTypes Routes   `json:"message_types"`
	Channel      string   `json:"channel"` // "" = all
	PayloadOnly  bool     `json:"payload_only"`
	Headers      []Header `json:"headers"`
	Format       Format   `json:"format"`
	FieldMask    []string `json:"field_mask"`
	Device       string   `json:"device"` // slug; "" = all
	DeviceKey    int64    `json:"-"`
	// Hidden has the secrets behind the masks in the URL and paths, in order, by
	// HiddenURL and HiddenPath. A text replaced by one without masks loses its secrets
	// when it is checked.
	Hidden map[string][]Secret `json:"-"`
	// Template is the ID of the template that it was created from, "" if none.
	// TemplateFields are the values of the template's fields.
	Template       string                   `json:"template"`
	TemplateFields map[string]TemplateValue `json:"template_fields"`
	DownlinkKey    Secret                   `json:"downlink_key"`
	Signed         bool                     `json:"signed"`
	// SigningSecrets sign each request, the newest first. There are two during a
	// rotation; see OldSecretUntil.
	SigningSecrets []Secret `json:"-"`
	// OldSecretUntil is when the second secret stops signing; 0 if there is none.
	OldSecretUntil Instant `json:"old_secret_until"`

	// Origin is the UUID of the device that it was created through, "" if none. It does
	// not limit what the webhook gets, as Device does. Webhooks of one origin have
	// different descriptions.
	Origin string `json:"-"`
	// Metadata is a JSON object that another system's client stores here, "" if none.
	Metadata string `json:"-"`

	Paused       bool    `json:"paused"`
	PausedBy     string  `json:"paused_by"` // an account's name, or "thingpost" after 410 Gone
	PausedReason string  `json:"paused_reason"`
	PausedAt     Instant `json:"paused_at"`

	Health    Health   `json:"health"`
	Settings  Settings `json:"settings"`
	CreatedAt Instant  `json:"created_at"`
	UpdatedAt Instant  `json:"updated_at"`
}

// Clone returns a deep copy of everything that can change.
func (w *Webhook) Clone() *Webhook {
	c := *w
	c.MessageTypes = maps.Clone(w.MessageTypes)
	c.Headers = slices.Clone(w.Headers)
	c.FieldMask = slices.Clone(w.FieldMask)
	c.SigningSecrets = slices.Clone(w.SigningSecrets)
	c.Settings.RetryOn = slices.Clone(w.Settings.RetryOn)
	c.TemplateFields = maps.Clone(w.TemplateFields)
	c.Hidden = maps.Clone(w.Hidden)
	return &c
}

// Limits are the host's limits on a project's webhooks.
type Limits struct {
	Webhooks int // per project; default 5
	Headers  int // a person's own, per webhook; default 5
}

// MaxTemplateHeaders is how many headers a template or The Things Stack's dialect can
// set. It is that system's own limit.
const MaxTemplateHeaders = 50

// PausedByThingpost is Webhook.PausedBy if the program paused it.
const PausedByThingpost = "thingpost"

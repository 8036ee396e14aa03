package settings

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"thingpost/internal/iot"
	"thingpost/internal/webhook"
)

// Store stores webhooks. Its errors reach the door unchanged.
type Store interface {
	Limits() iot.Limits
	// CreateWebhooks adds all of a list, or none.
	CreateWebhooks(list []*iot.Webhook, actor string) error
	// CreateWebhookWithKey adds a webhook with an API key for downlinks.
	CreateWebhookWithKey(w *iot.Webhook, actor string) error
	// CreateWebhookWithKeyBy is CreateWebhookWithKey by an API key. The new key expires
	// with it.
	CreateWebhookWithKeyBy(w *iot.Webhook, by *iot.APIKey) error
	// UpdateWebhook stores a change; conflict if the version is not the stored one.
	UpdateWebhook(w *iot.Webhook, actor, detail string) error
}

// Webhooks creates and changes webhooks. It is safe for concurrent use.
type Webhooks struct {
	store Store
	now   func() time.Time
}

// New returns the Webhooks of a store.
func New(store Store, now func() time.Time) *Webhooks { return &Webhooks{store: store, now: now} }

// Draft is a webhook before it is stored.
type Draft struct {
	// Webhook is the webhook before the change: a new one with the door's defaults, or
	// a stored one as read. It is not modified.
	Webhook *iot.Webhook
	// Secrets is the webhook whose secrets replace the masks, if it is another one: a
	// copy keeps the secrets of the original. Nil if it is Webhook.
	Secrets *iot.Webhook
	// Own means that a person sets the webhook field by field. It then needs a message
	// type, and the host's limit of headers applies. Templates and other systems'
	// dialects have that system's limits.
	Own bool
	// Apply writes what the door read into the webhook, whose stored secrets are masked,
	// and adds faults that only the door can see. Signed is a request: this package
	// makes and removes the secrets. An error ends the draft. Nil applies nothing.
	Apply func(w *iot.Webhook, f *iot.Faults) error
}

// Result is a webhook that was created, changed or drafted.
type Result struct {
	*iot.Webhook
	// NewSecret is the signing secret if one was created, to be shown once.
	NewSecret iot.Secret
}

// Draft returns the webhook of a draft without storing it, for a preview. After an
// Invalid error the webhook is not nil: it has what could be read. Errors: invalid,
// naming every fault by its field's JSON name, and those of Apply.
func (s *Webhooks) Draft(d Draft) (Result, error) {
	was := d.Webhook
	w := was.Clone()
	if !isNew(w) {
		w.MaskSecrets()
	}
	var faults iot.Faults
	if d.Apply != nil {
		if err := d.Apply(w, &faults); err != nil {
			return Result{Webhook: w}, err
		}
	}
	r := Result{Webhook: w, NewSecret: sign(w)}
	if d.Secrets != nil {
		was = d.Secrets
	}
	if isNew(was) {
		return r, join(&faults, webhook.Check(w, s.store.Limits(), d.Own))
	}
	return r, join(&faults, webhook.CheckChange(w, was, s.store.Limits(), d.Own))
}

func isNew(w *iot.Webhook) bool { return w.Key == 0 }

// Create stores a new webhook. Errors are those of Draft, and of the store:
// invalid, conflict, limit_reached.
func (s *Webhooks) Create(d Draft, actor string) (Result, error) {
	list, err := s.CreateAll([]Draft{d}, actor)
	return list[0], err
}

// CreateAll is Create for several webhooks: all are stored, or none. It returns a
// result for each draft. After an error only drafts that were read have results.
func (s *Webhooks) CreateAll(drafts []Draft, actor string) ([]Result, error) {
	results, hooks := make([]Result, len(drafts)), make([]*iot.Webhook, len(drafts))
	for i, d := range drafts {
		var err error
		if results[i], err = s.Draft(d); err != nil {
			return results, err
		}
		hooks[i] = results[i].Webhook
	}
	return results, s.store.CreateWebhooks(hooks, actor)
}

// Maker is who creates a webhook from a template.
type Maker struct {
	Name   string // for the audit log
	Rights iot.Rights
	Key    *iot.APIKey // nil for a person
}

// CreateFromTemplate stores a webhook that webhook.Instantiate made from a template.
// A template that asks for a downlink key gets one: this needs the right to send
// downlinks, and the key expires with the maker's key. Errors are those of Create,
// and forbidden.
func (s *Webhooks) CreateFromTemplate(w *iot.Webhook, t *iot.Template, by Maker) (Result, error) {
	r, err := s.Draft(Draft{Webhook: w})
	switch {
	case err != nil:
		return r, err
	case !t.CreateDownlinkKey:
		return r, s.store.CreateWebhooks([]*iot.Webhook{r.Webhook}, by.Name)
	case !by.Rights.Has(iot.SendDownlinks):
		return r, iot.NewError(iot.Forbidden, "This template gives its service a key to send downlinks. Creating it needs the right "+
			iot.SendDownlinks.String()+".")
	case by.Key != nil:
		return r, s.store.CreateWebhookWithKeyBy(r.Webhook, by.Key)
	}
	return r, s.store.CreateWebhookWithKey(r.Webhook, by.Name)
}

// Change stores a changed webhook, with the names of the changed fields for the
// audit log. Errors are those of Draft, and of the store: invalid, not_found,
// and conflict if somebody else has changed it since it was read.
func (s *Webhooks) Change(d Draft, actor string) (Result, error) {
	r, err := s.Draft(d)
	if err != nil {
		return r, err
	}
	return r, s.store.UpdateWebhook(r.Webhook, actor, changed(d.Webhook, r.Webhook))
}

// RotateSecret creates a new signing secret for a webhook and turns signing on. The
// old secret signs too during the overlap. The new one is returned, to be shown
// once. Errors are those of the store.
func (s *Webhooks) RotateSecret(w *iot.Webhook, overlap time.Duration, actor string) (iot.Secret, error) {
	secret := webhook.NewSigningSecret()
	w.SigningSecrets = append([]iot.Secret{secret}, w.SigningSecrets[:min(len(w.SigningSecrets), 1)]...)
	w.OldSecretUntil = 0
	if len(w.SigningSecrets) > 1 {
		w.OldSecretUntil = iot.At(s.now()).Add(overlap)
	}
	w.Signed = true
	return secret, s.store.UpdateWebhook(w, actor, "signing secret rotated")
}

// sign makes the secrets agree with Signed, and returns a secret that it created.
func sign(w *iot.Webhook) (made iot.Secret) {
	switch {
	case !w.Signed:
		w.SigningSecrets, w.OldSecretUntil = nil, 0
	case len(w.SigningSecrets) == 0:
		made = webhook.NewSigningSecret()
		w.SigningSecrets = []iot.Secret{made}
	}
	return made
}

// join returns the faults of the door and of the check. If both have one for a field,
// the door's stays. An error that names no fields is returned alone.
func join(f *iot.Faults, err error) error {
	if err == nil {
		return f.Err()
	}
	e, ok := errors.AsType[*iot.Error](err)
	if !ok || len(e.Fields) == 0 {
		return err
	}
	for name, sentence := range e.Fields {
		f.Add(name, sentence)
	}
	return f.Err()
}

// changed names the fields in which two webhooks differ, for the audit log.
func changed(a, b *iot.Webhook) string {
	var names []string
	for _, field := range []struct {
		name string
		same bool
	}{
		{"description", a.Description == b.Description},
		{"url", a.URL == b.URL && sameHidden(a, b)},
		{"message_types", maps.Equal(a.MessageTypes, b.MessageTypes)},
		{"channel", a.Channel == b.Channel},
		{"payload_only", a.PayloadOnly == b.PayloadOnly},
		{"headers", slices.Equal(a.Headers, b.Headers)},
		{"format", a.Format == b.Format},
		{"field_mask", slices.Equal(a.FieldMask, b.FieldMask)},
		{"downlink_key", a.DownlinkKey == b.DownlinkKey},
		{"device", a.Device == b.Device},
		{"signed", a.Signed == b.Signed},
		{"settings", sameSettings(a.Settings, b.Settings)},
		{"template", a.Template == b.Template && maps.Equal(a.TemplateFields, b.TemplateFields)},
		{"metadata", a.Metadata == b.Metadata},
		{"paused", a.Paused == b.Paused},
	} {
		if !field.same {
			names = append(names, field.name)
		}
	}
	return strings.Join(names, ", ")
}

func sameHidden(a, b *iot.Webhook) bool {
	return maps.EqualFunc(a.Hidden, b.Hidden, func(x, y []iot.Secret) bool { return slices.Equal(x, y) })
}

func sameSettings(a, b iot.Settings) bool {
	return a.TimeoutMS == b.TimeoutMS && a.GiveUpAfterMS == b.GiveUpAfterMS && a.InOrder == b.InOrder && a.MaxInFlight == b.MaxInFlight &&
		a.MaxPerSecond == b.MaxPerSecond && slices.Equal(a.RetryOn, b.RetryOn) && a.NoRetry == b.NoRetry
}

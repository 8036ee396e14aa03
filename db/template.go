package db

import (
	"encoding/json"
	"fmt"

	"thingpost/internal/iot"
)

// storedValue is a template's value inside the sealed column, in clear.
type storedValue struct {
	Value  string `json:"value"`
	Secret bool   `json:"secret"`
}

// sealTemplate encrypts what a template put into a webhook. Nothing stays empty.
func (d *DB) sealTemplate(w *iot.Webhook) (hidden, fields []byte, err error) {
	texts := make(map[string][]string, len(w.Hidden))
	for place, secrets := range w.Hidden {
		for _, s := range secrets {
			texts[place] = append(texts[place], s.Reveal())
		}
	}
	values := make(map[string]storedValue, len(w.TemplateFields))
	for id, v := range w.TemplateFields {
		values[id] = storedValue{v.Value.Reveal(), v.Secret}
	}
	if len(texts) > 0 {
		text, err := json.Marshal(texts)
		if err != nil {
			return nil, nil, err
		}
		hidden = text
	}
	if len(values) > 0 {
		text, err := json.Marshal(values)
		if err != nil {
			return nil, nil, err
		}
		fields = text
	}
	return d.sealer.seal(hidden), d.sealer.seal(fields), nil
}

// openTemplate reads what sealTemplate wrote.
func (d *DB) openTemplate(w *iot.Webhook, hidden, fields []byte) error {
	var texts map[string][]string
	var values map[string]storedValue
	for _, part := range []struct {
		sealed []byte
		into   any
	}{{hidden, &texts}, {fields, &values}} {
		text, err := d.sealer.open(part.sealed)
		if err != nil {
			return err
		}
		if len(text) == 0 {
			continue
		}
		if err := json.Unmarshal(text, part.into); err != nil {
			return fmt.Errorf("read webhook %s: %w", w.ID, err)
		}
	}
	w.Hidden = make(map[string][]iot.Secret, len(texts))
	for place, list := range texts {
		for _, s := range list {
			w.Hidden[place] = append(w.Hidden[place], iot.Secret(s))
		}
	}
	w.TemplateFields = make(map[string]iot.TemplateValue, len(values))
	for id, v := range values {
		w.TemplateFields[id] = iot.TemplateValue{Value: iot.Secret(v.Value), Secret: v.Secret}
	}
	return nil
}

// CreateWebhookWithKey adds a checked webhook together with an API key of its
// project that may send downlinks alone, and gives it to the webhook as its
// downlink key: both are stored, or neither. The key is named after the webhook's
// id. Errors are as of CreateWebhook.
func (d *DB) CreateWebhookWithKey(w *iot.Webhook, actor string) error {
	id, secret, text := iot.NewAPIKey()
	w.DownlinkKey = text
	return d.write("create webhook", func(t *Tx) error {
		if err := t.createWebhook(w, actor); err != nil {
			return err
		}
		return t.createKey(&iot.APIKey{ID: id, ProjectID: w.ProjectID, Name: w.ID + " downlink API key", Rights: iot.SendDownlinks}, secret, actor)
	})
}

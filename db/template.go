package db

import (
	"crypto/subtle"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"thingpost/internal/iot"
)

// storedValue is a template's value inside the encrypted column.
type storedValue struct {
	Value  string `json:"value"`
	Secret bool   `json:"secret"`
}

// sealTemplate encrypts what a template put into a webhook. No values stay empty.
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

// CreateWebhookWithKey adds a checked webhook together with an API key of its project that
// can only send downlinks, and sets it as the webhook's downlink key: both are stored, or
// neither. The key is named after the webhook's ID, and revoked when the webhook is deleted.
// Errors are as of CreateWebhook.
func (d *DB) CreateWebhookWithKey(w *iot.Webhook, actor string) error {
	return d.createWebhookWithKey(w, actor, nil)
}

// CreateWebhookWithKeyBy is CreateWebhookWithKey by an API key, which must itself have the
// right to send downlinks: forbidden. The new key expires with it.
func (d *DB) CreateWebhookWithKeyBy(w *iot.Webhook, by *iot.APIKey) error {
	return d.createWebhookWithKey(w, by.Name, by)
}

func (d *DB) createWebhookWithKey(w *iot.Webhook, actor string, by *iot.APIKey) error {
	if err := d.checkURL(w.URL); err != nil {
		return err
	}
	id, secret, text := iot.NewAPIKey()
	w.DownlinkKey = text
	return d.write("create webhook", func(t *Tx) error {
		if err := t.createWebhook(w, actor); err != nil {
			return err
		}
		k := &iot.APIKey{ID: id, ProjectKey: w.ProjectKey, Name: madeKeyName(w), Rights: iot.SendDownlinks}
		if by != nil {
			maker, err := t.maker(by)
			if err != nil {
				return err
			}
			k.ExpiresAt = maker.ExpiresAt
			if err := maker.MayMake(k); err != nil {
				return err
			}
		}
		return t.createKey(k, secret, actor)
	})
}

func madeKeyName(w *iot.Webhook) string { return w.ID + " downlink API key" }

// revokeMadeKey revokes the key that was created together with a deleted webhook, unless a
// person has changed it since or another webhook has it too.
func (t *Tx) revokeMadeKey(w *iot.Webhook, actor string) error {
	id, secret, ok := iot.ParseAPIKey(w.DownlinkKey.Reveal())
	if !ok || w.Template == "" {
		return nil
	}
	var hash []byte
	k, err := scanKey(t.row(`SELECT `+keyColumns+`, hash FROM api_keys WHERE id = $1 AND project_id = $2 AND deleted_at = 0`, id,
		w.ProjectKey),
		&hash)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(hash, hashOf(secret)) != 1 || k.Name != madeKeyName(w) || k.Rights != iot.SendDownlinks {
		return nil
	}
	shared, err := t.handsOut(w.ProjectKey, w.DownlinkKey)
	if err != nil || shared {
		return err
	}
	return t.deleteKey(w.ProjectKey, id, actor)
}

// handsOut reports whether a webhook of a project has a downlink key.
func (t *Tx) handsOut(projectKey int64, key iot.Secret) (bool, error) {
	rows, err := t.conn.QueryContext(t.ctx, `SELECT `+webhookColumns+` FROM webhooks w WHERE w.project_id = $1 AND w.deleted_at = 0`,
		projectKey)
	if err != nil {
		return false, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		w, err := t.db.scanWebhook(rows)
		if err != nil {
			return false, err
		}
		if w.DownlinkKey == key {
			return true, nil
		}
	}
	return false, rows.Err()
}

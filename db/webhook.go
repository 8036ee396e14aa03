package db

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"thingpost/internal/iot"
)

const webhookColumns = `w.id, w.project_id, w.version, w.slug, w.uuid, w.description, w.url, w.message_types, w.channel,
	w.payload_only, w.headers,
	w.format, w.field_mask, w.device_id, coalesce((SELECT slug FROM devices WHERE id = w.device_id), ''), w.template, w.downlink_key, w.signed,
	w.signing_secrets, w.old_secret_until, w.settings, w.paused, w.paused_by, w.paused_reason, w.paused_at,
	w.health, w.consecutive_failures, w.last_error, w.health_since, w.created_at, w.updated_at, w.hidden, w.template_fields, w.kind,
	w.origin, w.metadata`

// storedHeader is a header inside the encrypted column.
type storedHeader struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Secret bool   `json:"secret"`
}

func (d *DB) scanWebhook(row interface{ Scan(...any) error }) (*iot.Webhook, error) {
	var (
		w                                   iot.Webhook
		types, mask, settings               string
		headersSealed, keySealed, sigSealed []byte
		hiddenSealed, fieldsSealed          []byte
	)
	err := row.Scan(&w.Key, &w.ProjectKey, &w.Version, &w.ID, &w.UUID, &w.Description, &w.URL, &types, &w.Channel, &w.PayloadOnly,
		&headersSealed,
		&w.Format, &mask, &w.DeviceKey, &w.Device, &w.Template, &keySealed, &w.Signed, &sigSealed, &w.OldSecretUntil, &settings,
		&w.Paused, &w.PausedBy, &w.PausedReason, &w.PausedAt, &w.Health.Status, &w.Health.ConsecutiveFailures, &w.Health.LastError,
		&w.Health.Since,
		&w.CreatedAt, &w.UpdatedAt, &hiddenSealed, &fieldsSealed, &w.Kind, &w.Origin, &w.Metadata)
	if err != nil {
		return nil, err
	}
	var headers []storedHeader
	var secrets []string
	w.Settings = iot.DefaultSettings()
	for _, part := range []struct {
		sealed []byte
		plain  string
		into   any
	}{{nil, types, &w.MessageTypes}, {nil, mask, &w.FieldMask}, {nil, settings, &w.Settings}, {headersSealed, "", &headers},
		{sigSealed, "", &secrets}} {
		text := []byte(part.plain)
		if part.plain == "" {
			if text, err = d.sealer.open(part.sealed); err != nil {
				return nil, err
			}
		}
		if len(text) == 0 {
			continue
		}
		if err := json.Unmarshal(text, part.into); err != nil {
			return nil, fmt.Errorf("read webhook %s: %w", w.ID, err)
		}
	}
	if w.FieldMask == nil {
		w.FieldMask = []string{}
	}
	w.Headers = make([]iot.Header, len(headers))
	for i, h := range headers {
		w.Headers[i] = iot.Header{Name: h.Name, Value: iot.Secret(h.Value), Secret: h.Secret}
	}
	for _, s := range secrets {
		w.SigningSecrets = append(w.SigningSecrets, iot.Secret(s))
	}
	key, err := d.sealer.open(keySealed)
	if err != nil {
		return nil, err
	}
	w.DownlinkKey = iot.Secret(key)
	return &w, d.openTemplate(&w, hiddenSealed, fieldsSealed)
}

// webhookValues returns a webhook's own columns as CreateWebhook and UpdateWebhook write them.
func (d *DB) webhookValues(w *iot.Webhook) ([]any, error) {
	headers := make([]storedHeader, len(w.Headers))
	for i, h := range w.Headers {
		headers[i] = storedHeader{h.Name, h.Value.Reveal(), h.Secret}
	}
	secrets := make([]string, len(w.SigningSecrets))
	for i, s := range w.SigningSecrets {
		secrets[i] = s.Reveal()
	}
	var texts [5][]byte
	for i, v := range []any{w.MessageTypes, w.FieldMask, w.Settings, headers, secrets} {
		var err error
		if texts[i], err = json.Marshal(v); err != nil {
			return nil, err
		}
	}
	hidden, fields, err := d.sealTemplate(w)
	return []any{w.Description, w.URL, string(texts[0]), w.Channel, w.PayloadOnly, d.sealer.seal(texts[3]), string(w.Format), string(texts[1]),
		w.DeviceKey,
		w.Template, d.sealer.seal([]byte(w.DownlinkKey.Reveal())), w.Signed, d.sealer.seal(texts[4]), int64(w.OldSecretUntil), string(texts[2]),
		int64(w.UpdatedAt),
		hidden, fields, w.Paused, w.PausedBy, w.PausedReason, int64(w.PausedAt), w.Metadata}, err
}

// Webhooks returns a project's webhooks, the oldest first.
func (d *DB) Webhooks(ctx context.Context, projectKey int64) ([]*iot.Webhook, error) {
	return d.listWebhooks(ctx, `w.project_id = $1 AND w.deleted_at = 0 AND w.kind = 'webhook'`, projectKey)
}

// AllWebhooks returns the webhooks of all projects, including upstreams.
func (d *DB) AllWebhooks(ctx context.Context) ([]*iot.Webhook, error) {
	return d.listWebhooks(ctx, `w.deleted_at = 0`)
}

func (d *DB) listWebhooks(ctx context.Context, where string, args ...any) ([]*iot.Webhook, error) {
	rows, err := d.tables(ctx).QueryContext(ctx, `SELECT `+webhookColumns+` FROM webhooks w WHERE `+where+` ORDER BY w.id`, args...)
	if err != nil {
		return nil, translate("list webhooks", err)
	}
	defer func() { _ = rows.Close() }()
	list := []*iot.Webhook{}
	for rows.Next() {
		w, err := d.scanWebhook(rows)
		if err != nil {
			return nil, translate("list webhooks", err)
		}
		list = append(list, w)
	}
	return list, translate("list webhooks", rows.Err())
}

const webhookQuery = `SELECT ` + webhookColumns + ` FROM webhooks w WHERE w.project_id = $1 AND w.deleted_at = 0 AND w.kind = 'webhook' ` +
	`AND `

// Webhook returns a webhook of a project by slug or UUID; not_found.
func (d *DB) Webhook(ctx context.Context, projectKey int64, name string) (*iot.Webhook, error) {
	query, name := byName(name, webhookQuery+`w.slug = $2`, webhookQuery+`w.uuid = $2`)
	w, err := d.scanWebhook(d.tables(ctx).QueryRowContext(ctx, query, projectKey, name))
	return w, orNotFound("webhook", err)
}

// WebhookByKey returns a webhook by its key, unless it is deleted; not_found.
func (d *DB) WebhookByKey(ctx context.Context, key int64) (*iot.Webhook, error) {
	w, err := d.scanWebhook(d.tables(ctx).QueryRowContext(ctx, `SELECT `+webhookColumns+
		` FROM webhooks w WHERE w.id = $1 AND w.deleted_at = 0`, key))
	return w, orNotFound("webhook", err)
}

// CreateWebhook adds a checked webhook to its project (ProjectKey). An empty ID is made from
// the description. Errors: invalid for a URL that Options.Refuses; conflict for a taken ID,
// or if another webhook of the same origin has the description; limit_reached for more
// webhooks than the host allows.
func (d *DB) CreateWebhook(w *iot.Webhook, actor string) error {
	return d.CreateWebhooks([]*iot.Webhook{w}, actor)
}

// CreateWebhooks is CreateWebhook for several webhooks: all of them, or none.
func (d *DB) CreateWebhooks(list []*iot.Webhook, actor string) error {
	for _, w := range list {
		if err := d.checkURL(w.URL); err != nil {
			return err
		}
	}
	return d.write("create webhooks", func(t *Tx) error {
		for _, w := range list {
			if err := t.createWebhook(w, actor); err != nil {
				return err
			}
		}
		return nil
	})
}

// checkURL returns an Invalid error of the field "url" for a refused URL.
func (d *DB) checkURL(url string) error {
	if d.refuses == nil {
		return nil
	}
	if words := d.refuses(url); words != "" {
		return iot.FieldError("url", words)
	}
	return nil
}

// checkNewURL is checkURL for a webhook that is changed: an unchanged URL may stay.
func (t *Tx) checkNewURL(w *iot.Webhook) error {
	var was string
	if err := t.row(`SELECT url FROM webhooks WHERE id = $1`, w.Key).Scan(&was); err == nil && was == w.URL {
		return nil
	}
	return t.db.checkURL(w.URL)
}

// createWebhook writes a new webhook, its counters and a line of the audit log.
func (t *Tx) createWebhook(w *iot.Webhook, actor string) error {
	d := t.db
	var n int
	if err := t.row(`SELECT count(*) FROM webhooks WHERE project_id = $1 AND deleted_at = 0 AND kind = 'webhook'`,
		w.ProjectKey).Scan(&n); err != nil {
		return err
	}
	if n >= d.limits.Webhooks && w.Kind != iot.KindUpstream {
		return iot.NewError(iot.LimitReached, fmt.Sprintf("This project has %d of %d webhooks, all that this host allows. Delete one first, "+
			"or ask the operator to raise -max-webhooks.", n, d.limits.Webhooks))
	}
	if err := t.pickSlug(&w.ID, w.Description, `SELECT 1 FROM webhooks WHERE slug = $1 AND project_id = $2 AND deleted_at = 0`,
		w.ProjectKey); err != nil {
		return err
	}
	if err := t.nameIsFree(w); err != nil {
		return err
	}
	if err := t.findDevice(w); err != nil {
		return err
	}
	w.UUID, w.CreatedAt, w.Version = d.NewID().String(), iot.At(d.now()), 1
	w.UpdatedAt, w.Health.Status = w.CreatedAt, iot.HealthUnknown
	values, err := d.webhookValues(w)
	if err != nil {
		return err
	}
	r, err := t.exec(`INSERT INTO webhooks (description, url, message_types, channel, payload_only, headers, format, field_mask,
		device_id, template,
		downlink_key, signed, signing_secrets, old_secret_until, settings, updated_at, hidden, template_fields,
		paused, paused_by, paused_reason, paused_at, metadata, project_id, slug, uuid, created_at, origin)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
		$19, $20, $21, $22, $23, $24, $25, $26, $27, $28)`,
		append(values, w.ProjectKey, w.ID, w.UUID, int64(w.CreatedAt), w.Origin)...)
	if err != nil {
		return slugTaken(err)
	}
	if w.Key, err = r.LastInsertId(); err != nil {
		return err
	}
	if _, err := t.exec(`INSERT INTO webhook_counters (webhook_id) VALUES ($1)`, w.Key); err != nil {
		return err
	}
	t.webhookChanged(w.ProjectKey, w.Key)
	return t.audit(w.ProjectKey, actor, "webhook.create", w.ID, "")
}

// UpdateWebhook stores a webhook that was read, changed and checked. Conflict if it was
// changed since it was read, invalid for a new URL that Options.Refuses. A webhook that
// becomes one in order takes about 20 ms longer for each 1,024 pending deliveries.
func (d *DB) UpdateWebhook(w *iot.Webhook, actor, detail string) error {
	was := w.Version
	if w.Settings.InOrder {
		release, err := d.orderPending(w)
		defer release()
		if err != nil {
			return err
		}
	}
	err := d.write("update webhook", func(t *Tx) error {
		if err := t.checkNewURL(w); err != nil {
			return err
		}
		if err := t.nameIsFree(w); err != nil {
			return err
		}
		if err := t.findDevice(w); err != nil {
			return err
		}
		w.UpdatedAt = iot.At(d.now())
		values, err := d.webhookValues(w)
		if err != nil {
			return err
		}
		r, err := t.exec(`UPDATE webhooks SET description = $1, url = $2, message_types = $3, channel = $4, payload_only = $5, headers = $6,
			format = $7,
			field_mask = $8, device_id = $9, template = $10, downlink_key = $11, signed = $12, signing_secrets = $13, old_secret_until = $14,
			settings = $15,
			updated_at = $16, hidden = $17, template_fields = $18, paused = $19, paused_by = $20, paused_reason = $21, paused_at = $22,
			metadata = $23, version = version + 1
			WHERE id = $24 AND version = $25 AND deleted_at = 0`, append(values, w.Key, was)...)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			if err == nil {
				err = iot.NewError(iot.Conflict, "Somebody else has changed this webhook in the meantime. Load it again, and repeat your change.")
			}
			return err
		}
		t.webhookChanged(w.ProjectKey, w.Key)
		return t.audit(w.ProjectKey, actor, "webhook.update", w.ID, detail)
	})
	if err == nil {
		w.Version = was + 1
	}
	return err
}

// ForgetHealth makes a webhook's health unknown until its next attempt. not_found.
func (d *DB) ForgetHealth(w *iot.Webhook, actor string) error {
	return d.write("forget a webhook's health", func(t *Tx) error {
		if err := t.execOne("webhook", `UPDATE webhooks SET health = 'unknown', consecutive_failures = 0, last_error = '', health_since = 0
			WHERE id = $1 AND deleted_at = 0`, w.Key); err != nil {
			return err
		}
		t.forget = append(t.forget, w.Key)
		t.changed(w.ProjectKey, iot.WebhooksChanged)
		return t.audit(w.ProjectKey, actor, "webhook.forget_health", w.ID, "")
	})
}

// webhookChanged announces a change to matching, the dispatcher and pages.
func (t *Tx) webhookChanged(projectKey, webhookKey int64) {
	t.reload(webhookKey)
	t.raise(projectKey)
	t.changed(projectKey, iot.WebhooksChanged)
}

// nameIsFree returns a conflict if another webhook made through the same device has the
// description: clients that make webhooks so distinguish them by it.
func (t *Tx) nameIsFree(w *iot.Webhook) error {
	if w.Origin == "" {
		return nil
	}
	var one int
	err := t.row(`SELECT 1 FROM webhooks WHERE project_id = $1 AND deleted_at = 0 AND origin = $2 AND description = $3 AND id <> $4`,
		w.ProjectKey, w.Origin, w.Description, w.Key).Scan(&one)
	if isNoRow(err) {
		return nil
	}
	if err != nil {
		return err
	}
	const taken = "Another webhook that was made for the same device has this description. Choose another."
	return &iot.Error{Code: iot.Conflict, Message: taken, Fields: map[string]string{"description": taken}}
}

func (t *Tx) findDevice(w *iot.Webhook) error {
	w.DeviceKey = 0
	if w.Device == "" {
		return nil
	}
	const query = `SELECT id, slug FROM devices WHERE project_id = $1 AND deleted_at = 0 AND `
	by, name := byName(w.Device, query+`slug = $2 COLLATE NOCASE`, query+`uuid = $2`)
	err := t.row(by, w.ProjectKey, name).Scan(&w.DeviceKey, &w.Device)
	if isNoRow(err) && iot.LooksLikeEUI(name) {
		err = t.row(query+`dev_eui = $2 AND dev_eui <> '' ORDER BY id LIMIT 1`, w.ProjectKey, strings.ToUpper(name)).Scan(&w.DeviceKey, &w.Device)
	}
	if isNoRow(err) {
		return iot.FieldError("device", "There is no such device in this project.")
	}
	return err
}

// PauseWebhook pauses a webhook: pending deliveries wait, and new messages cause none. by is
// a person's name; reason may be empty. A paused webhook stays unchanged. not_found.
func (d *DB) PauseWebhook(w *iot.Webhook, by, reason, actor string) error {
	return d.write("pause webhook", func(t *Tx) error {
		var paused bool
		if err := t.row(`SELECT paused FROM webhooks WHERE id = $1 AND deleted_at = 0`, w.Key).Scan(&paused); err != nil {
			return orNotFound("webhook", err)
		}
		if paused {
			return nil
		}
		if err := t.pause(w.ProjectKey, w.Key, by, reason, iot.At(d.now())); err != nil {
			return err
		}
		return t.audit(w.ProjectKey, actor, "webhook.pause", w.ID, reason)
	})
}

func (t *Tx) pause(projectKey, webhookKey int64, by, reason string, at iot.Instant) error {
	_, err := t.exec(`UPDATE webhooks SET paused = 1, paused_by = $1, paused_reason = $2, paused_at = $3,
		version = version + 1 WHERE id = $4 AND paused = 0`,
		by, reason, int64(at), webhookKey)
	t.webhookChanged(projectKey, webhookKey)
	return err
}

// ResumeWebhook resumes a paused webhook and its pending deliveries. not_found.
func (d *DB) ResumeWebhook(w *iot.Webhook, actor string) error {
	return d.write("resume webhook", func(t *Tx) error {
		if err := t.execOne("webhook", `UPDATE webhooks SET paused = 0, paused_by = '', paused_reason = '', paused_at = 0, version = version + 1
			WHERE id = $1 AND deleted_at = 0`, w.Key); err != nil {
			return err
		}
		t.webhookChanged(w.ProjectKey, w.Key)
		return t.audit(w.ProjectKey, actor, "webhook.resume", w.ID, "")
	})
}

// DeleteWebhook removes a webhook and cancels its pending deliveries: nothing of it is sent
// any more. If there are very many, Maintain cancels the last ones a little later. A key of
// CreateWebhookWithKey is revoked with it.
func (d *DB) DeleteWebhook(w *iot.Webhook, actor string) error {
	return d.DeleteWebhooks([]*iot.Webhook{w}, actor)
}

// DeleteWebhooks is DeleteWebhook for several webhooks: all of them, or none.
func (d *DB) DeleteWebhooks(list []*iot.Webhook, actor string) error {
	err := d.write("delete webhooks", func(t *Tx) error {
		for _, w := range list {
			if err := t.deleteWebhook(w.ProjectKey, w.Key); err != nil {
				return err
			}
			if err := t.audit(w.ProjectKey, actor, "webhook.delete", w.ID, ""); err != nil {
				return err
			}
			if err := t.revokeMadeKey(w, actor); err != nil {
				return err
			}
		}
		return nil
	})
	const steps = 50
	for n, i := 1, 0; err == nil && n > 0 && i < steps; i++ {
		n, err = d.CancelDeleted()
	}
	return err
}

func (t *Tx) deleteWebhook(projectKey, key int64) error {
	now := iot.At(t.db.now())
	if err := t.execOne("webhook", `UPDATE webhooks SET deleted_at = $1, version = version + 1 WHERE id = $2 AND deleted_at = 0`, int64(now),
		key); err != nil {
		return err
	}
	if _, err := t.cancelPending(projectKey, key, "The webhook was deleted."); err != nil {
		return err
	}
	t.webhookChanged(projectKey, key)
	return nil
}

func (t *Tx) webhookKeys(projectKey int64) ([]int64, error) {
	rows, err := t.conn.QueryContext(t.ctx, `SELECT id FROM webhooks WHERE project_id = $1 AND deleted_at = 0`, projectKey)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var keys []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		keys = append(keys, id)
	}
	return keys, rows.Err()
}

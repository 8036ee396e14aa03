package db

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"

	"thingpost/internal/iot"
)

// MaxEmbeds bounds the links of a project that are neither revoked nor expired.
const MaxEmbeds = 50

// maxEmbedLife bounds the lifetime of a link.
const maxEmbedLife = 3650 * 24 * time.Hour

const embedColumns = `e.id, e.project_id, e.webhook_id, coalesce(w.slug, ''), e.name, e.origins, e.created_by, e.created_at,
	e.expires_at, e.revoked_at`

const fromEmbeds = ` FROM embeds e LEFT JOIN webhooks w ON w.id = e.webhook_id`

func (d *DB) scanEmbed(row interface{ Scan(...any) error }) (*iot.Embed, error) {
	var e iot.Embed
	var key int64
	var origins string
	if err := row.Scan(&key, &e.ProjectKey, &e.WebhookKey, &e.Webhook, &e.Name, &origins, &e.CreatedBy, &e.CreatedAt, &e.ExpiresAt,
		&e.RevokedAt); err != nil {
		return nil, err
	}
	e.ID, e.Origins = d.ids.Of(key), strings.Fields(origins)
	return &e, nil
}

// CreateEmbed creates a link to the log of ProjectKey, or of its WebhookKey alone. It returns
// the link's secret part, which is stored nowhere. It sets ID, CreatedBy and CreatedAt of
// e. Invalid names the bad fields; not_found for a webhook that does not exist;
// limit_reached for more than fifty links.
func (d *DB) CreateEmbed(e *iot.Embed, actor string) (iot.Secret, error) {
	now := iot.At(d.now())
	var f iot.Faults
	f.Check(iot.TextLength(e.Name) >= 1 && iot.TextLength(e.Name) <= iot.MaxName, "name", "must have 1 to 254 characters.")
	f.Check(len(e.Origins) > 0 && len(e.Origins) <= iot.MaxOrigins, "origins", "must be 1 to 10 sites, like https://portal.example.")
	f.Check(e.ExpiresAt > now && e.ExpiresAt <= now.Add(maxEmbedLife), "expires_at", "must be in the future, at most ten years.")
	if err := f.Err(); err != nil {
		return "", err
	}
	e.ID, e.CreatedBy, e.CreatedAt = d.NewID(), actor, now
	err := d.write("create embedded log", func(t *Tx) error {
		if e.WebhookKey != 0 {
			if err := t.row(`SELECT slug FROM webhooks WHERE id = $1 AND project_id = $2 AND deleted_at = 0`, e.WebhookKey,
				e.ProjectKey).Scan(&e.Webhook); err != nil {
				return orNotFound("webhook", err)
			}
		}
		var live int
		if err := t.row(`SELECT count(*) FROM embeds WHERE project_id = $1 AND revoked_at = 0 AND expires_at > $2`, e.ProjectKey,
			int64(now)).Scan(&live); err != nil {
			return err
		}
		if live >= MaxEmbeds {
			return iot.NewError(iot.LimitReached, "This project has fifty such links already. Revoke one that is not used.")
		}
		if _, err := t.exec(`INSERT INTO embeds (id, project_id, webhook_id, name, origins, created_by, created_at, expires_at) VALUES ($1,
			$2, $3, $4, $5, $6, $7, $8)`,
			e.ID.Key(), e.ProjectKey, e.WebhookKey, e.Name, strings.Join(e.Origins, " "), actor, int64(now), int64(e.ExpiresAt)); err != nil {
			return err
		}
		t.changed(e.ProjectKey, iot.SettingsChanged)
		return t.audit(e.ProjectKey, actor, "embed.create", e.Name, strings.Join(e.Origins, ", "))
	})
	if err != nil {
		return "", err
	}
	return d.sealer.embedToken(e.ID, e.ExpiresAt), nil
}

// Embeds returns a project's links, newest first, without those that expired or were
// revoked more than thirty days ago.
func (d *DB) Embeds(ctx context.Context, projectKey int64) ([]iot.Embed, error) {
	rows, err := d.reader.QueryContext(ctx, `SELECT `+embedColumns+fromEmbeds+` WHERE e.project_id = $1 AND e.expires_at > $2 AND `+
		`(e.revoked_at = 0 OR e.revoked_at > $2)
		ORDER BY e.id DESC`, projectKey, int64(iot.At(d.now()).Add(-embedKept)))
	if err != nil {
		return nil, translate("list embedded logs", err)
	}
	defer func() { _ = rows.Close() }()
	list := []iot.Embed{}
	for rows.Next() {
		e, err := d.scanEmbed(rows)
		if err != nil {
			return nil, translate("list embedded logs", err)
		}
		list = append(list, *e)
	}
	return list, translate("list embedded logs", rows.Err())
}

// embedKept is how long a link is listed after it has expired.
const embedKept = 30 * 24 * time.Hour

// RevokeEmbed makes a link invalid; not_found, conflict if it was revoked already.
func (d *DB) RevokeEmbed(ctx context.Context, projectKey int64, id iot.ID, actor string) error {
	e, err := d.scanEmbed(d.reader.QueryRowContext(ctx, `SELECT `+embedColumns+fromEmbeds+` WHERE e.id = $1 AND e.project_id = $2`, id.Key(),
		projectKey))
	if err != nil {
		return orNotFound("embedded log", err)
	}
	if e.ID != id {
		return notFound("embedded log")
	}
	return d.write("revoke embedded log", func(t *Tx) error {
		r, err := t.exec(`UPDATE embeds SET revoked_at = $1 WHERE id = $2 AND revoked_at = 0`, int64(iot.At(t.db.now())), id.Key())
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return iot.NewError(iot.Conflict, "It was revoked already.")
		}
		t.changed(projectKey, iot.SettingsChanged)
		return t.audit(projectKey, actor, "embed.revoke", e.Name, "")
	})
}

// EmbedByToken returns what a link shows. Its errors have words for the person who opened
// the link: not_found for a link that is not ours or was altered, forbidden for one that
// has expired or was revoked. With forbidden it returns the link too, for the sites that
// may show the words.
func (d *DB) EmbedByToken(ctx context.Context, token string) (*iot.Embed, error) {
	id, expires, ok := d.sealer.readEmbedToken(token)
	if !ok {
		return nil, iot.NewError(iot.NotFound, "This link is incomplete or was altered. Ask the person who gave it to you for the whole link.")
	}
	e, err := d.scanEmbed(d.reader.QueryRowContext(ctx, `SELECT `+embedColumns+fromEmbeds+`
		WHERE e.id = $1 AND EXISTS (SELECT 1 FROM projects WHERE id = e.project_id AND deleted_at = 0)
		AND (e.webhook_id = 0 OR w.deleted_at = 0)`, id.Key()))
	switch {
	case isNoRow(err), err == nil && e.ID != id:
		return nil, iot.NewError(iot.NotFound, "What this link showed was deleted.")
	case err != nil:
		return nil, translate("read embedded log", err)
	case e.RevokedAt != 0:
		return e, iot.NewError(iot.Forbidden, "This link was revoked. Ask the person who gave it to you for a new one.")
	case expires <= iot.At(d.now()):
		return e, iot.NewError(iot.Forbidden, "This link expired on "+expires.Time().Format("2 January 2006")+
			". Ask the person who gave it to you for a new one.")
	}
	return e, nil
}

// An embedded log's token is its id, its expiry, and an HMAC of both, in base64url.
const (
	embedBody  = 16 + 8
	embedBytes = embedBody + sha256.Size
)

func (s *sealer) embedToken(id iot.ID, expires iot.Instant) iot.Secret {
	b := binary.BigEndian.AppendUint64(append(make([]byte, 0, embedBytes), id[:]...), uint64(expires))
	return iot.Secret(base64.RawURLEncoding.EncodeToString(append(b, s.embedMAC(b)...)))
}

func (s *sealer) readEmbedToken(token string) (id iot.ID, expires iot.Instant, ok bool) {
	// Strict, so that no other text decodes to the same token.
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) != embedBytes || !hmac.Equal(b[embedBody:], s.embedMAC(b[:embedBody])) {
		return id, 0, false
	}
	copy(id[:], b)
	return id, iot.Instant(binary.BigEndian.Uint64(b[16:embedBody])), true
}

func (s *sealer) embedMAC(b []byte) []byte {
	h := hmac.New(sha256.New, s.links)
	h.Write(b)
	return h.Sum(nil)
}

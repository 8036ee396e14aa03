package db

import (
	"context"
	"net/url"

	"thingpost/internal/iot"
)

// SetUpstream sets where a device's downlinks are forwarded, or with nil those of all devices
// of a project that have no upstream of their own. The key is encrypted. Errors: invalid;
// limit_reached beyond iot.MaxUpstreams; not_found.
func (d *DB) SetUpstream(p *iot.Project, device *iot.Device, u iot.Upstream, actor string) error {
	if err := u.Check(); err != nil {
		return err
	}
	if err := d.checkURL(u.URL); err != nil {
		return err
	}
	return d.write("set upstream", func(t *Tx) error {
		key, err := t.upstream(p.Key, u, actor)
		if err != nil {
			return err
		}
		host := u.URL
		if a, err := url.Parse(u.URL); err == nil {
			host = a.Host
		}
		if device != nil {
			if err := t.execOne("device", `UPDATE devices SET upstream_id = $1 WHERE id = $2 AND deleted_at = 0`, key, device.Key); err != nil {
				return err
			}
			t.deviceChanged(device)
			return t.audit(p.Key, actor, "device.upstream", device.ID, host)
		}
		if err := t.execOne("project", `UPDATE projects SET upstream_id = $1 WHERE id = $2 AND deleted_at = 0`, key, p.Key); err != nil {
			return err
		}
		t.raise(p.Key)
		t.changed(p.Key, iot.SettingsChanged)
		return t.audit(p.Key, actor, "project.upstream", p.ID, host)
	})
}

// upstream returns the key of an upstream's hidden webhook, which it creates or updates.
func (t *Tx) upstream(projectKey int64, u iot.Upstream, actor string) (int64, error) {
	want := u.Webhook(projectKey)
	rows, err := t.conn.QueryContext(t.ctx, `SELECT `+webhookColumns+` FROM webhooks w WHERE w.project_id = $1 AND w.deleted_at = 0 AND `+
		`w.kind = 'upstream'`, projectKey)
	if err != nil {
		return 0, err
	}
	defer func() { _ = rows.Close() }()
	n := 0
	var have *iot.Webhook
	for rows.Next() {
		w, err := t.db.scanWebhook(rows)
		if err != nil {
			return 0, err
		}
		if n++; w.URL == want.URL {
			have = w
		}
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	if have == nil {
		if n >= iot.MaxUpstreams {
			return 0, iot.NewError(iot.LimitReached, "The downlinks of a project can go to at most 16 other systems.")
		}
		if err := t.createWebhook(want, actor); err != nil {
			return 0, err
		}
		_, err := t.exec(`UPDATE webhooks SET kind = 'upstream' WHERE id = $1`, want.Key)
		return want.Key, err
	}
	if u.SameUpstream(have) {
		return have.Key, nil
	}
	want.UpdatedAt = iot.At(t.db.now())
	values, err := t.db.webhookValues(want)
	if err != nil {
		return 0, err
	}
	t.webhookChanged(projectKey, have.Key)
	return have.Key, t.execOne("webhook",
		`UPDATE webhooks SET headers = $1, format = $2, updated_at = $3, version = version + 1 WHERE id = $4`,
		values[5], values[6], int64(want.UpdatedAt), have.Key)
}

// Upstream returns where a project's downlinks are forwarded; not_found if nowhere.
func (d *DB) Upstream(ctx context.Context, p *iot.Project) (*iot.Webhook, error) {
	w, err := d.scanWebhook(d.reader.QueryRowContext(ctx, `SELECT `+webhookColumns+` FROM webhooks w JOIN projects p ON p.upstream_id = w.id
		WHERE p.id = $1 AND w.deleted_at = 0`, p.Key))
	return w, orNotFound("upstream", err)
}

// ClearUpstream ends the forwarding of a project's downlinks; upstreams of single devices
// stay. not_found.
func (d *DB) ClearUpstream(p *iot.Project, actor string) error {
	return d.write("clear upstream", func(t *Tx) error {
		var key int64
		if err := t.row(`SELECT upstream_id FROM projects WHERE id = $1 AND deleted_at = 0`, p.Key).Scan(&key); err != nil {
			return orNotFound("project", err)
		}
		if key == 0 {
			return notFound("upstream")
		}
		if _, err := t.exec(`UPDATE projects SET upstream_id = 0 WHERE id = $1`, p.Key); err != nil {
			return err
		}
		var used bool
		if err := t.row(`SELECT EXISTS (SELECT 1 FROM devices WHERE upstream_id = $1 AND upstream_id > 0 AND deleted_at = 0)`,
			key).Scan(&used); err != nil {
			return err
		}
		if !used {
			if err := t.deleteWebhook(p.Key, key); err != nil {
				return err
			}
		}
		t.raise(p.Key)
		t.changed(p.Key, iot.SettingsChanged)
		return t.audit(p.Key, actor, "project.upstream", p.ID, "none")
	})
}

package db

import (
	"context"
	"database/sql"

	"thingpost/internal/iot"
)

// ProjectSettings is everything that matching needs to know of a project, read in one
// transaction. Its Version goes into Accept.
type ProjectSettings struct {
	Project  *iot.Project
	Version  int64
	Webhooks []*iot.Webhook // upstreams too
	// UpstreamKey is the key of the upstream of devices without one of their own.
	UpstreamKey int64
	Profiles    map[int64]*iot.Profile // by key
}

// ProjectSettings reads a project's settings; not_found if it is deleted.
func (d *DB) ProjectSettings(ctx context.Context, key int64) (*ProjectSettings, error) {
	s := &ProjectSettings{Profiles: map[int64]*iot.Profile{}}
	err := d.inTx(ctx, func(tx *sql.Tx) error {
		var err error
		if s.Project, err = scanProject(tx.QueryRowContext(ctx, `SELECT `+projectColumns+`, p.version, p.upstream_id`+fromProjects+
			` WHERE p.id = $1 AND p.deleted_at = 0`, key), &s.Version, &s.UpstreamKey); err != nil {
			return orNotFound("project", err)
		}
		rows, err := tx.QueryContext(ctx, `SELECT `+profileColumns+` FROM profiles WHERE project_id = $1`, key)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			p, err := scanProfile(rows)
			if err != nil {
				return err
			}
			s.Profiles[p.Key] = p
		}
		if err := rows.Err(); err != nil {
			return err
		}
		hooks, err := tx.QueryContext(ctx, `SELECT `+webhookColumns+` FROM webhooks w WHERE w.project_id = $1 AND w.deleted_at = 0 ORDER BY w.id`,
			key)
		if err != nil {
			return err
		}
		defer func() { _ = hooks.Close() }()
		for hooks.Next() {
			w, err := d.scanWebhook(hooks)
			if err != nil {
				return err
			}
			s.Webhooks = append(s.Webhooks, w)
		}
		return hooks.Err()
	})
	return s, translate("read project settings", err)
}

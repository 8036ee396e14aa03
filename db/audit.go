package db

import (
	"context"
	"time"

	"thingpost/internal/iot"
)

func msDuration(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

// audit writes who changed what, in the transaction of the change itself.
func (t *Tx) audit(projectID int64, actor, action, subject, detail string) error {
	_, err := t.exec(`INSERT INTO audit (id, project_id, actor, action, subject, detail) VALUES ($1, $2, $3, $4, $5, $6)`,
		t.db.NewID().Key(), projectID, actor, action, subject, detail)
	return err
}

// Audit returns a project's audit log, newest first: at most limit entries
// before the id (zero: from the newest).
func (d *DB) Audit(ctx context.Context, projectID int64, before iot.ID, limit int) ([]iot.AuditEntry, error) {
	rows, err := d.reader.QueryContext(ctx, `SELECT id, project_id, actor, action, subject, detail FROM audit
		WHERE project_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3`, projectID, keyBefore(before), limit)
	if err != nil {
		return nil, translate("list audit", err)
	}
	defer func() { _ = rows.Close() }()
	list := []iot.AuditEntry{}
	for rows.Next() {
		var e iot.AuditEntry
		var key int64
		if err := rows.Scan(&key, &e.ProjectID, &e.Actor, &e.Action, &e.Subject, &e.Detail); err != nil {
			return nil, translate("list audit", err)
		}
		e.ID = d.ids.Of(key)
		e.At = iot.KeyTime(key)
		list = append(list, e)
	}
	return list, translate("list audit", rows.Err())
}

// keyBefore is the key that a page must stay below: all of them for the zero id.
func keyBefore(id iot.ID) int64 {
	if id.IsZero() {
		return 1<<63 - 1
	}
	return id.Key()
}

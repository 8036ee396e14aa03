package db

import (
	"context"

	"thingpost/internal/iot"
)

const inspectorColumns = `i.project_id, i.token, i.status, i.delay_ms, i.received, i.created_at`

func scanInspector(row interface{ Scan(...any) error }) (*iot.Inspector, error) {
	var i iot.Inspector
	return &i, row.Scan(&i.ProjectKey, &i.Token, &i.Status, &i.DelayMS, &i.Received, &i.CreatedAt)
}

// Inspector returns a project's inspector; not_found if it has none yet.
func (d *DB) Inspector(ctx context.Context, projectKey int64) (*iot.Inspector, error) {
	i, err := scanInspector(d.reader.QueryRowContext(ctx, `SELECT `+inspectorColumns+` FROM inspectors i WHERE i.project_id = $1`, projectKey))
	return i, orNotFound("inspector", err)
}

// InspectorByToken returns the inspector of a URL; not_found, also if its project was
// deleted.
func (d *DB) InspectorByToken(ctx context.Context, token string) (*iot.Inspector, error) {
	i, err := scanInspector(d.reader.QueryRowContext(ctx, `SELECT `+inspectorColumns+` FROM inspectors i JOIN projects p ON p.id = i.project_id
		WHERE i.token = $1 AND p.deleted_at = 0`, token))
	return i, orNotFound("inspector", err)
}

// CreateInspector creates a project's inspector, or returns the existing one.
func (d *DB) CreateInspector(projectKey int64, actor string) (*iot.Inspector, error) {
	var made *iot.Inspector
	err := d.write("create inspector", func(t *Tx) error {
		i, err := scanInspector(t.row(`SELECT `+inspectorColumns+` FROM inspectors i WHERE i.project_id = $1`, projectKey))
		if err == nil || !isNoRow(err) {
			made = i
			return err
		}
		made = &iot.Inspector{ProjectKey: projectKey, Token: iot.NewInspectorToken(), Status: 200, CreatedAt: iot.At(d.now())}
		if _, err := t.exec(`INSERT INTO inspectors (project_id, token, status, created_at) VALUES ($1, $2, $3, $4)`,
			projectKey, made.Token, int64(made.Status), int64(made.CreatedAt)); err != nil {
			return err
		}
		t.changed(projectKey, iot.InspectorChanged)
		return t.audit(projectKey, actor, "inspector.create", "inspector", "")
	})
	return made, err
}

// UpdateInspector changes what an inspector answers; not_found.
func (d *DB) UpdateInspector(i *iot.Inspector, u iot.InspectorUpdate, actor string) error {
	if err := u.Check(); err != nil {
		return err
	}
	return d.write("update inspector", func(t *Tx) error {
		if u.Status != nil {
			i.Status = *u.Status
		}
		if u.DelayMS != nil {
			i.DelayMS = *u.DelayMS
		}
		if err := t.execOne("inspector", `UPDATE inspectors SET status = $1, delay_ms = $2 WHERE project_id = $3`, int64(i.Status), i.DelayMS,
			i.ProjectKey); err != nil {
			return err
		}
		t.changed(i.ProjectKey, iot.InspectorChanged)
		return t.audit(i.ProjectKey, actor, "inspector.update", "inspector", "answers "+i.Status.Text()+" after "+i.Delay().String())
	})
}

// ClearInspector deletes the requests that an inspector got.
func (d *DB) ClearInspector(projectKey int64, actor string) error {
	return d.write("clear inspector", func(t *Tx) error {
		if _, err := t.exec(`DELETE FROM inspections WHERE project_id = $1`, projectKey); err != nil {
			return err
		}
		t.changed(projectKey, iot.InspectorChanged)
		return t.audit(projectKey, actor, "inspector.clear", "inspector", "")
	})
}

// keepInspections removes the oldest requests beyond the bounds, but never the newest one.
const keepInspections = `DELETE FROM inspections WHERE id IN (SELECT id FROM (
	SELECT id, row_number() OVER newest AS place, sum(kept_bytes) OVER newest AS total
	FROM inspections WHERE project_id = $1 WINDOW newest AS (ORDER BY id DESC)) WHERE place > $2 OR place > 1 AND total > $3)`

// AddInspection stores a request that a project's inspector got, and removes the oldest
// beyond iot.MaxInspections and iot.MaxInspectedBytes. It sets ID and At.
func (d *DB) AddInspection(x *iot.Inspection) error {
	return d.write("add inspection", func(t *Tx) error {
		x.ID = t.db.NewID()
		x.At = iot.KeyTime(x.ID.Key())
		headers := headerText(x.Headers)
		kept := len(x.Path) + len(x.Query) + len(headers) + len(x.Body)
		delivery := int64(0)
		if !x.DeliveryID.IsZero() {
			delivery = x.DeliveryID.Key()
		}
		body := x.Body
		if body == nil {
			body = []byte{}
		}
		if _, err := t.exec(`INSERT INTO inspections (id, project_id, delivery_id, kept_bytes, size_bytes, status, delay_ms, remote, method,
			path, query, headers, body)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`, x.ID.Key(), x.ProjectKey, delivery, kept, x.SizeBytes, int64(x.Status),
			x.DelayMS,
			x.Remote, x.Method, x.Path, x.Query, headers, body); err != nil {
			return err
		}
		if _, err := t.exec(`UPDATE inspectors SET received = received + 1 WHERE project_id = $1`, x.ProjectKey); err != nil {
			return err
		}
		if _, err := t.exec(keepInspections, x.ProjectKey, iot.MaxInspections, iot.MaxInspectedBytes); err != nil {
			return err
		}
		t.changed(x.ProjectKey, iot.InspectorChanged)
		return nil
	})
}

const inspectionColumns = `id, project_id, delivery_id, size_bytes, status, delay_ms, remote, method, path, query`

func (d *DB) scanInspection(row interface{ Scan(...any) error }, more ...any) (*iot.Inspection, error) {
	var x iot.Inspection
	var key, delivery int64
	err := row.Scan(append([]any{&key, &x.ProjectKey, &delivery, &x.SizeBytes, &x.Status, &x.DelayMS, &x.Remote, &x.Method, &x.Path, &x.Query},
		more...)...)
	x.ID, x.At, x.DeliveryID = d.ids.Of(key), iot.KeyTime(key), d.ids.Of(delivery)
	return &x, err
}

// Inspections returns the requests that a project's inspector got, the newest first,
// without headers and bodies.
func (d *DB) Inspections(ctx context.Context, projectKey int64) ([]iot.Inspection, error) {
	rows, err := d.reader.QueryContext(ctx, `SELECT `+inspectionColumns+` FROM inspections WHERE project_id = $1 ORDER BY id DESC`, projectKey)
	if err != nil {
		return nil, translate("list inspections", err)
	}
	defer func() { _ = rows.Close() }()
	list := []iot.Inspection{}
	for rows.Next() {
		x, err := d.scanInspection(rows)
		if err != nil {
			return nil, translate("list inspections", err)
		}
		list = append(list, *x)
	}
	return list, translate("list inspections", rows.Err())
}

// Inspection returns a complete request; not_found, also if it was removed.
func (d *DB) Inspection(ctx context.Context, projectKey int64, id iot.ID) (*iot.Inspection, error) {
	var headers string
	var body []byte
	x, err := d.scanInspection(d.reader.QueryRowContext(ctx, `SELECT `+inspectionColumns+`, headers, body FROM inspections WHERE `+
		`project_id = $1 AND id = $2`,
		projectKey, id.Key()), &headers, &body)
	if err != nil {
		return nil, orNotFound("request", err)
	}
	if x.ID != id {
		return nil, notFound("request")
	}
	x.Headers, x.Body = parseHeaders(headers), body
	return x, nil
}

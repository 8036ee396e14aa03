package db

import (
	"context"
	"strconv"
	"time"

	"thingpost/internal/iot"
)

func msDuration(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

// audit records who changed what, for a project and its organization, in the transaction
// of the change. Project 0 is for changes of the instance.
func (t *Tx) audit(projectKey int64, actor, action, subject, detail string) error {
	_, err := t.db.writer.stmts.audit.ExecContext(t.ctx, t.db.NewID().Key(), projectKey, projectKey, actor, action, subject, detail)
	return err
}

const auditQuery = `INSERT INTO audit (id, project_id, organization_id, actor, action, subject, detail)
	VALUES (?, ?, coalesce((SELECT organization_id FROM projects WHERE id = ?), 0), ?, ?, ?, ?)`

// auditOrganization is audit for changes of an organization.
func (t *Tx) auditOrganization(organization int64, actor, action, subject, detail string) error {
	_, err := t.exec(`INSERT INTO audit (id, project_id, organization_id, actor, action, subject, detail) VALUES ($1, 0, $2, $3, $4, $5, $6)`,
		t.db.NewID().Key(), organization, actor, action, subject, detail)
	return err
}

// AuditFilter selects entries of the audit log, newest first. Without a project and an
// organization it selects among all entries of the instance.
type AuditFilter struct {
	ProjectKey      int64
	OrganizationKey int64  // with all of its projects
	Actor           string // part of the actor's name, in any case
	Noun            string // what the action is about: "webhook"
	Before          iot.ID
	Limit           int
}

// AuditPage is a page of the audit log; its fields are as in DeliveryPage.
type AuditPage struct {
	Items        []iot.AuditEntry
	Next         iot.ID
	LookedBackTo iot.Instant
}

func (f AuditFilter) base() (where string, args []any) {
	args = []any{keyBefore(f.Before)}
	switch {
	case f.ProjectKey != 0:
		return `a.project_id = $2 AND a.id < $1`, append(args, f.ProjectKey)
	case f.OrganizationKey != 0:
		return `a.organization_id = $2 AND a.id < $1`, append(args, f.OrganizationKey)
	}
	return `a.id < $1`, args
}

func (f AuditFilter) pageQuery(floor int64) (query string, args []any) {
	where, args := f.base()
	arg := func(v any) string { args = append(args, v); return "$" + strconv.Itoa(len(args)) }
	if f.Actor != "" {
		where += ` AND instr(lower(a.actor), lower(` + arg(f.Actor) + `)) > 0`
	}
	if f.Noun != "" {
		where += ` AND substr(a.action, 1, instr(a.action, '.')) = ` + arg(f.Noun+".")
	}
	if floor > 0 {
		where += ` AND a.id > ` + arg(floor)
	}
	return `SELECT a.id, a.project_id, coalesce((SELECT slug FROM projects WHERE id = a.project_id), ''), a.actor, a.action, a.subject,
		a.detail
		FROM audit a WHERE ` + where + ` ORDER BY a.id DESC LIMIT ` + strconv.Itoa(f.Limit+1), args
}

func (f AuditFilter) floorQuery(lookBack int) (query string, args []any) {
	where, args := f.base()
	return `SELECT a.id FROM audit a WHERE ` + where + ` ORDER BY a.id DESC LIMIT 1 OFFSET ` + strconv.Itoa(lookBack), args
}

// Audit returns a page of the audit log. With an actor or a noun it examines at most
// LookBack entries, and the page says how far back that is.
func (d *DB) Audit(ctx context.Context, f AuditFilter) (AuditPage, error) {
	p := AuditPage{Items: []iot.AuditEntry{}}
	var floor int64
	if f.Actor != "" || f.Noun != "" {
		query, args := f.floorQuery(d.lookBack)
		if err := d.reader.QueryRowContext(ctx, query, args...).Scan(&floor); err != nil && !isNoRow(err) {
			return p, translate("list audit", err)
		}
	}
	query, args := f.pageQuery(floor)
	rows, err := d.reader.QueryContext(ctx, query, args...)
	if err != nil {
		return p, translate("list audit", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var e iot.AuditEntry
		var key int64
		if err := rows.Scan(&key, &e.ProjectKey, &e.Project, &e.Actor, &e.Action, &e.Subject, &e.Detail); err != nil {
			return p, translate("list audit", err)
		}
		e.ID, e.At = d.ids.Of(key), iot.KeyTime(key)
		p.Items = append(p.Items, e)
	}
	if err := rows.Err(); err != nil {
		return p, translate("list audit", err)
	}
	switch {
	case len(p.Items) > f.Limit:
		p.Items = p.Items[:f.Limit]
		p.Next = p.Items[f.Limit-1].ID
	case floor > 0:
		p.Next, p.LookedBackTo = d.ids.Of(floor+1), iot.KeyTime(floor)
	}
	return p, nil
}

// keyBefore returns the key that a page must stay below; for the zero id, the largest key.
func keyBefore(id iot.ID) int64 {
	if id.IsZero() {
		return 1<<63 - 1
	}
	return id.Key()
}

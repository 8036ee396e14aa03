package db

import (
	"context"

	"thingpost/internal/iot"
)

const projectColumns = `p.id, p.organization_id, p.slug, p.uuid, p.name, o.slug, p.auto_register, p.created_at, p.updated_at,
	p.description, p.metadata`

func scanProject(row interface{ Scan(...any) error }, more ...any) (*iot.Project, error) {
	var p iot.Project
	return &p, row.Scan(append(projectInto(&p), more...)...)
}

// projectInto returns the targets into which projectColumns are scanned.
func projectInto(p *iot.Project) []any {
	return []any{&p.Key, &p.OrganizationKey, &p.ID, &p.UUID, &p.Name, &p.Organization, &p.AutoRegister, &p.CreatedAt, &p.UpdatedAt,
		&p.Description, &p.Metadata}
}

const fromProjects = ` FROM projects p JOIN organizations o ON o.id = p.organization_id `

// Projects returns the projects of an account's organizations, with its role, ordered by
// name.
func (d *DB) Projects(ctx context.Context, account int64) ([]iot.Project, error) {
	rows, err := d.reader.QueryContext(ctx, `SELECT `+projectColumns+`, m.role`+fromProjects+`
		JOIN members m ON m.organization_id = p.organization_id
		WHERE m.account_id = $1 AND p.deleted_at = 0 ORDER BY p.name COLLATE NOCASE, p.id`, account)
	if err != nil {
		return nil, translate("list projects", err)
	}
	defer func() { _ = rows.Close() }()
	list := []iot.Project{}
	for rows.Next() {
		var role iot.Role
		p, err := scanProject(rows, &role)
		if err != nil {
			return nil, translate("list projects", err)
		}
		p.Role = role
		list = append(list, *p)
	}
	return list, translate("list projects", rows.Err())
}

const projectQuery = `SELECT ` + projectColumns + fromProjects + `WHERE p.deleted_at = 0 AND `

// Project returns a project by slug or UUID; not_found.
func (d *DB) Project(ctx context.Context, name string) (*iot.Project, error) {
	query, name := byName(name, projectQuery+`p.slug = $1`, projectQuery+`p.uuid = $1`)
	p, err := scanProject(d.reader.QueryRowContext(ctx, query, name))
	return p, orNotFound("project", err)
}

// Role returns an account's role in an organization, "" if it is not a member.
func (d *DB) Role(ctx context.Context, organization, account int64) (iot.Role, error) {
	var role iot.Role
	err := d.reader.QueryRowContext(ctx, `SELECT coalesce((SELECT role FROM members WHERE organization_id = $1 AND account_id = $2), '')`,
		organization, account).Scan(&role)
	return role, translate("read role", err)
}

// CreateProject adds a project to its organization (OrganizationKey) with the default
// profile. An empty ID is made from the name. Conflict if the ID is taken.
func (d *DB) CreateProject(p *iot.Project, actor string) error {
	if err := (iot.ProjectUpdate{Name: &p.Name}).Check(); err != nil {
		return err
	}
	return d.write("create project", func(t *Tx) error { return t.createProject(p, actor) })
}

// CreateProjects is CreateProject for several projects: all of them, or none.
func (d *DB) CreateProjects(list []*iot.Project, actor string) error {
	return d.write("create projects", func(t *Tx) error {
		for _, p := range list {
			if err := (iot.ProjectUpdate{Name: &p.Name}).Check(); err != nil {
				return err
			}
			if err := t.createProject(p, actor); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *Tx) createProject(p *iot.Project, actor string) error {
	if err := t.pickSlug(&p.ID, p.Name, `SELECT 1 FROM projects WHERE slug = $1 AND deleted_at = 0`); err != nil {
		return err
	}
	p.UUID, p.CreatedAt = t.db.NewID().String(), iot.At(t.db.now())
	p.UpdatedAt = p.CreatedAt
	r, err := t.exec(`INSERT INTO projects (organization_id, slug, uuid, name, auto_register, created_at, updated_at, description, metadata)
		VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8)`,
		p.OrganizationKey, p.ID, p.UUID, p.Name, p.AutoRegister, int64(p.CreatedAt), p.Description, p.Metadata)
	if err != nil {
		return slugTaken(err)
	}
	if p.Key, err = r.LastInsertId(); err != nil {
		return err
	}
	if err := t.row(`SELECT slug FROM organizations WHERE id = $1`, p.OrganizationKey).Scan(&p.Organization); err != nil {
		return orNotFound("organization", err)
	}
	profile := iot.Profile{ProjectKey: p.Key, ID: iot.DefaultProfile, Name: "Default", Webhook: true, Write: true}
	if err := t.createProfile(&profile); err != nil {
		return err
	}
	t.raise(p.Key) // so that the writer learns its version
	return t.audit(p.Key, actor, "project.create", p.ID, "")
}

// UpdateProject changes a project; conflict, not_found.
func (d *DB) UpdateProject(p *iot.Project, u iot.ProjectUpdate, actor string) error {
	if err := u.Check(); err != nil {
		return err
	}
	return d.write("update project", func(t *Tx) error {
		if u.Name != nil {
			p.Name = *u.Name
		}
		if u.AutoRegister != nil {
			p.AutoRegister = *u.AutoRegister
		}
		if u.Description != nil {
			p.Description = *u.Description
		}
		if u.Metadata != nil {
			p.Metadata = *u.Metadata
		}
		p.UpdatedAt = iot.At(t.db.now())
		if err := t.execOne("project", `UPDATE projects SET name = $1, auto_register = $2, updated_at = $3, description = $4,
			metadata = $5 WHERE id = $6 AND deleted_at = 0`,
			p.Name, p.AutoRegister, int64(p.UpdatedAt), p.Description, p.Metadata, p.Key); err != nil {
			return err
		}
		t.changed(p.Key, iot.SettingsChanged)
		t.raise(p.Key)
		return t.audit(p.Key, actor, "project.update", p.ID, "")
	})
}

// DeleteProject deletes a project: its webhooks stop, its keys become invalid, and its
// messages and deliveries are pruned in small steps.
func (d *DB) DeleteProject(p *iot.Project, actor string) error {
	return d.write("delete project", func(t *Tx) error { return t.deleteProject(p, actor) })
}

func (t *Tx) deleteProject(p *iot.Project, actor string) error {
	now := int64(iot.At(t.db.now()))
	if err := t.execOne("project", `UPDATE projects SET deleted_at = $1 WHERE id = $2 AND deleted_at = 0`, now, p.Key); err != nil {
		return err
	}
	hooks, err := t.webhookKeys(p.Key)
	if err != nil {
		return err
	}
	for _, id := range hooks {
		if err := t.deleteWebhook(p.Key, id); err != nil {
			return err
		}
	}
	if err := t.dropQueue(`SELECT id FROM devices WHERE project_id = $1 AND deleted_at = 0`, p.Key); err != nil {
		return err
	}
	for _, table := range []string{"devices", "api_keys"} {
		if _, err := t.exec(`UPDATE `+table+` SET deleted_at = $1 WHERE project_id = $2 AND deleted_at = 0`, now, p.Key); err != nil {
			return err
		}
	}
	t.raise(p.Key)
	return t.audit(p.Key, actor, "project.delete", p.ID, "")
}

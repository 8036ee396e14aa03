package db

import (
	"context"
	"strings"

	"thingpost/internal/iot"
)

const projectColumns = `p.id, p.organization_id, p.slug, p.uuid, p.name, o.slug, p.auto_register, p.created_at, p.updated_at`

func scanProject(row interface{ Scan(...any) error }, more ...any) (*iot.Project, error) {
	var p iot.Project
	into := append([]any{&p.Key, &p.OrganizationKey, &p.ID, &p.UUID, &p.Name, &p.Organization, &p.AutoRegister, &p.CreatedAt, &p.UpdatedAt}, more...)
	return &p, row.Scan(into...)
}

const fromProjects = ` FROM projects p JOIN organizations o ON o.id = p.organization_id `

// Projects returns the projects of an account's organizations, with its role,
// in the order of their names.
func (d *DB) Projects(ctx context.Context, account int64) ([]iot.Project, error) {
	rows, err := d.reader.QueryContext(ctx, `SELECT `+projectColumns+`, m.role`+fromProjects+`
		JOIN members m ON m.organization_id = p.organization_id WHERE m.account_id = $1 AND p.deleted_at = 0 ORDER BY p.name COLLATE NOCASE, p.id`, account)
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

// Project returns a project by slug or UUID; not_found.
func (d *DB) Project(ctx context.Context, name string) (*iot.Project, error) {
	p, err := scanProject(d.reader.QueryRowContext(ctx, `SELECT `+projectColumns+fromProjects+`
		WHERE p.deleted_at = 0 AND (p.slug = $1 OR p.uuid = lower($1))`, name))
	return p, orNotFound("project", err)
}

// Role returns an account's role in an organization, "" if it is no member.
func (d *DB) Role(ctx context.Context, organization, account int64) (iot.Role, error) {
	var role iot.Role
	err := d.reader.QueryRowContext(ctx, `SELECT coalesce((SELECT role FROM members WHERE organization_id = $1 AND account_id = $2), '')`, organization, account).Scan(&role)
	return role, translate("read role", err)
}

// CreateProject adds a project to its organization (OrganizationKey) with the
// default profile. An empty ID is made from the name; conflict if a given one
// is taken.
func (d *DB) CreateProject(p *iot.Project, actor string) error {
	if err := (iot.ProjectUpdate{Name: &p.Name}).Check(); err != nil {
		return err
	}
	return d.write("create project", func(t *Tx) error {
		if err := t.pickSlug(&p.ID, p.Name, `SELECT 1 FROM projects WHERE slug = $1 AND deleted_at = 0`); err != nil {
			return err
		}
		p.UUID, p.CreatedAt = t.db.NewID().String(), iot.At(t.db.now())
		p.UpdatedAt = p.CreatedAt
		r, err := t.exec(`INSERT INTO projects (organization_id, slug, uuid, name, auto_register, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $6)`,
			p.OrganizationKey, p.ID, p.UUID, p.Name, p.AutoRegister, int64(p.CreatedAt))
		if err != nil {
			return slugTaken(err)
		}
		if p.Key, err = r.LastInsertId(); err != nil {
			return err
		}
		if err := t.row(`SELECT slug FROM organizations WHERE id = $1`, p.OrganizationKey).Scan(&p.Organization); err != nil {
			return orNotFound("organization", err)
		}
		profile := iot.Profile{ProjectID: p.Key, ID: iot.DefaultProfile, Name: "Default", Webhook: true, Write: true}
		if err := t.createProfile(&profile); err != nil {
			return err
		}
		t.raise(p.Key) // so that the writer knows its version
		return t.audit(p.Key, actor, "project.create", p.ID, "")
	})
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
		p.UpdatedAt = iot.At(t.db.now())
		if err := t.execOne("project", `UPDATE projects SET name = $1, auto_register = $2, updated_at = $3 WHERE id = $4 AND deleted_at = 0`,
			p.Name, p.AutoRegister, int64(p.UpdatedAt), p.Key); err != nil {
			return err
		}
		t.changed(p.Key, iot.SettingsChanged)
		t.raise(p.Key)
		return t.audit(p.Key, actor, "project.update", p.ID, "")
	})
}

// DeleteProject deletes a project: its webhooks stop, its keys no longer open
// anything, its messages and deliveries are pruned in small steps.
func (d *DB) DeleteProject(p *iot.Project, actor string) error {
	return d.write("delete project", func(t *Tx) error {
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
	})
}

const profileColumns = `id, project_id, slug, uuid, name, webhook, write, expected_interval_ms, created_at, updated_at`

func scanProfile(row interface{ Scan(...any) error }) (*iot.Profile, error) {
	var p iot.Profile
	return &p, row.Scan(&p.Key, &p.ProjectID, &p.ID, &p.UUID, &p.Name, &p.Webhook, &p.Write, &p.ExpectedIntervalMS, &p.CreatedAt, &p.UpdatedAt)
}

// Profiles returns a project's profiles, the oldest first.
func (d *DB) Profiles(ctx context.Context, projectID int64) ([]iot.Profile, error) {
	rows, err := d.reader.QueryContext(ctx, `SELECT `+profileColumns+` FROM profiles WHERE project_id = $1 ORDER BY id`, projectID)
	if err != nil {
		return nil, translate("list profiles", err)
	}
	defer func() { _ = rows.Close() }()
	list := []iot.Profile{}
	for rows.Next() {
		p, err := scanProfile(rows)
		if err != nil {
			return nil, translate("list profiles", err)
		}
		list = append(list, *p)
	}
	return list, translate("list profiles", rows.Err())
}

// Profile returns a profile of a project by slug or UUID; not_found.
func (d *DB) Profile(ctx context.Context, projectID int64, name string) (*iot.Profile, error) {
	p, err := scanProfile(d.reader.QueryRowContext(ctx, `SELECT `+profileColumns+` FROM profiles WHERE project_id = $1 AND `+slugOrUUID, projectID, name))
	return p, orNotFound("profile", err)
}

// CreateProfile adds a profile to its project (ProjectID). An empty ID is made
// from the name; conflict if a given one is taken.
func (d *DB) CreateProfile(p *iot.Profile, actor string) error {
	if err := (iot.ProfileUpdate{Name: &p.Name, ExpectedIntervalMS: &p.ExpectedIntervalMS}).Check(); err != nil {
		return err
	}
	return d.write("create profile", func(t *Tx) error {
		if err := t.pickSlug(&p.ID, p.Name, `SELECT 1 FROM profiles WHERE slug = $1 AND project_id = $2`, p.ProjectID); err != nil {
			return err
		}
		if err := t.createProfile(p); err != nil {
			return err
		}
		t.changed(p.ProjectID, iot.SettingsChanged)
		return t.audit(p.ProjectID, actor, "profile.create", p.ID, "")
	})
}

func (t *Tx) createProfile(p *iot.Profile) error {
	p.UUID, p.CreatedAt = t.db.NewID().String(), iot.At(t.db.now())
	p.UpdatedAt = p.CreatedAt
	r, err := t.exec(`INSERT INTO profiles (project_id, slug, uuid, name, webhook, write, created_at, updated_at, expected_interval_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8)`,
		p.ProjectID, p.ID, p.UUID, p.Name, p.Webhook, p.Write, int64(p.CreatedAt), p.ExpectedIntervalMS)
	if err != nil {
		return slugTaken(err)
	}
	p.Key, err = r.LastInsertId()
	return err
}

// UpdateProfile changes a profile; it takes effect on the next message. not_found.
func (d *DB) UpdateProfile(p *iot.Profile, u iot.ProfileUpdate, actor string) error {
	if err := u.Check(); err != nil {
		return err
	}
	return d.write("update profile", func(t *Tx) error {
		var detail []string
		if u.Name != nil {
			p.Name = *u.Name
		}
		flag := func(name string, to *bool, now *bool) {
			if to != nil && *to != *now {
				*now = *to
				detail = append(detail, name+" "+map[bool]string{true: "on", false: "off"}[*to])
			}
		}
		flag("webhook", u.Webhook, &p.Webhook)
		flag("write", u.Write, &p.Write)
		p.UpdatedAt = iot.At(t.db.now())
		if err := t.execOne("profile", `UPDATE profiles SET name = $1, webhook = $2, write = $3, updated_at = $4 WHERE id = $5`,
			p.Name, p.Webhook, p.Write, int64(p.UpdatedAt), p.Key); err != nil {
			return err
		}
		if ms := u.ExpectedIntervalMS; ms != nil && *ms != p.ExpectedIntervalMS {
			p.ExpectedIntervalMS = *ms
			detail = append(detail, "expected interval")
			if err := t.expectProfile(p); err != nil {
				return err
			}
		}
		t.changed(p.ProjectID, iot.SettingsChanged)
		t.raise(p.ProjectID)
		return t.audit(p.ProjectID, actor, "profile.update", p.ID, strings.Join(detail, ", "))
	})
}

// DeleteProfile removes a profile that no device has; conflict otherwise, and
// for the default profile.
func (d *DB) DeleteProfile(p *iot.Profile, actor string) error {
	return d.write("delete profile", func(t *Tx) error {
		if p.ID == iot.DefaultProfile {
			return iot.NewError(iot.Conflict, "The default profile cannot be deleted: new devices get it.")
		}
		var used bool
		if err := t.row(`SELECT EXISTS (SELECT 1 FROM devices WHERE profile_id = $1 AND deleted_at = 0)`, p.Key).Scan(&used); err != nil {
			return err
		}
		if used {
			return iot.NewError(iot.Conflict, "Devices still have this profile. Give them another first.")
		}
		// Deleted devices name it too; they are pruned later.
		if _, err := t.exec(`UPDATE devices SET profile_id = (SELECT id FROM profiles WHERE project_id = $1 AND slug = $2) WHERE profile_id = $3`,
			p.ProjectID, iot.DefaultProfile, p.Key); err != nil {
			return err
		}
		if err := t.execOne("profile", `DELETE FROM profiles WHERE id = $1`, p.Key); err != nil {
			return err
		}
		t.changed(p.ProjectID, iot.SettingsChanged)
		t.raise(p.ProjectID)
		return t.audit(p.ProjectID, actor, "profile.delete", p.ID, "")
	})
}

package db

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"thingpost/internal/iot"
)

const profileColumns = `id, project_id, slug, uuid, name, webhook, write, content_type, transformer, rules, smtp_id, metadata,
	expected_interval_ms, created_at, updated_at`

func scanProfile(row interface{ Scan(...any) error }) (*iot.Profile, error) {
	var p iot.Profile
	var transformer string
	if err := row.Scan(&p.Key, &p.ProjectKey, &p.ID, &p.UUID, &p.Name, &p.Webhook, &p.Write, &p.ContentType, &transformer, &p.Rules, &p.SMTPID,
		&p.Metadata,
		&p.ExpectedIntervalMS, &p.CreatedAt, &p.UpdatedAt); err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(transformer), &p.Transformer); err != nil {
		return nil, fmt.Errorf("read profile %s: %w", p.ID, err)
	}
	if p.Transformer.DataFilters == nil {
		p.Transformer.DataFilters = []string{}
	}
	return &p, nil
}

// Profiles returns a project's profiles, the oldest first.
func (d *DB) Profiles(ctx context.Context, projectKey int64) ([]iot.Profile, error) {
	rows, err := d.reader.QueryContext(ctx, `SELECT `+profileColumns+` FROM profiles WHERE project_id = $1 ORDER BY id`, projectKey)
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

const profileQuery = `SELECT ` + profileColumns + ` FROM profiles WHERE project_id = $1 AND `

// Profile returns a profile of a project by slug or UUID; not_found.
func (d *DB) Profile(ctx context.Context, projectKey int64, name string) (*iot.Profile, error) {
	query, name := byName(name, profileQuery+`slug = $2`, profileQuery+`uuid = $2`)
	p, err := scanProfile(d.reader.QueryRowContext(ctx, query, projectKey, name))
	return p, orNotFound("profile", err)
}

// CreateProfile adds a profile to its project (ProjectKey). An empty ID is made from the
// name, and an empty UUID is generated. Conflict if the ID or UUID is taken.
func (d *DB) CreateProfile(p *iot.Profile, actor string) error {
	return d.CreateProfiles([]*iot.Profile{p}, actor)
}

// CreateProfiles is CreateProfile for several profiles: all of them, or none.
func (d *DB) CreateProfiles(list []*iot.Profile, actor string) error {
	for _, p := range list {
		if p.UUID = strings.ToLower(p.UUID); p.UUID != "" && !iot.LooksLikeUUID(p.UUID) {
			return iot.FieldError("uuid", "must be a UUID.")
		}
		if err := (iot.ProfileUpdate{Name: &p.Name, ContentType: &p.ContentType, Transformer: &p.Transformer,
			ExpectedIntervalMS: &p.ExpectedIntervalMS}).Check(); err != nil {
			return err
		}
	}
	return d.write("create profiles", func(t *Tx) error {
		for _, p := range list {
			if err := t.pickSlug(&p.ID, p.Name, `SELECT 1 FROM profiles WHERE slug = $1 AND project_id = $2`, p.ProjectKey); err != nil {
				return err
			}
			if err := t.createProfile(p); err != nil {
				return err
			}
			t.changed(p.ProjectKey, iot.SettingsChanged)
			t.raise(p.ProjectKey) // settings in memory lack the profile, which its devices' messages need
			if err := t.audit(p.ProjectKey, actor, "profile.create", p.ID, ""); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *Tx) createProfile(p *iot.Profile) error {
	if p.UUID == "" {
		p.UUID = t.db.NewID().String()
	}
	p.CreatedAt = iot.At(t.db.now())
	p.UpdatedAt = p.CreatedAt
	transformer, err := json.Marshal(p.Transformer)
	if err != nil {
		return err
	}
	r, err := t.exec(`INSERT INTO profiles (project_id, slug, uuid, name, webhook, write, content_type, transformer, rules, smtp_id,
		metadata, created_at, updated_at,
		expected_interval_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $13)`,
		p.ProjectKey, p.ID, p.UUID, p.Name, p.Webhook, p.Write, string(p.ContentType), string(transformer), p.Rules, p.SMTPID, p.Metadata,
		int64(p.CreatedAt),
		p.ExpectedIntervalMS)
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
		flag("rules", u.Rules, &p.Rules)
		if u.ContentType != nil && *u.ContentType != p.ContentType {
			p.ContentType = *u.ContentType
			detail = append(detail, "content type "+string(p.ContentType))
		}
		if u.Transformer != nil {
			p.Transformer = *u.Transformer
			detail = append(detail, "transformer")
		}
		if u.SMTPID != nil {
			p.SMTPID = *u.SMTPID
		}
		if u.Metadata != nil {
			p.Metadata = *u.Metadata
		}
		transformer, err := json.Marshal(p.Transformer)
		if err != nil {
			return err
		}
		p.UpdatedAt = iot.At(t.db.now())
		if err := t.execOne("profile", `UPDATE profiles SET name = $1, webhook = $2, write = $3, updated_at = $4, content_type = $5,
			transformer = $6,
			rules = $7, smtp_id = $8, metadata = $9 WHERE id = $10`, p.Name, p.Webhook, p.Write, int64(p.UpdatedAt), string(p.ContentType),
			string(transformer),
			p.Rules, p.SMTPID, p.Metadata, p.Key); err != nil {
			return err
		}
		if ms := u.ExpectedIntervalMS; ms != nil && *ms != p.ExpectedIntervalMS {
			p.ExpectedIntervalMS = *ms
			detail = append(detail, "expected interval")
			if err := t.expectProfile(p); err != nil {
				return err
			}
		}
		t.changed(p.ProjectKey, iot.SettingsChanged)
		t.raise(p.ProjectKey)
		return t.audit(p.ProjectKey, actor, "profile.update", p.ID, strings.Join(detail, ", "))
	})
}

// DeleteProfile removes a profile that no device has. Conflict for a profile with devices,
// and for the default profile.
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
		// Deleted devices refer to the profile too; they are pruned later.
		if _, err := t.exec(`UPDATE devices SET profile_id = (SELECT id FROM profiles WHERE project_id = $1 AND slug = $2) WHERE profile_id = $3`,
			p.ProjectKey, iot.DefaultProfile, p.Key); err != nil {
			return err
		}
		if err := t.execOne("profile", `DELETE FROM profiles WHERE id = $1`, p.Key); err != nil {
			return err
		}
		t.changed(p.ProjectKey, iot.SettingsChanged)
		t.raise(p.ProjectKey)
		return t.audit(p.ProjectKey, actor, "profile.delete", p.ID, "")
	})
}

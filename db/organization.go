package db

import "thingpost/internal/iot"

// UpdateOrganization changes an organization; invalid, not_found.
func (d *DB) UpdateOrganization(o *iot.Organization, u iot.OrganizationUpdate, actor string) error {
	if err := u.Check(); err != nil {
		return err
	}
	return d.write("update organization", func(t *Tx) error {
		for _, v := range []struct{ to, now *string }{{u.Name, &o.Name}, {u.Description, &o.Description}, {u.Metadata, &o.Metadata}} {
			if v.to != nil {
				*v.now = *v.to
			}
		}
		o.UpdatedAt = iot.At(t.db.now())
		if err := t.execOne("organization", `UPDATE organizations SET name = $1, description = $2, metadata = $3, updated_at = $4 WHERE id = $5`,
			o.Name, o.Description, o.Metadata, int64(o.UpdatedAt), o.Key); err != nil {
			return err
		}
		return t.audit(0, actor, "organization.update", o.ID, "")
	})
}

// DeleteOrganization deletes an organization's projects and removes all its members, so that
// nobody finds it any more; its slug becomes free. The organization's row stays for its
// projects' rows until they are pruned. not_found.
func (d *DB) DeleteOrganization(o *iot.Organization, actor string) error {
	return d.write("delete organization", func(t *Tx) error {
		projects, err := t.projectsOf(o.Key)
		if err != nil {
			return err
		}
		for _, p := range projects {
			if err := t.deleteProject(p, actor); err != nil {
				return err
			}
		}
		if err := t.execOne("organization", `UPDATE organizations SET slug = uuid WHERE id = $1 AND slug <> uuid`, o.Key); err != nil {
			return err
		}
		if _, err := t.exec(`DELETE FROM members WHERE organization_id = $1`, o.Key); err != nil {
			return err
		}
		if _, err := t.exec(`DELETE FROM invitations WHERE organization_id = $1`, o.Key); err != nil {
			return err
		}
		return t.audit(0, actor, "organization.delete", o.ID, "")
	})
}

func (t *Tx) projectsOf(organization int64) ([]*iot.Project, error) {
	rows, err := t.conn.QueryContext(t.ctx, `SELECT `+projectColumns+fromProjects+`WHERE p.organization_id = $1 AND p.deleted_at = 0`,
		organization)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var list []*iot.Project
	for rows.Next() {
		p, err := scanProject(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, rows.Err()
}

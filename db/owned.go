package db

import (
	"context"
	"strconv"

	"thingpost/internal/iot"
)

// The methods of this file find things by their UUID alone, in the projects of an account's
// organizations. Things of others are not found. A device's UUID is unique only in its
// project; of several devices the oldest is found. Each method returns the project with the
// account's role in it.

// OwnedProject returns a project by its UUID; not_found.
func (d *DB) OwnedProject(ctx context.Context, account int64, uuid string) (*iot.Project, error) {
	return d.owned(ctx, "project", `projects x ON x.id = p.id`, account, uuid)
}

// OwnedProfile returns a profile by its UUID; not_found.
func (d *DB) OwnedProfile(ctx context.Context, account int64, uuid string) (*iot.Profile, *iot.Project, error) {
	p, err := d.owned(ctx, "profile", `profiles x ON x.project_id = p.id`, account, uuid)
	if err != nil {
		return nil, nil, err
	}
	v, err := d.Profile(ctx, p.Key, uuid)
	return v, p, err
}

// OwnedDevice returns a device by its UUID; not_found.
func (d *DB) OwnedDevice(ctx context.Context, account int64, uuid string) (*iot.Device, *iot.Project, error) {
	p, err := d.owned(ctx, "device", `devices x ON x.project_id = p.id AND x.deleted_at = 0`, account, uuid)
	if err != nil {
		return nil, nil, err
	}
	v, err := d.Device(ctx, p.Key, uuid)
	return v, p, err
}

// OwnedWebhook returns a webhook by its UUID; not_found.
func (d *DB) OwnedWebhook(ctx context.Context, account int64, uuid string) (*iot.Webhook, *iot.Project, error) {
	p, err := d.owned(ctx, "webhook", `webhooks x ON x.project_id = p.id AND x.deleted_at = 0 AND x.kind = 'webhook'`, account, uuid)
	if err != nil {
		return nil, nil, err
	}
	v, err := d.Webhook(ctx, p.Key, uuid)
	return v, p, err
}

// owned reads the project of a thing x by x's UUID.
func (d *DB) owned(ctx context.Context, what, join string, account int64, uuid string) (*iot.Project, error) {
	if !iot.LooksLikeUUID(uuid) {
		return nil, notFound(what)
	}
	var role iot.Role
	p, err := scanProject(d.reader.QueryRowContext(ctx, ownedQuery(join), account, uuid), &role)
	if err != nil {
		return nil, orNotFound(what, err)
	}
	p.Role = role
	return p, nil
}

func ownedQuery(join string) string {
	return `SELECT ` + projectColumns + `, m.role` + fromProjects + ` JOIN members m ON m.organization_id = o.id AND m.account_id = $1
		JOIN ` + join + ` WHERE x.uuid = lower($2) AND p.deleted_at = 0 ORDER BY x.id LIMIT 1`
}

// OwnedDevices selects devices among those of an account's organizations. Keys other than
// 0 narrow the selection.
type OwnedDevices struct {
	Account      int64
	Organization int64
	Project      int64
	Profile      int64
	Name         string // part of a name, in any case
	ByName       bool   // ordered by names, in any case, instead of UUIDs
	Ascending    bool
	Offset       int
	Limit        int
	// Keep decides on each device by its metadata; nil keeps all. With Keep every device
	// is read.
	Keep func(metadata string) bool
}

// OwnedDevice is a device with its project and organization.
type OwnedDevice struct {
	iot.Device
	ProjectUUID string
	ProfileUUID string
}

// OwnedDevices returns a page of devices, and how many there are in all. It is for clients
// that page by offset: its cost grows with the skipped rows.
func (d *DB) OwnedDevices(ctx context.Context, f OwnedDevices) (page []OwnedDevice, total int, err error) {
	where, args := f.where()
	from := fromDevices + `JOIN projects p ON p.id = d.project_id JOIN members m ON m.organization_id = p.organization_id WHERE ` + where
	limit := f.Limit
	if f.Keep == nil {
		if err := d.reader.QueryRowContext(ctx, `SELECT count(*)`+from, args...).Scan(&total); err != nil {
			return nil, 0, translate("count devices", err)
		}
	} else {
		limit = -1
	}
	order := `d.uuid`
	if f.ByName {
		order = `lower(d.name)`
	}
	direction := ` DESC`
	if f.Ascending {
		direction = ` ASC`
	}
	query := `SELECT ` + deviceColumns + `, p.uuid, f.uuid` + from + ` ORDER BY ` + order + direction + `, d.uuid` + direction
	if limit >= 0 {
		query += ` LIMIT ` + strconv.Itoa(limit) + ` OFFSET ` + strconv.Itoa(f.Offset)
	}
	rows, err := d.reader.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, 0, translate("list devices", err)
	}
	defer func() { _ = rows.Close() }()
	page = []OwnedDevice{}
	for rows.Next() {
		var o OwnedDevice
		v, err := scanDevice(rows, &o.ProjectUUID, &o.ProfileUUID)
		if err != nil {
			return nil, 0, translate("list devices", err)
		}
		o.Device = *v
		if f.Keep != nil {
			if !f.Keep(v.Metadata) {
				continue
			}
			total++
			if total <= f.Offset || len(page) >= f.Limit {
				continue
			}
		}
		page = append(page, o)
	}
	return page, total, translate("list devices", rows.Err())
}

func (f OwnedDevices) where() (string, []any) {
	where, args := `m.account_id = $1 AND p.deleted_at = 0 AND d.deleted_at = 0`, []any{f.Account}
	add := func(condition string, value any) {
		args = append(args, value)
		where += ` AND ` + condition + strconv.Itoa(len(args))
	}
	if f.Organization != 0 {
		add(`p.organization_id = $`, f.Organization)
	}
	if f.Project != 0 {
		add(`d.project_id = $`, f.Project)
	}
	if f.Profile != 0 {
		add(`d.profile_id = $`, f.Profile)
	}
	if f.Name != "" {
		args = append(args, f.Name)
		where += ` AND instr(lower(d.name), lower($` + strconv.Itoa(len(args)) + `))`
	}
	return where, args
}

package db

import (
	"context"
	"database/sql"
	"strconv"
	"strings"

	"thingpost/internal/iot"
)

// lastSeen is the time of the last message of a device d.
const lastSeen = `coalesce((SELECT at FROM device_seen WHERE device_id = d.id), 0)`

const (
	ownColumns = `d.id, d.project_id, d.profile_id, d.slug, d.uuid, d.name, f.slug, d.dev_eui, d.join_eui, d.dev_addr,
		d.created_at, d.updated_at, `
	restColumns = `, d.expected_interval_ms, d.silent_at, d.upstream_id, d.kind, d.metadata`

	deviceColumns = ownColumns + lastSeen + restColumns
)

const fromDevices = ` FROM devices d JOIN profiles f ON f.id = d.profile_id `

func scanDevice(row interface{ Scan(...any) error }, more ...any) (*iot.Device, error) {
	var v iot.Device
	into := append([]any{&v.Key, &v.ProjectKey, &v.ProfileKey, &v.ID, &v.UUID, &v.Name, &v.Profile, &v.DevEUI, &v.JoinEUI, &v.DevAddr,
		&v.CreatedAt, &v.UpdatedAt, &v.LastSeenAt, &v.ExpectedIntervalMS, &v.SilentAt, &v.UpstreamKey, &v.Kind, &v.Metadata}, more...)
	return &v, row.Scan(into...)
}

// Single devices are read by statements that are prepared once, because a message of a
// device that is not in memory waits for one. Each finds its row by all columns of an
// index.
const (
	deviceBySlugQuery = `SELECT ` + deviceColumns + fromDevices + `WHERE d.project_id = ? AND d.slug = ? COLLATE NOCASE AND d.deleted_at = 0`
	deviceByUUIDQuery = `SELECT ` + deviceColumns + fromDevices + `WHERE d.project_id = ? AND d.uuid = ? AND d.deleted_at = 0`
	deviceByEUIQuery  = `SELECT ` + deviceColumns + fromDevices + `WHERE d.project_id = ? AND d.dev_eui = ? AND d.dev_eui <> '' AND ` +
		`d.deleted_at = 0 ORDER BY d.id LIMIT 1`
	deviceOfKeyQuery = `SELECT ` + deviceColumns + fromDevices + `WHERE d.id = ? AND d.deleted_at = 0`
	deviceByKeyQuery = `SELECT ` + deviceColumns + fromDevices + `JOIN projects p ON p.id = d.project_id
		WHERE d.key_hash = ? AND d.key_later = 0 AND d.deleted_at = 0 AND p.deleted_at = 0 ORDER BY d.id LIMIT 1`
	deviceByKeyInSlugQuery = `SELECT ` + deviceColumns + fromDevices + `JOIN projects p ON p.id = d.project_id
		WHERE p.slug = ? AND p.deleted_at = 0 AND d.project_id = p.id AND d.key_hash = ? AND d.deleted_at = 0`
	deviceByKeyInUUIDQuery = `SELECT ` + deviceColumns + fromDevices + `JOIN projects p ON p.id = d.project_id
		WHERE p.uuid = ? AND p.deleted_at = 0 AND d.project_id = p.id AND d.key_hash = ? AND d.deleted_at = 0`
)

// lookUps are the prepared statements that read single devices.
type lookUps struct {
	bySlug, byUUID, byEUI, byKey, byKeyInSlug, byKeyInUUID, ofKey *sql.Stmt
	manyBySlug, manyByKey                                         *sql.Stmt
}

func (d *DB) prepareLookUps(ctx context.Context) error {
	for query, into := range map[string]**sql.Stmt{deviceBySlugQuery: &d.lookUps.bySlug, deviceByUUIDQuery: &d.lookUps.byUUID,
		deviceByEUIQuery: &d.lookUps.byEUI, deviceByKeyQuery: &d.lookUps.byKey, deviceByKeyInSlugQuery: &d.lookUps.byKeyInSlug,
		deviceByKeyInUUIDQuery: &d.lookUps.byKeyInUUID,
		deviceOfKeyQuery:       &d.lookUps.ofKey, devicesBySlugQuery: &d.lookUps.manyBySlug, devicesByKeyQuery: &d.lookUps.manyByKey} {
		st, err := d.reader.PrepareContext(ctx, query) //nolint:sqlclosecheck // kept, and closed with the reader
		if err != nil {
			return err
		}
		*into = st
	}
	return nil
}

// oneDevice reads a device. Its AsOf is the count of changes before the read. oneDevice
// does not watch ctx: the two goroutines for that would cost as much as the one row.
func (d *DB) oneDevice(ctx context.Context, by *sql.Stmt, args ...any) (*iot.Device, error) {
	asOf := d.deviceChanges.Load()
	v, err := scanDevice(by.QueryRowContext(context.WithoutCancel(ctx), args...))
	if err != nil {
		return nil, orNotFound("device", err)
	}
	v.AsOf = asOf
	v.LastSeenAt = d.lastSeen(v.Key, v.LastSeenAt)
	return v, nil
}

// Device returns a device of a project by its ID, else its UUID, else its DevEUI, in any
// case. Of several devices with a DevEUI it returns the oldest. The error is not_found.
func (d *DB) Device(ctx context.Context, projectKey int64, name string) (*iot.Device, error) {
	if iot.LooksLikeUUID(name) { // no ID has this form
		return d.oneDevice(ctx, d.lookUps.byUUID, projectKey, strings.ToLower(name))
	}
	v, err := d.oneDevice(ctx, d.lookUps.bySlug, projectKey, name)
	if iot.CodeOf(err) == iot.NotFound && iot.LooksLikeEUI(name) {
		return d.oneDevice(ctx, d.lookUps.byEUI, projectKey, strings.ToUpper(name))
	}
	return v, err
}

// DeviceFilter selects devices of a project for a list, ordered by their IDs in any case.
type DeviceFilter struct {
	ProjectKey int64
	Search     string // part of an ID, name, UUID or EUI, in any case
	After      string // IDs after this one
	Until      string // IDs up to this one; "" is no bound
	Silent     bool   // only those that are silent
	Limit      int
}

// query returns the query of a page and its arguments.
func (f DeviceFilter) query() (query string, args []any) {
	from := ` FROM devices d INDEXED BY devices_slug JOIN profiles f ON f.id = d.profile_id WHERE `
	if f.Silent {
		from = ` FROM devices d INDEXED BY devices_silent JOIN profiles f ON f.id = d.profile_id WHERE d.silent_at > 0 AND `
	}
	query = `SELECT ` + deviceColumns + from + `d.project_id = $1 AND d.deleted_at = 0 AND d.slug > $2 COLLATE NOCASE`
	args = []any{f.ProjectKey, f.After, f.Limit}
	if f.Search != "" {
		query += ` AND (instr(lower(d.slug), $4) OR instr(lower(d.name), $4) OR instr(d.uuid, $4) OR instr(lower(d.dev_eui), $4))`
		args = append(args, strings.ToLower(f.Search))
	}
	if f.Until != "" {
		args = append(args, f.Until)
		query += ` AND d.slug <= $` + strconv.Itoa(len(args)) + ` COLLATE NOCASE`
	}
	return query + ` ORDER BY d.slug COLLATE NOCASE LIMIT $3`, args
}

// DeviceLookBack is the number of devices that a page of a search examines.
const DeviceLookBack = 10_000

// DeviceBound returns the ID up to which a page of a search examines devices, starting
// after a slug; "" if the page reaches the end.
func (d *DB) DeviceBound(ctx context.Context, projectKey int64, after string) (slug string, err error) {
	err = d.reader.QueryRowContext(ctx, `SELECT slug FROM devices WHERE project_id = $1 AND deleted_at = 0 AND slug > $2 COLLATE NOCASE `+
		`ORDER BY slug COLLATE NOCASE LIMIT 1 OFFSET $3`,
		projectKey, after, DeviceLookBack).Scan(&slug)
	if isNoRow(err) {
		return "", nil
	}
	return slug, translate("look for devices", err)
}

// Devices returns the devices of a filter, ordered by their IDs in any case.
func (d *DB) Devices(ctx context.Context, f DeviceFilter) ([]iot.Device, error) {
	query, args := f.query()
	asOf := d.deviceChanges.Load()
	rows, err := d.reader.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, translate("list devices", err)
	}
	defer func() { _ = rows.Close() }()
	list := []iot.Device{}
	for rows.Next() {
		v, err := scanDevice(rows)
		if err != nil {
			return nil, translate("list devices", err)
		}
		v.AsOf = asOf
		v.LastSeenAt = d.lastSeen(v.Key, v.LastSeenAt)
		list = append(list, *v)
	}
	return list, translate("list devices", rows.Err())
}

// CountDevices returns how many devices a project has.
func (d *DB) CountDevices(ctx context.Context, projectKey int64) (n int, err error) {
	err = d.reader.QueryRowContext(ctx, `SELECT device_count FROM projects WHERE id = $1`, projectKey).Scan(&n)
	return n, translate("count devices", err)
}

// CreateDevice adds a device to its project (ProjectKey) with a key. An empty ID is made
// from the name, an empty UUID is generated, and an empty Profile means the default one.
// Errors: invalid, conflict (ID, UUID or key), limit_reached (iot.MaxDevices).
func (d *DB) CreateDevice(v *iot.Device, key iot.Secret, actor string) error {
	return d.CreateDevices([]*iot.Device{v}, []iot.Secret{key}, actor)
}

// CreateDevices is CreateDevice for several devices, each with its key. It creates all of
// them or none.
func (d *DB) CreateDevices(list []*iot.Device, keys []iot.Secret, actor string) error {
	for _, v := range list {
		if v.UUID = strings.ToLower(v.UUID); v.UUID != "" && !iot.LooksLikeUUID(v.UUID) {
			return iot.FieldError("uuid", "must be a UUID.")
		}
		if err := (iot.DeviceUpdate{Name: &v.Name, DevEUI: &v.DevEUI, JoinEUI: &v.JoinEUI, DevAddr: &v.DevAddr,
			ExpectedIntervalMS: &v.ExpectedIntervalMS}).Check(); err != nil {
			return err
		}
	}
	return d.write("create devices", func(t *Tx) error {
		for i, v := range list {
			if err := t.createDevice(v, keys[i], actor); err != nil {
				return err
			}
		}
		return nil
	})
}

// A device is created by prepared statements, because an array may name thousands of new
// ones.
const (
	countDeviceQuery     = `UPDATE projects SET device_count = device_count + 1 WHERE id = ? RETURNING device_count`
	deviceSlugTakenQuery = `SELECT 1 FROM devices WHERE slug = ? COLLATE NOCASE AND project_id = ? AND deleted_at = 0`
	addDeviceQuery       = `INSERT INTO devices (project_id, profile_id, slug, uuid, name, dev_eui, join_eui, dev_addr, key_hash,
		key_sealed, created_at, updated_at,
		expected_interval_ms, kind, metadata, key_later) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	profileBySlugQuery = `SELECT id, slug FROM profiles WHERE project_id = ? AND slug = ?`
)

func (t *Tx) createDevice(v *iot.Device, key iot.Secret, actor string) error {
	s := &t.db.writer.stmts
	var n int
	if err := s.countDevice.QueryRowContext(t.ctx, v.ProjectKey).Scan(&n); err != nil {
		return orNotFound("project", err)
	}
	if n > iot.MaxDevices {
		return iot.NewError(iot.LimitReached, "A project can have at most "+strconv.Itoa(iot.MaxDevices)+" devices.")
	}
	if err := pickSlug(&v.ID, v.Name, iot.CheckDeviceID,
		func(slug string) *sql.Row { return s.slugTaken.QueryRowContext(t.ctx, slug, v.ProjectKey) }); err != nil {
		return err
	}
	if err := t.setProfile(v, v.Profile); err != nil {
		return err
	}
	if v.UUID == "" {
		v.UUID = t.db.NewID().String()
	}
	v.CreatedAt = iot.At(t.db.now())
	v.UpdatedAt = v.CreatedAt
	var later bool
	if err := s.keyIsLater.QueryRowContext(t.ctx, hashOf(key), 0).Scan(&later); err != nil {
		return err
	}
	r, err := s.addDevice.ExecContext(t.ctx, v.ProjectKey, v.ProfileKey, v.ID, v.UUID, v.Name, v.DevEUI, v.JoinEUI, v.DevAddr,
		hashOf(key), t.db.sealer.seal([]byte(key.Reveal())), int64(v.CreatedAt), int64(v.UpdatedAt), v.ExpectedIntervalMS, v.Kind, v.Metadata,
		later)
	if isTaken(err) {
		return t.deviceTaken(v)
	}
	if err != nil {
		return err
	}
	if v.Key, err = r.LastInsertId(); err != nil {
		return err
	}
	v.AsOf = t.db.deviceChanges.Load() // the device has no older messages
	t.changed(v.ProjectKey, iot.DevicesChanged)
	t.commit.Devices = append(t.commit.Devices, iot.DeviceChange{ProjectKey: v.ProjectKey, Names: namesOf(v)})
	return t.audit(v.ProjectKey, actor, "device.create", v.ID, "")
}

// namesOf returns the names by which a device is found.
func namesOf(v *iot.Device) []string {
	names := []string{v.ID, v.UUID}
	if v.DevEUI != "" {
		names = append(names, v.DevEUI)
	}
	return names
}

// deviceChanged makes what is cached of a device under its names stale. Only messages of
// this device are matched again.
func (t *Tx) deviceChanged(v *iot.Device) {
	t.changed(v.ProjectKey, iot.DevicesChanged)
	t.commit.Devices = append(t.commit.Devices, iot.DeviceChange{ProjectKey: v.ProjectKey, Key: v.Key, Names: namesOf(v)})
}

// deviceTaken returns the error for a device whose UUID or key another one already has.
func (t *Tx) deviceTaken(v *iot.Device) error {
	var one int
	err := t.row(`SELECT 1 FROM devices WHERE project_id = $1 AND uuid = $2 AND deleted_at = 0`, v.ProjectKey, v.UUID).Scan(&one)
	if isNoRow(err) {
		return errKeyTaken
	}
	if err != nil {
		return err
	}
	return &iot.Error{Code: iot.Conflict, Message: "A device of this project has this UUID already.",
		Fields: map[string]string{"uuid": "A device of this project has this UUID already."}}
}

func (t *Tx) setProfile(v *iot.Device, profile string) error {
	if profile == "" {
		profile = iot.DefaultProfile
	}
	var found *sql.Row
	if iot.LooksLikeUUID(profile) {
		found = t.row(`SELECT id, slug FROM profiles WHERE project_id = $1 AND uuid = $2`, v.ProjectKey, strings.ToLower(profile))
	} else {
		found = t.db.writer.stmts.profileOf.QueryRowContext(t.ctx, v.ProjectKey, profile)
	}
	err := found.Scan(&v.ProfileKey, &v.Profile)
	if isNoRow(err) {
		return iot.FieldError("profile", "There is no such profile in this project.")
	}
	return err
}

// UpdateDevice changes a device; invalid, not_found, conflict if another device of
// the project has the key.
func (d *DB) UpdateDevice(v *iot.Device, u iot.DeviceUpdate, actor string) error {
	for _, p := range []*string{u.DevEUI, u.JoinEUI, u.DevAddr} {
		if p != nil {
			*p = strings.ToUpper(*p)
		}
	}
	if err := u.Check(); err != nil {
		return err
	}
	return d.write("update device", func(t *Tx) error {
		t.deviceChanged(v) // again below, under its new names
		set := func(to *string, v *string) {
			if to != nil {
				*v = *to
			}
		}
		set(u.Name, &v.Name)
		set(u.DevEUI, &v.DevEUI)
		set(u.JoinEUI, &v.JoinEUI)
		set(u.DevAddr, &v.DevAddr)
		set(u.Kind, &v.Kind)
		set(u.Metadata, &v.Metadata)
		if u.Profile != nil {
			if err := t.setProfile(v, *u.Profile); err != nil {
				return err
			}
		}
		if u.Key != "" {
			if err := t.setDeviceKey(v, u.Key, actor); err != nil {
				return err
			}
		}
		if u.ExpectedIntervalMS != nil {
			v.ExpectedIntervalMS = *u.ExpectedIntervalMS
		}
		v.UpdatedAt = iot.At(t.db.now())
		if err := t.execOne("device", `UPDATE devices SET name = $1, dev_eui = $2, join_eui = $3, dev_addr = $4, profile_id = $5,
			updated_at = $6, expected_interval_ms = $7,
			kind = $8, metadata = $9 WHERE id = $10 AND deleted_at = 0`, v.Name, v.DevEUI, v.JoinEUI, v.DevAddr, v.ProfileKey, int64(v.UpdatedAt),
			v.ExpectedIntervalMS, v.Kind, v.Metadata, v.Key); err != nil {
			return err
		}
		if u.ExpectedIntervalMS != nil || u.Profile != nil {
			if err := t.expectDevice(v); err != nil {
				return err
			}
		}
		t.deviceChanged(v)
		return t.audit(v.ProjectKey, actor, "device.update", v.ID, "")
	})
}

// DeleteDevice removes a device. Its key becomes invalid; its messages stay in the log.
func (d *DB) DeleteDevice(v *iot.Device, actor string) error {
	return d.write("delete device", func(t *Tx) error {
		if err := t.execOne("device", `UPDATE devices SET deleted_at = $1 WHERE id = $2 AND deleted_at = 0`, int64(iot.At(t.db.now())),
			v.Key); err != nil {
			return err
		}
		if err := t.dropQueue(`$1`, v.Key); err != nil {
			return err
		}
		if _, err := t.exec(`UPDATE projects SET device_count = device_count - 1 WHERE id = $1`, v.ProjectKey); err != nil {
			return err
		}
		t.deviceChanged(v)
		return t.audit(v.ProjectKey, actor, "device.delete", v.ID, "")
	})
}

// DeviceKey returns a device's key, to be shown when a person asks for it.
func (d *DB) DeviceKey(ctx context.Context, v *iot.Device) (iot.Secret, error) {
	var sealed []byte
	if err := d.reader.QueryRowContext(ctx, `SELECT key_sealed FROM devices WHERE id = $1 AND deleted_at = 0`,
		v.Key).Scan(&sealed); err != nil {
		return "", orNotFound("device", err)
	}
	plain, err := d.sealer.open(sealed)
	return iot.Secret(plain), err
}

// NoteKeyRevealed records in the audit log that a device's key is shown to the actor;
// not_found.
func (d *DB) NoteKeyRevealed(v *iot.Device, actor string) error {
	return d.write("note revealed key", func(t *Tx) error {
		var exists bool
		if err := t.row(`SELECT EXISTS (SELECT 1 FROM devices WHERE id = $1 AND deleted_at = 0)`, v.Key).Scan(&exists); err != nil {
			return err
		}
		if !exists {
			return notFound("device")
		}
		return t.audit(v.ProjectKey, actor, "device.reveal_key", v.ID, "")
	})
}

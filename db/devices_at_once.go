package db

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"

	"thingpost/internal/iot"
)

// Several devices are read by one query where several messages wait for theirs: a query
// costs more than a row. What is looked for is one parameter, a JSON array, of which w.key
// is the index.
const (
	devicesBySlugQuery = `SELECT ` + senderColumns + `, w.key FROM json_each(?) w
		CROSS JOIN devices d ON d.project_id = ? AND d.slug = w.value COLLATE NOCASE AND d.deleted_at = 0
		JOIN profiles f ON f.id = d.profile_id`
	devicesByKeyQuery = `SELECT ` + senderColumns + `, w.key FROM json_each(?) w
		CROSS JOIN devices d ON d.key_hash = unhex(w.value) AND d.key_later = 0 AND d.deleted_at = 0
		JOIN profiles f ON f.id = d.profile_id JOIN projects p ON p.id = d.project_id AND p.deleted_at = 0`
)

// DevicesByID returns the devices of a project with these ids, in any case; nil where there
// is none. Their LastSeenAt may be 0.
func (d *DB) DevicesByID(ctx context.Context, projectKey int64, ids []string) ([]*iot.Device, error) {
	if len(ids) == 1 {
		return orNil(d.oneDevice(ctx, d.lookUps.bySlug, projectKey, ids[0]))
	}
	return d.manyDevices(ctx, d.lookUps.manyBySlug, ids, projectKey)
}

// DevicesByKey is DeviceByKey for several keys; nil where there is no device. Their
// LastSeenAt may be 0.
func (d *DB) DevicesByKey(ctx context.Context, keys []iot.Secret) ([]*iot.Device, error) {
	if len(keys) == 1 {
		return orNil(d.DeviceByKey(ctx, keys[0]))
	}
	hashes := make([]string, len(keys))
	for i, key := range keys {
		hashes[i] = hex.EncodeToString(hashOf(key))
	}
	return d.manyDevices(ctx, d.lookUps.manyByKey, hashes)
}

func orNil(v *iot.Device, err error) ([]*iot.Device, error) {
	if iot.CodeOf(err) == iot.NotFound {
		v, err = nil, nil
	}
	return []*iot.Device{v}, err
}

func (d *DB) manyDevices(ctx context.Context, by *sql.Stmt, wanted []string, args ...any) (list []*iot.Device, err error) {
	text, err := json.Marshal(wanted)
	if err != nil {
		return nil, translate("read devices", err)
	}
	asOf := d.deviceChanges.Load()
	rows, err := by.QueryContext(context.WithoutCancel(ctx), append([]any{string(text)}, args...)...)
	if err != nil {
		return nil, translate("read devices", err)
	}
	defer func() { _ = rows.Close() }()
	list = make([]*iot.Device, len(wanted))
	for rows.Next() {
		var at int
		v, err := scanDevice(rows, &at)
		if err != nil {
			return nil, translate("read devices", err)
		}
		v.AsOf = asOf
		if list[at] == nil || v.Key < list[at].Key {
			list[at] = v
		}
	}
	return list, translate("read devices", rows.Err())
}

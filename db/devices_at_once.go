package db

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"thingpost/internal/iot"
)

// Several devices are read by one query where several messages wait for theirs. A query
// costs more than a row, and a row that is looked for costs more than those stored beside
// it: blocks of 2^?1 consecutive rows are read. What is looked for is ?2, a JSON array.
const (
	devicesBySlugQuery = `SELECT ` + senderColumns + `, '' FROM (SELECT DISTINCT w.id >> ?1 AS block FROM json_each(?2) j
			CROSS JOIN devices w ON w.project_id = ?3 AND w.slug = j.value COLLATE NOCASE AND w.deleted_at = 0) b
		CROSS JOIN devices d ON d.id >= (b.block << ?1) AND d.id < ((b.block + 1) << ?1)
		JOIN profiles f ON f.id = d.profile_id WHERE +d.project_id = ?3 AND +d.deleted_at = 0`
	devicesByKeyQuery = `SELECT ` + senderColumns + `, d.key_hash FROM (SELECT DISTINCT w.id >> ?1 AS block FROM json_each(?2) j
			CROSS JOIN devices w ON w.key_hash = unhex(j.value) AND w.key_later = 0 AND w.deleted_at = 0) b
		CROSS JOIN devices d ON d.id >= (b.block << ?1) AND d.id < ((b.block + 1) << ?1)
		JOIN profiles f ON f.id = d.profile_id JOIN projects p ON p.id = d.project_id AND p.deleted_at = 0
		WHERE +d.key_later = 0 AND +d.deleted_at = 0`

	// senderColumns are four: what has no space in it is one text, since the driver takes
	// longer for a column than SQLite for a row. They are without the time of the last
	// message, which costs a page for each device and which nobody needs who takes the next
	// one.
	senderColumns = `concat_ws(' ', d.id, d.project_id, d.profile_id, d.created_at, d.updated_at, d.expected_interval_ms, d.silent_at,
		d.upstream_id, d.slug, d.uuid, f.slug, d.dev_eui, d.join_eui, d.dev_addr), d.name, d.kind, d.metadata`
)

// blockBits makes blocks of 64 devices.
const blockBits = 6

// DevicesByID returns the devices of a project with these ids, in any case, and with near
// also others that are stored beside them. They are in no order, those that do not exist are
// left out, and their LastSeenAt may be 0.
func (d *DB) DevicesByID(ctx context.Context, projectKey int64, ids []string, near bool) (list []*iot.Device, err error) {
	if len(ids) == 1 && !near {
		v, err := d.oneDevice(ctx, d.lookUps.bySlug, projectKey, ids[0])
		switch {
		case iot.CodeOf(err) == iot.NotFound:
			return nil, nil
		case err != nil:
			return nil, err
		}
		return []*iot.Device{v}, nil
	}
	err = d.manyDevices(ctx, d.lookUps.manyBySlug, ids, near, func(v *iot.Device, _ []byte) { list = append(list, v) }, projectKey)
	return list, err
}

// DevicesByKey is DevicesByID for keys of all projects. The result is by the keys' SHA-256; a
// key that several projects have belongs to the first device, as in DeviceByKey.
func (d *DB) DevicesByKey(ctx context.Context, keys []iot.Secret, near bool) (map[[sha256.Size]byte]*iot.Device, error) {
	hashes := make([]string, len(keys))
	for i, key := range keys {
		hashes[i] = hex.EncodeToString(hashOf(key))
	}
	found := map[[sha256.Size]byte]*iot.Device{}
	if len(keys) == 1 && !near {
		v, err := d.DeviceByKey(ctx, keys[0])
		switch {
		case iot.CodeOf(err) == iot.NotFound:
			return found, nil
		case err != nil:
			return nil, err
		}
		found[[sha256.Size]byte(hashOf(keys[0]))] = v
		return found, nil
	}
	err := d.manyDevices(ctx, d.lookUps.manyByKey, hashes, near, func(v *iot.Device, hash []byte) {
		if have := found[[sha256.Size]byte(hash)]; have == nil || v.Key < have.Key {
			found[[sha256.Size]byte(hash)] = v
		}
	})
	return found, err
}

func (d *DB) manyDevices(ctx context.Context, by *sql.Stmt, wanted []string, near bool, take func(v *iot.Device, hash []byte),
	args ...any) error {
	text, err := json.Marshal(wanted)
	if err != nil {
		return translate("read devices", err)
	}
	bits := 0
	if near {
		bits = blockBits
	}
	asOf := d.deviceChanges.Load()
	rows, err := by.QueryContext(context.WithoutCancel(ctx), append([]any{bits, string(text)}, args...)...)
	if err != nil {
		return translate("read devices", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var hash sql.RawBytes
		v, err := scanSender(rows, &hash)
		if err != nil {
			return translate("read devices", err)
		}
		v.AsOf = asOf
		take(v, hash)
	}
	return translate("read devices", rows.Err())
}

// scanSender reads senderColumns and one more.
func scanSender(rows *sql.Rows, more any) (*iot.Device, error) {
	var v iot.Device
	var packed string
	if err := rows.Scan(&packed, &v.Name, &v.Kind, &v.Metadata, more); err != nil {
		return nil, err
	}
	numbers := [...]*int64{&v.Key, &v.ProjectKey, &v.ProfileKey, (*int64)(&v.CreatedAt), (*int64)(&v.UpdatedAt), &v.ExpectedIntervalMS,
		(*int64)(&v.SilentAt), &v.UpstreamKey}
	texts := [...]*string{&v.ID, &v.UUID, &v.Profile, &v.DevEUI, &v.JoinEUI, &v.DevAddr}
	parts := strings.Split(packed, " ")
	if len(parts) != len(numbers)+len(texts) {
		return nil, fmt.Errorf("a device has %d values: %q", len(parts), packed)
	}
	for i, into := range numbers {
		var err error
		if *into, err = strconv.ParseInt(parts[i], 10, 64); err != nil {
			return nil, err
		}
	}
	for i, into := range texts {
		*into = parts[len(numbers)+i]
	}
	return &v, nil
}

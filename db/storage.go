package db

import (
	"context"
	"path/filepath"
	"time"

	"thingpost/internal/iot"
)

// Disk is the file system that the data folder is on, in bytes.
type Disk struct {
	Free  int64 // what this process may fill
	Total int64
	Known bool // the system reports it
}

// Disk returns the state of the disk under the data folder.
func (d *DB) Disk() Disk {
	free, total, ok := disk(filepath.Dir(d.path))
	return Disk{Free: free, Total: total, Known: ok}
}

// StorageHour is the size of the database at the end of an hour, in bytes, and what retention
// removed in that hour.
type StorageHour struct {
	At      iot.Instant // the hour's start
	File    int64
	Used    int64 // of the file, without free pages
	WAL     int64
	Removed PruneResult
}

// noteStorage stores the size of the database for the present hour, and adds to what was
// removed in it.
func (d *DB) noteStorage(ctx context.Context, removed PruneResult) error {
	size, err := d.Size(ctx)
	if err != nil {
		return err
	}
	return d.write("note the size", func(t *Tx) error {
		hour := t.db.now().UTC().Truncate(time.Hour).UnixMilli()
		_, err := t.exec(`INSERT INTO storage_hours (hour_at, file_bytes, used_bytes, wal_bytes, messages, deliveries, attempts) VALUES ($1,
			$2, $3, $4, $5, $6, $7)
			ON CONFLICT DO UPDATE SET file_bytes = excluded.file_bytes, used_bytes = excluded.used_bytes, wal_bytes = excluded.wal_bytes,
			messages = messages + excluded.messages, deliveries = deliveries + excluded.deliveries, attempts = attempts + excluded.attempts`,
			hour, size.File, size.File-size.Free, size.WAL, removed.Messages, removed.Deliveries, removed.Attempts)
		return err
	})
}

// StorageHours returns the hours since an instant, the oldest first. Hours in which the
// server did not run are missing.
func (d *DB) StorageHours(ctx context.Context, since iot.Instant) ([]StorageHour, error) {
	rows, err := d.reader.QueryContext(ctx, `SELECT hour_at, file_bytes, used_bytes, wal_bytes, messages, deliveries, attempts
		FROM storage_hours WHERE hour_at >= $1 ORDER BY hour_at`, int64(since))
	if err != nil {
		return nil, translate("list sizes", err)
	}
	defer func() { _ = rows.Close() }()
	list := []StorageHour{}
	for rows.Next() {
		var h StorageHour
		if err := rows.Scan(&h.At, &h.File, &h.Used, &h.WAL, &h.Removed.Messages, &h.Removed.Deliveries, &h.Removed.Attempts); err != nil {
			return nil, translate("list sizes", err)
		}
		list = append(list, h)
	}
	return list, translate("list sizes", rows.Err())
}

// OldestMessage returns when the oldest kept message was received, 0 if there is none.
func (d *DB) OldestMessage(ctx context.Context) (iot.Instant, error) {
	var key int64
	if err := d.tables(ctx).QueryRowContext(ctx, `SELECT coalesce(min(id), 0) FROM messages`).Scan(&key); err != nil {
		return 0, translate("look for the oldest message", err)
	}
	return iot.KeyTime(key), nil
}

// Versions returns SQLite's version and that of the schema.
func (d *DB) Versions(ctx context.Context) (sqlite string, schema int64, err error) {
	err = d.reader.QueryRowContext(ctx, `SELECT sqlite_version(), (SELECT max(version_id) FROM goose_db_version WHERE is_applied = 1)`).Scan(
		&sqlite, &schema)
	return sqlite, schema, translate("read versions", err)
}

// PruneSoon makes Maintain prune at once, by its options, or once by a shorter age if older is
// not 0. It does not wait.
func (d *DB) PruneSoon(actor string, older time.Duration) error {
	detail := ""
	if older > 0 {
		detail = "older than " + older.String()
	}
	if err := d.write("prune", func(t *Tx) error { return t.audit(0, actor, "storage.prune", "database", detail) }); err != nil {
		return err
	}
	select {
	case d.pruneNow <- older:
	default: // it is asked for already
	}
	return nil
}

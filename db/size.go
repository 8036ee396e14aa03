package db

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"thingpost/internal/iot"
)

// Size is what the database takes on disk, in bytes.
type Size struct {
	File int64 // the database file
	WAL  int64 // the write-ahead log beside it
	Free int64 // of the file: empty pages, which are used again
}

// Size returns what the database takes on disk.
func (d *DB) Size(ctx context.Context) (Size, error) {
	var s Size
	if err := d.reader.QueryRowContext(ctx, `SELECT c.page_count * s.page_size, f.freelist_count * s.page_size
		FROM pragma_page_count c, pragma_page_size s, pragma_freelist_count f`).Scan(&s.File, &s.Free); err != nil {
		return s, translate("read size", err)
	}
	wal, err := os.Stat(d.path + "-wal")
	if err == nil {
		s.WAL = wal.Size()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return s, unavailable("The data folder cannot be read. Check the disk.", err)
	}
	return s, nil
}

// Totals returns the sums of all webhooks' counters, without those of deleted webhooks whose
// deliveries are all pruned.
func (d *DB) Totals(ctx context.Context) (Counters, error) {
	var c Counters
	err := d.tables(ctx).QueryRowContext(ctx, `SELECT coalesce(sum(made), 0), coalesce(sum(pending), 0), coalesce(sum(delivered), 0),
		coalesce(sum(failed), 0),
		coalesce(sum(skipped), 0), coalesce(sum(cancelled), 0) FROM webhook_counters`).Scan(&c.Made, &c.Pending, &c.Delivered, &c.Failed,
		&c.Skipped, &c.Cancelled)
	return c, translate("read totals", err)
}

// Ready returns why no message can be stored now (storage_full, unavailable), or nil. It
// writes a row and waits until that is on disk or ctx ends.
func (d *DB) Ready(ctx context.Context) error {
	if d.writer == nil {
		return errReadOnly
	}
	done := make(chan error, 1)
	d.submit(item{done: func(err error) { done <- err }, fn: noteReady, apart: true})
	select {
	case err := <-done:
		if err != nil {
			return translate("write", err)
		}
	case <-ctx.Done():
		return unavailable("The disk does not answer in time.", ctx.Err())
	}
	if t := d.Outage(); t != nil {
		return iot.NewError(t.Code, t.Message)
	}
	return nil
}

// noteReady writes a row, to see whether the disk takes it.
func noteReady(t *Tx) error {
	_, err := t.exec(`INSERT INTO meta (name, value) VALUES ('ready_at', $1) ON CONFLICT DO UPDATE SET value = excluded.value`,
		t.db.now().UTC().Format(time.RFC3339Nano))
	return err
}

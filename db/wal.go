package db

import (
	"context"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"thingpost/internal/iot"
)

// WALHold is a write-ahead log that cannot shrink: a reader still uses the database as it was
// before, so that everything written since stays in the log.
type WALHold struct {
	Since iot.Instant // when it was first noticed
	Bytes int64       // of the log beside the database
	By    string      // the reader, in words, such as "sqlite3 (process 4711)"
}

const (
	// walLimit is the size that the log's file is cut to once no reader keeps it.
	walLimit = 32 << 20
	// walCounted is how much of the log counts at most against a bound of the database's
	// size: what it takes when no reader keeps it (checkpointPages of 4 KiB).
	walCounted = 16 << 20
	// holdBytes is how much of the log a reader must keep out of the database to be
	// noticed: far more than is written while a page is read.
	holdBytes = 8 << 20
	// holdLogEvery is how often a lasting hold is logged.
	holdLogEvery = time.Hour
)

// hold is the state of a log that a reader keeps.
type hold struct {
	mu     sync.Mutex
	seen   bool // noticed at the last look, not reported yet
	now    *WALHold
	logged time.Time
	backup iot.Instant // when the server's own backup in progress began; 0 if there is none
	counts int64       // how much of the log counted when no reader kept it
}

// WALHold returns the hold on the write-ahead log, nil if there is none. It is noticed within
// some twenty seconds.
func (d *DB) WALHold() *WALHold {
	d.hold.mu.Lock()
	defer d.hold.mu.Unlock()
	if d.hold.now == nil {
		return nil
	}
	v := *d.hold.now
	return &v
}

// walKept returns how many bytes of the log a reader keeps out of the database, after
// everything else was copied there.
func (d *DB) walKept(ctx context.Context) (int64, error) {
	left, err := logLeft(ctx, d.reader, `PRAGMA wal_checkpoint(PASSIVE)`)
	if err != nil {
		return 0, translate("look at the write-ahead log", err)
	}
	var page int64
	if err := d.reader.QueryRowContext(ctx, `PRAGMA page_size`).Scan(&page); err != nil {
		return 0, translate("look at the write-ahead log", err)
	}
	return left * page, nil
}

// walCounts returns how much of the log counts against a bound of the database's size. While
// a reader keeps the log, as much counts as before: the log grows whatever is removed, so
// history would be removed in vain.
func (d *DB) walCounts(ctx context.Context, size Size, most int64) (int64, error) {
	counts := min(size.WAL, walCounted, most/2)
	var kept int64
	var err error
	if size.File-size.Free > most-counts && size.WAL >= holdBytes {
		kept, err = d.walKept(ctx)
	}
	d.hold.mu.Lock()
	defer d.hold.mu.Unlock()
	if kept < holdBytes {
		d.hold.counts = counts
	}
	return min(d.hold.counts, most/2), err
}

// watchWAL looks whether a reader keeps the log. It logs when that begins, every hour while it
// lasts, and when it has ended.
func (d *DB) watchWAL(ctx context.Context) error {
	size, err := d.Size(ctx)
	if err != nil {
		return err
	}
	kept := int64(0)
	if size.WAL >= holdBytes {
		if kept, err = d.walKept(ctx); err != nil {
			return err
		}
	}
	h := &d.hold
	h.mu.Lock()
	defer h.mu.Unlock()
	now := d.now()
	if kept < holdBytes {
		if h.now != nil {
			d.log.Info("the write-ahead log can shrink again", slog.Duration("after", now.Sub(h.now.Since.Time())), slog.Int64("bytes", size.WAL))
		}
		h.seen, h.now = false, nil
		return nil
	}
	if !h.seen { // a long read may have ended by the next look
		h.seen = true
		return nil
	}
	by := d.walHolders(h.backup)
	if h.now == nil {
		h.now = &WALHold{Since: iot.At(now)}
		h.logged = now.Add(-holdLogEvery)
	}
	h.now.Bytes, h.now.By = size.WAL, by
	if now.Sub(h.logged).Abs() >= holdLogEvery {
		h.logged = now
		d.log.Warn("a reader keeps the write-ahead log, which grows until that ends", slog.String("by", by), slog.Int64("bytes", size.WAL),
			slog.Time("since", h.now.Since.Time()))
	}
	return nil
}

// walHolders describes in words the readers that keep the log.
func (d *DB) walHolders(backup iot.Instant) string {
	var list []string
	own := backup != 0
	if own {
		list = append(list, "this server's own backup, begun "+backup.Time().Format("2006-01-02 15:04 UTC"))
	}
	pids, known := readersOf(d.path + "-shm")
	for _, pid := range pids {
		switch {
		case pid == os.Getpid() && len(pids) == 1 && !own:
			list = append(list, "this server itself, such as by an export")
		case pid != os.Getpid():
			list = append(list, programName(pid)+" (process "+strconv.Itoa(pid)+")")
		}
	}
	switch {
	case len(list) > 0:
		return strings.Join(list, ", ")
	case known:
		return "a reader of another process that this one may not see"
	}
	return "a reader that this system does not report"
}

// backing records when the server's own backup began; 0 when it has ended.
func (d *DB) backing(since iot.Instant) {
	d.hold.mu.Lock()
	defer d.hold.mu.Unlock()
	d.hold.backup = since
}

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

// WALHold is a write-ahead log that cannot shrink: a reader still looks at the
// database as it was before, so that what was written since stays in the log.
type WALHold struct {
	Since iot.Instant // when it was first noticed
	Bytes int64       // of the log beside the database
	By    string      // who holds it, in words, such as "sqlite3 (process 4711)"
}

const (
	// walLimit is how large the log's file is kept at most when nobody holds it.
	walLimit = 64 << 20
	// walHeld is how much of the log a reader must keep from the database to be
	// noticed: far more than is written during any page's reading.
	walHeld = 8 << 20
	// walSaidEvery is how often it is logged while it lasts.
	walSaidEvery = time.Hour
)

// hold is what is known of a log that is held.
type hold struct {
	mu     sync.Mutex
	seen   bool // at the last look, for the first time
	now    *WALHold
	said   time.Time
	backup iot.Instant // when the backup of our own that is being made was begun; 0 if none is
}

// WALHold returns how the write-ahead log is held just now, nil if it is not. It
// is noticed within some twenty seconds.
func (d *DB) WALHold() *WALHold {
	d.hold.mu.Lock()
	defer d.hold.mu.Unlock()
	if d.hold.now == nil {
		return nil
	}
	v := *d.hold.now
	return &v
}

// walKept returns how many bytes of the log a reader keeps from the database,
// after what nobody needs was moved there.
func (d *DB) walKept(ctx context.Context) (int64, error) {
	var busy, frames, moved, page int64
	if err := d.reader.QueryRowContext(ctx, `PRAGMA wal_checkpoint(PASSIVE)`).Scan(&busy, &frames, &moved); err != nil {
		return 0, translate("look at the write-ahead log", err)
	}
	if err := d.reader.QueryRowContext(ctx, `PRAGMA page_size`).Scan(&page); err != nil {
		return 0, translate("look at the write-ahead log", err)
	}
	return max(frames-moved, 0) * page, nil
}

// walCounts returns how much of the log counts against a bound of the database's
// size: what it takes by itself, but nothing of one that somebody holds. History
// would go for nothing then, since the log grows all the same.
func (d *DB) walCounts(ctx context.Context, size Size, most int64) (int64, error) {
	counts := min(size.WAL, walLimit, most/2)
	if size.File-size.Free <= most-counts || size.WAL < walHeld {
		return counts, nil
	}
	kept, err := d.walKept(ctx)
	if kept >= walHeld {
		return 0, err
	}
	return counts, err
}

// watchWAL looks whether somebody holds the log, and says so when it begins, each
// hour while it lasts, and when it has ended.
func (d *DB) watchWAL(ctx context.Context) error {
	size, err := d.Size(ctx)
	if err != nil {
		return err
	}
	kept := int64(0)
	if size.WAL >= walHeld {
		if kept, err = d.walKept(ctx); err != nil {
			return err
		}
	}
	h := &d.hold
	h.mu.Lock()
	defer h.mu.Unlock()
	now := d.now()
	if kept < walHeld {
		if h.now != nil {
			d.log.Info("the write-ahead log is no longer held", slog.Duration("after", now.Sub(h.now.Since.Time())), slog.Int64("bytes", size.WAL))
		}
		h.seen, h.now = false, nil
		return nil
	}
	if !h.seen { // what is read for long may have ended by the next look
		h.seen = true
		return nil
	}
	by := d.walHolders(h.backup)
	if h.now == nil {
		h.now = &WALHold{Since: iot.At(now)}
		h.said = now.Add(-walSaidEvery)
	}
	h.now.Bytes, h.now.By = size.WAL, by
	if now.Sub(h.said).Abs() >= walSaidEvery {
		h.said = now
		d.log.Warn("the write-ahead log is held and grows until that ends", slog.String("by", by), slog.Int64("bytes", size.WAL),
			slog.Time("since", h.now.Since.Time()))
	}
	return nil
}

// walHolders says in words who reads the database for so long.
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
	return "a reader that this system does not tell of"
}

// backing notes when a backup of our own begins, and that it has ended.
func (d *DB) backing(since iot.Instant) {
	d.hold.mu.Lock()
	defer d.hold.mu.Unlock()
	d.hold.backup = since
}

package db

import (
	"context"
	"database/sql"
	"log/slog"
)

// A checkpoint copies pages from the write-ahead log (WAL) into the database. If the
// writer copied 4,000 pages itself, every caller would wait for 30 to 60 ms. So a
// reader's connection copies them while the writer continues, and then the writer copies
// only what it has written meanwhile. Once all is copied, the next transaction begins the
// log anew.
const (
	checkpointPages = 4_000                // a checkpoint begins when so many are not copied
	fewPages        = checkpointPages / 10 // the writer copies so many in a few milliseconds
	mostPages       = 4 * checkpointPages  // the writer waits for the checkpoint when so many are not copied
	checkpointTurns = 3                    // of the reader's connection; each copies what was written during the one before
)

// The writer looks at the log after so many rows or bytes. A row takes at most 20 pages.
const (
	lookRows  = 128
	lookBytes = 1 << 20
)

// checkpoints is the writer's state of checkpoints. Only the writer's goroutine uses it,
// except ended.
type checkpoints struct {
	since   load // what was written since the last look
	running bool
	ended   chan struct{} // capacity one
	pinned  int64         // pages that the last one could not copy, because a reader still uses older ones
}

// copyLog begins a checkpoint beside the writer if the log has grown by enough, and
// completes one that has ended. The writer calls it after each transaction.
func (w *writer) copyLog(wrote load) {
	c := &w.checkpoints
	if c.running {
		select {
		case <-c.ended:
			w.completeLog()
			return
		default:
		}
	}
	c.since.add(wrote)
	if c.since.rows < lookRows && c.since.bytes < lookBytes {
		return
	}
	c.since = load{}
	left, err := logLeft(context.Background(), w.conn, `PRAGMA wal_checkpoint(NOOP)`)
	c.pinned = min(c.pinned, left) // others copy too, and readers end
	switch {
	case err != nil:
		w.log().Warn("look at the write-ahead log", slog.Any("error", err))
	case c.running && left > c.pinned+mostPages:
		<-c.ended
		w.completeLog()
	case !c.running && left > c.pinned+checkpointPages:
		c.running = true
		go w.db.copyBeside(c.ended)
	}
}

// idlePages: a checkpoint begins when there was no work for a while and so many pages are
// not copied. Fewer would be written twice each time.
const idlePages = checkpointPages / 4

// checkpointIf copies the log if so many of its pages are not copied.
func (w *writer) checkpointIf(pages int64) {
	if left, err := logLeft(context.Background(), w.conn, `PRAGMA wal_checkpoint(NOOP)`); err != nil || left >= pages {
		w.checkpoint()
	}
}

// completeLog copies the rest of the log after a checkpoint beside the writer.
func (w *writer) completeLog() {
	w.checkpoints.running = false
	w.checkpoint()
}

// checkpoint copies the log into the database on the writer's connection, as far as no
// reader needs it.
func (w *writer) checkpoint() {
	left, err := logLeft(context.Background(), w.conn, `PRAGMA wal_checkpoint(PASSIVE)`)
	if err != nil {
		w.log().Warn("checkpoint", slog.Any("error", err))
	}
	w.checkpoints.pinned = left
}

// logLeft runs a checkpoint and returns how many pages of the log are not in the database
// afterwards.
func logLeft(ctx context.Context, on interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}, pragma string) (int64, error) {
	var busy, pages, copied int64
	err := on.QueryRowContext(ctx, pragma).Scan(&busy, &pages, &copied)
	return max(pages-copied, 0), err
}

// copyBeside copies the log until few pages are left, and then signals the writer.
func (d *DB) copyBeside(ended chan<- struct{}) {
	defer func() { ended <- struct{}{} }()
	for range checkpointTurns {
		left, err := logLeft(context.Background(), d.reader, `PRAGMA wal_checkpoint(PASSIVE)`)
		if err != nil {
			d.log.Warn("checkpoint", slog.Any("error", err))
		}
		if left < fewPages {
			return
		}
	}
}

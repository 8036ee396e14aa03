package db

import (
	"context"
	"log/slog"
)

// A checkpoint copies pages from the write-ahead log (WAL) into the database. While the
// writer copied 4,000 pages itself, everybody waited for 30 to 60 ms. So a reader's
// connection copies them while the writer goes on, and the writer copies only what it has
// written meanwhile: then all is copied, and the next transaction begins the log anew.
const (
	checkpointPages = 4_000                // not copied yet: then a checkpoint begins
	fewPages        = checkpointPages / 10 // the writer copies so many in a few milliseconds
	mostPages       = 4 * checkpointPages  // not copied yet: then the writer waits for the checkpoint
	checkpointTurns = 3                    // of the reader's connection, each copies what came in the one before
)

// The writer looks at the log after so many rows or bytes: at most 20 pages for each row.
const (
	lookRows  = 128
	lookBytes = 1 << 20
)

// checkpoints is the writer's knowledge of them. Only its goroutine uses it, but for ended.
type checkpoints struct {
	since   load // what was written since the last look
	running bool
	ended   chan struct{} // capacity one
	held    int64         // pages that the last one could not copy: somebody still reads older ones
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
	left, err := w.logLeft(`PRAGMA wal_checkpoint(NOOP)`)
	switch {
	case err != nil:
		w.log().Warn("look at the write-ahead log", slog.Any("error", err))
	case c.running && left > c.held+mostPages:
		<-c.ended
		w.completeLog()
	case !c.running && left > c.held+checkpointPages:
		c.running = true
		go w.db.copyBeside(c.ended)
	}
}

// completeLog copies the rest after a checkpoint beside the writer.
func (w *writer) completeLog() {
	w.checkpoints.running = false
	left, err := w.logLeft(`PRAGMA wal_checkpoint(PASSIVE)`)
	if err != nil {
		w.log().Warn("checkpoint", slog.Any("error", err))
	}
	w.checkpoints.held = left
}

// logLeft runs a checkpoint on the writer's connection and returns how many pages of the
// log are not in the database after it.
func (w *writer) logLeft(pragma string) (int64, error) {
	var busy, pages, copied int64
	err := w.conn.QueryRowContext(context.Background(), pragma).Scan(&busy, &pages, &copied)
	return max(pages-copied, 0), err
}

// copyBeside copies the log until little is left, and says so to the writer.
func (d *DB) copyBeside(ended chan<- struct{}) {
	defer func() { ended <- struct{}{} }()
	for range checkpointTurns {
		var busy, pages, copied int64
		if err := d.reader.QueryRowContext(context.Background(), `PRAGMA wal_checkpoint(PASSIVE)`).Scan(&busy, &pages, &copied); err != nil {
			d.log.Warn("checkpoint", slog.Any("error", err))
			return
		}
		if pages-copied < fewPages {
			return
		}
	}
}

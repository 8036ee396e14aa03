package db

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"thingpost/internal/iot"
)

// Under load (busyBatch items in the last transaction) the writer waits for more items:
// up to gathers times gather, or until none arrives or there are enough. A commit costs
// nearly the same for two items as for two hundred, and every index page that a
// transaction touches is written once.
const (
	gather    = 500 * time.Microsecond
	gathers   = 4
	busyBatch = 24
	enough    = 256
)

// idleAfter is how long the writer waits for work before it copies the WAL into the database.
const idleAfter = 2 * time.Second

// item is one write, all or nothing. Exactly one of fn, queue, accept, finish and move is set.
type item struct {
	fn     func(*Tx) error
	apart  bool            // fn neither reads nor changes messages, deliveries or what is counted of them
	queue  func(*Tx) error // a change of a device's downlink queue, which causes messages
	accept []*Accept       // messages of one call, stored together
	finish *iot.Outcome
	move   bool // waits until the tables have all that was stored before
	done   func(error)
	// project is the project whose turn the item takes; 0 if it belongs to none.
	project int64
	load    load
	// claimed is set by the first of two: the writer, which then writes the item, or
	// the caller, which then stops waiting for it. nil if the caller always waits.
	claimed *atomic.Bool
}

// writer is the only goroutine that writes. Items of one transaction run in this order:
// changes of settings, changes of downlink queues, new messages, outcomes.
type writer struct {
	db       *DB
	sqldb    *sql.DB
	conn     *sql.Conn
	stmts    statements
	line     *lineup
	onCommit func(iot.Commit)

	stopped chan struct{}
	pause   *time.Timer
	wrote   atomic.Uint64 // batches written or attempted

	// Only the writer's goroutine uses the following.
	versions map[int64]int64 // of projects
	devices  map[int64]int64 // the number of each device's last change; see deviceStale
	floor    int64           // changes up to this one are no longer in devices
	health   map[int64]iot.Health
	ledger   *ledger
	staged   []*accepted // messages of the transaction
	ended    []*outcome  // outcomes of the transaction
	putOff   *putOff
	record   bytes.Buffer // what the transaction writes into the journal
	worked   time.Time    // when the last item was written
	cut      int64        // the position from which the journal is needed after the transaction
	proved   bool         // the last transaction wrote something
	// checkpoints of the log run beside the writer.
	checkpoints checkpoints
	short       bool      // the disk was full: messages are refused until there is a reserve again
	tried       time.Time // of the last attempt to write or to make a reserve while the disk fails
}

func newWriter(d *DB, sqldb *sql.DB, conn *sql.Conn, onCommit func(iot.Commit)) *writer {
	return &writer{db: d, sqldb: sqldb, conn: conn, onCommit: onCommit, line: newLineup(), ledger: newLedger(), stopped: make(chan struct{}),
		versions: map[int64]int64{}, devices: map[int64]int64{}, health: map[int64]iot.Health{},
		putOff: newPutOff(d.now()), pause: time.NewTimer(0), checkpoints: checkpoints{ended: make(chan struct{}, 1)}}
}

func (d *DB) startWriter(ctx context.Context, sqldb *sql.DB, onCommit func(iot.Commit)) error {
	conn, err := sqldb.Conn(ctx)
	if err != nil {
		return err
	}
	w := newWriter(d, sqldb, conn, onCommit)
	<-w.pause.C
	if err := w.prepare(ctx); err != nil {
		return err
	}
	d.writer = w
	go w.run()
	return nil
}

// prepare reads what the writer keeps in memory and creates the source of ids.
func (w *writer) prepare(ctx context.Context) error {
	if _, err := w.conn.ExecContext(ctx, `INSERT INTO meta (name, value) VALUES ('salt', $1) ON CONFLICT DO NOTHING`,
		fmt.Sprint(iot.NewSalt())); err != nil {
		return err
	}
	if err := w.checkKey(ctx); err != nil {
		return err
	}
	if err := w.stmts.prepare(ctx, w.conn); err != nil {
		return err
	}
	if err := w.replay(ctx); err != nil {
		return fmt.Errorf("move the journal into the tables: %w", err)
	}
	var salt, last int64
	if err := w.conn.QueryRowContext(ctx, `SELECT value FROM meta WHERE name = 'salt'`).Scan(&salt); err != nil {
		return err
	}
	err := w.conn.QueryRowContext(ctx, `SELECT max(
		(SELECT coalesce(max(id), 0) FROM messages), (SELECT coalesce(max(id), 0) FROM audit),
		(SELECT coalesce(max(id), 0) FROM downlinks), (SELECT coalesce(max(position), 0) FROM downlinks),
		(SELECT coalesce(max(id), 0) FROM inspections),
		(SELECT coalesce(max(top), 0) FROM (SELECT (SELECT max(id) FROM deliveries WHERE project_id = p.id) AS top FROM projects p)))`).Scan(
		&last)
	if err != nil {
		return err
	}
	w.db.ids = iot.NewIDs(salt, last, w.db.now)
	rows, err := w.conn.QueryContext(ctx, `SELECT id, version FROM projects WHERE deleted_at = 0`)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id, version int64
		if err := rows.Scan(&id, &version); err != nil {
			return err
		}
		w.versions[id] = version
	}
	return rows.Err()
}

// submit queues an item. The writer's goroutine calls done once, when the item is on disk
// or has failed; done must be quick.
func (w *writer) submit(it item) {
	if it.load.rows == 0 {
		it.load.rows = fewRows
	}
	it.load.items = 1
	if !w.line.push(it) {
		it.done(errClosed)
	}
}

// fewRows is the load of a change whose number of rows is unknown.
const fewRows = 4

// submit queues an item for the writer; if there is none, the item fails.
func (d *DB) submit(it item) {
	if d.writer == nil {
		it.done(errReadOnly)
		return
	}
	d.writer.submit(it)
}

var errReadOnly = unavailable("The database is open for reading only.", nil)

var errClosed = unavailable("Thingpost is stopping. Try again in a moment.", nil)

// write runs fn as one item and waits until it is on disk. It takes no ctx: the caller of
// a change always learns its result.
func (d *DB) write(doing string, fn func(*Tx) error) error { return d.writeMany(doing, fewRows, fn) }

// writeMany is write for one step, of so many rows, of a long change.
func (d *DB) writeMany(doing string, rows int, fn func(*Tx) error) error {
	return d.change(doing, item{fn: fn, load: load{rows: rows}})
}

// writeApart is writeMany for a step that needs nothing of the journal.
func (d *DB) writeApart(doing string, rows int, fn func(*Tx) error) error {
	return d.change(doing, item{fn: fn, apart: true, load: load{rows: rows}})
}

func (d *DB) change(doing string, it item) error {
	done := make(chan error, 1)
	it.done = func(err error) { done <- err }
	d.submit(it)
	return translate(doing, <-done)
}

func (w *writer) close() error {
	first := w.line.close()
	<-w.stopped
	if !first {
		return nil
	}
	// The last connection to close copies the WAL into the database. Only a connection
	// that may write can do that.
	return errors.Join(w.db.reader.Close(), w.stmts.close(), w.conn.Close(), w.sqldb.Close())
}

// clock is the machine's own, for what does not depend on the injected one.
func (w *writer) clock() time.Time { return time.Now() } //nolint:forbidigo // see above

func (w *writer) run() {
	defer close(w.stopped)
	timer := time.NewTimer(idleAfter)
	defer timer.Stop()
	batch := make([]item, 0, maxItems)
	busy, rested := false, false
	var perRow pace
	for {
		outage := w.db.Outage() != nil
		due, waits := w.nextLook(outage, rested)
		var after <-chan time.Time
		if waits {
			timer.Reset(due)
			after = timer.C
		}
		some, open := w.line.wait(after)
		if outage {
			w.tryDisk()
		}
		switch {
		case some:
			rested = false
			var rows int
			batch, rows = w.collect(batch[:0], busy, perRow.rows())
			busy = len(batch) >= busyBatch
			began := w.clock()
			w.write(taken(batch), rows)
			wrote := loadOf(batch)
			perRow = perRow.after(wrote.rows, w.clock().Sub(began))
			w.moveIdle()
			w.copyLog(wrote)
			clear(batch)
			w.worked = w.clock()
		case !open:
			if w.checkpoints.running {
				<-w.checkpoints.ended
			}
			w.rest()
			return
		case !w.db.failing.Load():
			rested = w.lookAgain(rested)
		}
	}
}

// collect takes what is queued, and returns how many rows the transaction may have. Under
// load it waits a moment for more, unless the transaction is short.
func (w *writer) collect(batch []item, busy bool, rows int) ([]item, int) {
	var full load
	for turn := 0; ; turn++ {
		had := len(batch)
		var short bool
		batch, short = w.line.take(batch, &full, rows)
		if short {
			return batch, rows
		}
		if !busy || turn == gathers || len(batch) >= enough || full.rows >= maxRows || turn > 0 && len(batch) == had {
			return batch, maxRows
		}
		w.pause.Reset(gather)
		<-w.pause.C
	}
}

// write stores a batch in one transaction. If an item makes the transaction fail, each
// item is tried alone, so that no item makes another one fail. rows bounds what is moved
// along.
func (w *writer) write(batch []item, rows int) {
	defer w.wrote.Add(1)
	if batch = w.refused(batch); len(batch) == 0 || w.putOffOutcomes(batch) {
		return
	}
	results := make([]error, len(batch))
	var commit iot.Commit
	var err error
	if needsTables(batch) {
		err = w.probe()
		for err == nil && w.ledger.rows > rows && w.alone(rows) { //nolint:revive // moves all but the last piece
		}
	}
	if err == nil {
		commit, err = w.transact(batch, results, rows)
	}
	if err != nil && !isDisk(err) && !w.ledger.empty() {
		// An entry of the ledger may be the cause: then it is set aside now.
		w.moveAll()
		commit, err = w.transact(batch, results, rows)
	}
	switch {
	case err == nil:
		w.stored()
		if !slices.ContainsFunc(batch, func(it item) bool { return it.move }) || !commit.Empty() {
			w.onCommit(commit)
		}
	case len(batch) > 1 && !isDisk(err):
		for i := range batch {
			w.write(batch[i:i+1], rows)
		}
		return
	case isFull(err) && w.runShort(err):
		w.write(batch, rows)
		return
	default:
		w.failed(err, batch)
		for i := range results {
			results[i] = err
		}
	}
	for i, it := range batch {
		it.done(results[i])
	}
}

// needsTables reports whether a batch reads or changes what may still be in the ledger, or
// has what the journal does not take.
func needsTables(batch []item) bool {
	return slices.ContainsFunc(batch, func(it item) bool {
		if it.fn != nil && !it.apart || it.queue != nil || it.move {
			return true
		}
		return it.finish != nil && (it.finish.PauseReason != "" || it.load.bytes >= directBytes) ||
			slices.ContainsFunc(it.accept, func(a *Accept) bool { return a.Silence != nil || a.Bytes() >= directBytes })
	})
}

func (w *writer) log() *slog.Logger { return w.db.log }

// isDisk reports whether the disk failed, rather than an item.
func isDisk(err error) bool {
	switch resultCode(err) & 0xff {
	case codeFull, codeIOErr, codeReadOnly, codeCantOpen, codeCorrupt, codeNotADB, codeBusy:
		return true
	}
	return false
}

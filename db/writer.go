package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
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

// idleAfter is how long the writer waits for work before it writes what it deferred
// (devices last seen) and copies the WAL into the database.
const idleAfter = 2 * time.Second

// item is one write, all or nothing. Exactly one of fn, queue, accept and finish is set.
type item struct {
	fn     func(*Tx) error
	queue  func(*Tx) error // a change of a device's downlink queue, which causes messages
	accept []*Accept       // messages of one call, stored together
	finish *iot.Outcome
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

	ended chan struct{}
	pause *time.Timer
	wrote atomic.Uint64 // batches written or attempted

	// Only the writer's goroutine uses the following.
	versions map[int64]int64 // of projects
	devices  map[int64]int64 // the number of each device's last change; see deviceStale
	floor    int64           // changes up to this one are no longer in devices
	health   map[int64]iot.Health
	outcomes []*iot.Outcome // of the batch
	putOff   putOff
	// checkpoints of the log run beside the writer.
	checkpoints checkpoints
	short       bool      // the disk was full: messages are refused until there is a reserve again
	tried       time.Time // of the last attempt to write or to make a reserve while the disk fails
}

func (d *DB) startWriter(ctx context.Context, sqldb *sql.DB, onCommit func(iot.Commit)) error {
	conn, err := sqldb.Conn(ctx)
	if err != nil {
		return err
	}
	w := &writer{db: d, sqldb: sqldb, conn: conn, onCommit: onCommit, line: newLineup(), ended: make(chan struct{}),
		versions: map[int64]int64{}, devices: map[int64]int64{}, health: map[int64]iot.Health{},
		putOff: newPutOff(d.now()), pause: time.NewTimer(0), checkpoints: checkpoints{ended: make(chan struct{}, 1)}}
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
	if err := rows.Err(); err != nil {
		return err
	}
	return w.stmts.prepare(ctx, w.conn)
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
	done := make(chan error, 1)
	d.submit(item{fn: fn, load: load{rows: rows}, done: func(err error) { done <- err }})
	return translate(doing, <-done)
}

func (w *writer) close() error {
	first := w.line.close()
	<-w.ended
	if !first {
		return nil
	}
	// The last connection to close copies the WAL into the database. Only a connection
	// that may write can do that.
	return errors.Join(w.db.reader.Close(), w.stmts.close(), w.conn.Close(), w.sqldb.Close())
}

func (w *writer) run() {
	defer close(w.ended)
	idle := time.NewTimer(idleAfter)
	defer idle.Stop()
	batch := make([]item, 0, maxItems)
	busy, rested := false, false
	var perRow pace
	for {
		outage := w.db.Outage() != nil
		after := idle.C
		switch {
		case outage:
			idle.Reset(diskAgain)
		case rested:
			after = nil // nothing is deferred: wait for work, without a timer
		default:
			idle.Reset(idleAfter)
		}
		some, open := w.line.wait(after)
		if outage {
			w.tryDisk()
		}
		switch {
		case some:
			rested = false
			batch = w.collect(batch[:0], busy, perRow.rows())
			busy = len(batch) >= busyBatch
			began := time.Now() //nolint:forbidigo // measures the machine's speed, whatever the injected clock shows
			w.write(taken(batch))
			wrote := loadOf(batch)
			perRow = perRow.after(wrote.rows, time.Since(began)) //nolint:forbidigo // as above
			w.copyLog(wrote)
			clear(batch)
		case !open:
			if w.checkpoints.running {
				<-w.checkpoints.ended
			}
			w.rest()
			return
		case !outage:
			w.rest()
			rested = true
		}
	}
}

// collect takes what is queued. Under load it waits a moment for more, unless the
// transaction is short.
func (w *writer) collect(batch []item, busy bool, rows int) []item {
	var full load
	for turn := 0; ; turn++ {
		had := len(batch)
		var short bool
		batch, short = w.line.take(batch, &full, rows)
		if !busy || short || turn == gathers || len(batch) >= enough || full.rows >= maxRows || turn > 0 && len(batch) == had {
			return batch
		}
		w.pause.Reset(gather)
		<-w.pause.C
	}
}

// write stores a batch in one transaction. If an item makes the transaction fail, each
// item is tried alone, so that no item makes another one fail.
func (w *writer) write(batch []item) {
	defer w.wrote.Add(1)
	if batch = w.refused(batch); len(batch) == 0 {
		return
	}
	results := make([]error, len(batch))
	commit, err := w.transact(batch, results)
	switch {
	case err == nil:
		w.stored()
		w.onCommit(commit)
	case len(batch) > 1 && !isDisk(err):
		for i := range batch {
			w.write(batch[i : i+1])
		}
		return
	case isFull(err) && w.runShort(err):
		w.write(batch)
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

func (w *writer) log() *slog.Logger { return w.db.log }

// isDisk reports whether the disk failed, rather than an item.
func isDisk(err error) bool {
	switch resultCode(err) & 0xff {
	case codeFull, codeIOErr, codeReadOnly, codeCantOpen, codeCorrupt, codeNotADB, codeBusy:
		return true
	}
	return false
}

// transact runs one transaction; with an empty batch it writes what was deferred.
// results gets the error of each item; err is the error of the whole transaction.
func (w *writer) transact(batch []item, results []error) (commit iot.Commit, err error) {
	ctx := context.Background()
	if err := w.stmts.begin(ctx); err != nil {
		return commit, fmt.Errorf("begin: %w", err)
	}
	defer func() {
		if err != nil {
			clear(w.health) // it may include what was rolled back
			if _, rerr := w.conn.ExecContext(ctx, `ROLLBACK`); rerr != nil && resultCode(rerr) == 0 {
				err = errors.Join(err, rerr)
			}
		}
	}()
	all := w.newTx(ctx)
	// Settings change first: messages that a queue's change causes are matched on them.
	for _, of := range []func(item) func(*Tx) error{func(it item) func(*Tx) error { return it.fn },
		func(it item) func(*Tx) error { return it.queue }} {
		for i, it := range batch {
			fn := of(it)
			if fn == nil {
				continue
			}
			if results[i], err = w.runItem(ctx, all, fn); err != nil {
				return commit, err
			}
		}
	}
	if err := w.accept(all, batch); err != nil {
		return commit, err
	}
	if err := w.finish(all, batch); err != nil {
		return commit, err
	}
	w.putOff.begin(w.db.now(), len(batch) == 0)
	if err := w.writeSeen(ctx); err != nil {
		return commit, err
	}
	if err := all.writeCounts(w); err != nil {
		return commit, err
	}
	if err := w.stmts.commit(ctx); err != nil {
		return commit, fmt.Errorf("commit: %w", err)
	}
	w.putOff.written()
	for k, n := range all.days {
		w.putOff.days[k] += n
	}
	for id, version := range all.raised {
		all.commit.Projects = append(all.commit.Projects, id)
		w.versions[id] = version
	}
	w.noteDevices(all.devices)
	for _, id := range all.forget {
		delete(w.health, id)
	}
	return all.commit, nil
}

// runItem runs one change in a savepoint. failed is the item's own error; err is an error
// that ends the whole transaction.
func (w *writer) runItem(ctx context.Context, all *Tx, fn func(*Tx) error) (failed, err error) {
	if _, err := w.conn.ExecContext(ctx, `SAVEPOINT item`); err != nil {
		return nil, err
	}
	tx := w.newTx(ctx)
	tx.whole = all
	failed = fn(tx)
	if failed != nil {
		if isDisk(failed) {
			return nil, failed
		}
		if _, err := w.conn.ExecContext(ctx, `ROLLBACK TO item`); err != nil {
			return nil, err
		}
	}
	if _, err := w.conn.ExecContext(ctx, `RELEASE item`); err != nil {
		return nil, err
	}
	if failed == nil {
		all.merge(tx)
	}
	return failed, nil
}

// maxDevices bounds the changed devices that are remembered.
const maxDevices = 1 << 16

// noteDevices records that devices have changed.
func (w *writer) noteDevices(changed map[int64]bool) {
	if len(changed) == 0 {
		return
	}
	n := w.db.deviceChanges.Load() + 1
	if len(w.devices)+len(changed) > maxDevices {
		clear(w.devices)
		w.floor = n // every device read before is read again
	}
	for key := range changed {
		w.devices[key] = n
	}
	w.db.deviceChanges.Store(n)
}

// deviceStale reports whether a device has changed, or may have, since it was read.
func (w *writer) deviceStale(t *Tx, v *iot.Device) bool {
	return v != nil && v.Key != 0 && (v.AsOf < w.floor || v.AsOf < w.devices[v.Key] || t.devices[v.Key])
}

func (w *writer) newTx(ctx context.Context) *Tx {
	return &Tx{ctx: ctx, db: w.db, conn: w.conn}
}

// rest writes what was deferred while there was work, and copies the WAL.
func (w *writer) rest() {
	for !w.putOff.empty() {
		if _, err := w.transact(nil, nil); err != nil {
			w.log().Warn("write devices last seen", slog.Any("error", err))
			break
		}
	}
	w.checkpoint()
}

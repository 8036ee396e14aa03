package db

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"

	"thingpost/internal/iot"
)

// transact runs one transaction. Messages and outcomes are written into the journal, or
// into the tables if the batch needs those; then the ledger is moved before. Otherwise so
// many rows of it are moved if the batch is empty or it is full, and more if more comes.
// results gets the error of each item; err is the error of the whole transaction.
func (w *writer) transact(batch []item, results []error, rows int) (commit iot.Commit, err error) {
	ctx := context.Background()
	if err := w.stmts.begin(ctx); err != nil {
		return commit, fmt.Errorf("begin: %w", err)
	}
	saved := false
	defer func() {
		if err != nil {
			if saved {
				w.ledger.chunks.undo()
			}
			clear(w.health) // it may include what was rolled back
			if _, rerr := w.conn.ExecContext(ctx, `ROLLBACK`); rerr != nil && resultCode(rerr) == 0 {
				err = errors.Join(err, rerr)
			}
		}
	}()
	all, l, direct, comes := w.newTx(ctx), w.ledger, needsTables(batch), loadOf(batch)
	var p piece
	switch {
	case direct:
		p = l.all()
	case len(batch) == 0:
		p = l.piece(rows, 0)
	case l.full(): // at least as much leaves as comes: an outcome adds an attempt, too
		p = l.piece(max(rows, comes.rows+comes.items), comes.bytes)
	}
	if err := w.move(all, p); err != nil {
		return commit, err
	}
	if err := w.change(all, batch, results); err != nil {
		return commit, err
	}
	if err := w.stage(all, batch); err != nil {
		return commit, err
	}
	at := l.chunks.end()
	if direct {
		if err := errors.Join(w.putAccepted(all, w.staged), w.putOutcomes(all, w.ended)); err != nil {
			return commit, err
		}
	} else if saved, err = w.save(ctx, p); err != nil {
		return commit, err
	}
	if direct || len(batch) == 0 && rows > 0 || p != (piece{}) {
		w.putOff.begin(w.db.now(), p == l.all() && w.putOff.size() <= seenStep || len(batch) == 0)
		if err := errors.Join(w.eraseDelivered(all), w.writeSeen(ctx)); err != nil {
			return commit, err
		}
	}
	if err := all.writeCounts(w); err != nil {
		return commit, err
	}
	if err := w.stmts.commit(ctx); err != nil {
		return commit, fmt.Errorf("commit: %w", err)
	}
	w.proved = saved || p != (piece{}) || len(w.staged)+len(w.ended) > 0 ||
		slices.ContainsFunc(batch, func(it item) bool { return it.fn != nil || it.queue != nil })
	w.committed(all, p, saved, at)
	return all.commit, nil
}

// change runs the changes of a batch. Settings change first: messages that a queue's change
// causes are matched on them.
func (w *writer) change(all *Tx, batch []item, results []error) (err error) {
	for _, of := range []func(item) func(*Tx) error{func(it item) func(*Tx) error { return it.fn },
		func(it item) func(*Tx) error { return it.queue }} {
		for i, it := range batch {
			fn := of(it)
			if fn == nil {
				continue
			}
			if results[i], err = w.runItem(all.ctx, all, fn); err != nil {
				return err
			}
		}
	}
	return nil
}

// stage collects the messages and the outcomes of a batch.
func (w *writer) stage(all *Tx, batch []item) error {
	clear(w.staged)
	clear(w.ended)
	w.staged, w.ended = w.staged[:0], w.ended[:0]
	if err := w.accept(all, batch); err != nil {
		return err
	}
	for _, it := range batch {
		if it.finish != nil {
			o := w.newOutcome(it.finish)
			w.ended = append(w.ended, o)
			w.noteOutcome(all, o)
		}
	}
	return nil
}

// save writes what is staged into the journal, with the outcomes that are not there yet. p
// is what the transaction moves. saved is false if there is nothing to write.
func (w *writer) save(ctx context.Context, p piece) (saved bool, err error) {
	l := w.ledger
	w.record.Reset()
	if p != l.all() {
		w.record.Write(l.unsaved.Bytes())
	}
	for _, a := range w.staged {
		if err := appendEntry(&w.record, entry{Accepted: a}); err != nil {
			return false, err
		}
	}
	for _, o := range w.ended {
		if err := appendEntry(&w.record, entry{Outcome: o}); err != nil {
			return false, err
		}
	}
	if w.record.Len() == 0 {
		return false, nil
	}
	return true, l.chunks.append(w.record.Bytes(), func(row int64, chunk []byte) error {
		_, err := w.stmts.journal.exec(ctx, []driver.NamedValue{{Value: row}, {Value: chunk}})
		return err
	})
}

// committed takes over what a transaction has written.
func (w *writer) committed(all *Tx, p piece, saved bool, at int64) {
	l, now := w.ledger, w.clock()
	l.drop(p, now)
	w.cutDone()
	if saved {
		l.saved(at)
		for _, a := range w.staged {
			l.add(entry{Accepted: a}, at, now)
		}
		for _, o := range w.ended {
			l.add(entry{Outcome: o}, at, now)
		}
	}
	if l.empty() {
		l.hurry = false
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

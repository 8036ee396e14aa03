package db

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"net/url"
	"slices"
	"time"

	"thingpost/internal/iot"
)

// move writes a piece of the ledger into the tables.
func (w *writer) move(t *Tx, p piece) error {
	l := w.ledger
	if err := w.putAccepted(t, l.accepted[:p.accepted]); err != nil {
		return err
	}
	if err := w.putOutcomes(t, l.outcomes[:p.outcomes]); err != nil {
		return err
	}
	return w.cutJournal(t.ctx, p)
}

// cutJournal notes from where the journal is needed once a piece is in the tables.
func (w *writer) cutJournal(ctx context.Context, p piece) error {
	w.cut = w.ledger.fromAfter(p)
	if w.cut == w.ledger.from {
		return nil
	}
	_, err := w.stmts.cut.ExecContext(ctx, w.cut)
	return err
}

// putAccepted inserts messages and their deliveries, the latter as their outcomes have left
// them, and counts them. The list stays unchanged, because the transaction may fail.
func (w *writer) putAccepted(t *Tx, list []*accepted) error {
	s := &w.stmts
	s.messages.drop()
	s.deliveries.drop()
	s.attempts.drop()
	type ended struct {
		o       *outcome
		changed bool
	}
	var after []ended
	for _, a := range list {
		s.messages.add(a.Message...)
		if a.FromDevice {
			t.addMessages(hourOf(asKey(a.Message[messageProject]), iot.Instant(asKey(a.Message[messageReceived]))), 1)
		}
		for _, row := range a.Deliveries {
			c := t.count(asKey(row[deliveryWebhook]))
			c.made++
			status, _ := row[deliveryStatus].(string)
			*c.of(iot.Status(status))++
			for i, o := range a.outcomesOf(row) {
				if i == 0 {
					row = slices.Clone(row)
				}
				changed := row[deliveryStatus] == string(iot.Pending)
				if changed {
					o.finish(row)
				}
				if o.Attempt != nil {
					s.attempts.add(o.Attempt...)
				}
				after = append(after, ended{o, changed})
			}
			s.deliveries.add(row...)
		}
	}
	for _, l := range []*line{&s.messages, &s.deliveries, &s.attempts} {
		if err := l.flush(t.ctx); err != nil {
			return err
		}
	}
	for _, e := range after {
		if err := w.finished(t, e.o, e.changed); err != nil {
			return err
		}
	}
	return nil
}

// outcomesOf returns what has become of a delivery, in order.
func (a *accepted) outcomesOf(row []any) []*outcome {
	if len(a.Deliveries) == 1 {
		return a.outcomes
	}
	var list []*outcome
	for _, o := range a.outcomes {
		if o.DeliveryKey == asKey(row[deliveryID]) {
			list = append(list, o)
		}
	}
	return list
}

// putOutcomes stores attempts, and updates their deliveries, which are in the tables.
func (w *writer) putOutcomes(t *Tx, list []*outcome) error {
	w.stmts.attempts.drop()
	for _, o := range list {
		if o.Attempt != nil {
			w.stmts.attempts.add(o.Attempt...)
		}
	}
	if err := w.stmts.attempts.flush(t.ctx); err != nil {
		return err
	}
	return w.finishDeliveries(t, list)
}

// eraseDelivered empties the transient messages that were delivered to all.
func (w *writer) eraseDelivered(t *Tx) error {
	for _, key := range t.erase {
		if _, err := w.stmts.erase.ExecContext(t.ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// setAside removes the oldest entry from the ledger, and keeps it in a row of the journal
// with a negative id. Such rows are not replayed; Check reports them.
func (w *writer) setAside(reason error) (err error) {
	l, ctx := w.ledger, context.Background()
	p := l.piece(1, 0)
	w.record.Reset()
	for _, a := range l.accepted[:p.accepted] {
		err = errors.Join(err, appendEntry(&w.record, entry{Accepted: a}))
		for _, o := range a.outcomes {
			err = errors.Join(err, appendEntry(&w.record, entry{Outcome: o}))
		}
	}
	for _, o := range l.outcomes[:p.outcomes] {
		err = errors.Join(err, appendEntry(&w.record, entry{Outcome: o}))
	}
	if err != nil {
		return err
	}
	if err := w.stmts.begin(ctx); err != nil {
		return err
	}
	_, err = w.conn.ExecContext(ctx, `INSERT INTO journal (id, record) SELECT min(0, coalesce(min(id), 0)) - 1, $1 FROM journal`,
		w.record.Bytes())
	if err == nil {
		err = w.cutJournal(ctx, p)
	}
	if err == nil {
		err = w.stmts.commit(ctx)
	}
	if err != nil {
		_, rerr := w.conn.ExecContext(ctx, `ROLLBACK`)
		return errors.Join(err, rerr)
	}
	w.log().Error("the tables refuse an entry of the journal, which is set aside", slog.Any("error", reason))
	l.drop(p, w.clock())
	w.cutDone()
	return nil
}

// cutDone frees what the journal no longer needs.
func (w *writer) cutDone() {
	if w.cut != w.ledger.from {
		w.ledger.from = w.cut
		w.ledger.chunks.forget(w.cut)
	}
}

// MoveJournal returns when the tables have everything that was stored before the call.
// Whatever reads messages, deliveries, attempts, counters or a webhook's health calls it
// first. It costs nothing if nothing waits. The error is unavailable while the disk fails.
func (d *DB) MoveJournal(ctx context.Context) error {
	if d.writer == nil || d.writer.ledger.entries.Load() == 0 {
		return nil
	}
	if d.failing.Load() {
		return unavailable("The disk fails, so the last messages cannot be read.", nil)
	}
	done := make(chan error, 1)
	d.submit(item{move: true, load: load{rows: 1}, done: func(err error) { done <- err }})
	select {
	case err := <-done:
		return translate("move what was stored into the tables", err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tablesWait bounds how long a page waits for the journal to be moved. If the disk does not
// answer, the page shows what the tables have.
const tablesWait = 2 * time.Second

// tables returns the readers' connections once the tables have everything, or the disk
// fails. It is for pages and figures.
func (d *DB) tables(ctx context.Context) *sql.DB {
	if d.writer == nil || d.writer.ledger.entries.Load() == 0 || d.failing.Load() {
		return d.reader
	}
	ctx, cancel := context.WithTimeout(ctx, tablesWait)
	defer cancel()
	if err := d.MoveJournal(ctx); err != nil && ctx.Err() == nil {
		d.log.Warn("pages may lack the last messages", slog.Any("error", err))
	}
	return d.reader
}

// inTables is inTx for pages and figures.
func (d *DB) inTables(ctx context.Context, fn func(*sql.Tx) error) error {
	d.tables(ctx)
	return d.inTx(ctx, fn)
}

// moveJournalOf moves the journal of a file that nobody else has open.
func moveJournalOf(ctx context.Context, path string) (err error) {
	file, err := sql.Open("sqlite", fileURI(path, url.Values{"_pragma": {"busy_timeout(10000)"}}))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	file.SetMaxOpenConns(1)
	conn, err := file.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	var there bool // not in earlier versions
	var salt int64
	err = conn.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'journal'),
		(SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'salt')`).Scan(&there, &salt)
	if err != nil || !there {
		return err
	}
	d := &DB{now: time.Now, log: slog.New(slog.DiscardHandler)}
	d.ids = iot.NewIDs(salt, 0, d.now)
	w := newWriter(d, file, conn, func(iot.Commit) {})
	if err := w.stmts.prepare(ctx, conn); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.stmts.close()) }()
	return w.replay(ctx)
}

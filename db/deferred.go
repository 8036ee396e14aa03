package db

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"thingpost/internal/iot"
)

// nextLook returns how long the writer may wait for work until it must look at what it
// deferred; waits is false if nothing is deferred.
func (w *writer) nextLook(outage, rested bool) (in time.Duration, waits bool) {
	if outage {
		return diskAgain, true
	}
	var at time.Time
	soonest := func(t time.Time) {
		if at.IsZero() || t.Before(at) {
			at = t
		}
	}
	l := w.ledger
	if l.unsaved.Len() > 0 {
		soonest(l.unsavedSince.Add(outcomeAge))
	}
	switch {
	case l.hurry:
		soonest(l.since.Add(pieceAge))
	case !l.empty():
		soonest(l.since.Add(ledgerAge))
	}
	if !rested || l.empty() && !w.putOff.empty() {
		soonest(w.worked.Add(idleAfter))
	}
	return max(at.Sub(w.clock()), 0), !at.IsZero()
}

// lookAgain writes what was deferred for long enough, and copies the log if there was no
// work for a while. rested: that is done.
func (w *writer) lookAgain(rested bool) bool {
	l, now := w.ledger, w.clock()
	idle := now.Sub(w.worked) >= idleAfter
	switch {
	case l.hurry && now.Sub(l.since) >= pieceAge, !l.empty() && now.Sub(l.since) >= ledgerAge, l.empty() && !w.putOff.empty() && idle:
		w.moveAll()
	case l.unsaved.Len() > 0 && now.Sub(l.unsavedSince) >= outcomeAge:
		w.alone(0)
	}
	if idle && !rested {
		w.checkpointIf(idlePages)
	}
	return rested || idle
}

// moveIdle moves a piece of the ledger if that is worth a transaction and nobody waits.
func (w *writer) moveIdle() {
	l := w.ledger
	worth := l.rows >= pieceRows || l.hurry
	if !worth || w.clock().Sub(l.since) < pieceAge || w.line.len() > 0 || w.db.failing.Load() {
		return
	}
	if l.hurry {
		w.moveAll()
		return
	}
	w.alone(pieceRows)
}

// moveAll moves the whole ledger, and writes what else was deferred.
func (w *writer) moveAll() {
	for !w.ledger.empty() || !w.putOff.empty() {
		if !w.alone(maxRows) {
			return
		}
	}
}

// alone runs a transaction without items, which moves so many rows of the ledger. With 0 it
// only writes outcomes into the journal. It reports whether that went well.
func (w *writer) alone(rows int) bool {
	commit, err := w.moveSome(rows)
	if err != nil {
		w.failed(err, nil)
		w.worked = w.clock() // it is tried again later
		w.ledger.since, w.ledger.unsavedSince = w.worked, w.worked
		return false
	}
	w.stored()
	w.announce(commit)
	return true
}

// moveSome moves so many rows of the ledger. An entry that the tables refuse, which only a
// fault of the program can cause, is set aside, so that it keeps no other from being moved.
func (w *writer) moveSome(rows int) (commit iot.Commit, err error) {
	commit, err = w.transact(nil, nil, rows)
	switch {
	case err == nil || isDisk(err) || rows == 0:
		return commit, err
	case rows > 1:
		return w.moveSome(1)
	}
	return commit, w.setAside(err)
}

func (w *writer) announce(commit iot.Commit) {
	if !commit.Empty() {
		w.onCommit(commit)
	}
}

// putOffOutcomes keeps the outcomes of a batch in memory if there is nothing else in it:
// they are written into the journal with the next messages, or after outcomeAge. It reports
// whether it did.
func (w *writer) putOffOutcomes(batch []item) bool {
	l := w.ledger
	if needsTables(batch) || l.full() || l.unsaved.Len() >= unsavedBytes || w.db.failing.Load() ||
		slices.ContainsFunc(batch, func(it item) bool { return it.finish == nil }) {
		return false
	}
	now := w.clock()
	if l.unsaved.Len() == 0 {
		l.unsavedSince = now
	}
	t := w.newTx(context.Background())
	for _, it := range batch {
		e := entry{Outcome: w.newOutcome(it.finish)}
		if err := appendEntry(&l.unsaved, e); err != nil {
			w.log().Error("keep an outcome", slog.Any("error", err)) // no value of it can fail
		}
		w.noteOutcome(t, e.Outcome)
		l.add(e, 0, now)
	}
	w.announce(t.commit)
	for _, it := range batch {
		it.done(nil)
	}
	return true
}

// noteOutcome announces an outcome.
func (w *writer) noteOutcome(t *Tx, o *outcome) {
	t.changed(o.ProjectKey, iot.DeliveriesChanged)
	h, known := w.health[o.WebhookKey]
	if o.Attempt != nil && (!known || (h.Status == iot.Healthy) != o.good()) {
		w.ledger.hurry = true
	}
}

// rest writes all that was deferred, and copies the WAL.
func (w *writer) rest() {
	w.moveAll()
	w.checkpoint()
}

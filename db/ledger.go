package db

import (
	"bytes"
	"sync/atomic"
	"time"
)

// Bounds of what is not in the tables yet.
const (
	// ledgerRows and ledgerBytes: with more, every transaction moves a piece of it.
	ledgerRows  = 4 * maxRows
	ledgerBytes = 2 << 20
	// pieceRows: with so many, a piece is moved when nobody waits, at most every pieceAge:
	// meanwhile most deliveries end.
	pieceRows = 256
	pieceAge  = 500 * time.Millisecond
	// ledgerAge is how long an entry stays out of the tables if nobody asks for it.
	ledgerAge = 30 * time.Second
	// outcomeAge is how long an outcome waits for a transaction to go along with: so long
	// that at a message a second it goes along with the next message. A power
	// cut repeats the deliveries whose outcomes are not on disk.
	outcomeAge = 1050 * time.Millisecond
	// unsavedBytes bounds such outcomes.
	unsavedBytes = 256 << 10
	// directBytes: a larger message or answer goes to the tables at once, because the
	// journal would write it twice.
	directBytes = 16 << 10
	// entryBytes is about what an entry takes in memory beside its payload.
	entryBytes = 1 << 10
)

// ledger is what the tables do not have yet: entries of the journal, and outcomes that are
// not even there. Only the writer's goroutine uses it, except entries.
type ledger struct {
	accepted   []*accepted
	outcomes   []*outcome          // of deliveries that are in the tables
	deliveries map[int64]*accepted // by the deliveries' keys
	senders    map[sent]int64      // messages' keys
	rows       int
	bytes      int64
	since      time.Time // when the first entry came, or the last piece was moved
	hurry      bool      // a webhook's health changes, which pages should show at once

	unsaved      bytes.Buffer // outcomes that are not in the journal
	unsavedSince time.Time
	chunks       *chunks
	from         int64 // the position from which the journal is needed, as on disk

	entries atomic.Int64 // for readers: how many entries there are
}

func newLedger() *ledger {
	return &ledger{deliveries: map[int64]*accepted{}, senders: map[sent]int64{}}
}

func (l *ledger) empty() bool { return len(l.accepted)+len(l.outcomes) == 0 }

// full reports whether the ledger must become smaller before it grows.
func (l *ledger) full() bool { return l.rows >= ledgerRows || l.bytes >= ledgerBytes }

// add adds an entry. at is a position in the journal that is not behind it; 0 for an outcome
// that is not there.
func (l *ledger) add(e entry, at int64, now time.Time) {
	if l.empty() {
		l.since = now
	}
	if o := e.Outcome; o != nil {
		l.addOutcome(o, at)
	} else {
		l.addAccepted(e.Accepted, at)
	}
	l.entries.Store(int64(len(l.accepted) + len(l.outcomes)))
}

func (l *ledger) addAccepted(a *accepted, at int64) {
	a.at = at
	l.accepted = append(l.accepted, a)
	l.rows += 1 + len(a.Deliveries)
	l.bytes += a.bytes()
	for _, row := range a.Deliveries {
		l.deliveries[asKey(row[deliveryID])] = a
	}
	if id, ok := a.Message[messageSender].(string); ok {
		l.senders[sent{asKey(a.Message[messageDevice]), id}] = asKey(a.Message[messageID])
	}
}

func (l *ledger) addOutcome(o *outcome, at int64) {
	o.at = at
	l.rows++
	if o.Attempt != nil {
		l.rows++
	}
	l.bytes += o.bytes()
	if a := l.deliveries[o.DeliveryKey]; a != nil {
		a.outcomes = append(a.outcomes, o)
		return
	}
	l.outcomes = append(l.outcomes, o)
}

// rowsOf returns how many rows an accepted message writes with what has become of it.
func rowsOf(a *accepted) int { return 1 + len(a.Deliveries) + len(a.outcomes) }

func (a *accepted) bytes() int64 {
	return int64(entryBytes*(1+len(a.Deliveries))) + bytesOf(a.Message)
}

func (o *outcome) bytes() int64 {
	return entryBytes + bytesOf(o.Attempt)
}

// bytesOf returns the bytes of a row's texts and blobs.
func bytesOf(row []any) (n int64) {
	for _, v := range row {
		switch v := v.(type) {
		case []byte:
			n += int64(len(v))
		case string:
			n += int64(len(v))
		}
	}
	return n
}

// piece is the part of the ledger that one transaction moves: so many of the oldest
// messages, with what has become of them, and of the oldest outcomes.
type piece struct{ accepted, outcomes int }

// piece returns a piece of about so many rows, or more if its messages have fewer bytes than
// it should have: at least one entry if there is one and rows is not 0.
func (l *ledger) piece(rows int, bytes int64) (p piece) {
	if rows == 0 {
		return p
	}
	p.outcomes = min(len(l.outcomes), (rows+1)/2)
	left := rows - 2*p.outcomes
	for p.accepted < len(l.accepted) && (left > 0 || bytes > 0 || p.accepted+p.outcomes == 0) {
		a := l.accepted[p.accepted]
		left, bytes = left-rowsOf(a), bytes-a.bytes()
		p.accepted++
	}
	return p
}

func (l *ledger) all() piece { return piece{len(l.accepted), len(l.outcomes)} }

// saved notes that the outcomes that were not in the journal are there, behind a position.
func (l *ledger) saved(at int64) {
	for i := len(l.outcomes) - 1; i >= 0 && l.outcomes[i].at == 0; i-- {
		l.outcomes[i].at = at
	}
	l.unsaved.Reset()
}

// fromAfter returns the position from which the journal is needed once a piece is in the
// tables.
func (l *ledger) fromAfter(p piece) int64 {
	from := l.chunks.end()
	if p.accepted < len(l.accepted) {
		from = min(from, l.accepted[p.accepted].at)
	}
	if p.outcomes < len(l.outcomes) && l.outcomes[p.outcomes].at != 0 {
		from = min(from, l.outcomes[p.outcomes].at)
	}
	return from
}

// drop removes a piece that is in the tables.
func (l *ledger) drop(p piece, now time.Time) {
	if p == (piece{}) {
		return
	}
	for _, a := range l.accepted[:p.accepted] {
		l.rows -= 1 + len(a.Deliveries)
		l.bytes -= a.bytes()
		for _, row := range a.Deliveries {
			delete(l.deliveries, asKey(row[deliveryID]))
		}
		if id, ok := a.Message[messageSender].(string); ok {
			delete(l.senders, sent{asKey(a.Message[messageDevice]), id})
		}
		for _, o := range a.outcomes {
			l.dropped(o)
		}
	}
	for _, o := range l.outcomes[:p.outcomes] {
		l.dropped(o)
	}
	l.accepted = dropFirst(l.accepted, p.accepted)
	l.outcomes = dropFirst(l.outcomes, p.outcomes)
	l.since = now
	if l.empty() {
		l.unsaved.Reset()
	}
	l.entries.Store(int64(len(l.accepted) + len(l.outcomes)))
}

func (l *ledger) dropped(o *outcome) {
	l.rows--
	if o.Attempt != nil {
		l.rows--
	}
	l.bytes -= o.bytes()
}

// dropFirst removes the first elements of a list, and reuses its memory.
func dropFirst[T any](list []*T, n int) []*T {
	rest := copy(list, list[n:])
	clear(list[rest:])
	return list[:rest]
}

// asKey returns a key in a row. Rows come from the statements' own values, or were checked
// when they were read from the journal.
func asKey(v any) int64 {
	key, _ := v.(int64)
	return key
}

package db

import (
	"sync"
	"time"
)

// Bounds of a transaction: at most some 20 ms of work on a small machine, where a
// row of a message, a delivery or an attempt takes some 25 µs with its indexes, and a
// MiB of payload 8 ms. An item that is larger has a transaction of its own.
const (
	maxItems = 1024
	maxRows  = 768
	maxBytes = 2 << 20
)

// Short transactions have as many rows as take shortTime on this machine, from minRows to
// maxRows: whoever sends one message waits for the transaction in progress and for its
// own.
const (
	shortTime = 5 * time.Millisecond
	minRows   = 64
)

// pace is how long a row takes, as the last transactions of enough rows have shown: their
// fixed cost is in it. Zero is not known yet.
type pace time.Duration

// after returns the pace after a transaction of so many rows.
func (p pace) after(rows int, took time.Duration) pace {
	if rows < minRows/2 {
		return p
	}
	row := pace(took) / pace(rows)
	if p == 0 {
		return row
	}
	return p + (row-p)/4
}

// rows is how many a short transaction has.
func (p pace) rows() int {
	if p <= 0 {
		return maxRows
	}
	return min(max(int(pace(shortTime)/p), minRows), maxRows)
}

// PieceRows and PieceBytes bound the messages that a caller should hand over at
// once, where it has many: rows are messages and their deliveries, bytes are those
// of payloads. The rest should wait until they are on disk: so nobody waits for
// more than a piece of each other caller.
const (
	PieceRows  = 64
	PieceBytes = maxBytes / 4
)

// sharedFor is for how many transactions they stay short after several have waited for
// one: about a second of them.
const sharedFor = 200

// An item of at most these is small: it goes before all large ones.
const (
	smallRows  = 32
	smallBytes = 64 << 10
)

// load is how much work items are.
type load struct {
	items, rows int
	bytes       int64
}

func (l *load) add(o load) {
	l.items += o.items
	l.rows += o.rows
	l.bytes += o.bytes
}

func loadOf(items []item) (l load) {
	for i := range items {
		l.add(items[i].load)
	}
	return l
}

// fits reports whether another item stays within a part of a transaction of so many
// rows.
func (l load) fits(o load, rows int) bool {
	l.add(o)
	return l.items <= maxItems && l.rows <= rows && l.bytes <= maxBytes
}

// lineup is what waits for the writer. Small items go first: somebody waits for each
// of them. Then come outcomes, and at last large items (a piece of a large call, a step
// of retention). Of each kind, projects take turns. Where several projects wait, or
// somebody beside large items, transactions stay short for a while: so a message waits
// neither for what another project sends nor for an array of its own, and an array waits
// for no more than a transaction of small items. It is safe for concurrent use. It has no
// bound of its own: its callers wait for their items.
type lineup struct {
	mu                     sync.Mutex
	small, outcomes, large turns
	closed                 bool
	shared                 int           // transactions that stay short, for others may come
	wake                   chan struct{} // capacity one: there is an item, or it was closed
}

func newLineup() *lineup {
	return &lineup{small: newTurns(), outcomes: newTurns(), large: newTurns(), wake: make(chan struct{}, 1)}
}

// push puts an item in line; false if the line is closed.
func (l *lineup) push(it item) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	switch {
	case it.finish != nil:
		l.outcomes.push(it)
	case it.load.rows <= smallRows && it.load.bytes <= smallBytes:
		l.small.push(it)
	default:
		l.large.push(it)
	}
	l.ring()
	return true
}

func (l *lineup) ring() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// close takes no more; what is in line stays. It reports whether it was open.
func (l *lineup) close() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := !l.closed
	l.closed = true
	l.ring()
	return was
}

func (l *lineup) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count()
}

func (l *lineup) count() int { return l.small.count + l.outcomes.count + l.large.count }

// wait returns when there is an item (some), the timer has run off, or there will
// be none any more (open is false). Only the writer calls it.
func (l *lineup) wait(timer <-chan time.Time) (some, open bool) {
	for {
		l.mu.Lock()
		some, open = l.count() > 0, !l.closed
		l.mu.Unlock()
		if some || !open {
			return some, open
		}
		select {
		case <-l.wake:
		case <-timer:
			return false, true
		}
	}
}

// take appends what else has room in a transaction to its batch. full is what the batch
// holds already; rows are those of a short transaction, of which outcomes have half in any
// case. It reports whether the transaction is short.
func (l *lineup) take(batch []item, full *load, rows int) (_ []item, short bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.small.ring) > 1 || l.small.count > 0 && l.large.count > 0 {
		l.shared = sharedFor
	}
	most := maxRows
	if short = l.shared > 0; short {
		l.shared--
		most = rows
	}
	first := len(batch) == 0
	batch = l.small.take(batch, full, most, false)
	batch = l.outcomes.take(batch, full, min(maxRows, max(most, full.rows+most/2)), false)
	return l.large.take(batch, full, rows, first), short
}

// turns are items of projects that take turns.
type turns struct {
	projects map[int64]*turn
	ring     []*turn // those with items, the next one first
	count    int
}

// turn is what one project has in line: items from head on.
type turn struct {
	project int64
	items   []item
	head    int
}

// keptTurns is of how many projects without items the memory is kept.
const keptTurns = 256

func newTurns() turns { return turns{projects: map[int64]*turn{}} }

func (t *turns) push(it item) {
	of := t.projects[it.project]
	if of == nil {
		of = &turn{project: it.project}
		t.projects[it.project] = of
	}
	if len(of.items) == 0 {
		t.ring = append(t.ring, of)
	}
	of.items = append(of.items, it)
	t.count++
}

// take appends an item of each project in turn, as long as there is one that fits
// in a transaction of so many rows. The first is taken in any case if always says so, or
// if there is nothing else.
func (t *turns) take(batch []item, full *load, rows int, always bool) []item {
	for misses := 0; misses < len(t.ring); {
		of := t.ring[0]
		next := of.items[of.head]
		t.ring = t.ring[1:]
		if !full.fits(next.load, rows) && !always && len(batch) > 0 {
			misses++
			t.ring = append(t.ring, of)
			continue
		}
		misses, always = 0, false
		full.add(next.load)
		batch = append(batch, next)
		of.items[of.head] = item{}
		of.head++
		t.count--
		if of.head < len(of.items) {
			t.ring = append(t.ring, of)
			continue
		}
		of.items, of.head = of.items[:0], 0
		if cap(of.items) > keptTurns {
			of.items = nil
		}
		if len(t.projects) > keptTurns {
			delete(t.projects, of.project)
		}
	}
	return batch
}

package db

import (
	"sync"
	"time"
)

// Bounds of a transaction: some 20 ms of work on a small machine. There, a row of a
// message, a delivery or an attempt takes some 25 µs with its indexes, and a MiB of
// payload 8 ms. A larger item has a transaction of its own.
const (
	maxItems = 1024
	maxRows  = 768
	maxBytes = 2 << 20
)

// Short transactions have as many rows as this machine writes in shortTime, from minRows
// to maxRows. Who sends one message waits for two transactions: the one in progress and
// its own.
const (
	shortTime = 5 * time.Millisecond
	minRows   = 64
)

// pace is the time a row takes, measured on recent transactions of at least minRows/2
// rows. It includes their fixed cost. Zero means not measured yet.
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

// rows returns the number of rows of a short transaction.
func (p pace) rows() int {
	if p <= 0 {
		return maxRows
	}
	return min(max(int(pace(shortTime)/p), minRows), maxRows)
}

// PieceRows and PieceBytes bound the messages that a caller with many should hand over
// at once. Rows are messages and their deliveries; bytes are those of payloads. The
// caller should hand over the rest once these are on disk. So a caller waits for at most
// one piece of each other caller.
const (
	PieceRows  = 64
	PieceBytes = maxBytes / 4
)

// sharedFor is the number of transactions, about a second of them, that stay short after
// several projects or kinds of items have waited together.
const sharedFor = 200

// An item within both bounds is small: it goes before all large ones.
const (
	smallRows  = 32
	smallBytes = 64 << 10
)

// load is the amount of work of items.
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

// fits reports whether a transaction of at most so many rows has room for another item.
func (l load) fits(o load, rows int) bool {
	l.add(o)
	return l.items <= maxItems && l.rows <= rows && l.bytes <= maxBytes
}

// lineup is the writer's queue. Small items go first, because a caller waits for each of
// them; outcomes follow, and then large items (a piece of a large call, a step of
// retention). Within each kind, projects take turns. Transactions stay short for a while
// after several projects have waited, or small items beside large ones. So a message does
// not wait for what another project sends, nor for an array of its own project, and an
// array waits for at most one transaction of small items. A lineup is safe for concurrent
// use. It has no bound of its own: its callers wait for their items.
type lineup struct {
	mu                     sync.Mutex
	small, outcomes, large turns
	closed                 bool
	shared                 int           // so many more transactions stay short
	wake                   chan struct{} // capacity one: there is an item, or the queue was closed
}

func newLineup() *lineup {
	return &lineup{small: newTurns(), outcomes: newTurns(), large: newTurns(), wake: make(chan struct{}, 1)}
}

// push queues an item. It returns false if the queue is closed.
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

// close makes push refuse items; what is queued stays. It reports whether the queue was
// open.
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

// wait returns when there is an item (some), the timer has fired, or the queue is closed
// (open is false). Only the writer calls it.
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

// take appends items to the batch of a transaction as far as there is room. full is the
// load of the batch so far. rows is the size of a short transaction; outcomes get at
// least half of it. take reports whether the transaction is short.
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

// turns holds the items of projects that take turns.
type turns struct {
	projects map[int64]*turn
	ring     []*turn // projects with items, the next one first
	count    int
}

// turn holds what one project has queued: items from head on.
type turn struct {
	project int64
	items   []item
	head    int
}

// keptTurns bounds the projects, and the items of a project, whose memory is kept for
// reuse.
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

// take appends an item of each project in turn, as long as one fits in a transaction of
// so many rows. It takes the first item in any case if always is true or the batch is
// empty.
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

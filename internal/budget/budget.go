package budget

import (
	"context"
	"sync"
	"time"
)

// Least is the least memory of a server.
const Least = 96 << 20

// Budget is the memory of a server by purpose. The parts are less than the whole: the
// garbage collector needs room too.
type Budget struct {
	Total int64
	// Heap is the garbage collector's limit. The rest is the program's text and
	// SQLite's memory, which Go does not count.
	Heap int64
	// Cache is for the database's pages in memory, of all connections together.
	Cache int64
	// Connections is how many a listener can have open.
	Connections int

	Intake  *Part // bodies of requests, by project or address
	Lanes   *Part // payloads of deliveries in memory, by webhook
	Sending *Part // requests in flight, by webhook
	Answers *Part // receivers' answers until they are stored
}

// New divides so many bytes, at least Least.
func New(total int64) *Budget {
	total = max(total, Least)
	b := &Budget{Total: total, Cache: min(total/12, 64<<20), Connections: int(min(total/connectionBytes, 1<<20))}
	b.Heap = total - b.Cache - outside
	// Beside the parts, an idle server needs 16 MiB.
	rest := b.Heap - 16<<20
	part := func(name string, size, most int64) *Part { return newPart(name, min(size, most)) }
	b.Intake = part("intake", rest/4, 128<<20)
	b.Lanes = part("lanes", rest/4, 64<<20)
	b.Sending = part("sending", rest/6, 64<<20)
	b.Answers = part("answers", rest/12, 32<<20)
	return b
}

const (
	outside         = 28 << 20 // the program's text, and SQLite without its cache
	connectionBytes = 64 << 10
)

// Parts returns all parts.
func (b *Budget) Parts() []*Part { return []*Part{b.Intake, b.Lanes, b.Sending, b.Answers} }

// Part is the memory for one purpose. It is safe for concurrent use; nil has no bound.
type Part struct {
	name string
	size int64

	mu      sync.Mutex
	used    int64
	by      map[int64]int64
	refused int64
	waiters []*waiter // in order of arrival; the first that fits is next
}

type waiter struct {
	of, n int64
	ready chan struct{}
}

func newPart(name string, size int64) *Part {
	return &Part{name: name, size: size, by: map[int64]int64{}}
}

// NewPart returns a part without a budget, to measure it alone.
func NewPart(name string, size int64) *Part { return newPart(name, size) }

// Refusal is why there is no room.
type Refusal int

// The refusals.
const (
	Granted Refusal = iota
	Full            // too little is left
	Share           // enough is left, but the caller has its share
)

func (p *Part) look(of, n int64) Refusal {
	free := p.size - p.used
	switch {
	case n > free:
		return Full
	case p.by[of] > 0 && p.by[of]+n > free:
		return Share
	}
	return Granted
}

func (p *Part) grant(of, n int64) {
	p.used += n
	p.by[of] += n
}

// Try takes n bytes for a holder, if there is room.
func (p *Part) Try(of, n int64) bool {
	if p == nil {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.look(of, n) != Granted {
		p.refused++
		return false
	}
	p.grant(of, n)
	return true
}

// Fits reports whether Try would succeed at this moment.
func (p *Part) Fits(of, n int64) bool {
	if p == nil {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.look(of, n) == Granted
}

// Force takes n bytes even without room: for small things that must not wait.
func (p *Part) Force(of, n int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.grant(of, n)
}

// Wait takes n bytes, at most the whole part, and waits for room at most so long. It
// returns what it took, or 0 and a reason if there was no room in time or ctx has
// ended.
func (p *Part) Wait(ctx context.Context, of, n int64, long time.Duration) (int64, Refusal) {
	if p == nil {
		return n, Granted
	}
	p.mu.Lock()
	n = min(n, p.size)
	why := p.look(of, n)
	if why == Granted {
		p.grant(of, n)
		p.mu.Unlock()
		return n, Granted
	}
	w := &waiter{of: of, n: n, ready: make(chan struct{})}
	p.waiters = append(p.waiters, w)
	p.mu.Unlock()
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-w.ready:
		return n, Granted
	case <-timer.C:
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, v := range p.waiters {
		if v == w {
			p.waiters = append(p.waiters[:i], p.waiters[i+1:]...)
			p.refused++
			return 0, why
		}
	}
	return n, Granted // granted at the last moment
}

// Give releases n bytes that a holder took.
func (p *Part) Give(of, n int64) {
	if p == nil || n == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used -= n
	if p.by[of] -= n; p.by[of] <= 0 {
		delete(p.by, of)
	}
	rest := p.waiters[:0]
	for _, w := range p.waiters {
		if p.look(w.of, w.n) == Granted {
			p.grant(w.of, w.n)
			close(w.ready)
			continue
		}
		rest = append(rest, w)
	}
	clear(p.waiters[len(rest):])
	p.waiters = rest
}

// Stats are the numbers of a part at one moment. Refused counts since the start.
type Stats struct {
	Name                string
	Size, Used, Refused int64
}

// Stats returns the present numbers.
func (p *Part) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Stats{p.name, p.size, p.used, p.refused}
}

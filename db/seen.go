package db

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"thingpost/internal/iot"
)

// seenStep bounds the deferred rows of each kind that one transaction writes, so that no
// message waits long for them.
const seenStep = 512

// rowRest makes a round of 100,000 rows, which takes about a third of a second, one in ten
// seconds.
const rowRest = 100 * time.Microsecond

// putOff is what is deferred: when devices were last seen, and how much they sent on a day.
// It is written with moved entries, in rounds of steps and in the order of keys, so that few
// pages change. A crash loses what is not written of moved entries.
type putOff struct {
	mu   sync.Mutex // guards seen against readers
	seen map[int64]iot.Instant
	days map[hourKey]int64
	at   time.Time // when the last round began

	// What is left to write in the present round.
	devices []int64
	counts  []hourKey
	// What the present transaction writes. It counts as written when that is on disk.
	writing map[int64]iot.Instant
	adding  map[hourKey]int64
}

func newPutOff(now time.Time) *putOff {
	return &putOff{seen: map[int64]iot.Instant{}, days: map[hourKey]int64{}, at: now}
}

func (p *putOff) size() int { return len(p.seen) + len(p.days) }

// rest is the least time between the begins of two rounds. With many devices it grows, so
// that their rows do not take more of the writer's time than their messages.
func (p *putOff) rest() time.Duration { return max(idleAfter, time.Duration(p.size())*rowRest) }

func (p *putOff) empty() bool { return p.size() == 0 }

// begin starts a round if it is time, or if there is no other work.
func (p *putOff) begin(now time.Time, idle bool) {
	if len(p.devices)+len(p.counts) > 0 || !idle && now.Sub(p.at).Abs() < p.rest() {
		return
	}
	p.at = now
	p.devices = slices.Sorted(maps.Keys(p.seen))
	p.counts = slices.SortedFunc(maps.Keys(p.days), func(a, b hourKey) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.id, b.id)) })
}

// writeSeen writes a step of what was deferred.
func (w *writer) writeSeen(ctx context.Context) error {
	p := w.putOff
	if len(p.devices)+len(p.counts) == 0 {
		return nil
	}
	p.writing, p.adding = map[int64]iot.Instant{}, map[hourKey]int64{}
	w.stmts.seen.drop()
	w.stmts.days.drop()
	for _, id := range p.devices[:min(len(p.devices), seenStep)] {
		at := p.seen[id]
		w.stmts.seen.add(id, int64(at))
		p.writing[id] = at
	}
	for _, k := range p.counts[:min(len(p.counts), seenStep)] {
		w.stmts.days.add(k.at, k.id, p.days[k])
		p.adding[k] = p.days[k]
	}
	if err := w.stmts.seen.flush(ctx); err != nil {
		return err
	}
	return w.stmts.days.flush(ctx)
}

// written drops what is on disk now.
func (p *putOff) written() {
	p.devices, p.counts = p.devices[min(len(p.devices), len(p.writing)):], p.counts[min(len(p.counts), len(p.adding)):]
	p.mu.Lock()
	for id, at := range p.writing {
		if p.seen[id] == at {
			delete(p.seen, id)
		}
	}
	p.mu.Unlock()
	for k, n := range p.adding {
		if p.days[k] -= n; p.days[k] == 0 {
			delete(p.days, k)
		}
	}
	p.writing, p.adding = nil, nil
}

// saw records that a device was seen.
func (p *putOff) saw(device int64, at iot.Instant) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen[device] = max(p.seen[device], at)
}

// lastSeen returns when a device was last seen; at is what the tables say. The caller may
// be any goroutine.
func (d *DB) lastSeen(device int64, at iot.Instant) iot.Instant {
	if d.writer == nil {
		return at
	}
	p := d.writer.putOff
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(at, p.seen[device])
}

// sawEntry notes again what a crash has lost with an entry of the journal.
func (w *writer) sawEntry(e entry) {
	if e.Accepted == nil || !e.Accepted.FromDevice {
		return
	}
	m := e.Accepted.Message
	device, at := asKey(m[messageDevice]), iot.Instant(asKey(m[messageReceived]))
	w.putOff.saw(device, at)
	w.putOff.days[dayOf(device, at)]++
}

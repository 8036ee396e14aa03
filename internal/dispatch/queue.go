package dispatch

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"thingpost/internal/iot"
	"thingpost/internal/webhook"
)

// Bounds of what is held in memory; the rest waits on disk. A delivery counts its
// payload and itemBytes for what is around it.
const (
	maxQueueBytes = 16 << 20 // of a webhook
	maxAllBytes   = 64 << 20 // of all webhooks together
	itemBytes     = 1 << 10
	maxBacklog    = 256 // deliveries read from disk at once, for a webhook
	// maxUnsaved bounds a webhook's outcomes on their way to disk: with large
	// answers and a slow disk they would pile up.
	maxUnsaved = 4 << 20
)

// freshFor is how long a delivery may wait in the fresh lane. An older one is
// left on disk, to be read as backlog: what comes after an outage does not stand
// in line behind what came during it.
const freshFor = 10 * time.Second

// freshTurns of four go to the fresh lane when both have work: fresh messages
// are not stuck behind old ones, and old ones are not starved.
const freshTurns = 3

// queue is one webhook's work. Workers are goroutines that take from its lanes
// as long as a slot is free. All fields are guarded by mu.
type queue struct {
	d   *Dispatcher
	key int64

	mu       sync.Mutex
	hook     *iot.Webhook // nil until it is loaded, or when it is deleted
	compiled *webhook.Compiled
	broken   error // why it cannot be compiled
	limiter  *rate.Limiter
	slots    slots
	workers  int
	unsaved  int64 // bytes of outcomes that are not on disk yet
	// limited: a worker has its delivery and waits for the limiter. No other takes
	// one before it goes on, or the next fresh message would wait behind them all.
	limited bool
	// starves: there is no memory to send the next one by; it goes on when there is.
	starves bool
	// needs is the size of the message that found no room in a lane.
	needs int64

	// stale: settings or pending work were changed by others; nothing is taken
	// until they are read again.
	stale bool

	fresh, backlog lane
	turn           int
	// held are deliveries in memory: in a lane, in flight, or with an outcome that
	// is not yet on disk. None of them is read from disk again.
	held map[int64]struct{}
	// let are deliveries let go of while the manager reads from disk: what it reads
	// may be from before their outcome. nil when it does not read.
	let map[int64]struct{}

	more bool // there may be due work on disk that is not held
	// from is where to look for it: whatever became due before is held. Without it
	// each look would pass by all that is held.
	from iot.Instant
	next iot.Instant // when work on disk becomes due; 0 if none is known

	order *order // nil unless in order per device
}

// lane is a first-in, first-out line of deliveries.
type lane struct {
	items []iot.Queued
	bytes int64
	all   *atomic.Int64 // of all lanes of all webhooks
}

func (l *lane) count(q *iot.Queued, sign int64) {
	n := sign * (q.Delivery.SizeBytes + itemBytes)
	l.bytes += n
	l.all.Add(n)
}

func (l *lane) push(q iot.Queued) {
	l.items = append(l.items, q)
	l.count(&q, 1)
}

func (l *lane) pop() iot.Queued {
	q := l.items[0]
	l.items[0] = iot.Queued{}
	l.items = l.items[1:]
	l.count(&q, -1)
	if len(l.items) == 0 {
		l.items = nil
	}
	return q
}

// takeTest takes out the first test delivery: it is sent even while paused.
func (l *lane) takeTest() (iot.Queued, bool) {
	for i, q := range l.items {
		if q.Delivery.Trigger == iot.TriggerTest {
			l.items = slices.Delete(l.items, i, i+1)
			l.count(&q, -1)
			return q, true
		}
	}
	return iot.Queued{}, false
}

func newQueue(d *Dispatcher, key int64) *queue {
	return &queue{d: d, key: key, slots: newSlots(), stale: true, held: map[int64]struct{}{}, fresh: lane{all: &d.bytes},
		backlog: lane{all: &d.bytes}}
}

// offer hands over a committed delivery. One that finds no room stays on disk.
func (q *queue) offer(item iot.Queued) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, held := q.held[item.Delivery.ID.Key()]; held {
		return // the manager has read it from disk since its commit
	}
	test := item.Delivery.Trigger == iot.TriggerTest
	q.shed()
	switch {
	case q.order != nil && !test && q.hook != nil:
		if !q.order.offered(item.Delivery.DeviceID, q.room(&q.fresh) && q.keep(&q.fresh, &item)) {
			return
		}
		q.held[item.Delivery.ID.Key()] = struct{}{}
		q.fresh.push(item)
		q.startWorkers()
		return
	case q.stale && !test, q.hook != nil && q.hook.Paused && !test, !q.room(&q.fresh):
		q.more = true
		q.lies(item.Delivery.DueAt)
		return
	}
	if !q.keep(&q.fresh, &item) {
		q.more = true
		q.lies(item.Delivery.DueAt)
		return
	}
	q.held[item.Delivery.ID.Key()] = struct{}{}
	q.fresh.push(item)
	q.startWorkers()
}

// keep takes memory for a delivery's message that is to go into a lane. A test is
// not read from disk, so that it must.
func (q *queue) keep(l *lane, item *iot.Queued) bool {
	must := item.Delivery.Trigger == iot.TriggerTest || len(l.items) == 0 && item.Delivery.SizeBytes <= smallPayload
	if q.d.payloads.take(item, must) {
		q.needs = 0
		return true
	}
	q.needs = payloadBytes(item.Message)
	return false
}

// shed lets go of what has waited in the fresh lane for too long. Tests stay:
// they are not read from disk. In order per device nothing can be let go of, and
// the lane has no more than one of each.
func (q *queue) shed() {
	old := q.d.now().Add(-freshFor)
	for q.order == nil && len(q.fresh.items) > 0 {
		v := q.fresh.items[0].Delivery
		if v.DueAt > old || v.Trigger == iot.TriggerTest {
			return
		}
		item := q.fresh.pop()
		q.d.let(&item)
		delete(q.held, v.ID.Key())
		q.more = true
		q.lies(v.DueAt)
		if len(q.backlog.items) < maxBacklog/2 {
			q.d.wake()
		}
	}
}

// lies notes when a delivery on disk that is not held becomes due.
func (q *queue) lies(due iot.Instant) { q.from = min(q.from, due) }

// hint notes that there are new pending deliveries of a device on disk: old
// messages that are sent again, which belong into the backlog.
func (q *queue) hint(device int64, due iot.Instant) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.order != nil {
		q.order.offered(device, false)
		return
	}
	q.more = true
	q.lies(due)
}

// room reports whether a lane may hold one more. An empty one may, so that no
// webhook can be kept waiting by others that are full, but for one that found no memory
// for its large message: that waits for it.
func (q *queue) room(l *lane) bool {
	if q.needs > smallPayload && !q.d.o.Lanes.Fits(q.key, q.needs) {
		return false
	}
	return len(l.items) == 0 || q.fresh.bytes+q.backlog.bytes < maxQueueBytes && q.d.bytes.Load() < maxAllBytes
}

// startWorkers starts one worker more if there is work and a free slot.
func (q *queue) startWorkers() {
	if q.stale || q.hook == nil || q.starves || q.workers >= q.allowed() || q.limits() || !q.d.claiming() {
		return
	}
	if len(q.fresh.items)+len(q.backlog.items) == 0 {
		return
	}
	q.join()
	q.d.workers.Go(q.work)
}

// limits reports whether the limit of requests a second, or of outcomes on their
// way to disk, keeps more from being taken just now.
func (q *queue) limits() bool { return q.limiter != nil && q.limited || q.unsaved >= maxUnsaved }

func (q *queue) allowed() int {
	most := iot.MaxSlots
	if m := q.hook.Settings.MaxInFlight; m > 0 {
		most = m
	}
	if q.slots.fast() {
		fair := share(int(q.d.active.Load()))
		if bound := q.d.o.Crowd.Bound(fair, 1); bound > 0 {
			most = min(most, bound)
		} else if q.d.o.Crowd.Crowded() {
			most = min(most, fair)
		}
	}
	return q.slots.limit(most)
}

// join and part count the workers of a queue, and the queues that have some.
func (q *queue) join() {
	if q.workers++; q.workers == 1 {
		q.d.active.Add(1)
	}
}

func (q *queue) part() {
	if q.workers--; q.workers == 0 {
		q.d.active.Add(-1)
	}
}

// work sends deliveries until there is none, or no slot is left for it.
func (q *queue) work() {
	for {
		job, ok := q.take()
		if !ok {
			return
		}
		q.send(job)
	}
}

// job is a delivery with the settings that it is sent by.
type job struct {
	iot.Queued
	hook     *iot.Webhook
	compiled *webhook.Compiled
	broken   error
	limiter  *rate.Limiter
}

// take returns the next delivery, or ends the worker. It starts another worker
// if there is work for one.
func (q *queue) take() (j job, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stale || q.hook == nil || q.starves || q.workers > q.allowed() || q.limits() || !q.d.claiming() {
		q.part()
		return j, false
	}
	item, ok := q.pick()
	if !ok {
		q.part()
		return j, false
	}
	q.limited = q.limiter != nil
	if q.more && len(q.backlog.items) < maxBacklog/2 {
		q.d.wake()
	}
	q.startWorkers()
	return job{item, q.hook, q.compiled, q.broken, q.limiter}, true
}

func (q *queue) pick() (iot.Queued, bool) {
	if q.hook.Paused {
		item, ok := q.fresh.takeTest()
		if ok {
			q.d.o.Sending.Force(q.key, sendBytes(item.Delivery))
		}
		return item, ok
	}
	q.shed()
	fresh, backlog := len(q.fresh.items) > 0, len(q.backlog.items) > 0
	switch {
	case !fresh && !backlog:
		return iot.Queued{}, false
	case fresh && backlog:
		q.turn = (q.turn + 1) % (freshTurns + 1)
		fresh = q.turn != 0
	}
	from := &q.backlog
	if fresh {
		from = &q.fresh
	}
	if !q.maySend(sendBytes(from.items[0].Delivery)) {
		return iot.Queued{}, false
	}
	return from.pop(), true
}

// maySend takes memory for a request. Where there is none, the queue waits until some
// is given back.
func (q *queue) maySend(size int64) bool {
	if q.d.o.Sending.Try(q.key, size) {
		return true
	}
	q.starves = true
	q.d.starving.Store(true)
	if q.d.o.Sending.Try(q.key, size) { // given back before it was known that somebody waits
		q.starves = false
		return true
	}
	return false
}

// sendBytes is about what a request in flight takes: its body, and what is around
// it, with the goroutines of its connection.
func sendBytes(v *iot.Delivery) int64 { return v.SizeBytes + 32<<10 }

// release lets go of a delivery that has an outcome on disk, or none at all.
// due is when it is tried again, 0 if it has ended.
func (q *queue) release(o *iot.Outcome, due iot.Instant) {
	q.mu.Lock()
	defer q.mu.Unlock()
	v, full := o.Delivery, q.unsaved >= maxUnsaved
	if q.unsaved -= outcomeBytes(o); full {
		q.startWorkers()
	}
	delete(q.held, v.ID.Key())
	if q.let != nil {
		q.let[v.ID.Key()] = struct{}{}
	}
	if q.order != nil && v.Trigger != iot.TriggerTest {
		q.order.ended(v.DeviceID, due)
		q.d.wake()
		return
	}
	if due == 0 {
		return
	}
	q.lies(due)
	if q.next == 0 || due < q.next {
		q.next = due
		q.d.wakeAt(due)
	}
}

// drop forgets what waits in the lanes: it is read from disk again.
func (q *queue) drop() {
	for _, l := range []*lane{&q.fresh, &q.backlog} {
		for len(l.items) > 0 {
			item := l.pop()
			q.d.let(&item)
			delete(q.held, item.Delivery.ID.Key())
		}
	}
}

// set puts new settings in force; nil means the webhook is deleted.
func (q *queue) set(w *iot.Webhook) {
	q.hook, q.compiled, q.broken, q.limiter = w, nil, nil, nil
	q.order = nil
	q.drop()
	q.more, q.from, q.next = true, 0, 0
	if w == nil {
		q.more = false
		return
	}
	q.compiled, q.broken = webhook.Compile(w)
	if n := w.Settings.MaxPerSecond; n > 0 {
		q.limiter = rate.NewLimiter(rate.Limit(n), max(1, n/10))
	}
	if w.Settings.InOrder {
		q.order = newOrder()
	}
}

// noteAnswer adapts the slots to how an attempt went.
func (q *queue) noteAnswer(o *iot.Outcome, began, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	a := o.Attempt
	if a.Error == nil || a.Error.Class == iot.ErrHTTP4xx && a.Response != nil && a.Response.Status != 429 || a.Error.Class == iot.ErrConfig {
		q.slots.answered(now.Sub(began))
		return
	}
	q.slots.failed(began, now)
}

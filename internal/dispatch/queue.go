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

// Bounds of what is in memory; the rest waits on disk. A delivery counts as its payload
// and itemBytes for its other fields.
const (
	maxQueueBytes = 16 << 20 // of a webhook
	maxAllBytes   = 64 << 20 // of all webhooks together
	itemBytes     = 1 << 10
	maxBacklog    = 256 // deliveries read from disk at once, for a webhook
	// maxUnsaved bounds a webhook's outcomes on their way to disk: with large
	// answers and a slow disk they would pile up.
	maxUnsaved = 4 << 20
)

// freshFor is how long a delivery may wait in the fresh lane. An older one is released
// and read later as backlog, so that messages after an outage do not queue behind those
// from during it.
const freshFor = 10 * time.Second

// freshTurns is how many turns of four the fresh lane gets when both have work. Fresh
// messages do not wait behind old ones, and old ones do not starve.
const freshTurns = 3

// queue is one webhook's work. Workers are goroutines that take from its lanes while a
// slot is free. mu guards all fields.
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
	// limited: a worker has a delivery and waits for the limiter. No other worker takes
	// one meanwhile; otherwise the next fresh message would wait behind them all.
	limited bool
	// starves: there is no memory for the next request; the queue waits until there is.
	starves bool
	// needs is the size of the message that found no room in a lane.
	needs int64

	// stale: settings or pending deliveries were changed; nothing is taken until they
	// are read again.
	stale bool

	fresh, backlog lane
	turn           int
	// inMemory are deliveries in a lane, in flight, or with an outcome that is not yet
	// on disk. None of them is read from disk again.
	inMemory map[int64]struct{}
	// released are deliveries dropped from memory during a read of the manager: the
	// read may show their state before their outcome. nil if the manager does not read.
	released map[int64]struct{}

	more bool // there may be due deliveries that are only on disk
	// from is the due time from which to look for them: all that became due earlier is
	// in memory. Without it each look would pass by all that is in memory.
	from iot.Instant
	next iot.Instant // when a delivery that is only on disk becomes due; 0 if none is known

	order *order // nil unless in order per device
}

// lane is a first-in, first-out list of deliveries.
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

// takeTest removes and returns the first test delivery: tests are sent even while paused.
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
	return &queue{d: d, key: key, slots: newSlots(), stale: true, inMemory: map[int64]struct{}{}, fresh: lane{all: &d.bytes},
		backlog: lane{all: &d.bytes}}
}

// offer takes a committed delivery. One without room stays on disk.
func (q *queue) offer(item iot.Queued) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, ok := q.inMemory[item.Delivery.ID.Key()]; ok {
		return // the manager has read it from disk since its commit
	}
	test := item.Delivery.Trigger == iot.TriggerTest
	q.shed()
	switch {
	case q.order != nil && !test && q.hook != nil:
		if !q.order.offered(item.Delivery.DeviceKey, q.room(&q.fresh) && q.keep(&q.fresh, &item)) {
			return
		}
		q.inMemory[item.Delivery.ID.Key()] = struct{}{}
		q.fresh.push(item)
		q.startWorkers()
		return
	case q.stale && !test, q.hook != nil && q.hook.Paused && !test, !q.room(&q.fresh):
		q.more = true
		q.noteDueOnDisk(item.Delivery.DueAt)
		return
	}
	if !q.keep(&q.fresh, &item) {
		q.more = true
		q.noteDueOnDisk(item.Delivery.DueAt)
		return
	}
	q.inMemory[item.Delivery.ID.Key()] = struct{}{}
	q.fresh.push(item)
	q.startWorkers()
}

// keep takes memory for the message of a delivery that goes into a lane, and reports
// whether there is room. A test always gets memory, because tests are not read from disk.
func (q *queue) keep(l *lane, item *iot.Queued) bool {
	must := item.Delivery.Trigger == iot.TriggerTest || len(l.items) == 0 && item.Delivery.SizeBytes <= smallPayload
	if q.d.payloads.take(item, must) {
		q.needs = 0
		return true
	}
	q.needs = payloadBytes(item.Message)
	return false
}

// shed releases deliveries that have waited in the fresh lane for too long. Tests stay,
// because they are not read from disk. In order per device nothing is released, and the
// lane has at most one delivery of each device.
func (q *queue) shed() {
	old := q.d.now().Add(-freshFor)
	for q.order == nil && len(q.fresh.items) > 0 {
		v := q.fresh.items[0].Delivery
		if v.DueAt > old || v.Trigger == iot.TriggerTest {
			return
		}
		item := q.fresh.pop()
		q.d.releasePayload(&item)
		delete(q.inMemory, v.ID.Key())
		q.more = true
		q.noteDueOnDisk(v.DueAt)
		if len(q.backlog.items) < maxBacklog/2 {
			q.d.wake()
		}
	}
}

// noteDueOnDisk records when the next delivery that is only on disk becomes due.
func (q *queue) noteDueOnDisk(due iot.Instant) { q.from = min(q.from, due) }

// hint records that a device has new pending deliveries on disk: old messages that are
// sent again, which belong to the backlog.
func (q *queue) hint(device int64, due iot.Instant) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.order != nil {
		q.order.offered(device, false)
		return
	}
	q.more = true
	q.noteDueOnDisk(due)
}

// room reports whether a lane may take one more delivery. An empty lane may, so that full
// lanes of other webhooks do not keep a webhook waiting. The exception is a webhook that
// found no memory for a large message: it waits for that memory.
func (q *queue) room(l *lane) bool {
	if q.needs > smallPayload && !q.d.o.Lanes.Fits(q.key, q.needs) {
		return false
	}
	return len(l.items) == 0 || q.fresh.bytes+q.backlog.bytes < maxQueueBytes && q.d.bytes.Load() < maxAllBytes
}

// startWorkers starts one more worker if there is work and a free slot.
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

// limits reports whether a limit keeps deliveries from being taken now: that of requests
// a second, or of outcomes on their way to disk.
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

// join and part count the workers of a queue and the queues with workers.
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

// work sends deliveries until none is left or it has no slot.
func (q *queue) work() {
	for {
		job, ok := q.take()
		if !ok {
			return
		}
		q.send(job)
	}
}

// job is a delivery with the settings by which it is sent.
type job struct {
	iot.Queued
	hook     *iot.Webhook
	compiled *webhook.Compiled
	broken   error
	limiter  *rate.Limiter
}

// take returns the next delivery; ok is false if the worker must end. It starts another
// worker if there is work for one.
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

// maySend takes memory for a request. If there is none, it returns false and the queue
// waits until memory is returned.
func (q *queue) maySend(size int64) bool {
	if q.d.o.Sending.Try(q.key, size) {
		return true
	}
	q.starves = true
	q.d.starving.Store(true)
	if q.d.o.Sending.Try(q.key, size) { // returned before starving was set
		q.starves = false
		return true
	}
	return false
}

// sendBytes returns about how many bytes a request in flight takes: its body and 32 KiB
// for everything else, including the goroutines of its connection.
func sendBytes(v *iot.Delivery) int64 { return v.SizeBytes + 32<<10 }

// release drops from memory a delivery whose outcome is on disk. due is when it is tried
// again, 0 if it has ended.
func (q *queue) release(o *iot.Outcome, due iot.Instant) {
	q.mu.Lock()
	defer q.mu.Unlock()
	v, full := o.Delivery, q.unsaved >= maxUnsaved
	if q.unsaved -= outcomeBytes(o); full {
		q.startWorkers()
	}
	delete(q.inMemory, v.ID.Key())
	if q.released != nil {
		q.released[v.ID.Key()] = struct{}{}
	}
	if q.order != nil && v.Trigger != iot.TriggerTest {
		q.order.ended(v.DeviceKey, due)
		q.d.wake()
		return
	}
	if due == 0 {
		return
	}
	q.noteDueOnDisk(due)
	if q.next == 0 || due < q.next {
		q.next = due
		q.d.wakeAt(due)
	}
}

// drop releases all deliveries in the lanes: they are read from disk again.
func (q *queue) drop() {
	for _, l := range []*lane{&q.fresh, &q.backlog} {
		for len(l.items) > 0 {
			item := l.pop()
			q.d.releasePayload(&item)
			delete(q.inMemory, item.Delivery.ID.Key())
		}
	}
}

// set applies new settings; nil means that the webhook is deleted.
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

// noteAnswer adapts the slots to the result of an attempt.
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

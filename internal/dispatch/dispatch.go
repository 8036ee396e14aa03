package dispatch

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"thingpost/db"
	"thingpost/internal/budget"
	"thingpost/internal/crowd"
	"thingpost/internal/egress"
	"thingpost/internal/iot"
)

// Options of a Dispatcher.
type Options struct {
	DB        *db.DB
	Client    *egress.Client
	PublicURL string // of this instance, for downlink URLs
	Version   string // of this program
	Log       *slog.Logger
	Now       func() time.Time // default time.Now
	// Grace is how long work in flight may take to finish after Run's ctx has ended;
	// default 10 s.
	Grace time.Duration
	// Crowd decides when fast endpoints share the requests in flight; nil: never.
	Crowd *crowd.Meter
	// Lanes, Sending and Answers bound the memory of messages that wait or are in
	// flight, of requests in flight, and of answers that are not on disk yet. With nil
	// only the bounds of each webhook apply.
	Lanes, Sending, Answers *budget.Part
}

// Dispatcher sends pending deliveries. Changed must be called with each commit
// of the store, also before Run; nothing is sent before it.
type Dispatcher struct {
	o      Options
	jitter func() float64

	mu     sync.Mutex
	queues map[int64]*queue

	running  atomic.Bool
	workers  sync.WaitGroup // goroutines that send
	outcomes sync.WaitGroup // outcomes on their way to disk
	send     context.Context
	cut      context.CancelFunc

	kick  chan struct{} // capacity one: wakes the manager
	bytes atomic.Int64  // of all deliveries in lanes
	due   atomic.Int64  // when the manager must look next, Unix milliseconds; 0: never

	clock clock

	payloads payloads
	// starving: a queue found no memory for a request.
	starving atomic.Bool

	lostMu sync.Mutex
	lost   []lost // outcomes that the disk refused
	// holding is true while there are such outcomes: nothing more is sent, because its
	// outcome might be lost too.
	holding atomic.Bool

	active atomic.Int64 // queues that have workers
}

type lost struct {
	queue   *queue
	outcome *iot.Outcome
	kept    int64
}

// New returns a dispatcher.
func New(o Options) *Dispatcher {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Grace == 0 {
		o.Grace = 10 * time.Second
	}
	d := &Dispatcher{o: o, jitter: rand.Float64, queues: map[int64]*queue{}, kick: make(chan struct{}, 1),
		payloads: payloads{part: o.Lanes, byMessage: map[int64]*payload{}}}
	d.send, d.cut = context.WithCancel(context.Background())
	return d
}

// Changed takes a commit; commits must come in order. It puts new deliveries into their
// lanes and makes the queues of changed webhooks stale. It does not block.
func (d *Dispatcher) Changed(c iot.Commit) {
	for _, key := range c.Webhooks {
		q := d.queue(key)
		q.mu.Lock()
		q.stale = true
		q.mu.Unlock()
	}
	for _, item := range c.Queued {
		d.queue(item.Delivery.WebhookKey).offer(item)
	}
	for _, due := range c.Due {
		d.queue(due.WebhookKey).hint(due.DeviceKey, due.At)
	}
	if len(c.Webhooks)+len(c.Due) > 0 {
		d.wake()
	}
}

// releasePayload returns the memory of a delivery that has left its lane or was sent.
func (d *Dispatcher) releasePayload(item *iot.Queued) {
	if d.payloads.give(item) {
		d.wake()
	}
}

// sent returns the memory of a request, and continues the queues that found none.
func (d *Dispatcher) sent(key, size int64) {
	d.o.Sending.Give(key, size)
	if !d.starving.CompareAndSwap(true, false) {
		return
	}
	for _, q := range d.all() {
		q.mu.Lock()
		if q.starves {
			q.starves = false
			q.startWorkers()
		}
		q.mu.Unlock()
	}
}

// queue returns a webhook's queue. A new one reads its settings before it sends.
func (d *Dispatcher) queue(key int64) *queue {
	d.mu.Lock()
	defer d.mu.Unlock()
	q := d.queues[key]
	if q == nil {
		q = newQueue(d, key)
		d.queues[key] = q
		d.wake()
	}
	return q
}

func (d *Dispatcher) claiming() bool { return d.running.Load() && !d.holding.Load() }

func (d *Dispatcher) now() iot.Instant { return iot.At(d.o.Now()) }

// wake makes the manager look at all queues.
func (d *Dispatcher) wake() {
	select {
	case d.kick <- struct{}{}:
	default:
	}
}

// wakeAt makes the manager look at an instant or earlier.
func (d *Dispatcher) wakeAt(at iot.Instant) {
	if d.lookAt(at) {
		d.wake() // to set its timer
	}
}

// lookAt keeps the earliest instant at which the manager must look. It reports whether
// that has changed.
func (d *Dispatcher) lookAt(at iot.Instant) bool {
	for {
		have := d.due.Load()
		if have != 0 && have <= int64(at) {
			return false
		}
		if d.due.CompareAndSwap(have, int64(at)) {
			return true
		}
	}
}

// Run sends until ctx ends. Requests in flight then have Options.Grace to finish; those
// left are cut and do not count as attempts. Run returns when all outcomes are on disk.
func (d *Dispatcher) Run(ctx context.Context) error {
	hooks, err := d.o.DB.AllWebhooks(ctx)
	if err != nil {
		return err
	}
	d.clock.back = d.o.DB.Behind() >= iot.ClockSet
	d.running.Store(true)
	for _, w := range hooks {
		d.queue(w.Key)
	}
	d.manage(ctx)
	d.running.Store(false)
	for _, q := range d.all() {
		q.mu.Lock()   // waits for a worker that is just being started
		q.mu.Unlock() //nolint:staticcheck // empty on purpose, see above
	}
	cutAfter := time.AfterFunc(d.o.Grace, d.cut)
	d.workers.Wait()
	cutAfter.Stop()
	d.cut()
	d.outcomes.Wait()
	d.storeLost() // the last try for outcomes that the disk refused
	d.outcomes.Wait()
	if n := d.countLost(); n > 0 {
		d.o.Log.Warn("outcomes could not be stored: their deliveries will be sent again", slog.Int("outcomes", n))
	}
	return nil
}

// manage reads settings and due work from disk for the queues that need it.
func (d *Dispatcher) manage(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.kick:
		case <-timer.C:
		}
		d.due.Store(0)
		d.storeLost()
		d.lookAtClock(ctx)
		var next iot.Instant
		for _, q := range d.all() {
			at, err := q.refill(ctx)
			if err != nil {
				if ctx.Err() != nil {
					return
				}
				if d.o.DB.Outage() == nil { // of which the store's log tells
					d.o.Log.Error("read due deliveries", slog.Int64("webhook", q.key), slog.Any("error", err))
				}
				at = d.now().Add(time.Second)
			}
			next = earlier(next, at)
		}
		if next != 0 {
			d.lookAt(next)
		}
		wait := lookEvery
		if at := iot.Instant(d.due.Load()); at != 0 {
			wait = min(wait, max(0, at.Sub(d.now())))
		}
		timer.Reset(wait)
	}
}

func earlier(a, b iot.Instant) iot.Instant {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

func (d *Dispatcher) all() []*queue {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := make([]*queue, 0, len(d.queues))
	for _, q := range d.queues {
		list = append(list, q)
	}
	return list
}

// forget removes the queue of a deleted webhook.
func (d *Dispatcher) forget(q *queue) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.queues, q.key)
}

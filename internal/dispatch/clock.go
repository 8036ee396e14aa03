package dispatch

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"thingpost/internal/iot"
	"thingpost/internal/webhook"
)

// lookEvery is the longest time that the manager sleeps, so that it soon notices that the
// clock was set.
const lookEvery = 2 * time.Second

// setClock is one change of the clock while the program ran.
type setClock struct {
	before int64         // deliveries made before the change have smaller keys
	by     time.Duration // above 0: forwards
}

// clock records how the clock was set.
type clock struct {
	watch iot.ClockWatch
	back  bool // it was set back, and bringIn has not yet succeeded; only the manager uses it

	mu   sync.Mutex
	sets []setClock
}

// maxSets bounds the changes of the clock that are remembered.
const maxSets = 100

// lookAtClock notices that the clock was set. After the clock was set back, it makes
// deliveries due sooner: a retry never waits longer than its place in the schedule says.
// Deliveries that are overdue because the clock was set forwards need nothing: they are
// sent as any backlog is.
func (d *Dispatcher) lookAtClock(ctx context.Context) {
	if by := d.clock.watch.Look(d.o.Now()); by != 0 {
		d.o.Log.Warn("the clock was set", slog.Duration("by", by))
		d.clock.note(d.o.DB.NewID().Key(), by)
		d.clock.back = d.clock.back || by < 0
	}
	if !d.clock.back {
		return
	}
	err := d.bringIn(ctx)
	d.clock.back = err != nil
	if err != nil && ctx.Err() == nil {
		d.o.Log.Error("make deliveries due sooner", slog.Any("error", err))
		d.lookAt(d.now().Add(time.Second))
	}
}

func (c *clock) note(before int64, by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.sets) == maxSets {
		c.sets = c.sets[1:]
	}
	c.sets = append(c.sets, setClock{before, by})
}

// age returns how old a delivery is at an instant. It leaves out the time by which the
// clock was set forwards since the delivery was made.
func (c *clock) age(v *iot.Delivery, at iot.Instant) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	var set time.Duration
	for _, s := range c.sets {
		if v.ID.Key() < s.before {
			set += s.by
		}
	}
	return at.Sub(v.CreatedAt) - max(set, 0)
}

// bringIn makes deliveries that would wait too long due sooner, for all webhooks.
func (d *Dispatcher) bringIn(ctx context.Context) error {
	hooks, err := d.o.DB.AllWebhooks(ctx)
	if err != nil {
		return err
	}
	longest := func(attempts int) time.Duration { return backoff(attempts, 1) }
	wait := func(attempts int) time.Duration { return backoff(attempts, d.jitter()) }
	for _, w := range hooks {
		n, err := d.o.DB.BringIn(ctx, w.Key, longest, wait)
		if err != nil {
			return err
		}
		if n > 0 {
			d.o.Log.Info("deliveries made due sooner", slog.Int64("webhook", w.Key), slog.Int("deliveries", n))
		}
	}
	return nil
}

// backoff returns the wait after so many attempts; 0 before the first.
func backoff(attempts int, jitter float64) time.Duration {
	if attempts == 0 {
		return 0
	}
	return webhook.Backoff(attempts, jitter)
}

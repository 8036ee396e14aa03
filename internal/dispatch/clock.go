package dispatch

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"thingpost/internal/iot"
	"thingpost/internal/webhook"
)

// lookEvery is how long the manager sleeps at most, so that a clock that was set is
// soon noticed.
const lookEvery = 2 * time.Second

// setClock is a clock that was set while we ran.
type setClock struct {
	before int64         // keys of what was made before are smaller
	by     time.Duration // forwards, if above 0
}

// clock knows how the clock was set.
type clock struct {
	watch iot.ClockWatch
	back  bool // it was set back, and what waits is not yet brought in; the manager's

	mu   sync.Mutex
	sets []setClock
}

// maxSets bounds what is remembered; a clock that is set more often is none.
const maxSets = 100

// lookAtClock notes that the clock was set. What waits for a later time on a clock
// that was set back is brought in: a try never waits longer than its place in the
// schedule says. What is overdue because it was set forwards needs nothing: it is
// sent as any backlog is, slot by slot.
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

// age returns how old a delivery is at an instant. Time that the clock was set
// forwards by since it was made is not counted: nobody tried in it.
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

// bringIn makes what would wait too long due sooner, for all webhooks.
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

// backoff is the wait after so many attempts; none before the first.
func backoff(attempts int, jitter float64) time.Duration {
	if attempts == 0 {
		return 0
	}
	return webhook.Backoff(attempts, jitter)
}

package db

import (
	"math"
	"time"

	"thingpost/internal/iot"
)

// counts is what a transaction adds to a webhook's counters.
type counts struct{ made, pending, delivered, failed, skipped, cancelled int64 }

func (c *counts) add(o *counts) {
	c.made += o.made
	c.pending += o.pending
	c.delivered += o.delivered
	c.failed += o.failed
	c.skipped += o.skipped
	c.cancelled += o.cancelled
}

// of returns the counter of a status.
func (c *counts) of(s iot.Status) *int64 {
	switch s {
	case iot.Pending:
		return &c.pending
	case iot.Delivered:
		return &c.delivered
	case iot.Failed:
		return &c.failed
	case iot.Skipped:
		return &c.skipped
	case iot.Cancelled:
		return &c.cancelled
	}
	panic("db: no counter for status " + string(s))
}

// hourKey names an hour of a webhook, or of a project.
type hourKey struct {
	id int64
	at int64 // Unix milliseconds
}

// hourOf returns the hour of an instant.
func hourOf(id int64, at iot.Instant) hourKey {
	const hour = int64(time.Hour / time.Millisecond)
	return hourKey{id, int64(at) / hour * hour}
}

// dayOf returns a device's day (UTC) of an instant.
func dayOf(device int64, at iot.Instant) hourKey {
	const day = int64(24 * time.Hour / time.Millisecond)
	return hourKey{device, int64(at) / day * day}
}

// hour is what a transaction adds to a webhook's hour.
type hour struct {
	delivered, failed, retried int64
	grown                      int64 // change of the number of pending ones
	durations                  map[int]int64
}

func (h *hour) add(o *hour) {
	h.delivered += o.delivered
	h.failed += o.failed
	h.retried += o.retried
	h.grown += o.grown
	for b, n := range o.durations {
		h.took(b, n)
	}
}

func (h *hour) took(bucket int, n int64) {
	if h.durations == nil {
		h.durations = map[int]int64{}
	}
	h.durations[bucket] += n
}

func (t *Tx) count(webhookKey int64) *counts {
	if t.counts == nil {
		t.counts = map[int64]*counts{}
	}
	c := t.counts[webhookKey]
	if c == nil {
		c = &counts{}
		t.counts[webhookKey] = c
	}
	return c
}

func (t *Tx) hour(k hourKey) *hour {
	if t.hours == nil {
		t.hours = map[hourKey]*hour{}
	}
	h := t.hours[k]
	if h == nil {
		h = &hour{}
		t.hours[k] = h
	}
	return h
}

func (t *Tx) addMessages(k hourKey, n int64) {
	if t.messages == nil {
		t.messages = map[hourKey]int64{}
	}
	t.messages[k] += n
}

// writeCounts stores what the transaction has counted: one row for each webhook and hour,
// however many deliveries there were.
func (t *Tx) writeCounts(w *writer) error {
	for id, c := range t.counts {
		if *c == (counts{}) {
			continue
		}
		if _, err := w.stmts.counters.ExecContext(t.ctx, id, c.made, c.pending, c.delivered, c.failed, c.skipped, c.cancelled); err != nil {
			return err
		}
		if c.pending != 0 {
			t.hour(hourOf(id, iot.At(w.db.now()))).grown += c.pending
		}
	}
	for k, h := range t.hours {
		if _, err := w.stmts.hours.ExecContext(t.ctx, k.id, k.at, h.delivered, h.failed, h.retried, h.grown); err != nil {
			return err
		}
		for b, n := range h.durations {
			if _, err := w.stmts.durations.ExecContext(t.ctx, k.id, k.at, b, n); err != nil {
				return err
			}
		}
	}
	for k, n := range t.messages {
		if _, err := w.stmts.projectHours.ExecContext(t.ctx, k.id, k.at, n); err != nil {
			return err
		}
	}
	for id := range t.raised {
		var version int64
		if err := t.row(`UPDATE projects SET version = version + 1 WHERE id = $1 RETURNING version`, id).Scan(&version); err != nil {
			return err
		}
		t.raised[id] = version
	}
	return nil
}

// DurationBucket returns the histogram bucket of a duration in milliseconds. An octave has
// four buckets, so that a percentile is right within 19 %.
func DurationBucket(ms int64) int {
	if ms < 1 {
		return 0
	}
	return 1 + int(4*math.Log2(float64(ms)))
}

// BucketMS returns the middle of a bucket in milliseconds.
func BucketMS(bucket int) float64 {
	if bucket <= 0 {
		return 0.5
	}
	return math.Exp2((float64(bucket-1) + 0.5) / 4)
}

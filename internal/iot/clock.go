package iot

import (
	"sync"
	"time"
)

// ClockSet is the least difference that counts as setting a clock. Time servers correct
// smaller ones all day.
const ClockSet = time.Minute

// ClockWatch notices that the clock was set: wall time and the monotonic time of
// time.Time advanced differently. A machine that slept looks like one whose clock was
// set forwards. It is safe for concurrent use.
type ClockWatch struct {
	mu     sync.Mutex
	first  time.Time
	offset time.Duration
}

// Look returns by how much the clock was set since the last look. It returns 0 at the
// first look and for less than ClockSet, which then counts towards the next look.
func (c *ClockWatch) Look(now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first.IsZero() {
		c.first = now
	}
	offset := now.Round(0).Sub(c.first.Round(0)) - now.Sub(c.first)
	by := offset - c.offset
	if by.Abs() < ClockSet {
		return 0
	}
	c.offset = offset
	return by
}

// After reports whether i, which was stored after u, replaces u as the latest time. It
// does if it is after u by the clock, or so far before u that the clock was set back in
// between.
func (i Instant) After(u Instant) bool { return i > u || u.Sub(i) >= ClockSet }

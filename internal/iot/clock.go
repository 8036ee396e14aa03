package iot

import (
	"sync"
	"time"
)

// ClockSet is the least that counts as setting a clock. What is less is what a
// time server corrects all day.
const ClockSet = time.Minute

// ClockWatch notices that the clock was set: that what a wall shows went another way
// than the steady time, which every time.Time of the system's clock has beside it.
// A machine that slept looks like one whose clock was set forwards. It is safe for
// concurrent use.
type ClockWatch struct {
	mu     sync.Mutex
	first  time.Time
	offset time.Duration
}

// Look returns by how much the clock was set since the last look, 0 if it was not,
// or by less than ClockSet: then that counts towards the next look. The first look
// returns 0.
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

// After reports whether i, of what was stored second, is to stand for what came
// last: it is after u by the clock, or so far before it that the clock was set back
// in between.
func (i Instant) After(u Instant) bool { return i > u || u.Sub(i) >= ClockSet }

package iot

import "time"

// The bounds of an expected interval, in milliseconds: 10 seconds to 30 days.
const (
	MinIntervalMS = int64(10 * time.Second / time.Millisecond)
	MaxIntervalMS = int64(30 * 24 * time.Hour / time.Millisecond)
)

// The grace is half the interval within these bounds.
const (
	minGrace = 10 * time.Second
	maxGrace = time.Hour
)

// SilentAfter returns after how long without a message a device with an expected
// interval is silent: the interval plus a grace of half of it, at least 10 seconds and
// at most an hour. It returns 0, never, for no interval.
func SilentAfter(interval time.Duration) time.Duration {
	if interval <= 0 {
		return 0
	}
	return interval + min(max(interval/2, minGrace), maxGrace)
}

// ExpectedInterval returns how often the device is expected to send: its own interval,
// otherwise its profile's (nil for none); 0 for no expectation.
func (d *Device) ExpectedInterval(p *Profile) time.Duration {
	ms := d.ExpectedIntervalMS
	if ms == 0 && p != nil {
		ms = p.ExpectedIntervalMS
	}
	return time.Duration(ms) * time.Millisecond
}

func checkInterval(f *Faults, ms *int64) {
	if ms != nil {
		f.Check(*ms == 0 || *ms >= MinIntervalMS && *ms <= MaxIntervalMS, "expected_interval_ms",
			"must be 10,000 to 2,592,000,000 (10 seconds to 30 days), or 0 for none.")
	}
}

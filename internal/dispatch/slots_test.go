package dispatch

import (
	"runtime"
	"testing"
	"time"

	"thingpost/internal/crowd"
	"thingpost/internal/iot"
)

func TestFastEndpointsShareACrowdedMachine(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	var waits crowd.Waits
	d := New(Options{Now: func() time.Time { return now },
		Crowd: crowd.NewOf(func() time.Time { return now }, func() crowd.Waits { return waits })})
	passes := func(late uint64) {
		now = now.Add(20 * time.Millisecond)
		waits.All, waits.Late = waits.All+100, waits.Late+late
	}
	answering := func(took time.Duration) *queue {
		q := d.queue(1)
		q.hook = &iot.Webhook{}
		q.slots = newSlots()
		for range 2 * iot.MaxSlots {
			q.slots.answered(took)
		}
		return q
	}
	p := runtime.GOMAXPROCS(0)
	fast, slow := 2*time.Millisecond, 100*time.Millisecond
	for _, c := range []struct {
		name      string
		took      time.Duration
		crowded   bool
		endpoints int64
		want      int
	}{
		{"not crowded", fast, false, 1, iot.MaxSlots},
		{"crowded, one endpoint", fast, true, 1, 3 * p},
		{"crowded, many endpoints", fast, true, 10_000, 1},
		{"crowded, a slow endpoint", slow, true, 10_000, iot.MaxSlots},
	} {
		q := answering(c.took)
		d.active.Store(c.endpoints)
		passes(0)
		if c.crowded {
			passes(50)
		}
		if got := q.allowed(); got != c.want {
			t.Errorf("%s: %d in flight, want %d", c.name, got, c.want)
		}
	}
	// While projects share a crowded machine, there are fewer and fewer.
	q := answering(fast)
	d.active.Store(1)
	d.o.Crowd.Saw(1)
	d.o.Crowd.Saw(2)
	for range 30 {
		passes(50)
		q.allowed()
	}
	if got, want := q.allowed(), max(1, 3*p/8); got != want {
		t.Errorf("after half a second %d in flight, want %d", got, want)
	}
}

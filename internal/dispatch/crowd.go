package dispatch

import (
	"math"
	"runtime"
	"runtime/metrics"
	"sync"
	"time"
)

// A machine is crowded when more than one of crowdedPart goroutines that were ready to
// run in the last crowdEvery waited longer than crowdedWait for a processor. Then a
// fast endpoint answers no faster for having more requests in flight: each of them
// waits for the others, and so does everybody else.
const (
	crowdEvery  = 100 * time.Millisecond
	crowdedWait = time.Millisecond
	crowdedPart = 20
)

// While the machine is crowded, fast endpoints share crowdSlots requests in flight for
// each processor, each endpoint at most crowdMost for each, and at least one.
// An endpoint is fast if it has answered within fastAnswer.
const (
	crowdSlots = 15
	crowdMost  = 3
	fastAnswer = 20 * time.Millisecond
)

// crowd tells whether the machine is crowded. It is safe for concurrent use.
type crowd struct {
	now func() time.Time
	// waits returns how many goroutines have waited longer than crowdedWait so far,
	// and how many there were in all.
	waits func() (late, all uint64)

	mu        sync.Mutex
	looked    time.Time
	late, all uint64
	is        bool
}

func newCrowd(now func() time.Time) *crowd { return &crowd{now: now, waits: waits(), looked: now()} }

// crowded looks again if the last look is long ago.
func (c *crowd) crowded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if gone := now.Sub(c.looked); gone >= 0 && gone < crowdEvery {
		return c.is
	}
	late, all := c.waits()
	c.is = (late-c.late)*crowdedPart > all-c.all
	c.looked, c.late, c.all = now, late, all
	return c.is
}

// waits reads what the scheduler has counted.
func waits() func() (late, all uint64) {
	sample := []metrics.Sample{{Name: "/sched/latencies:seconds"}}
	return func() (late, all uint64) {
		metrics.Read(sample)
		if sample[0].Value.Kind() != metrics.KindFloat64Histogram {
			return 0, 0 // a Go that does not count it
		}
		h := sample[0].Value.Float64Histogram()
		for i, n := range h.Counts {
			all += n
			if from := h.Buckets[i]; !math.IsInf(from, 0) && from >= crowdedWait.Seconds() {
				late += n
			}
		}
		return late, all
	}
}

// share returns how many requests one of so many fast endpoints may have in flight.
func share(endpoints int) int {
	p := runtime.GOMAXPROCS(0)
	return max(1, min(crowdMost*p, crowdSlots*p/max(endpoints, 1)))
}

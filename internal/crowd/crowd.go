// Package crowd measures whether the machine is crowded: more work is ready to run than
// its processors can run. A project with much work in progress then slows down all others
// and gains nothing. internal/ingest and internal/dispatch bound the work in progress
// while the machine is crowded.
package crowd

import (
	"math"
	"runtime/metrics"
	"sync"
	"time"
)

// The machine is crowded if more than one of latePart goroutines that became ready to run
// in the last interval waited longer than late for a processor.
const (
	interval = 20 * time.Millisecond
	late     = time.Millisecond
	latePart = 20
)

// The level is how much work may be in progress, as a multiple of what keeps the machine
// busy. It falls to one when the machine gets crowded. Each further measurement lowers it
// by a tenth if the machine is crowded, and raises it by a fiftieth if not. So the work in
// progress stays near what the machine can just do.
const (
	mostLevel  = 8.0 // no bound at this level
	leastLevel = 1.0 / 8
	lower      = 0.9
	raise      = 1.02
)

// sharedFor is how long the machine counts as shared after two projects have sent in turn.
const sharedFor = time.Second

// Meter measures how long goroutines wait for a processor. It is safe for concurrent use.
type Meter struct {
	now   func() time.Time
	waits func() Waits

	mu       sync.Mutex
	measured time.Time
	last     Waits
	crowded  bool
	level    float64

	project  int64     // the project that sent last
	switched time.Time // when it began to send after another one
}

// Waits are counts since the program's start.
type Waits struct {
	Late uint64 // goroutines that waited longer than 1 ms for a processor
	All  uint64 // goroutines that became ready to run
}

// New returns a meter of this program. It reads the statistics of Go's scheduler.
func New(now func() time.Time) *Meter { return NewOf(now, scheduler()) }

// NewOf returns a meter that reads its counts from waits. One goroutine at a time calls
// waits.
func NewOf(now func() time.Time, waits func() Waits) *Meter {
	return &Meter{now: now, waits: waits, measured: now(), last: waits(), level: mostLevel}
}

// Saw records that a project sends. A nil meter ignores it.
func (m *Meter) Saw(project int64) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if project != m.project {
		m.project, m.switched = project, m.now()
	}
}

// Crowded reports whether the machine was crowded at the last measurement, which is at
// most 20 ms old. It is cheap. A nil meter is never crowded.
func (m *Meter) Crowded() bool {
	if m == nil {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.measure()
	return m.crowded
}

// Bound returns how much work one of several projects may have in progress: n at level
// one, and never less than least. It returns 0, for no bound, if only one project has sent
// for a second, or if the machine has not been crowded for a few seconds. A nil meter has
// no bound.
func (m *Meter) Bound(n, least int) int {
	if m == nil {
		return 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.measure()
	if m.level >= mostLevel || m.now().Sub(m.switched).Abs() > sharedFor {
		return 0
	}
	return max(least, int(float64(n)*m.level))
}

// measure measures again if the last measurement is older than interval.
func (m *Meter) measure() {
	now := m.now()
	if gone := now.Sub(m.measured); gone >= 0 && gone < interval {
		return
	}
	w := m.waits()
	m.crowded = (w.Late-m.last.Late)*latePart > w.All-m.last.All
	m.measured, m.last = now, w
	switch {
	case now.Sub(m.switched).Abs() > sharedFor:
		m.level = mostLevel
	case m.crowded && m.level > 1:
		m.level = 1
	case m.crowded:
		m.level = max(leastLevel, m.level*lower)
	default:
		m.level = min(mostLevel, m.level*raise)
	}
}

// scheduler reads the histogram that Go's runtime keeps.
func scheduler() func() Waits {
	sample := []metrics.Sample{{Name: "/sched/latencies:seconds"}}
	return func() (w Waits) {
		metrics.Read(sample)
		if sample[0].Value.Kind() != metrics.KindFloat64Histogram {
			return w // this version of Go does not count waits
		}
		h := sample[0].Value.Float64Histogram()
		for i, n := range h.Counts {
			w.All += n
			if from := h.Buckets[i]; !math.IsInf(from, 0) && from >= late.Seconds() {
				w.Late += n
			}
		}
		return w
	}
}

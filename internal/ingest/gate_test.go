package ingest

import (
	"context"
	"runtime"
	"testing"
	"time"

	"thingpost/internal/crowd"
)

// gateWorld is a gate with a clock, on a machine that is as crowded as the test says.
type gateWorld struct {
	*gate
	now   time.Time
	waits crowd.Waits
}

// newGateWorld returns a gate that two projects have just passed. It is crowded.
func newGateWorld(t *testing.T) *gateWorld {
	t.Helper()
	w := &gateWorld{now: time.Unix(1_800_000_000, 0)}
	w.gate = newGate(crowd.NewOf(func() time.Time { return w.now }, func() crowd.Waits { return w.waits }))
	w.most, w.wait = gateLeast, time.Hour
	for project := range int64(2) {
		w.enters(t.Context(), project, 1, 0)
		w.leave(project)
	}
	w.passes(20*time.Millisecond, 100)
	return w
}

// passes lets time pass in which so many of 100 goroutines wait long.
func (w *gateWorld) passes(d time.Duration, late uint64) {
	w.now = w.now.Add(d)
	w.waits.All, w.waits.Late = w.waits.All+100, w.waits.Late+late
	w.meter.Crowded()
}

// waiting returns how many pieces of a project wait.
func (w *gateWorld) waiting(project int64) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if in := w.inside[project]; in != nil {
		return len(in.waiting)
	}
	return 0
}

// enters starts as many calls of enter and returns when each has entered or waits.
func (w *gateWorld) enters(ctx context.Context, project int64, calls, wait int) chan error {
	done := make(chan error, calls)
	for range calls {
		go func() { done <- w.enter(ctx, project) }()
	}
	for w.waiting(project) != wait || len(done) != calls-wait {
		runtime.Gosched()
	}
	return done
}

func until(has func() bool) {
	for !has() {
		runtime.Gosched()
	}
}

func TestAProjectThatFloodsWaitsWhereOthersSend(t *testing.T) {
	w := newGateWorld(t)
	done := w.enters(t.Context(), 1, gateLeast+3, 3)
	w.enters(t.Context(), 2, 1, 0) // another project does not wait for it
	w.leave(1)
	until(func() bool { return len(done) == gateLeast+1 })
	if n := w.waiting(1); n != 2 {
		t.Errorf("%d wait after one has left, want 2", n)
	}
	for range 400 {
		w.passes(20*time.Millisecond, 0)
	}
	w.leave(1)
	until(func() bool { return len(done) == gateLeast+3 })
	if n := w.waiting(1); n != 0 {
		t.Errorf("%d wait though the machine is not crowded any more", n)
	}
	for range gateLeast + 1 {
		w.leave(1)
	}
	w.leave(2)
	if n := len(w.inside); n != 0 {
		t.Errorf("%d projects are known to be inside after all have left", n)
	}
}

func TestAProjectAloneIsNotHeldBack(t *testing.T) {
	w := newGateWorld(t)
	w.passes(2*time.Second, 100)
	w.enters(t.Context(), 1, 50, 0)
}

func TestWhoGoesAwayIsNotWaitedFor(t *testing.T) {
	w := newGateWorld(t)
	w.enters(t.Context(), 1, gateLeast, 0)
	ctx, cancel := context.WithCancel(t.Context())
	gone := w.enters(ctx, 1, 1, 1)
	cancel()
	if err := <-gone; err == nil {
		t.Error("a call whose sender is gone has entered")
	}
	next := w.enters(t.Context(), 1, 1, 1)
	w.leave(1)
	if err := <-next; err != nil {
		t.Error(err)
	}
}

func TestNobodyWaitsForEver(t *testing.T) {
	w := newGateWorld(t)
	w.enters(t.Context(), 1, gateLeast, 0)
	w.wait = time.Millisecond
	if err := w.enter(t.Context(), 1); err != nil {
		t.Error(err)
	}
	if n := w.inside[1].count; n != gateLeast+1 {
		t.Errorf("%d are inside, want %d", n, gateLeast+1)
	}
}

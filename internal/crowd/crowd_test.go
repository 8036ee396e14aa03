package crowd_test

import (
	"testing"
	"time"

	"thingpost/internal/crowd"
)

// world is a meter with the test's own clock and counts.
type world struct {
	*crowd.Meter
	now   time.Time
	waits crowd.Waits
}

func newWorld() *world {
	w := &world{now: time.Unix(1_800_000_000, 0), waits: crowd.Waits{Late: 1000, All: 5000}}
	w.Meter = crowd.NewOf(func() time.Time { return w.now }, func() crowd.Waits { return w.waits })
	return w
}

// passes advances the clock; meanwhile so many of 100 goroutines waited long.
func (w *world) passes(d time.Duration, late uint64) {
	w.now = w.now.Add(d)
	w.waits.Late, w.waits.All = w.waits.Late+late, w.waits.All+100
}

func TestCrowdedIsByThePartThatWaitedLong(t *testing.T) {
	w := newWorld()
	for _, step := range []struct {
		name  string
		late  uint64
		after time.Duration
		want  bool
	}{
		{"none waited long", 0, 20 * time.Millisecond, false},
		{"one of twenty waited long", 5, 20 * time.Millisecond, false},
		{"more than one of twenty waited long", 6, 20 * time.Millisecond, true},
		{"it is not measured again at once", 0, 19 * time.Millisecond, true},
		{"it is measured again", 0, time.Millisecond, false},
		{"the clock is set back", 6, -time.Hour, true},
	} {
		w.passes(step.after, step.late)
		if got := w.Crowded(); got != step.want {
			t.Errorf("%s: crowded %t, want %t", step.name, got, step.want)
		}
	}
}

func TestBoundFollowsTheCrowd(t *testing.T) {
	w := newWorld()
	send := func() { w.Saw(1); w.Saw(2) }
	send()
	if got := w.Bound(100, 4); got != 0 {
		t.Errorf("bound %d on a machine that was never crowded, want none", got)
	}
	w.passes(20*time.Millisecond, 50)
	send()
	if got := w.Bound(100, 4); got != 100 {
		t.Errorf("bound %d when it gets crowded, want 100", got)
	}
	w.passes(20*time.Millisecond, 50)
	if got := w.Bound(100, 4); got != 90 {
		t.Errorf("bound %d when it stays crowded, want 90", got)
	}
	for range 40 {
		w.passes(20*time.Millisecond, 50)
		send()
		w.Crowded()
	}
	if got := w.Bound(100, 4); got != 12 {
		t.Errorf("bound %d after it was crowded for long, want 12", got)
	}
	if got := w.Bound(10, 4); got != 4 {
		t.Errorf("bound %d, want no less than 4", got)
	}
	w.passes(20*time.Millisecond, 0)
	if got := w.Bound(1000, 4); got != 127 {
		t.Errorf("bound %d when it is no longer crowded, want 127", got)
	}
	last := 0
	for n := 0; ; n++ {
		w.passes(20*time.Millisecond, 0)
		send()
		got := w.Bound(1000, 4)
		if got == 0 {
			break
		}
		if got < last || n > 500 {
			t.Fatalf("bound %d after %d", got, last)
		}
		last = got
	}
	if last < 7000 {
		t.Errorf("the last bound was %d, want nearly 8000", last)
	}
}

func TestAProjectAloneHasNoBound(t *testing.T) {
	w := newWorld()
	w.Saw(1)
	w.Saw(2)
	w.passes(time.Second, 50)
	w.Saw(2)
	if got := w.Bound(100, 4); got != 100 {
		t.Errorf("bound %d a second after another project has sent, want 100", got)
	}
	w.passes(20*time.Millisecond, 50)
	w.Saw(2)
	if got := w.Bound(100, 4); got != 0 {
		t.Errorf("bound %d for a project alone, want none", got)
	}
}

func TestNoMeterIsNeverCrowded(t *testing.T) {
	var m *crowd.Meter
	m.Saw(1)
	if m.Crowded() || m.Bound(1, 1) != 0 {
		t.Error("a nil meter is crowded")
	}
}

// Goroutines that become ready at once wait for each other.
func TestTheSchedulerIsRead(t *testing.T) {
	var elapsed time.Duration
	m := crowd.New(func() time.Time { return time.Unix(1_800_000_000, 0).Add(elapsed) })
	for deadline := time.Now().Add(20 * time.Second); ; {
		done := make(chan struct{})
		for range 200 {
			go func() {
				end := time.Now().Add(time.Millisecond)
				for busy := true; busy; {
					busy = time.Now().Before(end)
				}
				done <- struct{}{}
			}()
		}
		for range 200 {
			<-done
		}
		elapsed += time.Second
		if m.Crowded() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("200 busy goroutines at once never made it crowded")
		}
	}
}

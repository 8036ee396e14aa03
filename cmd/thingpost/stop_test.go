package main

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"syscall"
	"testing"
)

// TestStoppedUnderLoadLosesNothing stops the real program with SIGTERM under load.
// While all answers arrive soon, nothing may even be sent twice. While a receiver does
// not answer, requests interrupted at the end count as no attempt. A second SIGTERM
// ends it at once.
func TestStoppedUnderLoadLosesNothing(t *testing.T) {
	t.Parallel()
	w := newCrashWorld(t)
	w.args = []string{"-max-webhooks", "6"}
	w.broken = func(err error) { w.fault("an answer broke off: %v", err) }
	silent := &crashHook{name: "silent", settings: map[string]any{"type": "iottly", "device": deviceName(1),
		"settings": map[string]any{"timeout_ms": 30_000}}, fails: func() int { return 0 },
		wants: func(n uint64) bool { return kindOf(n) == kindAlarm && senderOf(n) == 1 }}
	w.hooks = append(w.hooks, silent)
	w.process = w.started()
	c := w.setUp(w.process)
	var over atomic.Bool
	ended := w.load(over.Load)
	more := func() {
		enough := w.acked.size() + rand.Int64N(int64(lighter(800)))
		w.wait("enough was acknowledged", func() bool { return w.acked.size() >= enough })
	}
	stops := 0
	stop := func() {
		t.Helper()
		more()
		if status := w.process.end(t, syscall.SIGTERM); status != 0 {
			t.Fatalf("it stopped with status %d: %s", status, w.process.stderr.String())
		}
		w.check()
		stops++
	}
	for range lighter(3) {
		stop()
		w.process = w.started()
	}

	holds := make(chan struct{})
	silent.holds.Store(&holds)
	inFlight := func() {
		before := silent.unanswered.Load()
		w.wait("some is in flight that nobody answers", func() bool { return silent.unanswered.Load() > before })
	}
	inFlight()
	stop()
	if n := w.repeats(); n > 0 {
		t.Errorf("%d messages were sent again although they had been answered before the stop", n)
	}
	w.mustNotCount(silent)

	w.process = w.started()
	inFlight()
	more()
	w.process.endTwice(t)
	stops++
	w.mustNotCount(silent)
	w.check()

	close(holds)
	w.process = w.started()
	over.Store(true)
	ended()
	w.drain(c)
	if !t.Failed() {
		t.Attr("figure", fmt.Sprintf("%d stops under load, one cut off after its grace and one by a second SIGTERM: %d messages acknowledged, "+
			"0 lost, 0 answers broken off, 0 attempts counted of what was cut", stops, w.acked.size()))
	}
}

// mustNotCount checks that deliveries which a webhook's receiver never answered are
// pending and untried.
func (w *crashWorld) mustNotCount(h *crashHook) {
	t := w.t
	t.Helper()
	d := rawDatabase(t, w.data)
	defer func() { must(t, d.Close()) }()
	var pending, tried, attempts, failed int64
	must(t, d.QueryRowContext(t.Context(), `SELECT count(*) FILTER (WHERE status = 'pending'), coalesce(sum(attempt_count) FILTER (WHERE `+
		`status = 'pending'), 0),
		(SELECT count(*) FROM attempts WHERE error IS NOT NULL AND delivery_id IN (SELECT id FROM deliveries WHERE webhook_id = w.id)), `+
		`count(*) FILTER (WHERE status = 'failed')
		FROM deliveries JOIN webhooks w ON w.id = webhook_id WHERE w.slug = $1`, "hook-"+h.name).Scan(&pending, &tried, &attempts, &failed))
	if pending == 0 || tried != 0 || attempts != 0 || failed != 0 {
		t.Errorf("of those nobody answered %d are pending and %d failed, with %d attempts counted and %d kept", pending, failed, tried, attempts)
	}
}

package main

import (
	"syscall"
	"time"

	"thingpost/db"
)

// drain waits until all acknowledged messages have arrived and nothing is pending,
// stops the program, and compares its disk with what was seen.
func (w *crashWorld) drain(c *apiClient) {
	w.t.Helper()
	for _, h := range w.hooks {
		w.wait(h.name+" has all that was acknowledged", func() bool { n, _ := w.missing(h); return n == 0 })
	}
	c.url = w.process.url
	w.wait("nothing is pending", func() bool {
		var list struct{ Items []struct{} }
		c.call("GET", "/projects/crash/deliveries?status=pending&limit=1", nil, 200, &list)
		return len(list.Items) == 0
	})
	if status := w.process.end(w.t, syscall.SIGTERM); status != 0 {
		w.t.Errorf("it stopped with status %d: %s", status, w.process.stderr.String())
	}
	w.check()
	w.compare()
	w.tellFaults()
}

// wait waits for a condition as long as there is progress, and reports the progress.
func (w *crashWorld) wait(what string, ok func() bool) {
	w.t.Helper()
	const patience = time.Minute
	look, report, last := time.NewTicker(5*time.Millisecond), time.NewTicker(20*time.Second), int64(-1)
	defer look.Stop()
	defer report.Stop()
	still := time.NewTimer(patience)
	defer still.Stop()
	for !ok() {
		select {
		case <-look.C:
			if now := w.acked.size() + w.arrivals(); now != last {
				last = now
				still.Reset(patience)
			}
		case <-report.C:
			w.t.Logf("waiting until %s: %d acknowledged, %d arrived", what, w.acked.size(), w.arrivals())
		case <-still.C:
			for _, h := range w.hooks {
				count, first := w.missing(h)
				w.t.Logf("%s lacks %d, the first is %d", h.name, count, first)
			}
			w.tellFaults()
			w.t.Fatalf("waited in vain until %s: %s", what, w.process.stderr.String())
		}
	}
}

// left returns the folder to read what the stopped program has left on disk.
func (w *crashWorld) left() string {
	if w.onDisk != nil {
		return w.onDisk()
	}
	return w.data
}

// check runs the program's own check.
func (w *crashWorld) check() {
	w.t.Helper()
	mustRun(w.t, 0, "No faults found.", "check", "-data", w.left())
}

func (w *crashWorld) arrivals() (n int64) {
	for _, h := range w.hooks {
		n += h.arrived.size() + h.failed.Load() + h.repeats.Load()
	}
	return n
}

func (w *crashWorld) repeats() (n int64) {
	for _, h := range w.hooks {
		n += h.repeats.Load()
	}
	return n
}

// compare compares the disk of the stopped program with what was seen.
func (w *crashWorld) compare() {
	t := w.t
	t.Helper()
	d := rawDatabase(t, w.left())
	defer func() { must(t, d.Close()) }()
	var twice int64
	must(t, d.QueryRowContext(t.Context(), `SELECT count(*) FROM (SELECT 1 FROM messages WHERE sender_id IS NOT NULL GROUP BY device_id, `+
		`sender_id HAVING count(*) > 1)`).Scan(&twice))
	if twice > 0 {
		t.Errorf("%d messages with an id of their sender were accepted twice", twice)
	}
	for _, h := range w.hooks {
		var c db.Counters
		must(t, d.QueryRowContext(t.Context(), `SELECT made, pending, delivered, failed FROM webhook_counters WHERE webhook_id = (SELECT id `+
			`FROM webhooks WHERE slug = $1)`, "hook-"+h.name).
			Scan(&c.Made, &c.Pending, &c.Delivered, &c.Failed))
		// Messages stored but not acknowledged have arrived too.
		want := db.Counters{Made: h.arrived.size(), Delivered: h.arrived.size()}
		if h.name == "doomed" {
			want.Delivered, want.Failed = 0, want.Made
		}
		if c != want {
			t.Errorf("%s: it counts %+v, and %d messages arrived", h.name, c, h.arrived.size())
		}
	}
}

package main

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"thingpost/internal/iot"
)

const day = 24 * time.Hour

// refuses makes the receiver refuse everything, with a Retry-After; 0 ends it.
func (w *stage) refuses(status int, again string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refuse, w.again = status, again
}

// sendAll sends so many messages, which must be accepted, and returns their ids.
func (w *stage) sendAll(n int) (ids []string) {
	w.t.Helper()
	for range n {
		a := w.send(1)
		if a.status != http.StatusAccepted {
			w.t.Fatalf("a sender got %+v", a)
		}
		ids = append(ids, strings.Split(a.body, `"`)[3])
	}
	return ids
}

// tries is the lowest and highest number of attempts of a message.
func (w *stage) tries(first, last int) (least, most int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	least = 1 << 30
	for n := first; n <= last; n++ {
		k := w.tried[fmt.Sprint(n)]
		least, most = min(least, k), max(most, k)
	}
	return least, most
}

// untilTried waits until each message was tried so often, and its outcome is stored.
func (w *stage) untilTried(first, last, times int) {
	w.t.Helper()
	until(w.t, fmt.Sprintf("%d to %d were tried %d times", first, last, times), func() bool {
		least, _ := w.tries(first, last)
		return least >= times
	})
	until(w.t, "their outcomes are stored", func() bool {
		var page struct {
			Items []struct {
				AttemptCount int `json:"attempt_count"`
			}
		}
		w.api.call("GET", "/projects/probes/deliveries?limit=200", nil, 200, &page)
		least := 1 << 30
		for _, v := range page.Items[len(page.Items)-last : len(page.Items)-first+1] { // the newest first
			least = min(least, v.AttemptCount)
		}
		return least >= times
	})
}

// prune starts retention as configured, by the page, and waits until it is done: the
// size is then recorded for the present hour.
func (w *stage) prune() {
	w.t.Helper()
	d := rawDatabase(w.t, w.data)
	defer d.Close()
	_, err := d.ExecContext(w.t.Context(), `PRAGMA busy_timeout = 10000; UPDATE storage_hours SET file_bytes = 1`)
	must(w.t, err)
	w.page("/settings/storage")
	w.prunes("")
	until(w.t, "it is pruned", func() bool {
		var done bool
		must(w.t, d.QueryRowContext(w.t.Context(), `SELECT EXISTS (SELECT 1 FROM storage_hours WHERE hour_at >= $1 AND file_bytes > 1)`,
			w.machine.now().Add(-time.Hour).UnixMilli()).Scan(&done))
		return done
	})
}

func mustGrow(t *testing.T, ids []string) {
	t.Helper()
	for i := 1; i < len(ids); i++ {
		if ids[i] <= ids[i-1] {
			t.Errorf("the id %s was made after %s", ids[i], ids[i-1])
		}
	}
}

// mustNotHaveFailed fails the test if a delivery has ended other than delivered.
func (w *stage) mustNotHaveFailed() {
	w.t.Helper()
	var page struct{ Items []any }
	w.api.call("GET", "/projects/probes/deliveries?status=failed,cancelled,skipped", nil, 200, &page)
	if len(page.Items) > 0 {
		w.t.Errorf("%d deliveries have failed, like %v", len(page.Items), page.Items[0])
	}
}

// TestTheClockIsSetForwards sets the clock a day forwards while many deliveries wait
// for a retry. All become due and are sent slot by slot. None counts as too old, since
// nobody tried during that day. Nothing is removed for its age until an hour later.
func TestTheClockIsSetForwards(t *testing.T) {
	t.Parallel()
	const waiting = 150
	w := newStage(t, t.TempDir(), nil, "THINGPOST_RETENTION=1h")
	w.api.call("PATCH", "/projects/probes/devices/probe-1", map[string]int64{"expected_interval_ms": time.Hour.Milliseconds()}, 200, nil)
	first := w.sendAll(1)
	until(t, "the first has arrived", func() bool { return w.missing() == 0 })
	w.refuses(http.StatusServiceUnavailable, "3600")
	ids := append(first, w.sendAll(waiting)...)
	w.untilTried(2, waiting+1, 1)
	w.page("/projects/probes")
	w.machine.setClock(day)
	if body, _ := w.browser.wire("/settings/storage/prune"); !strings.Contains(body, "Prune now?") {
		t.Errorf("who was signed in is not any more: %s", body)
	}
	w.api = signIn(t, w.p.url) // a token is valid for ten hours
	w.mu.Lock()
	w.atOnce = 0
	w.mu.Unlock()
	ids = append(ids, w.sendAll(1)...) // any event makes the dispatcher check its clock
	w.untilTried(2, waiting+1, 2)
	w.mustNotHaveFailed()
	w.prune()
	w.api.call("GET", "/projects/probes/messages/"+first[0], nil, 200, nil)
	w.mu.Lock()
	atOnce := w.atOnce
	w.mu.Unlock()
	if atOnce > iot.MaxSlots {
		t.Errorf("%d were in flight at once", atOnce)
	}
	w.refuses(0, "")
	w.machine.pass(2 * time.Hour)
	ids = append(ids, w.sendAll(1)...)
	until(t, "all have arrived", func() bool { return w.missing() == 0 })
	if _, most := w.tries(2, waiting+1); most != 3 {
		t.Errorf("one was tried %d times", most)
	}
	mustGrow(t, ids)
	var device struct {
		SilentAt *string `json:"silent_at"`
	}
	w.api.call("GET", "/projects/probes/devices/probe-1", nil, 200, &device)
	if device.SilentAt != nil {
		t.Errorf("the device is silent since %s", *device.SilentAt)
	}
	w.prune()
	w.api.call("GET", "/projects/probes/messages/"+first[0], nil, 404, nil)
	w.done()
	t.Attr("figure", fmt.Sprintf("a day forwards, %d retries wait: at most %d in flight at once, none failed, 0 lost", waiting, atOnce))
}

// TestTheClockIsSetBack sets the clock a day back while deliveries wait for an hour:
// they do not wait a day.
func TestTheClockIsSetBack(t *testing.T) {
	t.Parallel()
	const waiting = 150
	w := newStage(t, t.TempDir(), nil)
	w.refuses(http.StatusServiceUnavailable, "3600")
	ids := w.sendAll(waiting)
	w.untilTried(1, waiting, 1)
	w.refuses(0, "")
	w.machine.setClock(-day)
	began := time.Now()
	ids = append(ids, w.sendAll(1)...)
	w.untilTried(1, waiting, 2)
	took := time.Since(began)
	ids = append(ids, w.sendAll(20)...)
	until(t, "all have arrived", func() bool { return w.missing() == 0 })
	if _, most := w.tries(1, waiting); most != 2 {
		t.Errorf("one was tried %d times", most)
	}
	mustGrow(t, ids)
	w.done()
	t.Attr("figure", fmt.Sprintf("a day back, %d retries wait: all tried %s later, ids grow, 0 lost", waiting, took.Round(time.Second)))
}

// TestStartsIn1970 is a device without a clock of its own: it starts in 1970 with its
// stored data, and gets the time later. A new one does the same.
func TestStartsIn1970(t *testing.T) {
	t.Parallel()
	since1970 := time.Since(time.Unix(60, 0)).Truncate(time.Second)
	const waiting = 50
	w := newStage(t, t.TempDir(), func(m *machine) { m.setClock(-since1970) })
	w.refuses(http.StatusServiceUnavailable, "3600")
	ids := w.sendAll(waiting)
	w.untilTried(1, waiting, 1)
	w.machine.setClock(since1970)
	w.api = signIn(t, w.p.url)
	ids = append(ids, w.sendAll(1)...)
	w.untilTried(1, waiting, 2)
	w.mustNotHaveFailed()
	boot := w.sendID("boot-1")
	if again := w.sendID("boot-1"); again != boot {
		t.Error("a repeated sender's id is taken for a new one")
	}
	w.machine.pass(2 * day)
	ids = append(ids, w.sendAll(1)...)
	if status := w.p.end(t, syscall.SIGTERM); status != 0 {
		t.Fatalf("it stopped with status %d: %s", status, w.p.stderr.String())
	}
	w.machine.setClock(-since1970)
	w.refuses(0, "")
	w.start()
	w.api.url = w.p.url
	until(t, "what waits is brought in", func() bool { return strings.Contains(w.p.stderr.String(), "deliveries made due sooner") })
	w.machine.pass(time.Minute)
	until(t, "all have arrived, still in 1970", func() bool { return w.missing() == 0 })
	if again := w.sendID("boot-1"); again == boot {
		t.Error("a sender's id of two days ago is taken for a repeated one")
	}
	ids = append(ids, w.sendAll(20)...)
	w.machine.setClock(since1970)
	ids = append(ids, w.sendAll(20)...)
	until(t, "all have arrived", func() bool { return w.missing() == 0 })
	if _, most := w.tries(1, waiting); most != 3 {
		t.Errorf("one was tried %d times", most)
	}
	mustGrow(t, ids)
	w.done()
	t.Attr("figure", fmt.Sprintf("started in 1970 new, and with %d retries waiting: 0 lost, none failed, ids grow", waiting))
}

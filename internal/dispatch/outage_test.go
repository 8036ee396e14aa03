package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"thingpost/internal/egress"
	"thingpost/internal/iot"
)

// endpoint is a receiver that is down for a while. It replaces the network, so that it
// uses the test's clock.
type endpoint struct {
	hangs bool          // when down; otherwise it refuses connections
	took  time.Duration // for an answer, when up

	mu         sync.Mutex
	down       bool
	back       time.Time
	inFlight   int
	taken      []arrival
	attempts   int
	mostEarly  []int         // most in flight, by how many it had accepted since its return
	perSecond  map[int64]int // attempts begun in each second since its return
	mostAtOnce int
}

type arrival struct {
	device, n int
	at        time.Time
}

// RoundTrip implements http.RoundTripper.
func (e *endpoint) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	down := e.begin()
	defer e.end()
	if down && !e.hangs {
		return nil, syscall.ECONNREFUSED
	}
	wait := e.took
	if down {
		wait = time.Hour
	}
	select {
	case <-time.After(wait):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	var m struct {
		Msg struct{ Payload struct{ Device, N int } }
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, err
	}
	e.mu.Lock()
	e.taken = append(e.taken, arrival{m.Msg.Payload.Device, m.Msg.Payload.N, time.Now()})
	e.mu.Unlock()
	return &http.Response{StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: http.NoBody,
		Request: r}, nil
}

func (e *endpoint) begin() (down bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.attempts++
	e.inFlight++
	if e.back.IsZero() {
		return e.down
	}
	e.mostAtOnce = max(e.mostAtOnce, e.inFlight)
	e.perSecond[int64(time.Since(e.back)/time.Second)]++
	if n := len(e.taken); n < len(e.mostEarly) {
		e.mostEarly[n] = max(e.mostEarly[n], e.inFlight)
	}
	return e.down
}

func (e *endpoint) end() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.inFlight--
}

// set takes the endpoint down or brings it back. It returns the number of attempts so far.
func (e *endpoint) set(down bool) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.down = down
	if !down {
		e.back = time.Now()
	}
	return e.attempts
}

// outage is one run: the settings of its webhook, and what was measured.
type outage struct {
	name   string
	hangs  bool
	limits bool // to twenty times the messages that come in
	order  bool
	rate   int // messages a minute
	limit  int // requests a second; 0 is none
	tick   time.Duration
	pad    int
	took   time.Duration // for an answer, when it is up
	full   bool
	b      *bench
	e      *endpoint
	hook   *iot.Webhook
	sentAt []time.Time // by number
}

// TestOutageAndReturn keeps a webhook down for an hour of simulated time while messages
// arrive at an even rate, and then brings it back. Fresh messages go first. The backlog
// follows with more and more slots, within the limit of requests a second, and in order
// per device where set. Memory has a bounded part of it. The store is a real one, the
// receiver replaces the network, and all clocks and timers are those of the bubble.
//
// The short form has a large message every five seconds. THINGPOST_OUTAGE=full has 100
// small ones a second, and measures the heap too.
func TestOutageAndReturn(t *testing.T) {
	for _, o := range []outage{
		{name: "accepts and never answers", hangs: true},
		{name: "refuses connections"},
		{name: "accepts and never answers, requests limited", hangs: true, limits: true},
		{name: "refuses connections, in order per device", order: true},
	} {
		t.Run(o.name, func(t *testing.T) {
			o.rate, o.tick, o.pad, o.took = 12, time.Minute, 40_000, time.Second
			if o.full = os.Getenv("THINGPOST_OUTAGE") == "full"; o.full {
				o.rate, o.tick, o.pad, o.took = 6000, time.Second, 64, 30*time.Millisecond
			} else {
				t.Parallel()
				if !o.hangs {
					o.rate = 6 // each message has had five attempts by then
				}
			}
			if o.limits {
				o.limit = max(20*o.rate/60, 4)
			}
			if o.order {
				o.took /= 10 // a device's next message waits for its last
			}
			synctest.Test(t, o.run)
		})
	}
}

func (o *outage) run(t *testing.T) {
	o.e = &endpoint{hangs: o.hangs, took: o.took, down: true, mostEarly: make([]int, 100), perSecond: map[int64]int{}}
	o.b = newBenchWith(t, egress.New(egress.Options{Inspector: o.e, Inspects: func(context.Context, string) bool { return true }}))
	o.b.pad = `,"pad":"` + strings.Repeat("x", o.pad) + `"`
	o.hook = o.b.webhook("http://receiver.example/hook", func(w *iot.Webhook) {
		w.Settings.InOrder, w.Settings.MaxPerSecond = o.order, o.limit
	})
	o.b.run()
	heap := heapMiB()
	most := o.send(time.Hour, o.tick)
	if grown := heapMiB() - heap; o.full && grown > 64 {
		t.Errorf("the heap grew by %.0f MiB", grown)
	}
	owed, attempts := o.pending(), o.e.set(false)
	began := len(o.sentAt)
	most = max(most, o.send(5*time.Minute, min(o.tick, 10*time.Second)))
	drained := o.drain()
	o.b.stop()

	o.judge(t, began, most)
	delays, old := o.delays(began)
	t.Logf("%d attempts while down; last of all taken %v after the return; of the fresh ones the median took %v", attempts, drained,
		delays[len(delays)/2])
	fresh := fmt.Sprintf("fresh ones within %v", delays[len(delays)-1].Round(10*time.Millisecond))
	if o.order {
		fresh = "each device's in order"
	}
	t.Attr("figure", fmt.Sprintf("%s for an hour at %d messages a minute: %d owed, all delivered %v after the return, %s; at most %d in "+
		"flight and %d in a second, %.1f MiB of it in memory",
		o.name, o.rate, owed, old.Round(time.Second), fresh, o.e.mostAtOnce, o.busiest(), float64(most)/(1<<20)))
}

// send sends at an even rate for so long. It returns the most bytes that were in the
// lanes.
func (o *outage) send(duration, tick time.Duration) (most int64) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for range duration / tick {
		<-ticker.C
		n := len(o.sentAt)
		o.sentAt = slices.Concat(o.sentAt, slices.Repeat([]time.Time{time.Now()}, int(tick.Seconds())*o.rate/60))
		o.b.send(each, n, len(o.sentAt), o.hook)
		most = max(most, o.b.d.bytes.Load())
	}
	return most
}

func (o *outage) pending() int64 {
	o.b.t.Helper()
	stats, err := o.b.db.WebhookStats(o.b.t.Context(), o.b.project.Key)
	o.b.must(err)
	return stats[o.hook.Key].Counters.Pending
}

// drain waits until nothing is pending. It returns how long after the endpoint's return
// that was.
func (o *outage) drain() time.Duration {
	o.b.t.Helper()
	tick := time.NewTicker(20 * time.Second)
	defer tick.Stop()
	for began := time.Now(); o.pending() > 0; <-tick.C {
		if time.Since(began) > 3*time.Hour {
			o.b.t.Fatalf("%d deliveries are still pending three hours later", o.pending())
		}
	}
	o.e.mu.Lock()
	defer o.e.mu.Unlock()
	return o.e.taken[len(o.e.taken)-1].at.Sub(o.e.back)
}

// delays returns how long the messages from a number on took, the shortest first, and how
// long after the endpoint's return the last older one arrived.
func (o *outage) delays(from int) (list []time.Duration, old time.Duration) {
	for _, a := range o.e.taken {
		if a.n < from {
			old = max(old, a.at.Sub(o.e.back))
		} else if o.sentAt[a.n].Sub(o.e.back) > settle {
			list = append(list, a.at.Sub(o.sentAt[a.n]))
		}
	}
	slices.Sort(list)
	return list, old
}

// settle is how long after the return the slots may take to grow.
const settle = 30 * time.Second

func (o *outage) busiest() (most int) {
	for _, n := range o.e.perSecond {
		most = max(most, n)
	}
	return most
}

func (o *outage) judge(t *testing.T, began int, mostBytes int64) {
	t.Helper()
	last, seen := map[int]int{}, make([]int, len(o.sentAt))
	for _, a := range o.e.taken {
		seen[a.n]++
		if before, ok := last[a.device]; ok && o.order && a.n < before {
			t.Fatalf("device %d: %d came after %d", a.device, a.n, before)
		}
		last[a.device] = a.n
	}
	for n, times := range seen {
		if times != 1 {
			t.Fatalf("message %d was taken %d times", n, times)
		}
	}
	delays, _ := o.delays(began)
	if worst := delays[len(delays)-1]; !o.order && worst > o.e.took+5*time.Second {
		t.Errorf("a fresh message took %v", worst)
	}
	if o.e.mostAtOnce > iot.MaxSlots {
		t.Errorf("%d were in flight at once", o.e.mostAtOnce)
	}
	// One more for each full round of good answers: the square root of twice as many.
	for taken, n := range o.e.mostEarly {
		if bound := 2 + int(math.Sqrt(float64(2*taken+1))); n > bound {
			t.Errorf("%d were in flight after %d answers, more than %d", n, taken, bound)
			break
		}
	}
	if o.limit > 0 && o.busiest() > o.limit+max(1, o.limit/10) {
		t.Errorf("%d requests in a second, limited to %d", o.busiest(), o.limit)
	}
	if mostBytes > maxQueueBytes+int64(o.pad)+2*itemBytes {
		t.Errorf("%d bytes were in the lanes", mostBytes)
	}
}

func heapMiB() float64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / (1 << 20)
}

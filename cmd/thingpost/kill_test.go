package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"thingpost/db"
)

// The long form of the kill test; "make crash" sets them.
const (
	killsEnv        = "THINGPOST_KILLS"         // how often the program is killed; default 4
	killMessagesEnv = "THINGPOST_KILL_MESSAGES" // how many messages are acknowledged at least; default 600 for each kill
)

func numberFrom(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil && n > 0 {
		return n
	}
	return otherwise
}

// killing is a crashWorld whose program is killed.
type killing struct {
	*crashWorld
	process  *process
	kills    int
	killed   int
	messages int64
	begun    time.Time
	starting time.Duration // how long the last start took
	over     atomic.Bool   // there are no more kills
}

// TestKilledAtAnyMomentLosesNothing kills the real program with SIGKILL under
// load, again and again: after some acknowledgements, while a large batch is
// being stored, and while it starts. In the end each webhook must have got all
// that its senders were told is stored, nothing else, and in order where it
// asks for that; and the database must agree with itself after any kill.
func TestKilledAtAnyMomentLosesNothing(t *testing.T) {
	t.Parallel()
	kills := numberFrom(killsEnv, 4)
	k := &killing{crashWorld: newCrashWorld(t), kills: kills, messages: int64(numberFrom(killMessagesEnv, 600*kills)), begun: time.Now()}
	k.process = k.started()
	c := k.setUp(k.process)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	for _, s := range k.senders() {
		running.Go(func() { s.run(ctx, func() bool { return k.over.Load() && k.acked.size() >= k.messages }) })
	}
	for told := 0; k.killed < kills; {
		k.round()
		if tenths := k.killed * 10 / kills; tenths > told {
			told = tenths
			k.check()
			t.Logf("%d of %d kills in %s: %d messages acknowledged, %d requests without an answer, the database agrees with itself",
				k.killed, kills, time.Since(k.begun).Round(time.Second), k.acked.size(), k.unanswered.Load())
		}
		began := time.Now()
		k.process = k.started()
		k.starting = time.Since(began)
	}
	k.over.Store(true)
	k.wait("the senders are done", func() bool { return k.acked.size() >= k.messages })
	running.Wait()
	for _, h := range k.hooks {
		k.wait(h.name+" has all that was acknowledged", func() bool { n, _ := k.missing(h); return n == 0 })
	}
	c.url = k.process.url
	k.wait("nothing is pending", func() bool {
		var list struct{ Items []struct{} }
		c.call("GET", "/projects/crash/deliveries?status=pending&limit=1", nil, 200, &list)
		return len(list.Items) == 0
	})
	if status := k.process.end(t, syscall.SIGTERM); status != 0 {
		t.Errorf("it stopped with status %d: %s", status, k.process.stderr.String())
	}
	k.check()
	k.compare()
	k.tellFaults()
	if !t.Failed() {
		t.Attr("figure", fmt.Sprintf("%d kills, %d messages acknowledged, 0 lost, 0 out of order; %d of %d arrivals were repeats", k.killed, k.acked.size(), k.repeats(), k.arrivals()))
	}
}

// round lets the program work for a while and kills it at a random moment, and
// now and then once more while it starts again.
func (k *killing) round() {
	enough := k.acked.size() + rand.Int64N(2*k.messages/int64(k.kills)+1)
	k.wait("enough was acknowledged", func() bool { return k.acked.size() >= enough })
	if k.killed%3 == 1 { // while a large batch is on its way to the disk
		select {
		case <-k.large:
		default:
		}
		<-k.large
		<-time.After(rand.N(20 * time.Millisecond))
	}
	k.process.end(k.t, syscall.SIGKILL)
	k.killed++
	if k.killed%3 != 0 || k.killed == k.kills {
		return
	}
	p, ready := k.start()
	<-time.After(rand.N(k.starting + time.Millisecond))
	must(k.t, p.Process.Kill())
	<-ready
	_ = p.Wait()
	k.killed++
}

// wait waits for a condition as long as there is progress, and says how it goes.
func (k *killing) wait(what string, ok func() bool) {
	k.t.Helper()
	const patience = time.Minute
	look, tell, last := time.NewTicker(5*time.Millisecond), time.NewTicker(20*time.Second), int64(-1)
	defer look.Stop()
	defer tell.Stop()
	still := time.NewTimer(patience)
	defer still.Stop()
	for !ok() {
		select {
		case <-look.C:
			if now := k.acked.size() + k.arrivals(); now != last {
				last = now
				still.Reset(patience)
			}
		case <-tell.C:
			k.t.Logf("waiting until %s: %d acknowledged, %d arrived", what, k.acked.size(), k.arrivals())
		case <-still.C:
			for _, h := range k.hooks {
				count, first := k.missing(h)
				k.t.Logf("%s lacks %d, the first is %d", h.name, count, first)
			}
			k.tellFaults()
			k.t.Fatalf("waited in vain until %s: %s", what, k.process.stderr.String())
		}
	}
}

// check runs the program's own check.
func (k *killing) check() {
	k.t.Helper()
	if status, out, complaints := run(k.t, "", nil, "check", "-data", k.data); status != 0 {
		k.t.Fatalf("check answers %d after %d kills: %s%s", status, k.killed, out, complaints)
	}
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

// compare compares what the stopped program has on disk with what was seen.
func (w *crashWorld) compare() {
	t := w.t
	t.Helper()
	d := rawDatabase(t, w.data)
	defer func() { must(t, d.Close()) }()
	var twice int64
	must(t, d.QueryRowContext(t.Context(), `SELECT count(*) FROM (SELECT 1 FROM messages WHERE sender_id IS NOT NULL GROUP BY device_id, sender_id HAVING count(*) > 1)`).Scan(&twice))
	if twice > 0 {
		t.Errorf("%d messages with an id of their sender were accepted twice", twice)
	}
	for _, h := range w.hooks {
		var c db.Counters
		must(t, d.QueryRowContext(t.Context(), `SELECT made, pending, delivered, failed FROM webhook_counters WHERE webhook_id = (SELECT id FROM webhooks WHERE slug = $1)`, "hook-"+h.name).
			Scan(&c.Made, &c.Pending, &c.Delivered, &c.Failed))
		// What was stored but not acknowledged has arrived too.
		want := db.Counters{Made: h.arrived.size(), Delivered: h.arrived.size()}
		if h.name == "doomed" {
			want.Delivered, want.Failed = 0, want.Made
		}
		if c != want {
			t.Errorf("%s: it counts %+v, and %d messages arrived", h.name, c, h.arrived.size())
		}
	}
}

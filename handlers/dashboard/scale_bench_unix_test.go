//go:build unix

package dashboard

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"thingpost/db"
	"thingpost/internal/iot"
)

// BenchmarkScale measures what storing a message, storing an outcome and each page
// with a list cost with few stored messages and with many, in turns, in one run:
//
//	THINGPOST_SCALE_ROWS=10000000 go test ./handlers/dashboard -run '^$' -bench '^BenchmarkScale$' -benchtime 1x -timeout 0
//
// It prints a table, and fails if something costs more than 1.3 times as much with
// many. Few are 10,000; for pages that search among rows which no index chooses they
// are 500,000, since those look at up to 50,000, or 10,000 of the hundredth that
// failed: with fewer stored they look at fewer. Everything is measured warm: the
// files are on disk and in the system's cache, and each thing is done a few times
// before it counts. Of a page it is the processor's time that is measured, of what is
// stored the time until it is on disk; of all times the lower quartile counts. So
// other programs disturb it the least. Without the variable it does nothing.
func BenchmarkScale(b *testing.B) {
	many, err := strconv.Atoi(os.Getenv("THINGPOST_SCALE_ROWS"))
	if err != nil {
		b.Skip("THINGPOST_SCALE_ROWS says with how many rows")
	}
	few, some, lots := scaleWorld(b, 10_000), scaleWorld(b, 500_000), scaleWorld(b, many)
	var table strings.Builder
	fmt.Fprintf(&table, "\n%-34s %12s %12s %7s\n", "", "few", "many", "ratio")
	row := func(name string, rounds int, small, large func() time.Duration) {
		b.Helper()
		a, z := inTurns(rounds, small, large)
		ratio, verdict := float64(z)/float64(a), "ok"
		if ratio > mostScale {
			verdict = "TOO MUCH"
			b.Errorf("%s costs %.2f times as much with %d rows", name, ratio, many)
		}
		fmt.Fprintf(&table, "%-34s %12s %12s %7.2f  %s\n", name, a.Round(100*time.Nanosecond), z.Round(100*time.Nanosecond), ratio, verdict)
	}
	// The pages of the indexes that new rows go to come into the cache, and the log
	// grows to the size at which it is used again.
	for range 300 {
		few.store(1)
		lots.store(1)
	}
	for _, n := range []int{1, 32, 256} {
		row(fmt.Sprintf("enqueue, %d at once", n), 150, func() time.Duration { return few.store(n).enqueue },
			func() time.Duration { return lots.store(n).enqueue })
		row(fmt.Sprintf("finish, %d at once", n), 150, func() time.Duration { return few.store(n).finish },
			func() time.Duration { return lots.store(n).finish })
	}
	pages := lots.listPages(b, 20*50)
	for i, p := range pages {
		small := few
		if p.searching {
			small = some
		}
		row(p.name, 40, small.ask(small.listPages(b, 20*50)[i].path), lots.ask(p.path))
	}
	b.Log(table.String())
}

// mostScale is how many times as much many rows may cost.
const mostScale = 1.3

// inTurns does two things in turns and returns the lower quartile of their times.
func inTurns(rounds int, first, second func() time.Duration) (a, z time.Duration) {
	var as, zs []time.Duration
	for n := range rounds + 5 {
		x, y := first(), second()
		if n >= 5 {
			as, zs = append(as, x), append(zs, y)
		}
	}
	slices.Sort(as)
	slices.Sort(zs)
	return as[rounds/4], zs[rounds/4]
}

// scaleSenders is how many of the devices send: so few that with 10,000 messages
// each has a page of them.
const scaleSenders = 100

// scaled is a world with rows.
type scaled struct {
	*world
	b       *testing.B
	senders []*iot.Device
	sent    int
}

func scaleWorld(b *testing.B, rows int) *scaled {
	b.Helper()
	w := &scaled{world: openWorld(b), b: b}
	began := w.clock.Now()
	w.clock.advance(24*time.Hour + time.Minute)
	w.fill(b, rows, scaleSenders, began, began.Add(24*time.Hour))
	// Else the first to store something waits until the system has written all.
	file, err := os.OpenFile(w.db.Path(), os.O_RDWR, 0)
	w.must(err)
	w.must(file.Sync())
	w.must(file.Close())
	for n := range scaleSenders {
		d, err := w.db.Device(b.Context(), w.project.Key, fmt.Sprintf("bench-%06d", n))
		w.must(err)
		w.senders = append(w.senders, d)
	}
	return w
}

// ask returns what asks for a page.
func (w *scaled) ask(path string) func() time.Duration {
	c := w.as(w.owner)
	return func() time.Duration {
		began := w.worked()
		c.get(path).is(200)
		return w.worked() - began
	}
}

// worked is how long the processors have worked for this process.
func (w *scaled) worked() time.Duration {
	w.b.Helper()
	var u syscall.Rusage
	w.must(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// pair is what storing messages, and their outcomes, took for each.
type pair struct{ enqueue, finish time.Duration }

// store stores so many messages of different devices with a delivery each, in one
// transaction, then their outcomes in another.
func (w *scaled) store(n int) pair {
	w.b.Helper()
	s, err := w.db.ProjectSettings(w.b.Context(), w.project.Key)
	w.must(err)
	at := iot.At(w.clock.Now())
	list := make([]*db.Accept, n)
	for i := range list {
		w.sent++
		d := w.senders[w.sent%len(w.senders)]
		m := &iot.Message{ID: w.db.NewID(), ProjectKey: w.project.Key, DeviceKey: d.Key, Device: d.ID, Type: iot.User, ReceivedAt: at,
			Payload: fmt.Appendf(nil, `{"n":%d}`, w.sent)}
		list[i] = &db.Accept{Message: m, Device: d, Project: w.project, Version: s.Version, InOrder: []bool{false},
			Deliveries: []*iot.Delivery{{ID: w.db.NewID(), MessageID: m.ID, ProjectKey: m.ProjectKey, WebhookKey: w.webhook.Key, DeviceKey: d.Key,
				Type:   m.Type,
				Status: iot.Pending, Trigger: iot.TriggerMessage, SizeBytes: int64(len(m.Payload)), DueAt: at, CreatedAt: at}}}
	}
	began := time.Now()
	w.must(w.db.Accept(list...))
	took := pair{enqueue: time.Since(began) / time.Duration(n)}
	var wait sync.WaitGroup
	wait.Add(n)
	began = time.Now()
	for _, a := range list {
		v := a.Deliveries[0]
		w.db.Finish(&iot.Outcome{Delivery: v, Status: iot.Delivered, Attempt: &iot.Attempt{DeliveryID: v.ID, Number: 1, At: at, DurationMS: 12,
			Timings: iot.Timings{FirstByte: 900, Total: 1200}, Request: iot.Request{Method: "POST", URL: w.webhook.URL},
			Response: &iot.Response{Status: 200, Body: "ok"}}}, func(err error) {
			w.must(err)
			wait.Done()
		})
	}
	wait.Wait()
	took.finish = time.Since(began) / time.Duration(n)
	return took
}

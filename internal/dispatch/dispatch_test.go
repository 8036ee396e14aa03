package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"thingpost/db"
	"thingpost/internal/egress"
	"thingpost/internal/iot"
)

const actor = "ada@example.org"

// bench is a store, a dispatcher over it, and receivers.
type bench struct {
	t       *testing.T
	db      *db.DB
	d       *Dispatcher
	folder  string
	project *iot.Project
	devices []*iot.Device
	client  *egress.Client                // allows loopback unless a test sets another
	pad     string                        // makes payloads larger
	gate    atomic.Pointer[chan struct{}] // delays the writer at the end of its next transaction
	skew    atomic.Int64                  // of the clock, in nanoseconds
	stop    func()
}

func (b *bench) now() time.Time { return time.Now().Add(time.Duration(b.skew.Load())) }

// pass advances the clock and makes the dispatcher look at it.
func (b *bench) pass(d time.Duration) {
	b.skew.Add(int64(d))
	b.d.wake()
}

func newBench(t *testing.T) *bench {
	t.Helper()
	return newBenchWith(t, egress.New(egress.Options{Policy: egress.NewPolicy([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"),
		netip.MustParsePrefix("::1/128")})}))
}

func newBenchWith(t *testing.T, client *egress.Client) *bench {
	t.Helper()
	b := &bench{t: t, folder: t.TempDir(), client: client}
	b.open()
	a, o := &iot.Account{Email: actor, Name: "Ada"}, &iot.Organization{Name: "Works"}
	b.must(b.db.SetUp(a, o))
	b.project = &iot.Project{Name: "Greenhouse", OrganizationKey: o.Key}
	b.must(b.db.CreateProject(b.project, actor))
	for i := range 3 {
		v := &iot.Device{ProjectKey: b.project.Key, ID: fmt.Sprintf("probe-%d", i)}
		b.must(b.db.CreateDevice(v, iot.NewDeviceKey(), actor))
		b.devices = append(b.devices, v)
	}
	return b
}

func (b *bench) open() {
	b.t.Helper()
	var d atomic.Pointer[Dispatcher]
	store, err := db.Open(b.t.Context(), db.Options{Folder: b.folder, Now: b.now, OnCommit: func(c iot.Commit) {
		if gate := b.gate.Load(); gate != nil {
			<-*gate
		}
		if d := d.Load(); d != nil {
			d.Changed(c)
		}
	}})
	b.must(err)
	b.db = store
	b.d = New(Options{DB: store, Now: b.now, Version: "test", Grace: 50 * time.Millisecond, Client: b.client})
	b.d.jitter = func() float64 { return 0.5 }
	d.Store(b.d)
	b.stop = sync.OnceFunc(func() { b.must(store.Close()) })
	b.t.Cleanup(func() { b.stop() })
}

// run starts the dispatcher; stop ends it and closes the store.
func (b *bench) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.d.Run(ctx) }()
	store := b.db
	b.stop = sync.OnceFunc(func() {
		cancel()
		b.must(<-done)
		b.must(store.Close())
	})
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) webhook(url string, set ...func(*iot.Webhook)) *iot.Webhook {
	b.t.Helper()
	w := &iot.Webhook{ProjectKey: b.project.Key, Description: "Hook", URL: url, Format: iot.Envelope, MessageTypes: iot.Routes{iot.User: {}},
		Settings: iot.DefaultSettings()}
	for _, f := range set {
		f(w)
	}
	b.must(b.db.CreateWebhook(w, actor))
	return w
}

// each makes send use the devices in turn.
const each = -1

// send stores messages n of a device for the webhooks, {"n": i} each.
func (b *bench) send(device, from, to int, hooks ...*iot.Webhook) (ids []iot.ID) {
	b.t.Helper()
	s, err := b.db.ProjectSettings(b.t.Context(), b.project.Key)
	b.must(err)
	var list []*db.Accept
	for n := from; n < to; n++ {
		device := device
		if device == each {
			device = n % len(b.devices)
		}
		v := b.devices[device]
		m := &iot.Message{ID: b.db.NewID(), ProjectKey: b.project.Key, DeviceKey: v.Key, Device: v.ID, Type: iot.User,
			ReceivedAt: iot.At(b.now()),
			Payload:    fmt.Appendf(nil, `{"device":%d,"n":%d%s}`, device, n, b.pad)}
		a := &db.Accept{Message: m, Device: v, Project: b.project, Version: s.Version}
		for _, w := range hooks {
			q := &iot.Delivery{ID: b.db.NewID(), MessageID: m.ID, ProjectKey: m.ProjectKey, WebhookKey: w.Key, DeviceKey: v.Key, Device: v.ID,
				Type:   m.Type,
				Status: iot.Pending, Trigger: iot.TriggerMessage, SizeBytes: int64(len(m.Payload)), DueAt: m.ReceivedAt, CreatedAt: m.ReceivedAt}
			a.Deliveries, a.InOrder = append(a.Deliveries, q), append(a.InOrder, w.Settings.InOrder)
			ids = append(ids, q.ID)
		}
		list = append(list, a)
	}
	b.must(b.db.Accept(list...))
	for _, a := range list {
		if a.Stale {
			b.t.Fatal("the settings changed under the test")
		}
	}
	return ids
}

// until waits for a condition, up to the test's deadline.
func (b *bench) until(what string, ok func() bool) {
	b.t.Helper()
	deadline := time.After(20 * time.Second)
	for !ok() {
		select {
		case <-deadline:
			b.t.Fatal("timed out waiting until ", what)
		default:
			runtime.Gosched()
		}
	}
}

func (b *bench) delivery(id iot.ID) *iot.Delivery {
	b.t.Helper()
	v, err := b.db.Delivery(context.Background(), b.project.Key, id)
	b.must(err)
	return v
}

func (b *bench) untilStatus(id iot.ID, want iot.Status, attempts int) *iot.Delivery {
	b.t.Helper()
	var v *iot.Delivery
	b.until(fmt.Sprintf("delivery is %s after %d attempts", want, attempts), func() bool {
		v = b.delivery(id)
		return v.Status == want && v.AttemptCount == attempts
	})
	return v
}

// receiver keeps the requests that arrive and answers what answer returns.
type receiver struct {
	*httptest.Server
	mu   sync.Mutex
	got  []got
	answ func(n int, g got) int
	body string // of each answer
}

type got struct {
	id     string
	device int
	n      int
	header http.Header
	body   string
}

func receive(t *testing.T, answer func(n int, g got) int) *receiver {
	t.Helper()
	r := &receiver{answ: answer, body: "answer"}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			return
		}
		var m struct {
			Msg struct{ Payload struct{ Device, N int } }
		}
		_ = json.Unmarshal(body, &m)
		g := got{q.Header.Get("Webhook-Id"), m.Msg.Payload.Device, m.Msg.Payload.N, q.Header, string(body)}
		r.mu.Lock()
		n := len(r.got)
		r.got = append(r.got, g)
		r.mu.Unlock()
		status := 200
		if r.answ != nil {
			status = r.answ(n, g)
		}
		if status == 429 {
			w.Header().Set("Retry-After", "3600")
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, r.body)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) all() []got {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

func (r *receiver) count() int { return len(r.all()) }

func TestDeliveredOnceWithItsAttempt(t *testing.T) {
	b := newBench(t)
	r := receive(t, nil)
	w := b.webhook(r.URL+"/hook?token=s3cr3t-value", func(w *iot.Webhook) {
		w.Headers = []iot.Header{{Name: "Authorization", Value: "Bearer s3cr3t-value", Secret: true}, {Name: "X-Site", Value: "{devID}"}}
	})
	b.run()
	ids := b.send(0, 0, 1, w)
	v := b.untilStatus(ids[0], iot.Delivered, 1)
	if v.Code != 200 || v.Error != "" || v.DueAt != 0 || v.EndedAt == 0 {
		t.Errorf("delivery is %+v", v)
	}
	g := r.all()[0]
	if g.header.Get("Authorization") != "Bearer s3cr3t-value" || g.header.Get("X-Site") != "probe-0" || g.id != v.MessageID.String() {
		t.Errorf("received %+v", g)
	}
	list, err := b.db.Attempts(t.Context(), ids[0], 10)
	b.must(err)
	text, err := json.Marshal(list)
	b.must(err)
	if len(list) != 1 || list[0].Response == nil || list[0].Response.Body != "answer" || list[0].Timings.Total <= 0 {
		t.Errorf("attempts are %s", text)
	}
	if strings.Contains(string(text), "Bearer s3cr3t-value") {
		t.Errorf("the attempt shows a secret: %s", text)
	}
	stats, err := b.db.WebhookStats(t.Context(), b.project.Key)
	b.must(err)
	if c := stats[w.Key].Counters; c != (db.Counters{Made: 1, Delivered: 1}) {
		t.Errorf("counters are %+v", c)
	}
}

func TestRetriedUntilItIsTaken(t *testing.T) {
	b := newBench(t)
	r := receive(t, func(n int, _ got) int {
		if n < 2 {
			return 503
		}
		return 204
	})
	w := b.webhook(r.URL)
	b.run()
	id := b.send(0, 0, 1, w)[0]
	v := b.untilStatus(id, iot.Pending, 1)
	if wait := v.DueAt.Sub(iot.At(b.now())); wait < 3*time.Second || wait > 6*time.Second {
		t.Errorf("the next try is due in %v, want about 5 s", wait)
	}
	if v.Error != iot.ErrHTTP5xx || v.Code != 503 {
		t.Errorf("delivery is %+v", v)
	}
	b.pass(7 * time.Second)
	b.untilStatus(id, iot.Pending, 2)
	b.pass(40 * time.Second)
	b.untilStatus(id, iot.Delivered, 3)
	ids := map[string]bool{}
	for _, g := range r.all() {
		ids[g.id] = true
	}
	if len(ids) != 1 {
		t.Errorf("webhook-id differs between tries: %v", ids)
	}
}

func TestGivenUpAfterItsAge(t *testing.T) {
	b := newBench(t)
	r := receive(t, func(int, got) int { return 500 })
	w := b.webhook(r.URL, func(w *iot.Webhook) { w.Settings.GiveUpAfterMS = 60_000 })
	b.run()
	id := b.send(0, 0, 1, w)[0]
	b.untilStatus(id, iot.Pending, 1)
	b.pass(10 * time.Second)
	b.untilStatus(id, iot.Pending, 2)
	b.pass(40 * time.Second)
	if v := b.untilStatus(id, iot.Failed, 3); !strings.Contains(v.ErrorDetail, "Given up") {
		t.Errorf("detail is %q", v.ErrorDetail)
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	b := newBench(t)
	r := receive(t, func(int, got) int { return 429 })
	w := b.webhook(r.URL)
	b.run()
	v := b.untilStatus(b.send(0, 0, 1, w)[0], iot.Pending, 1)
	if wait := v.DueAt.Sub(iot.At(b.now())); wait < 50*time.Minute || wait > time.Hour {
		t.Errorf("the next try is due in %v, want an hour", wait)
	}
}

func TestGonePausesTheWebhook(t *testing.T) {
	b := newBench(t)
	r := receive(t, func(int, got) int { return 410 })
	w := b.webhook(r.URL)
	b.run()
	b.untilStatus(b.send(0, 0, 1, w)[0], iot.Failed, 1)
	now, err := b.db.WebhookByKey(t.Context(), w.Key)
	b.must(err)
	if !now.Paused || now.PausedBy != iot.PausedByThingpost || !strings.Contains(now.PausedReason, "410") {
		t.Errorf("webhook is %+v", now)
	}
}

func TestPausedHoldsAndResumedGoesOn(t *testing.T) {
	b := newBench(t)
	r := receive(t, nil)
	w := b.webhook(r.URL)
	b.must(b.db.PauseWebhook(w, "Ada", "moving", actor))
	b.run()
	ids := b.send(0, 0, 5, w)
	other := receive(t, nil)
	free := b.webhook(other.URL, func(w *iot.Webhook) { w.ID = "free" })
	b.untilStatus(b.send(0, 5, 6, free)[0], iot.Delivered, 1)
	if n := r.count(); n != 0 {
		t.Fatalf("a paused webhook got %d messages", n)
	}
	b.must(b.db.ResumeWebhook(w, actor))
	for _, id := range ids {
		b.untilStatus(id, iot.Delivered, 1)
	}
}

func TestBacklogBeyondMemoryIsDeliveredOnce(t *testing.T) {
	b := newBench(t)
	r := receive(t, nil)
	w := b.webhook(r.URL)
	const before, after = 1500, 2500
	b.send(0, 0, before, w) // on disk before the dispatcher runs
	b.run()
	b.send(1, 0, after, w)
	b.until("all have arrived", func() bool { return r.count() >= before+after })
	seen := map[string]int{}
	for _, g := range r.all() {
		seen[g.id]++
	}
	if len(seen) != before+after || r.count() != before+after {
		t.Errorf("%d messages arrived %d times, want %d once", len(seen), r.count(), before+after)
	}
}

func TestInOrderPerDevice(t *testing.T) {
	b := newBench(t)
	failed := atomic.Bool{}
	r := receive(t, func(_ int, g got) int {
		if g.device == 0 && g.n == 3 && failed.CompareAndSwap(false, true) {
			return 500
		}
		return 200
	})
	w := b.webhook(r.URL, func(w *iot.Webhook) { w.Settings.InOrder = true })
	b.send(0, 0, 10, w)
	b.run()
	b.send(1, 0, 40, w)
	b.send(0, 10, 40, w)
	b.until("device 1 is through", func() bool { return strings.Count(fmt.Sprint(r.devices()), "1") == 40 })
	b.until("device 0 waits", func() bool { return failed.Load() })
	b.send(0, 40, 41, w)
	b.pass(10 * time.Second)
	b.until("device 0 is through", func() bool { return r.count() == 40+41+1 })
	for device := range 2 {
		last := -1
		for _, g := range r.all() {
			if g.device != device {
				continue
			}
			if g.n != last+1 && (device != 0 || g.n != 3 || last != 3) {
				t.Fatalf("device %d: %d came after %d", device, g.n, last)
			}
			last = g.n
		}
	}
	t.Attr("figure", fmt.Sprintf("%d messages of 2 devices, one of them refused once: 0 out of order", 40+41))
}

func (r *receiver) devices() (list []int) {
	for _, g := range r.all() {
		list = append(list, g.device)
	}
	return list
}

func TestOneSlowWebhookDelaysNobody(t *testing.T) {
	b := newBench(t)
	gate := make(chan struct{})
	slow := receive(t, func(int, got) int { <-gate; return 200 })
	fast := receive(t, nil)
	ws := b.webhook(slow.URL, func(w *iot.Webhook) { w.ID = "slow" })
	wf := b.webhook(fast.URL, func(w *iot.Webhook) { w.ID = "fast" })
	b.run()
	b.send(0, 0, 300, ws, wf)
	b.until("the fast one has all", func() bool { return fast.count() == 300 })
	if n := slow.count(); n > iot.MaxSlots {
		t.Errorf("%d requests are in flight to the slow one", n)
	}
	close(gate)
	b.until("the slow one has all", func() bool { return slow.count() == 300 })
}

func TestStopDoesNotCountWhatItCuts(t *testing.T) {
	b := newBench(t)
	gate := make(chan struct{})
	r := receive(t, func(int, got) int { <-gate; return 200 })
	w := b.webhook(r.URL)
	b.run()
	id := b.send(0, 0, 1, w)[0]
	b.until("it is in flight", func() bool { return r.count() == 1 })
	b.stop()
	close(gate)
	b.open()
	if v := b.delivery(id); v.Status != iot.Pending || v.AttemptCount != 0 {
		t.Errorf("delivery is %+v", v)
	}
	b.run()
	b.untilStatus(id, iot.Delivered, 1)
}

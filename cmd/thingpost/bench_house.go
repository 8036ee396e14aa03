package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"thingpost/db"
	"thingpost/internal/iot"
)

// benchActor creates the measurement's webhooks, in the audit log.
const benchActor = "thingpost bench"

// benchHouse is everything that is measured, in one process: the server, the relays,
// and the receiver for both.
type benchHouse struct {
	now      func() time.Time
	app      *app
	project  *iot.Project
	client   *http.Client
	receiver *benchReceiver
	ours     benchTarget
	bare     benchTarget
	relay    benchTarget
	stop     func()
	group    *errgroup.Group
}

// benchTarget is where senders post, with which key.
type benchTarget struct{ url, key string }

// relayWorkers is how many posts of the relay can be in flight: as many as a webhook of
// ours.
const relayWorkers = iot.MaxSlots

func benchClient() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConns: 8192, MaxIdleConnsPerHost: 4096, DisableCompression: true}}
}

func (p *program) newBenchHouse(ctx context.Context, folder string) (*benchHouse, error) {
	receiver := newBenchReceiver(0)
	key := iot.NewDeviceKey()
	if err := p.furnish(ctx, folder, receiver.url, key); err != nil {
		return nil, err
	}
	h, err := p.openBenchHouse(ctx, folder, receiver)
	if err != nil {
		return nil, err
	}
	h.ours.key = key.Reveal()
	return h, nil
}

// furnish creates a data folder with a project, a device and a webhook.
func (p *program) furnish(ctx context.Context, folder, url string, key iot.Secret) error {
	store, err := db.Open(ctx, db.Options{Folder: folder, Now: p.now})
	if err != nil {
		return err
	}
	err = func() error {
		a, o := &iot.Account{Email: "bench@localhost", Name: "Bench"}, &iot.Organization{Name: "Bench"}
		if err := store.SetUp(a, o); err != nil {
			return err
		}
		project := &iot.Project{Name: "Bench", OrganizationKey: o.Key}
		if err := store.CreateProject(project, benchActor); err != nil {
			return err
		}
		if err := store.CreateDevice(&iot.Device{ProjectKey: project.Key, ID: "bench-device"}, key, benchActor); err != nil {
			return err
		}
		return store.CreateWebhook(benchWebhook(project, "fast", url), benchActor)
	}()
	return errors.Join(err, store.Close())
}

func benchWebhook(p *iot.Project, name, url string) *iot.Webhook {
	return &iot.Webhook{ProjectKey: p.Key, ID: name, Description: name, URL: url, Format: iot.Envelope,
		MessageTypes: iot.Routes{iot.User: {}}, Settings: iot.DefaultSettings()}
}

func (p *program) openBenchHouse(ctx context.Context, folder string, receiver *benchReceiver) (*benchHouse, error) {
	a, err := p.quietApp(ctx, benchApp(folder))
	if err != nil {
		receiver.close()
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	h := &benchHouse{now: p.now, app: a, client: benchClient(), receiver: receiver, stop: cancel, group: &errgroup.Group{}}
	h.group.Go(func() error { return a.run(ctx) })
	if h.project, err = a.db.Project(ctx, "bench"); err != nil {
		h.close()
		return nil, err
	}
	h.ours.url = a.url() + "/api/v1/projects/bench/devices/bench-device/messages"
	h.startRelays(ctx)
	return h, nil
}

func (h *benchHouse) close() {
	h.stop()
	_ = h.group.Wait()
	_ = h.app.close()
	h.receiver.close()
}

// startRelays serves two relays that post once and forget. The bare one posts every
// body and answers 202 without a body. The other behaves like Thingpost to senders (it
// checks the JSON and answers with an id) and receivers (the same headers, a timeout).
// Both have messages only in memory and do not record outcomes.
func (h *benchHouse) startRelays(ctx context.Context) {
	h.bare.url = startBareRelay(ctx, h.group, h.receiver.url)
	h.relay.url = startRelay(ctx, h.group, h.receiver.url, 10*time.Second, func(m *relayed, w http.ResponseWriter) bool {
		if !json.Valid(m.body) {
			http.Error(w, "not a message", http.StatusBadRequest)
			return false
		}
		id := h.app.db.NewID().String()
		m.headers = []string{"Content-Type", "application/json", "User-Agent", "relay", "Webhook-Id", id,
			"Webhook-Timestamp", strconv.FormatInt(h.now().Unix(), 10)}
		answer := `{"id":"` + id + `"}`
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, answer)
		return true
	})
}

func startBareRelay(ctx context.Context, g *errgroup.Group, to string) (url string) {
	return startRelay(ctx, g, to, 0, func(m *relayed, w http.ResponseWriter) bool {
		m.headers = []string{"Content-Type", "application/json"}
		w.WriteHeader(http.StatusAccepted)
		return true
	})
}

// startRelay serves a relay to an address, in goroutines of g, and returns its own
// address. accept answers a message, and returns its headers, or that it is not posted.
func startRelay(ctx context.Context, g *errgroup.Group, to string, timeout time.Duration,
	accept func(*relayed, http.ResponseWriter) bool) (url string) {
	queue := make(chan relayed, 4096)
	server := serveBench(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, iot.MaxMessageBytes))
		if err != nil {
			http.Error(w, "no body", http.StatusBadRequest)
			return
		}
		if m := (relayed{body: body}); accept(&m, w) {
			queue <- m
		}
	}))
	client := benchClient()
	client.Timeout = timeout
	for range relayWorkers {
		g.Go(func() error {
			for {
				select {
				case m := <-queue:
					_ = postAs(ctx, client, to, m.body, http.StatusOK, m.headers...)
				case <-ctx.Done():
					return nil
				}
			}
		})
	}
	g.Go(func() error { <-ctx.Done(); server.close(); return nil })
	return server.url
}

type relayed struct {
	body    []byte
	headers []string
}

// post sends a message as a device does.
func post(ctx context.Context, client *http.Client, url, key string, body []byte) error {
	return postAs(ctx, client, url, body, http.StatusAccepted, "Content-Type", "application/json", "Authorization", "Bearer "+key)
}

// postAs posts with headers, as names and values, and reads the answer.
func postAs(ctx context.Context, client *http.Client, url string, body []byte, want int, headers ...string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	answer, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err == nil && resp.StatusCode != want {
		err = fmt.Errorf("answer %s: %s", resp.Status, answer)
	}
	return err
}

// round sends messages as fast as the answers arrive, and waits until all messages have
// arrived.
func (h *benchHouse) round(ctx context.Context, to benchTarget, c benchConfig) (f benchFigures, err error) {
	h.receiver.reset()
	accepts := make([][]time.Duration, c.senders)
	var next atomic.Int64
	g, sending := errgroup.WithContext(ctx)
	cpu, began := cpuTime(), h.now()
	for i := range c.senders {
		g.Go(func() error {
			for next.Add(1) <= int64(c.messages) {
				at := h.now()
				if err := post(sending, h.client, to.url, to.key, benchBody(at)); err != nil {
					return err
				}
				accepts[i] = append(accepts[i], h.now().Sub(at))
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return f, err
	}
	accepted := h.now()
	if err := h.receiver.waitFor(ctx, c.messages); err != nil {
		return f, err
	}
	ended := h.now()
	f.Accepted = float64(c.messages) / accepted.Sub(began).Seconds()
	f.Delivered = float64(c.messages) / ended.Sub(began).Seconds()
	f.CPUMS = ms(cpuTime()-cpu) / float64(c.messages)
	f.benchLatency = h.latency(slices.Concat(accepts...))
	return f, nil
}

// even sends at an even pace. A late sender does not delay the others.
func (h *benchHouse) even(ctx context.Context, rate, seconds int) (benchLatency, error) {
	h.receiver.reset()
	n := rate * seconds
	accepts := make([]time.Duration, n)
	g, sending := errgroup.WithContext(ctx)
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for i := range n {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return benchLatency{}, ctx.Err()
		}
		g.Go(func() error {
			at := h.now()
			err := post(sending, h.client, h.ours.url, h.ours.key, benchBody(at))
			accepts[i] = h.now().Sub(at)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return benchLatency{}, err
	}
	if err := h.receiver.waitFor(ctx, n); err != nil {
		return benchLatency{}, err
	}
	l := h.latency(accepts)
	l.Rate = rate
	return l, nil
}

func (h *benchHouse) latency(accepts []time.Duration) benchLatency {
	arrivals := h.receiver.arrivals()
	return benchLatency{AcceptP50: percentileMS(accepts, 50), AcceptP99: percentileMS(accepts, 99),
		ArrivalP50: percentileMS(arrivals, 50), ArrivalP99: percentileMS(arrivals, 99)}
}

func percentileMS(list []time.Duration, p int) float64 {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return ms(list[min(len(list)*p/100, len(list)-1)])
}

// benchBody is a message like those of a soil probe, with its sending time.
func benchBody(at time.Time) []byte {
	return fmt.Appendf(nil, `{"payload":{"sent_at":%d,"probe":7,"vwc":11.42,"soil_c":14.60,"battery_v":3.31,"note":"north bed, row 4"}}`,
		at.UnixNano())
}

// benchReceiver counts arrivals and measures their latency.
type benchReceiver struct {
	*benchServer
	now   func() time.Time
	mu    sync.Mutex
	took  []time.Duration
	count int
	need  int
	full  chan struct{} // closed when need have arrived
}

func newBenchReceiver(takes time.Duration) *benchReceiver {
	r := &benchReceiver{now: time.Now}
	r.benchServer = serveBench(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			return
		}
		if takes > 0 {
			select {
			case <-time.After(takes):
			case <-q.Context().Done():
			}
		}
		r.arrived(body)
	}))
	return r
}

func (r *benchReceiver) arrived(body []byte) {
	at := r.now()
	var sent int64
	if _, rest, ok := strings.Cut(string(body), `"sent_at":`); ok {
		digits, _, _ := strings.Cut(rest, ",")
		sent, _ = strconv.ParseInt(digits, 10, 64)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.took = append(r.took, at.Sub(time.Unix(0, sent)))
	r.count++
	if r.full != nil && r.count == r.need {
		close(r.full)
	}
}

func (r *benchReceiver) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.took, r.count, r.full = r.took[:0], 0, nil
}

func (r *benchReceiver) arrivals() []time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.took)
}

// waitFor waits until n messages have arrived since reset.
func (r *benchReceiver) waitFor(ctx context.Context, n int) error {
	r.mu.Lock()
	if r.count >= n {
		r.mu.Unlock()
		return nil
	}
	full := make(chan struct{})
	r.need, r.full = n, full
	r.mu.Unlock()
	select {
	case <-full:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// benchServer is a server on a free port of the loopback.
type benchServer struct {
	url    string
	server *http.Server
}

func serveBench(handler http.Handler) *benchServer {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		panic("no free port on the loopback: " + err.Error())
	}
	s := &benchServer{url: "http://" + l.Addr().String(), server: &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}}
	go func() { _ = s.server.Serve(l) }()
	return s
}

func (s *benchServer) close() { _ = s.server.Close() }

// fillBacklog creates a data folder whose webhook owes n deliveries.
func (p *program) fillBacklog(ctx context.Context, folder, url string, n int) error {
	if err := p.furnish(ctx, folder, url, iot.NewDeviceKey()); err != nil {
		return err
	}
	store, err := db.Open(ctx, db.Options{Folder: folder, Now: p.now})
	if err != nil {
		return err
	}
	return errors.Join(fill(ctx, store, p.now, n), store.Close())
}

func fill(ctx context.Context, store *db.DB, now func() time.Time, n int) error {
	project, err := store.Project(ctx, "bench")
	if err != nil {
		return err
	}
	s, err := store.ProjectSettings(ctx, project.Key)
	if err != nil {
		return err
	}
	device, err := store.Device(ctx, project.Key, "bench-device")
	if err != nil {
		return err
	}
	const step = 1000
	for done := 0; done < n && ctx.Err() == nil; done += step {
		list := make([]*db.Accept, min(step, n-done))
		for i := range list {
			at := iot.At(now())
			body := benchBody(at.Time())
			m := &iot.Message{ID: store.NewID(), ProjectKey: project.Key, DeviceKey: device.Key, Device: device.ID, Type: iot.User,
				Payload: body[len(`{"payload":`) : len(body)-1], ReceivedAt: at}
			w := s.Webhooks[0]
			list[i] = &db.Accept{Message: m, Device: device, Project: project, Version: s.Version, InOrder: []bool{false},
				Deliveries: []*iot.Delivery{{ID: store.NewID(), MessageID: m.ID, ProjectKey: project.Key, WebhookKey: w.Key, DeviceKey: device.Key,
					Type:   m.Type,
					Status: iot.Pending, Trigger: iot.TriggerMessage, SizeBytes: int64(len(m.Payload)), DueAt: at, CreatedAt: at}}}
		}
		if err := store.Accept(list...); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// residentMiB is the memory of this process; 0 if unknown.
func residentMiB() float64 { return procMiB("self", "VmRSS") }

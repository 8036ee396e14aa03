package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// stage is the program on a machine, with a device that sends numbers and a receiver
// that counts the arrivals of each.
type stage struct {
	t       *testing.T
	p       *process
	machine *machine
	api     *apiClient
	key     string
	data    string
	env     []string
	last    int // number sent

	browser *reader // of the last page

	mu      sync.Mutex
	gate    chan struct{} // the receiver answers when it is closed; nil: at once
	acked   map[string]bool
	arrived map[string]int
	tried   map[string]int // arrivals, and those that the receiver refused

	refuse           int    // the status of refusals, 0 for none
	again            string // its Retry-After
	inFlight, atOnce int
}

// newStage starts the program on a prepared data folder and machine, with additions to
// its environment.
func newStage(t *testing.T, data string, prepare func(*machine), env ...string) *stage {
	t.Helper()
	w := &stage{t: t, acked: map[string]bool{}, arrived: map[string]int{}, tried: map[string]int{}, data: data}
	receiver := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err == nil {
			n, _, _ := strings.Cut(strings.TrimPrefix(string(body), `{"n":`), ",")
			w.mu.Lock()
			if w.refuse == 0 {
				w.arrived[n]++
			}
			w.tried[n]++
			w.inFlight++
			w.atOnce = max(w.atOnce, w.inFlight)
			gate, refuse, again := w.gate, w.refuse, w.again
			w.mu.Unlock()
			if gate != nil {
				<-gate
			}
			w.mu.Lock()
			w.inFlight--
			w.mu.Unlock()
			if refuse != 0 {
				rw.Header().Set("Retry-After", again)
				rw.WriteHeader(refuse)
			}
		}
	}))
	t.Cleanup(receiver.Close)
	w.machine, w.env = newMachine(t)
	w.env = append(w.env, env...)
	if prepare != nil {
		prepare(w.machine)
	}
	w.start()
	w.api = signIn(t, w.p.url)
	w.api.call("POST", "/projects", map[string]string{"id": "probes", "name": "Probes"}, 201, nil)
	w.api.call("POST", "/projects/probes/webhooks", map[string]any{"id": "hook", "description": "Hook", "url": receiver.URL, "type": "user",
		"payload_only": true}, 201, nil)
	var device struct{ Key string }
	w.api.call("POST", "/projects/probes/devices", map[string]string{"id": "probe-1"}, 201, &device)
	w.key = device.Key
	return w
}

func (w *stage) start() {
	w.t.Helper()
	env := append(adminEnv(), "THINGPOST_METRICS_TOKEN="+metricsToken)
	w.p = serve(w.t, append(env, w.env...), "-data", w.data, "-allow-networks", "127.0.0.0/8,::1/128")
}

// answer is the answer to a sender.
type answer struct {
	status     int
	body       string
	retryAfter string
}

// send sends the next number with so many bytes around it.
func (w *stage) send(size int) answer {
	w.t.Helper()
	return w.sendWith(size, "")
}

// sendID sends the next number with an id of the sender's own, and returns the
// message's.
func (w *stage) sendID(id string) string {
	w.t.Helper()
	a := w.sendWith(1, `,"id":"`+id+`"`)
	if a.status != http.StatusAccepted {
		w.t.Fatalf("a sender got %+v", a)
	}
	return strings.Split(a.body, `"`)[3]
}

func (w *stage) sendWith(size int, fields string) answer {
	w.t.Helper()
	w.last++
	n := strconv.Itoa(w.last)
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.p.url+"/api/v1/projects/probes/devices/probe-1/messages",
		strings.NewReader(`{"payload":{"n":`+n+`,"pad":"`+strings.Repeat("x", size)+`"}`+fields+`}`))
	must(w.t, err)
	r.Header.Set("Authorization", "Bearer "+w.key)
	resp, err := http.DefaultClient.Do(r)
	must(w.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(w.t, err)
	if resp.StatusCode == http.StatusAccepted && fields == "" {
		w.mu.Lock()
		w.acked[n] = true
		w.mu.Unlock()
	}
	return answer{resp.StatusCode, string(body), resp.Header.Get("Retry-After")}
}

// missing are acknowledged numbers that have not arrived.
func (w *stage) missing() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for k := range w.acked {
		if w.arrived[k] == 0 {
			n++
		}
	}
	return n
}

// done waits until all acknowledged messages have arrived and their outcomes are
// stored, stops the program and checks its database. It returns how many arrived more
// than once.
func (w *stage) done() (twice int) {
	w.t.Helper()
	until(w.t, "all that was acknowledged has arrived", func() bool { return w.missing() == 0 })
	if status := w.p.end(w.t, syscall.SIGTERM); status != 0 {
		w.t.Errorf("it stopped with status %d: %s", status, w.p.stderr.String())
	}
	mustRun(w.t, 0, "No faults found.", "check", "-data", w.data)
	for _, n := range w.arrived {
		if n > 1 {
			twice++
		}
	}
	return twice
}

// mustBeRefused checks the answer to a sender whose message was not stored.
func (a answer) mustBeRefused(t *testing.T) {
	t.Helper()
	code := map[int]string{http.StatusServiceUnavailable: "unavailable", http.StatusInsufficientStorage: "storage_full"}[a.status]
	if code == "" || !strings.Contains(a.body, `"code":"`+code+`"`) || a.retryAfter == "" {
		t.Fatalf("a sender got %d, Retry-After %q: %s", a.status, a.retryAfter, a.body)
	}
}

// page is a page of the dashboard for its administrator, who signs in for it, also
// while the disk fails.
func (w *stage) page(path string) string {
	w.t.Helper()
	w.browser = visitor(w.t, w.p.url)
	w.browser.enters()
	text, _ := w.browser.wire(path)
	return text
}

// prunes prunes by age as the latest visitor, "" for the configured retention.
func (w *stage) prunes(older string) {
	w.t.Helper()
	if s := w.browser.tries(http.MethodPost, "/settings/storage/prune", url.Values{"older": {older}}); s.status != http.StatusSeeOther {
		w.t.Fatalf("pruning answers %d: %s", s.status, s.body)
	}
}

// says fails the test if a page does not contain all of the texts.
func says(t *testing.T, what, body string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(body, text) {
			t.Errorf("%s does not say %q: %s", what, text, body)
		}
	}
}

// fails returns a condition: the disk has failed so often since.
func (w *stage) fails(n int64) func() bool {
	before := w.machine.bad.Load()
	return func() bool { return w.machine.bad.Load() >= before+n }
}

// shut makes the receiver answer nobody until the returned function is called.
func (w *stage) shut() (open func()) {
	gate := make(chan struct{})
	w.mu.Lock()
	w.gate = gate
	w.mu.Unlock()
	return sync.OnceFunc(func() { close(gate) })
}

func (w *stage) arrivals() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, times := range w.arrived {
		n += times
	}
	return n
}

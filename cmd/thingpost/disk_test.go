package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// diskWorld is the program over a disk with faults, a device that sends numbers
// and a receiver that counts how often each arrives.
type diskWorld struct {
	t    *testing.T
	p    *process
	disk *disk
	api  *apiClient
	key  string
	data string
	last int // number sent

	mu      sync.Mutex
	acked   map[string]bool
	arrived map[string]int
}

// newDiskWorld starts the program; env and args are added to its own.
func newDiskWorld(t *testing.T, args ...string) *diskWorld {
	t.Helper()
	w := &diskWorld{t: t, acked: map[string]bool{}, arrived: map[string]int{}, data: filepath.Join(t.TempDir(), "data")}
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err == nil {
			n, _, _ := strings.Cut(strings.TrimPrefix(string(body), `{"n":`), ",")
			w.mu.Lock()
			w.arrived[n]++
			w.mu.Unlock()
		}
	}))
	t.Cleanup(receiver.Close)
	var env []string
	w.disk, env = faultyDisk(t)
	w.start(env, args...)
	w.api = signIn(t, w.p.url)
	w.api.call("POST", "/projects", map[string]string{"id": "probes", "name": "Probes"}, 201, nil)
	w.api.call("POST", "/projects/probes/webhooks", map[string]any{"id": "hook", "description": "Hook", "url": receiver.URL, "type": "user", "payload_only": true}, 201, nil)
	var device struct{ Key string }
	w.api.call("POST", "/projects/probes/devices", map[string]string{"id": "probe-1"}, 201, &device)
	w.key = device.Key
	return w
}

func (w *diskWorld) start(env []string, args ...string) {
	w.t.Helper()
	w.p = serve(w.t, append(adminEnv(), env...), append([]string{"-data", w.data, "-allow-networks", "127.0.0.0/8,::1/128"}, args...)...)
}

// answer is what a sender was told.
type answer struct {
	status     int
	body       string
	retryAfter string
}

// send sends the next number with so many bytes around it.
func (w *diskWorld) send(size int) answer {
	w.t.Helper()
	w.last++
	n := strconv.Itoa(w.last)
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.p.url+"/api/v1/projects/probes/devices/probe-1/messages",
		strings.NewReader(`{"payload":{"n":`+n+`,"pad":"`+strings.Repeat("x", size)+`"}}`))
	must(w.t, err)
	r.Header.Set("Authorization", "Bearer "+w.key)
	resp, err := http.DefaultClient.Do(r)
	must(w.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(w.t, err)
	if resp.StatusCode == http.StatusAccepted {
		w.mu.Lock()
		w.acked[n] = true
		w.mu.Unlock()
	}
	return answer{resp.StatusCode, string(body), resp.Header.Get("Retry-After")}
}

// missing are numbers that were acknowledged and have not arrived.
func (w *diskWorld) missing() int {
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

// done waits until all that was acknowledged has arrived and its outcome is
// stored, stops the program and checks its database. It returns how many arrived
// more than once.
func (w *diskWorld) done() (twice int) {
	w.t.Helper()
	until(w.t, "all that was acknowledged has arrived", func() bool { return w.missing() == 0 })
	if status := w.p.end(w.t, syscall.SIGTERM); status != 0 {
		w.t.Errorf("it stopped with status %d: %s", status, w.p.stderr.String())
	}
	if status, out, complaints := run(w.t, "", nil, "check", "-data", w.data); status != 0 {
		w.t.Errorf("check answers %d: %s%s", status, out, complaints)
	}
	for _, n := range w.arrived {
		if n > 1 {
			twice++
		}
	}
	return twice
}

// times is how often a test does something: short, unless an environment variable
// says otherwise.
func times(variable string, short int) int {
	if n, err := strconv.Atoi(os.Getenv(variable)); err == nil {
		return n
	}
	return short
}

// TestAnErrorAtTheNthWrite lets the disk answer with an error, or be full, at the
// first, second, third … write or sync, for that one alone or for all after it, and
// looks at what senders are told, what arrives, and whether the program goes on by
// itself. THINGPOST_DISK_FAULTS says how many faults; default 60.
func TestAnErrorAtTheNthWrite(t *testing.T) {
	w := newDiskWorld(t)
	faults := times("THINGPOST_DISK_FAULTS", 60)
	refused, stopped := 0, map[int]int{}
	for n := range faults {
		does, once := int64(diskError), n%2 == 1
		if n%4 >= 2 {
			does = diskFull
		}
		bad := w.disk.bad.Load()
		w.disk.failAt(int64(n/4+1), does, once)
		size := rand.IntN(3000)
		if n%5 == 0 {
			size = 200_000 // so that the log is moved into the database at times
		}
		until(t, "the disk has failed", func() bool {
			switch a := w.send(size); a.status {
			case http.StatusAccepted:
			case http.StatusInsufficientStorage, http.StatusServiceUnavailable:
				refused++
				stopped[a.status]++
			default:
				t.Fatalf("fault %d: a sender is told %d: %s", n, a.status, a.body)
			}
			return w.disk.bad.Load() > bad
		})
		w.disk.heal()
		until(t, "messages are taken again", func() bool { return w.send(10).status == http.StatusAccepted })
	}
	twice := w.done()
	t.Logf("%d faults, %d acknowledged, %v, twice %d", faults, len(w.acked), stopped, twice)
	_ = bytes.Contains
	_ = context.Canceled
	_ = fmt.Sprint
	_ = time.Now
}

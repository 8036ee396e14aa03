package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"thingpost/db"
)

// diskWorld is the program over a disk with faults, a device that sends numbers
// and a receiver that counts how often each arrives.
type diskWorld struct {
	t    *testing.T
	p    *process
	disk *machine
	api  *apiClient
	key  string
	data string
	last int // number sent

	browser *http.Client // of the last page

	mu      sync.Mutex
	gate    chan struct{} // the receiver answers when it is closed; nil: at once
	acked   map[string]bool
	arrived map[string]int
}

// newDiskWorld starts the program on a data folder.
func newDiskWorld(t *testing.T, data string) *diskWorld {
	t.Helper()
	w := &diskWorld{t: t, acked: map[string]bool{}, arrived: map[string]int{}, data: data}
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err == nil {
			n, _, _ := strings.Cut(strings.TrimPrefix(string(body), `{"n":`), ",")
			w.mu.Lock()
			w.arrived[n]++
			gate := w.gate
			w.mu.Unlock()
			if gate != nil {
				<-gate
			}
		}
	}))
	t.Cleanup(receiver.Close)
	var env []string
	w.disk, env = newMachine(t)
	w.start(env)
	w.api = signIn(t, w.p.url)
	w.api.call("POST", "/projects", map[string]string{"id": "probes", "name": "Probes"}, 201, nil)
	w.api.call("POST", "/projects/probes/webhooks", map[string]any{"id": "hook", "description": "Hook", "url": receiver.URL, "type": "user", "payload_only": true}, 201, nil)
	var device struct{ Key string }
	w.api.call("POST", "/projects/probes/devices", map[string]string{"id": "probe-1"}, 201, &device)
	w.key = device.Key
	return w
}

func (w *diskWorld) start(env []string) {
	w.t.Helper()
	env = append(env, "THINGPOST_METRICS_TOKEN="+scrapeToken)
	w.p = serve(w.t, append(adminEnv(), env...), "-data", w.data, "-allow-networks", "127.0.0.0/8,::1/128")
}

const scrapeToken = "a token of the metrics"

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
// itself. THINGPOST_DISK_FAULTS says how many faults; default 48.
func TestAnErrorAtTheNthWrite(t *testing.T) {
	w := newDiskWorld(t, t.TempDir())
	faults := times("THINGPOST_DISK_FAULTS", 48)
	refused := map[int]int{}
	for n := range faults {
		does, once := int64(diskError), n%2 == 1
		if n%8 >= 6 { // fewer of them, since messages are refused for a while then
			does = diskFull
		}
		bad := w.disk.bad.Load()
		w.disk.failAt(int64(n/2%100+1), does, once)
		size := rand.IntN(3000)
		if n%5 == 0 {
			size = 200_000 // so that the log is moved into the database at times
		}
		until(t, "the disk has failed", func() bool {
			a := w.send(size)
			if a.status != http.StatusAccepted {
				a.mustBeRefused(t)
				refused[a.status]++
			}
			return w.disk.bad.Load() > bad
		})
		w.disk.heal()
		until(t, "messages are taken again", func() bool { return w.send(10).status == http.StatusAccepted })
	}
	twice := w.done()
	if twice > 0 {
		t.Errorf("%d messages arrived twice", twice)
	}
	t.Attr("figure", fmt.Sprintf("%d faults, %d messages acknowledged, 0 lost, 0 sent twice; %d refused with 503, %d with 507", faults, len(w.acked), refused[503], refused[507]))
}

// mustBeRefused looks at how a sender is told that its message was not stored.
func (a answer) mustBeRefused(t *testing.T) {
	t.Helper()
	code := map[int]string{http.StatusServiceUnavailable: "unavailable", http.StatusInsufficientStorage: "storage_full"}[a.status]
	if code == "" || !strings.Contains(a.body, `"code":"`+code+`"`) || a.retryAfter == "" {
		t.Fatalf("a sender is told %d, Retry-After %q: %s", a.status, a.retryAfter, a.body)
	}
}

// page is a page of the dashboard as its administrator sees it, who signs in for
// it: also while the disk fails.
func (w *diskWorld) page(path string) string {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	must(w.t, err)
	c := http.Client{Jar: jar}
	w.post(&c, "/sign-in", url.Values{"email": {"ada@example.org"}, "password": {"correct horse battery"}})
	resp, err := c.Get(w.p.url + path)
	must(w.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(w.t, err)
	if resp.StatusCode != http.StatusOK || resp.Request.URL.Path != path {
		w.t.Fatalf("%s answers %d at %s: %s", path, resp.StatusCode, resp.Request.URL.Path, body)
	}
	w.browser = &c
	return string(body)
}

// post sends a form, which must lead somewhere.
func (w *diskWorld) post(c *http.Client, path string, form url.Values) {
	w.t.Helper()
	resp, err := c.PostForm(w.p.url+path, form)
	must(w.t, err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Request.Method != http.MethodGet {
		body, _ := io.ReadAll(resp.Body)
		w.t.Fatalf("%s answers %d: %s", path, resp.StatusCode, body)
	}
}

// says fails the test if a page does not hold all of the texts.
func says(t *testing.T, what, body string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(body, text) {
			t.Errorf("%s does not say %q: %s", what, text, body)
		}
	}
}

// metric returns a line of /metrics.
func (w *diskWorld) metric(name string) string {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.p.url+"/metrics", http.NoBody)
	must(w.t, err)
	r.Header.Set("Authorization", "Bearer "+scrapeToken)
	resp, err := http.DefaultClient.Do(r)
	must(w.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(w.t, err)
	for line := range strings.Lines(string(body)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	w.t.Fatalf("there is no metric %s: %s", name, body)
	return ""
}

// TestADiskThatTakesNoWrites lets every write fail for a while, as on a disk that was
// made read-only or that breaks, while deliveries are in flight and others wait.
func TestADiskThatTakesNoWrites(t *testing.T) {
	const waiting = 400
	w := newDiskWorld(t, t.TempDir())
	open := w.shut()
	for range waiting {
		if a := w.send(10); a.status != http.StatusAccepted {
			t.Fatalf("%+v", a)
		}
	}
	w.disk.does.Store(diskError)
	tried := 0
	until(t, "a sender is refused", func() bool {
		a := w.send(10)
		if tried++; a.status != http.StatusAccepted {
			a.mustBeRefused(t)
			return a.status == http.StatusServiceUnavailable
		}
		return false
	})
	open()
	until(t, "the store is tried again", w.fails(1))
	for range 200 {
		w.send(10).mustBeRefused(t)
	}
	begun := w.arrivals()
	until(t, "the store is tried a few times more", w.fails(10))
	if n := w.arrivals(); n > begun || n > waiting/2 {
		t.Errorf("%d of %d were sent while no outcome could be stored, %d of them late", n, waiting, n-begun)
	}
	says(t, "the overview", w.page("/projects/probes"), "Messages cannot be stored", "messages refused", "The disk answers with errors")
	says(t, "the storage page", w.page("/settings/storage"), "Messages cannot be stored", w.data, "Senders are told to try again")
	if got := w.metric("thingpost_storing"); got != "0" {
		t.Errorf("thingpost_storing is %s", got)
	}
	until(t, "readyz says so", func() bool {
		status, body := get(t, w.p.url+"/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, "The disk answers with errors")
	})
	if lines := strings.Count(w.p.stderr.String(), "\n"); lines > 60 {
		t.Errorf("the log has %d lines: %s", lines, w.p.stderr.String())
	}
	w.disk.heal()
	until(t, "it goes on by itself", func() bool { return w.metric("thingpost_storing") == "1" })
	says(t, "the log", w.p.stderr.String(), "nothing can be stored", "all is stored again")
	if a := w.send(10); a.status != http.StatusAccepted {
		t.Errorf("%+v", a)
	}
	if strings.Contains(w.page("/projects/probes"), "Messages cannot be stored") {
		t.Error("the overview still says that messages cannot be stored")
	}
	if twice := w.done(); twice > 0 {
		t.Errorf("%d messages arrived twice", twice)
	}
	t.Attr("figure", fmt.Sprintf("%d acknowledged, 0 lost, 0 sent twice, %d sent while no outcome could be stored; recovers by itself", len(w.acked), begun))
}

// fails returns a condition: the disk has failed so often since.
func (w *diskWorld) fails(n int64) func() bool {
	before := w.disk.bad.Load()
	return func() bool { return w.disk.bad.Load() >= before+n }
}

// shut lets the receiver answer nobody until the returned function is called.
func (w *diskWorld) shut() (open func()) {
	gate := make(chan struct{})
	w.mu.Lock()
	w.gate = gate
	w.mu.Unlock()
	return sync.OnceFunc(func() { close(gate) })
}

func (w *diskWorld) arrivals() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, times := range w.arrived {
		n += times
	}
	return n
}

// TestASlowDisk lets each sync take 50 ms: all is slower, and nothing is lost.
func TestASlowDisk(t *testing.T) {
	w := newDiskWorld(t, t.TempDir())
	w.disk.delay.Store(int64(50 * time.Millisecond))
	for range 10 {
		if a := w.send(10); a.status != http.StatusAccepted {
			t.Errorf("%+v", a)
		}
	}
	if status, body := get(t, w.p.url+"/readyz"); status != http.StatusOK {
		t.Errorf("readyz: %d %s", status, body)
	}
	if twice := w.done(); twice > 0 {
		t.Errorf("%d messages arrived twice", twice)
	}
	t.Attr("figure", fmt.Sprintf("each sync 50 ms: %d acknowledged, 0 lost, 0 sent twice", len(w.acked)))
}

// smallDisk returns a folder on a file system of its own of so many MiB, where this
// user may mount one. mounted is false where not: the folder is on the disk there
// is, and the machine has to play a full one.
func smallDisk(t *testing.T, mebibytes int) (folder string, mounted bool) {
	t.Helper()
	folder = t.TempDir()
	if err := mountTmpfs(folder, "size="+strconv.Itoa(mebibytes)+"m"); err != nil {
		t.Logf("no disk of its own (%v): the machine plays one", err)
		return folder, false
	}
	t.Cleanup(func() {
		if err := unmount(folder); err != nil {
			t.Error(err)
		}
	})
	return folder, true
}

// TestAFullDisk fills a small disk, signs in, looks at what the pages say, and
// prunes: then messages are taken again, by nothing but that.
func TestAFullDisk(t *testing.T) {
	folder, mounted := smallDisk(t, 96)
	w := newDiskWorld(t, folder)
	reserve := filepath.Join(folder, db.ReserveName)
	info, err := os.Stat(reserve)
	must(t, err)
	if !mounted {
		w.disk.room.Store(24 << 20)
		w.disk.does.Store(diskFull)
	}
	const size = 150_000
	until(t, "the disk is full", func() bool {
		a := w.send(size)
		if a.status != http.StatusAccepted {
			a.mustBeRefused(t)
		}
		return a.status == http.StatusInsufficientStorage
	})
	if _, err := os.Stat(reserve); err == nil {
		t.Error("the reserve is still there")
	}
	w.disk.room.Add(info.Size())
	acked := len(w.acked)
	until(t, "all that was acknowledged has arrived", func() bool { return w.missing() == 0 })
	for range 20 {
		w.send(size).mustBeRefused(t)
	}
	says(t, "the overview", w.page("/projects/probes"), "Messages cannot be stored", "The disk is full")
	says(t, "the storage page", w.page("/settings/storage"), "The disk is full", folder)
	if status, body := get(t, w.p.url+"/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "storage_full") {
		t.Errorf("readyz answers %d: %s", status, body)
	}
	w.disk.setClock(3 * time.Hour) // what has ended is kept for an hour
	w.post(w.browser, "/settings/storage/prune", url.Values{"older": {"1h"}})
	until(t, "messages are taken again", func() bool { return w.send(size).status == http.StatusAccepted })
	if _, err := os.Stat(reserve); err != nil {
		t.Errorf("there is no reserve again: %v", err)
	}
	for range 20 {
		if a := w.send(size); a.status != http.StatusAccepted {
			t.Fatalf("after pruning: %+v", a)
		}
	}
	if twice := w.done(); twice > 0 {
		t.Errorf("%d messages arrived twice", twice)
	}
	t.Attr("figure", fmt.Sprintf("%d MiB stored on a full disk, then pruned there: %d acknowledged, 0 lost, 0 sent twice", acked*size>>20, len(w.acked)))
}

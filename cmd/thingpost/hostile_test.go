package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	neturl "net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"thingpost/internal/iot"
)

// hostileWorld is a server with a webhook whose receiver works, beside hostile ones.
type hostileWorld struct {
	t       *testing.T
	p       *process
	api     *apiClient
	url     string // for messages
	key     string
	client  *http.Client
	healthy *httptest.Server
	reached atomic.Int64 // requests that reached the forbidden address

	messages int // messages for each kind

	mu      sync.Mutex
	sent    []time.Time
	took    []time.Duration // until the healthy one had it; 0 before
	arrived int
	most    int64 // resident memory in bytes since it was last set to 0
}

const (
	hostileMessages = 100 // 500 if each kind runs alone: p99 of fewer is the slowest
	hostilePace     = 100 // a second
)

// TestOneHostileReceiverHarmsNobody has the real program deliver to receivers of every
// hostile kind, and to a healthy one. The healthy one gets everything meanwhile. Memory
// grows by less than 32 MiB, no goroutine and no descriptor is left over, nothing
// reaches a forbidden address, no message is sent twice unnoticed, and the log
// describes each kind in its own words.
//
// All kinds run at once, except the heaviest, which is measured alone. With
// THINGPOST_HOSTILE=each ("make hostile") they run one after the other.
func TestOneHostileReceiverHarmsNobody(t *testing.T) {
	ca, authority := newHostileCA(t)
	w := newHostileWorld(t, authority)
	// 127.0.0.2 is forbidden, and listens on the ports that a rebound name leads to.
	forbidden, _ := listenTCP(t, "127.0.0.2:0", func(net.Conn) { w.reached.Add(1) })
	kinds := hostileKinds(ca, forbidden)
	heaviest := slices.IndexFunc(kinds, func(k *hostile) bool { return k.name == "endless-body" })
	groups := [][]*hostile{{kinds[heaviest]}, slices.Delete(slices.Clone(kinds), heaviest, heaviest+1)}
	if os.Getenv("THINGPOST_HOSTILE") == "each" {
		groups, w.messages = slices.Collect(slices.Chunk(kinds, 1)), 5*hostileMessages
	}
	w.send() // warms up
	w.atRest()
	words := map[string]string{}
	grown, ratios := 0.0, []float64{}
	for _, group := range groups {
		more, ratio := w.put(t, group, words)
		grown, ratios = max(grown, more), append(ratios, ratio)
	}
	if n := w.reached.Load(); n != 0 {
		t.Errorf("%d connections got through to a forbidden address", n)
	}
	if code := w.p.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("it stopped with status %d: %s", code, w.p.stderr.String())
	}
	how := "at once, the heaviest alone"
	if len(groups) == len(kinds) {
		how = fmt.Sprintf("one after the other; another webhook's p99 %.1f times its own (the worst %.1f)", median(ratios), slices.Max(ratios))
	}
	t.Attr("figure", fmt.Sprintf("%d kinds of receivers, %d messages each, %s: memory grew by %.1f MiB at most, no goroutine or descriptor "+
		"left over, %d sentences in the log",
		len(kinds), w.messages, how, grown, len(words)))
}

func newHostileWorld(t *testing.T, authority string) *hostileWorld {
	t.Helper()
	w := &hostileWorld{t: t, messages: hostileMessages, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	w.healthy = httptest.NewServer(http.HandlerFunc(w.arrive))
	t.Cleanup(w.healthy.Close)
	w.p = serve(t, append(adminEnv(), "THINGPOST_METRICS_TOKEN="+metricsToken, nameServer+"="+serveNames(t, hostileNames()),
		"SSL_CERT_FILE="+authority),
		"-data", filepath.Join(t.TempDir(), "data"), "-allow-networks", "127.0.0.1", "-max-webhooks", "100", "-memory", "128MiB")
	w.api = signIn(t, w.p.url)
	w.api.call("POST", "/projects", map[string]string{"id": "hostile", "name": "Hostile"}, 201, nil)
	w.hook("healthy", w.healthy.URL, 10*time.Second)
	var device struct{ Key string }
	w.api.call("POST", "/projects/hostile/devices", map[string]string{"id": "probe-1"}, 201, &device)
	w.url, w.key = w.p.url+"/api/v1/projects/hostile/devices/probe-1/messages", device.Key
	return w
}

func (w *hostileWorld) hook(name, url string, timeout time.Duration) {
	w.t.Helper()
	w.api.call("POST", "/projects/hostile/webhooks", map[string]any{"id": name, "description": name, "url": url, "type": "user",
		"payload_only": true,
		"settings":     map[string]any{"timeout_ms": timeout.Milliseconds()}}, 201, nil)
}

// arrive is the healthy receiver.
func (w *hostileWorld) arrive(_ http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	n, err := strconv.Atoi(string(body))
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil || n >= len(w.took) {
		w.t.Errorf("the healthy receiver got %.80q", body)
		return
	}
	if w.took[n] == 0 {
		w.took[n] = time.Since(w.sent[n])
		w.arrived++
	}
}

// send sends messages at an even pace, waits until the healthy receiver has them, and
// returns how long the slowest of a hundred took.
func (w *hostileWorld) send() (p99 time.Duration) {
	w.t.Helper()
	var group sync.WaitGroup
	tick := time.NewTicker(time.Second / hostilePace)
	defer tick.Stop()
	first := len(w.sent)
	for i := range w.messages {
		<-tick.C
		w.mu.Lock()
		n := len(w.sent)
		w.sent, w.took = append(w.sent, time.Now()), append(w.took, 0)
		w.mu.Unlock()
		group.Go(func() {
			if err := post(w.t.Context(), w.client, w.url, w.key, fmt.Appendf(nil, `{"payload":%d}`, n)); err != nil {
				w.t.Errorf("message %d: %v", n, err)
			}
		})
		if i%10 == 0 {
			w.watch()
		}
	}
	group.Wait()
	w.until("the healthy receiver has all", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.arrived == len(w.sent)
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	took := slices.Sorted(slices.Values(w.took[first:]))
	return took[len(took)*99/100]
}

// until waits for a condition, and watches memory meanwhile.
func (w *hostileWorld) until(what string, ok func() bool) {
	w.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	until(w.t, what, func() bool {
		<-tick.C
		w.watch()
		return ok()
	})
}

func (w *hostileWorld) watch() { w.most = max(w.most, gaugeOf(w.t, w.p.url).rss) }

// atRest is the server's gauge when it is idle again.
func (w *hostileWorld) atRest() gauge {
	w.t.Helper()
	w.client.CloseIdleConnections()
	w.healthy.CloseClientConnections()
	return atRest(w.t, w.p.url)
}

// put runs hostile receivers beside the healthy one for a while. words are the
// sentences of the log so far. It returns by how many MiB memory grew, and the healthy
// one's p99 as a multiple of its p99 alone.
func (w *hostileWorld) put(t *testing.T, kinds []*hostile, words map[string]string) (grown, ratio float64) {
	t.Helper()
	w.t, w.api.t = t, t
	before := w.atRest()
	w.most = 0
	alone := w.send()
	was := w.most
	w.most = 0
	for _, k := range kinds {
		k.listen(t)
		timeout := 10 * time.Second
		if k.class == iot.ErrTimeout {
			timeout = time.Second
		}
		if k.slow {
			timeout = 2 * time.Second
		}
		w.hook(k.name, k.url, timeout)
	}
	beside := w.send()
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			w.t, w.api.t = t, t
			w.judge(t, k, words)
		})
	}
	w.t, w.api.t = t, t
	grown = float64(w.most-was) / mib
	for _, k := range kinds {
		w.api.call("DELETE", "/projects/hostile/webhooks/"+k.name, nil, 204, nil)
		k.stop()
	}
	after := w.atRest()
	if before.rss > 0 && !raceDetector && grown > 32 {
		t.Errorf("memory grew by %.1f MiB", grown)
	}
	if more := after.goroutines - before.goroutines; more > 8 {
		t.Errorf("%d goroutines more than before", more)
	}
	if more := after.fds - before.fds; more > 12 {
		t.Errorf("%d descriptors more than before", more)
	}
	what := fmt.Sprintf("%d kinds at once", len(kinds))
	if len(kinds) == 1 {
		what = kinds[0].name
	}
	t.Logf("%s: memory %+.1f MiB; the healthy webhook's p99 %.1f ms, %.1f ms alone; %+d goroutines, %+d descriptors afterwards",
		what, grown, ms(beside), ms(alone), after.goroutines-before.goroutines, after.fds-before.fds)
	return grown, float64(beside) / float64(alone)
}

// hostileDelivery is a delivery in the API.
type hostileDelivery struct {
	ID       string
	Status   string
	Count    int `json:"attempt_count"`
	Attempts []iot.Attempt
}

// list returns all deliveries of a webhook that a filter selects.
func (w *hostileWorld) list(webhook, filter string) (list []hostileDelivery) {
	w.t.Helper()
	for cursor := ""; ; {
		var answer struct {
			Items []hostileDelivery
			Next  string
		}
		w.api.call("GET", "/projects/hostile/deliveries?limit=200&webhook="+webhook+"&"+filter+"&cursor="+neturl.QueryEscape(cursor), nil, 200,
			&answer)
		if list = append(list, answer.Items...); answer.Next == "" {
			return list
		}
		cursor = answer.Next
	}
}

func (w *hostileWorld) count(webhook, filter string) int { return len(w.list(webhook, filter)) }

// judge waits for a delivery to the receiver, and checks its log.
func (w *hostileWorld) judge(t *testing.T, k *hostile, words map[string]string) {
	t.Helper()
	if k.class == "" {
		w.until("all has arrived", func() bool { return w.count(k.name, "status=delivered") == w.messages })
		w.judgeTaken(t, k)
		return
	}
	var list []hostileDelivery
	w.until("a delivery has failed", func() bool {
		list = w.list(k.name, "error="+string(k.class))
		return len(list) > 0
	})
	var v hostileDelivery
	w.api.call("GET", "/projects/hostile/deliveries/"+list[0].ID, nil, 200, &v)
	a := v.Attempts[len(v.Attempts)-1]
	if a.Error == nil || a.Error.Class != k.class || !strings.Contains(a.Error.Detail, k.words) || (a.Response != nil) != (k.status != 0) {
		t.Fatalf("the log says %+v of it", a)
	}
	if a.Response != nil && int(a.Response.Status) != k.status {
		t.Errorf("the answer is %d", a.Response.Status)
	}
	u, err := neturl.Parse(k.url)
	must(t, err)
	sentence := strings.NewReplacer(u.Host, "HOST", u.Hostname(), "HOST").Replace(a.Error.Detail)
	if other, ok := words[sentence]; ok && k.alike != other {
		t.Errorf("the log says the same of %s: %s", other, sentence)
	}
	words[sentence] = k.name
	t.Attr("figure", a.Error.Detail)
}

// judgeTaken checks the deliveries to a receiver that answers with success.
func (w *hostileWorld) judgeTaken(t *testing.T, k *hostile) {
	t.Helper()
	attempts, resent, truncated, late := 0, 0, 0, 0
	for _, v := range w.list(k.name, "status=delivered") {
		w.api.call("GET", "/projects/hostile/deliveries/"+v.ID, nil, 200, &v)
		for _, a := range v.Attempts {
			attempts++
			if a.Resent {
				resent++
			}
			if a.Response != nil && a.Response.Truncated {
				truncated++
			}
			if k.slow && a.Error != nil && a.Error.Class == iot.ErrTimeout {
				late++ // on a busy machine its head is late too
				continue
			}
			if !strings.Contains(a.Note, k.note) || (a.Note == "") != (k.note == "") {
				t.Errorf("the log notes %q of a success, want %q", a.Note, k.note)
			}
		}
	}
	got := int(k.requests.Load())
	if k.resends {
		if resent == 0 || got != attempts+resent {
			t.Errorf("it got %d requests of %d attempts, of which the log says %d were sent twice", got, attempts, resent)
		}
		t.Attr("figure", fmt.Sprintf("%d messages, 0 lost, %d sent twice, and the log says so of %d", w.messages, got-attempts, resent))
	} else {
		if got != attempts || attempts-late != w.messages {
			t.Errorf("it got %d requests of %d attempts for %d messages", got, attempts, w.messages)
		}
		t.Attr("figure", fmt.Sprintf("%d messages, each once; %d answers cut at 64 KiB", w.messages, truncated))
	}
	if k.cut && truncated != attempts {
		t.Errorf("%d answers of %d were cut", truncated, attempts)
	}
}

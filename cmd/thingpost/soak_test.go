package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
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
)

const (
	soakLimit   = 128 * mib // -retention-bytes
	soakSenders = 32
	// soakPruned is the shortest soak in which retention must have removed something,
	// and memory is checked. A third of it fills the database, and retention by size
	// runs each ten seconds.
	soakPruned = 40 * time.Second
	// soakLong is the shortest soak that bounds memory to 5 %. Before, the caches of
	// the store are still filling.
	soakLong = 10 * time.Minute
)

// soak is a server under an even load, with its surroundings.
type soak struct {
	t        *testing.T
	p        *process
	api      *apiClient
	pages    *reader
	key      string // of the device
	pad      atomic.Pointer[string]
	next     atomic.Uint64
	acked    numberSet
	arrived  map[string]*numberSet // by webhook
	receiver *httptest.Server
	events   atomic.Int64 // lines received by the open page
	began    time.Time
}

// TestSoak runs the real program for a while: senders at an even pace, a webhook that
// accepts everything and one that fails for a second of each ten, an open page, people
// who read the log, and a full database, so that retention removes as much as arrives.
// All acknowledged messages arrive, memory and disk do not grow, and no goroutine and
// no descriptor is left over.
//
// THINGPOST_SOAK is its duration (3 s), THINGPOST_SOAK_RATE the messages per second
// (200 if neither is set; otherwise half of a short calibration). "make soak" sets
// both.
func TestSoak(t *testing.T) {
	duration, rate := 3*time.Second, 0
	if text := os.Getenv("THINGPOST_SOAK"); text != "" {
		d, err := time.ParseDuration(text)
		must(t, err)
		duration = d
	} else {
		rate = 200
	}
	if text := os.Getenv("THINGPOST_SOAK_RATE"); text != "" {
		n, err := strconv.Atoi(text)
		must(t, err)
		rate = n
	}
	s := newSoak(t)
	if rate == 0 {
		rate = s.calibrate()
	}
	if duration >= soakPruned {
		// A third of the time fills the database. A message with two deliveries needs
		// about 1,200 bytes beside its payload, which is stored once.
		s.fill(soakLimit/int(float64(rate)*duration.Seconds()/3+1) - 1200)
	}
	s.warmUp()
	before := s.idle()
	t.Logf("%v at %d messages/s with payloads of %d bytes; before: %s", duration, rate, len(*s.pad.Load()), before)

	stop := s.openPage()
	samples := s.run(duration, rate)
	drained := time.Now()
	s.drain()
	stop()
	t.Logf("drained %.1f s after the last message", time.Since(drained).Seconds())
	after := s.idle()
	t.Logf("after: %s", after)
	s.judge(duration, rate, before, after, samples)
}

func newSoak(t *testing.T) *soak {
	t.Helper()
	s := &soak{t: t, arrived: map[string]*numberSet{"all": {}, "flaky": {}}}
	s.fill(64)
	s.receiver = httptest.NewServer(http.HandlerFunc(s.receive))
	t.Cleanup(s.receiver.Close)
	s.p = serve(t, append(adminEnv(), "THINGPOST_METRICS_TOKEN="+metricsToken), "-data", filepath.Join(t.TempDir(), "data"), "-allow-networks",
		"127.0.0.0/8,::1/128",
		"-retention", "1h", "-retention-bytes", strconv.Itoa(soakLimit))
	s.api = signIn(t, s.p.url)
	s.api.call("POST", "/projects", map[string]string{"id": "soak", "name": "Soak"}, 201, nil)
	for name := range s.arrived {
		s.api.call("POST", "/projects/soak/webhooks",
			map[string]any{"id": "hook-" + name, "description": name, "url": s.receiver.URL + "/" + name, "type": "user", "payload_only": true}, 201,
			nil)
	}
	var device struct{ Key string }
	s.api.call("POST", "/projects/soak/devices", map[string]string{"id": "probe-1"}, 201, &device)
	s.key = device.Key
	s.pages = newReader(t, s.p.url)
	s.pages.signIn("ada@example.org", "correct horse battery")
	return s
}

// fill sets the length of the payloads from now on, within reason.
func (s *soak) fill(size int) {
	pad := strings.Repeat("0123456789abcdef", min(max(size, 64), 48<<10)/16)
	s.pad.Store(&pad)
}

// receive is both receivers, by path. The flaky one fails for a second of each ten.
func (s *soak) receive(w http.ResponseWriter, r *http.Request) {
	name := strings.Trim(r.URL.Path, "/")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if name == "flaky" && time.Now().Unix()%10 == 0 {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	_, rest, _ := strings.Cut(string(body), `{"n":`)
	digits, _, _ := strings.Cut(rest, ",")
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		s.t.Errorf("%s got %.80q", name, body)
		return
	}
	s.arrived[name].add(n)
}

// send sends a number as the device, and records its acknowledgement.
func (s *soak) send(ctx context.Context, client *http.Client, n uint64) {
	body := fmt.Appendf(nil, `{"payload":{"n":%d,"pad":"%s"}}`, n, *s.pad.Load())
	err := post(ctx, client, s.p.url+"/api/v1/projects/soak/devices/probe-1/messages", s.key, body)
	switch {
	case err == nil:
		s.acked.add(n)
	case ctx.Err() == nil:
		s.t.Errorf("message %d was not taken: %v", n, err)
	}
}

// senders send the numbers of the channel, until it is closed.
func (s *soak) senders(list <-chan uint64) (wait func()) {
	var group sync.WaitGroup
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: soakSenders}}
	for range soakSenders {
		group.Go(func() {
			for n := range list {
				s.send(s.t.Context(), client, n)
			}
		})
	}
	return func() { group.Wait(); client.CloseIdleConnections() }
}

// calibrate returns half of what the program accepts and delivers in a second.
func (s *soak) calibrate() int {
	began, first := time.Now(), s.next.Load()
	list := make(chan uint64)
	wait := s.senders(list)
	for time.Since(began) < 3*time.Second {
		list <- s.next.Add(1)
	}
	close(list)
	wait()
	s.drain()
	rate := float64(s.next.Load()-first) / time.Since(began).Seconds() / 2
	return max(int(rate), 10)
}

// warmUp opens as many connections as the load will.
func (s *soak) warmUp() {
	list := make(chan uint64)
	wait := s.senders(list)
	for range 500 {
		list <- s.next.Add(1)
	}
	close(list)
	wait()
	s.look()
	s.drain()
}

// look reads what people read.
func (s *soak) look() {
	for _, path := range []string{"", "/deliveries", "/webhooks/hook-flaky", "/messages"} {
		s.pages.wire("/projects/soak" + path)
	}
	for _, path := range []string{"/messages", "/deliveries?status=pending,failed", "/deliveries?webhook=hook-flaky&code=500-599",
		"/webhooks"} {
		s.api.call("GET", "/projects/soak"+path, nil, 200, nil)
	}
}

// drain waits until all acknowledged messages have arrived at both receivers.
func (s *soak) drain() {
	s.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	until(s.t, "all has arrived", func() bool {
		<-tick.C
		n := s.acked.size()
		return s.arrived["all"].size() >= n && s.arrived["flaky"].size() >= n
	})
}

// idle is the server's gauge when it is idle: its connections are closed, including
// those to receivers.
func (s *soak) idle() gauge {
	s.t.Helper()
	http.DefaultClient.CloseIdleConnections()
	s.pages.client.CloseIdleConnections()
	s.receiver.CloseClientConnections()
	return atRest(s.t, s.p.url)
}

// openPage listens for changes as a browser does. stop ends it.
func (s *soak) openPage() (stop func()) {
	ctx, cancel := context.WithCancel(s.t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.p.url+"/projects/soak/events", http.NoBody)
	must(s.t, err)
	ended := make(chan struct{})
	go func() { // ends with cancel
		defer close(ended)
		resp, err := s.pages.client.Do(req)
		if err != nil {
			s.t.Errorf("the open page: %v", err)
			return
		}
		defer func() { _ = resp.Body.Close() }()
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "event:") || strings.HasPrefix(lines.Text(), "data:") {
				s.events.Add(1)
			}
		}
	}()
	return func() { cancel(); <-ended }
}

// run sends at an even pace, and returns 60 measurements on the way.
func (s *soak) run(duration time.Duration, rate int) (samples []gauge) {
	list := make(chan uint64, soakSenders)
	wait := s.senders(list)
	s.began = time.Now()
	paced := make(chan struct{})
	go func() { // ends after the duration
		defer close(paced)
		defer close(list)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for sent := 0; ; {
			<-tick.C
			elapsed := min(time.Since(s.began), duration)
			for ; sent < int(elapsed.Seconds()*float64(rate)); sent++ {
				list <- s.next.Add(1)
			}
			if elapsed == duration {
				return
			}
		}
	}()
	tick := time.NewTicker(duration / 60)
	defer tick.Stop()
	acked := s.acked.size()
	for i := 1; ; i++ {
		select {
		case <-paced:
			wait()
			return samples
		case <-tick.C:
		}
		samples = append(samples, gaugeOf(s.t, s.p.url))
		if i%3 == 0 {
			n := s.acked.size()
			s.t.Logf("%6.0f s  %6.0f accepted/s  %s", time.Since(s.began).Seconds(), float64(n-acked)/(duration/20).Seconds(),
				samples[len(samples)-1])
			acked = n
			s.look()
		}
	}
}

// String is a line of figures.
func (g gauge) String() string {
	return fmt.Sprintf("%6.1f MiB of memory  %4d goroutines  %4d descriptors  %6.1f MiB on disk (%.1f of them WAL)  %6d pending",
		float64(g.rss)/mib, g.goroutines, g.fds, float64(g.disk())/mib, float64(g.wal)/mib, g.pending)
}

// mean is the mean memory of the samples between two parts of the time.
func mean(samples []gauge, from, to float64) float64 {
	n := float64(len(samples))
	sum, part := 0.0, samples[int(n*from):int(n*to)]
	for _, g := range part {
		sum += float64(g.rss)
	}
	return sum / float64(len(part))
}

func (s *soak) judge(duration time.Duration, rate int, before, after gauge, samples []gauge) {
	t := s.t
	for name, got := range s.arrived {
		lost := 0
		for range s.acked.without(got) {
			lost++
		}
		if lost != 0 {
			t.Errorf("%s lacks %d of %d acknowledged messages", name, lost, s.acked.size())
		}
		if n := got.size(); n > s.acked.size() {
			t.Errorf("%s got %d messages of %d", name, n, s.acked.size())
		}
	}
	if s.events.Load() == 0 {
		t.Error("the open page heard nothing")
	}
	// Readers of the database can open connections late; each has three files.
	if more := after.goroutines - before.goroutines; more > 8 {
		t.Errorf("%d goroutines more than before", more)
	}
	if more := after.fds - before.fds; more > 12 {
		t.Errorf("%d descriptors more than before", more)
	}
	middle, end := mean(samples, 0.4, 0.6), mean(samples, 0.8, 1)
	growth := 0.0
	if middle > 0 {
		growth = 100 * (end - middle) / middle
	}
	largest := slices.MaxFunc(samples, func(a, b gauge) int { return int(a.disk() - b.disk()) }).disk()
	if duration >= soakPruned {
		s.judgeLong(duration, rate, growth, largest)
	}
	if code := s.p.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("it stopped with status %d: %s", code, s.p.stderr.String())
	}
	t.Attr("figure", fmt.Sprintf("%v at %d messages/s, %d messages, 0 lost; memory %.0f MiB %+.1f %% from the middle to the end, at most "+
		"%.0f MiB on disk with a limit of %d that is looked at each 10 s, %+d goroutines, %+d descriptors",
		duration, rate, s.acked.size(), end/mib, growth, float64(largest)/mib, soakLimit/mib, after.goroutines-before.goroutines,
		after.fds-before.fds))
}

// judgeLong checks what a short soak cannot show.
func (s *soak) judgeLong(duration time.Duration, rate int, growth float64, largest int64) {
	most := 15.0
	if duration >= soakLong {
		most = 5
	}
	if growth > most {
		s.t.Errorf("memory grew by %.1f %% from the middle to the end, more than %.0f %%", growth, most)
	}
	if !strings.Contains(s.p.stderr.String(), "msg=pruned") {
		s.t.Error("retention removed nothing")
	}
	// Between two checks of the size, twelve seconds of messages and their log arrive.
	coming := int64(rate) * int64(len(*s.pad.Load())+1200) * 12
	if bound := soakLimit + 64*mib + 2*coming; largest > bound {
		s.t.Errorf("the database took %d MiB on disk, more than %d", largest/mib, bound/mib)
	}
}

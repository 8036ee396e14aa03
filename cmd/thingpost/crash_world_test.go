package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math/bits"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

// numberSet is a set of small numbers, a bit for each: millions of messages need little
// memory.
type numberSet struct {
	mu    sync.Mutex
	words []uint64
	count int64
}

// add adds n and reports whether it was new.
func (s *numberSet) add(n uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if need := int(n/64) + 1 - len(s.words); need > 0 {
		s.words = append(s.words, make([]uint64, need)...)
	}
	word, bit := &s.words[n/64], uint64(1)<<(n%64)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	s.count++
	return true
}

func (s *numberSet) has(n uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return n/64 < uint64(len(s.words)) && s.words[n/64]>>(n%64)&1 == 1
}

func (s *numberSet) size() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// copied returns a copy of the set.
func (s *numberSet) copied() []uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]uint64(nil), s.words...)
}

// without yields the numbers that another set lacks, the lowest first.
func (s *numberSet) without(o *numberSet) iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		others := o.copied()
		for i, word := range s.copied() {
			if i < len(others) {
				word &^= others[i]
			}
			for ; word != 0; word &= word - 1 {
				if !yield(uint64(i*64 + bits.TrailingZeros64(word))) {
					return
				}
			}
		}
	}
}

// lighter is a tenth of a load under the race detector, which is ten times as slow.
func lighter(n int) int {
	if raceDetector {
		return max(1, n/10)
	}
	return n
}

// crashSenders is how many devices send concurrently, each in its own way.
const crashSenders = 16

// A number identifies a message. Its sender is the number modulo crashSenders, and its
// kind depends on the rest: what a message was and who wants it needs no memory.
const (
	kindPlain   = iota // user, no channel
	kindAlarm          // iottly, the channel "alarm"
	kindStep           // user, the channel "steps"
	kindPayload        // user, the channel "alarm" in the payload
	kinds
)

func senderOf(n uint64) int { return int(n % crashSenders) }

// kindOf assigns no steps to the sender of large batches: thousands in order of one
// device would only delay the end.
func kindOf(n uint64) int {
	kind := int(n / crashSenders % kinds)
	if kind == kindStep && senderOf(n) == crashSenders-1 {
		return kindPlain
	}
	return kind
}

func crashPayload(n uint64) []byte {
	b := make([]byte, 0, 256)
	b = append(b, '{')
	if kindOf(n) == kindPayload {
		b = append(b, `"webhook_channel":"alarm",`...)
	}
	b = append(strconv.AppendUint(append(b, `"n":`...), n, 10), `,"pad":"`...)
	b = append(b, strings.Repeat("x", int(n*7919%160))...)
	return append(b, `"}`...)
}

func crashMessage(n uint64, withID bool) []byte {
	b := make([]byte, 0, 384)
	b = append(b, [kinds]string{`{"type":"user"`, `{"type":"iottly","channel":"alarm"`, `{"type":"user","channel":"steps"`,
		`{"type":"user"`}[kindOf(n)]...)
	if withID {
		b = append(strconv.AppendUint(append(b, `,"id":"n`...), n, 10), '"')
	}
	b = append(append(append(b, `,"from":"`...), deviceName(senderOf(n))...), `","payload":`...)
	return append(append(b, crashPayload(n)...), '}')
}

func deviceName(i int) string { return "probe-" + strconv.Itoa(i) }

// crashHook is a webhook and its receiver.
type crashHook struct {
	name       string
	settings   map[string]any
	wants      func(n uint64) bool
	fails      func() int // a status, 0 for none
	inOrder    bool
	holds      atomic.Pointer[chan struct{}] // nil, or requests stay unanswered until it is closed
	unanswered atomic.Int64                  // requests that were not answered

	once bool // failed deliveries are not retried

	arrived, ended numberSet
	failed         atomic.Int64
	repeats        atomic.Int64 // of ended deliveries
	devices        [crashSenders]struct {
		sync.Mutex
		last uint64 // the greatest number that has arrived
		any  bool
		done bool // last was answered with success
	}
}

// crashWorld is a project whose program is killed or stopped, with what its senders and
// receivers have seen.
type crashWorld struct {
	t           *testing.T
	data        string
	args        []string
	process     *process
	receiver    *httptest.Server
	hooks       []*crashHook
	url         atomic.Pointer[string]
	deviceKeys  [crashSenders]string
	projectKey  string
	sent, acked numberSet
	unanswered  atomic.Int64  // requests without an answer
	large       chan struct{} // a large batch has just been sent
	broken      func(error)   // called for interrupted answers; nil: they are expected
	onDisk      func() string // where to read what the stopped program has left; data if nil

	mu     sync.Mutex
	faults []string
}

// newCrashWorld creates the webhooks' receivers. Each webhook wants another part of the
// messages, and some of them fail.
func newCrashWorld(t *testing.T) *crashWorld {
	t.Helper()
	w := &crashWorld{t: t, data: t.TempDir(), large: make(chan struct{}, 1)}
	always := func() int { return 0 }
	w.hooks = []*crashHook{
		{name: "all", settings: map[string]any{"message_types": map[string]any{"user": struct{}{}, "iottly": struct{}{}}}, fails: always,
			wants: func(uint64) bool { return true }},
		{name: "alarms", settings: map[string]any{"type": "iottly", "channel": "alarm"}, fails: always,
			wants: func(n uint64) bool { return kindOf(n) == kindAlarm }},
		{name: "steps", settings: map[string]any{"type": "user", "channel": "steps", "settings": map[string]any{"in_order": true}},
			fails: failing(1000), inOrder: true,
			wants: func(n uint64) bool { return kindOf(n) == kindStep }},
		{name: "flaky", settings: map[string]any{"type": "user", "channel": "alarm"}, fails: failing(8),
			wants: func(n uint64) bool { return kindOf(n) == kindPayload }},
		{name: "doomed", settings: map[string]any{"type": "iottly", "device": deviceName(0), "settings": map[string]any{"no_retry": true}},
			fails: func() int { return 500 }, once: true,
			wants: func(n uint64) bool { return kindOf(n) == kindAlarm && senderOf(n) == 0 }},
	}
	w.receiver = httptest.NewServer(http.HandlerFunc(w.receive))
	t.Cleanup(w.receiver.Close)
	return w
}

// failing fails once in so many times, with a short Retry-After.
func failing(once int) func() int {
	return func() int {
		if rand.IntN(once) == 0 {
			return http.StatusServiceUnavailable
		}
		return 0
	}
}

// fault records what must not happen, and prints the first few.
func (w *crashWorld) fault(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.faults) < 10 {
		w.faults = append(w.faults, fmt.Sprintf(format, args...))
	}
}

func (w *crashWorld) tellFaults() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.faults {
		w.t.Error(f)
	}
}

func (w *crashWorld) receive(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // its sender was killed
	}
	for _, h := range w.hooks {
		if r.URL.Path == "/"+h.name {
			w.arrive(h, rw, r.Context().Done(), gjson.GetBytes(body, "msg.payload").Raw)
			return
		}
	}
	w.fault("somebody posts to %s", r.URL.Path)
}

// arrive records a message at its receiver and answers, unless its sender interrupts.
func (w *crashWorld) arrive(h *crashHook, rw http.ResponseWriter, cut <-chan struct{}, payload string) {
	n := gjson.Get(payload, "n").Uint()
	if payload != string(crashPayload(n)) || !w.sent.has(n) {
		w.fault("%s got %q, which nobody has sent", h.name, payload)
		return
	}
	if !h.wants(n) {
		w.fault("%s got %d, which it does not want", h.name, n)
	}
	status := h.fails()
	if h.inOrder {
		w.inOrder(h, n, status == 0)
	}
	h.arrived.add(n)
	if holds := h.holds.Load(); holds != nil {
		h.unanswered.Add(1)
		select {
		case <-*holds:
		case <-cut:
			return
		}
	}
	if (status == 0 || h.once) && !h.ended.add(n) {
		h.repeats.Add(1)
	}
	if status != 0 {
		h.failed.Add(1)
		rw.Header().Set("Retry-After", "1")
		rw.WriteHeader(status)
	}
}

// inOrder checks the order of a device's messages: earlier ones can arrive again, but a
// new one only after all before it have arrived and ended.
func (w *crashWorld) inOrder(h *crashHook, n uint64, answeredWell bool) {
	d := &h.devices[senderOf(n)]
	d.Lock()
	defer d.Unlock()
	switch {
	case d.any && n > d.last && !d.done:
		w.fault("%s got %d while %d was to be tried again", h.name, n, d.last)
	case d.any && n < d.last && !h.arrived.has(n):
		w.fault("%s got %d for the first time after %d", h.name, n, d.last)
	}
	if !d.any || n >= d.last {
		d.any, d.last, d.done = true, n, answeredWell
	}
}

// missing is how many acknowledged messages a webhook wants and has not got.
func (w *crashWorld) missing(h *crashHook) (count int, first uint64) {
	for n := range w.acked.without(&h.arrived) {
		if !h.wants(n) {
			continue
		}
		if count++; count == 1 {
			first = n
		}
	}
	return count, first
}

// start starts the program without waiting for it. ready is closed once it listens and
// senders know where, or when it has ended.
func (w *crashWorld) start() (p *process, ready <-chan struct{}) {
	w.t.Helper()
	p = newProcess(w.t, adminEnv(),
		append([]string{"serve", "-listen", "127.0.0.1:0", "-data", w.data, "-allow-networks", "127.0.0.0/8,::1/128"}, w.args...)...)
	begin(w.t, p)
	listens := make(chan struct{})
	go func() {
		defer close(listens)
		if p.out.Scan() {
			_, p.url, _ = strings.Cut(p.out.Text(), " listens on ")
			w.url.Store(&p.url)
		}
	}()
	return p, listens
}

// started starts the program and waits until it listens.
func (w *crashWorld) started() *process {
	w.t.Helper()
	p, ready := w.start()
	<-ready
	if p.url == "" {
		_ = p.Wait()
		w.t.Fatalf("it did not start: %s", p.stderr.String())
	}
	return p
}

// setUp creates the project with its devices and webhooks.
func (w *crashWorld) setUp(p *process) *apiClient {
	w.t.Helper()
	c := signIn(w.t, p.url)
	c.call("POST", "/projects", map[string]string{"id": "crash", "name": "Crash"}, 201, nil)
	for i := range crashSenders {
		var device struct{ Key string }
		c.call("POST", "/projects/crash/devices", map[string]string{"id": deviceName(i)}, 201, &device)
		w.deviceKeys[i] = device.Key
	}
	var key struct{ Key string }
	c.call("POST", "/projects/crash/keys", map[string]any{"name": "senders", "rights": []string{"RIGHT_APPLICATION_TRAFFIC_UP_WRITE"}}, 201,
		&key)
	w.projectKey = key.Key
	for _, h := range w.hooks {
		w.addHook(c, h)
	}
	return c
}

func (w *crashWorld) addHook(c *apiClient, h *crashHook) {
	w.t.Helper()
	webhook := map[string]any{"id": "hook-" + h.name, "description": h.name, "url": w.receiver.URL + "/" + h.name}
	maps.Copy(webhook, h.settings)
	c.call("POST", "/projects/crash/webhooks", webhook, 201, nil)
}

// crashSender sends as one device. Messages without an answer are sent again if they
// have ids of their own, as a device would. Otherwise it continues.
type crashSender struct {
	w       *crashWorld
	index   int
	ids     bool
	size    int // messages per request; 1: by the device's own path and key
	lines   bool
	next    uint64
	pending []uint64
	body    []byte
	rests   time.Duration // at most, after each answer
	large   bool          // reports each request to crashWorld.large
}

// senders returns a sender of each kind: one message, arrays, lines and a few large
// batches, with and without ids.
func (w *crashWorld) senders() []*crashSender {
	list := make([]*crashSender, crashSenders)
	for i := range list {
		list[i] = &crashSender{w: w, index: i, ids: i/4%2 == 0, size: []int{1, 1, 20, 50}[i%4], lines: i%4 == 3}
	}
	last := list[crashSenders-1]
	last.size, last.rests, last.large = lighter(1000), 300*time.Millisecond, true
	return list
}

// load runs all senders until it is stopped, or the test is; wait waits for them.
func (w *crashWorld) load(over func() bool) (wait func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	var running sync.WaitGroup
	w.t.Cleanup(func() { cancel(); running.Wait() })
	for _, s := range w.senders() {
		running.Go(func() { s.run(ctx, over) })
	}
	return running.Wait
}

// run sends until ctx ends or there is enough, and then until its last request is
// acknowledged, if that can be repeated.
func (s *crashSender) run(ctx context.Context, enough func() bool) {
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for ctx.Err() == nil {
		if s.pending == nil {
			if enough() {
				return
			}
			s.compose()
		}
		err := s.post(ctx, client)
		wait := 5 * time.Millisecond
		if err == nil {
			s.pending = nil
			if s.rests == 0 {
				continue
			}
			wait = rand.N(s.rests)
		} else if !errors.Is(err, syscall.ECONNREFUSED) { // it says that nothing was sent
			s.w.unanswered.Add(1)
			if !s.ids {
				s.pending = nil
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

func (s *crashSender) compose() {
	s.body = s.body[:0]
	for range s.size {
		n := s.next*crashSenders + uint64(s.index)
		s.next++
		s.pending = append(s.pending, n)
		s.body = append(append(s.body, crashMessage(n, s.ids)...), ",\n"...)
		if s.lines || s.size == 1 {
			s.body = append(s.body[:len(s.body)-2], '\n')
		}
	}
	if s.size > 1 && !s.lines {
		s.body = append(append([]byte{'['}, s.body[:len(s.body)-2]...), ']')
	}
}

// post sends pending messages, and records what was acknowledged. An error leaves the
// result unknown.
func (s *crashSender) post(ctx context.Context, client *http.Client) error {
	url, key, kind := *s.w.url.Load()+"/api/v1/projects/crash", s.w.projectKey, "application/json"
	switch {
	case s.size == 1:
		url, key = url+"/devices/"+deviceName(s.index), s.w.deviceKeys[s.index]
	case s.lines:
		kind = "application/x-ndjson"
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/messages", bytes.NewReader(s.body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", kind)
	for _, n := range s.pending {
		s.w.sent.add(n)
	}
	if s.large {
		select {
		case s.w.large <- struct{}{}:
		default:
		}
	}
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		if s.w.broken != nil {
			s.w.broken(err)
		}
		return err
	}
	if resp.StatusCode == http.StatusServiceUnavailable {
		return errors.New("not now")
	}
	ids := 1
	if s.size > 1 {
		ids = len(gjson.GetBytes(text, "messages.#.id").Array())
	}
	if resp.StatusCode != http.StatusAccepted || !gjson.ValidBytes(text) || ids != len(s.pending) {
		s.w.fault("%d messages were answered %s: %.200s", len(s.pending), resp.Status, text)
		return errors.New(resp.Status)
	}
	for _, n := range s.pending {
		s.w.acked.add(n)
	}
	return nil
}

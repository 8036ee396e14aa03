package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// A message of these measurements has a number and its sending time. The receiver is a
// process of its own. It accepts messages at /in/DELAY/GROUP/PROJECT/HOOK and answers
// after the delay. It keeps the received numbers of each hook, and the latencies of
// each group. Its other paths control the measurement.

// bitset is a set of small numbers.
type bitset []byte

func (s *bitset) add(n int) (isNew bool) {
	for len(*s) <= n/8 {
		*s = append(*s, make([]byte, len(*s)+64)...)
	}
	bit := byte(1) << (n % 8)
	isNew = (*s)[n/8]&bit == 0
	(*s)[n/8] |= bit
	return isNew
}

func (s bitset) count() (n int) {
	for _, b := range s {
		n += bits.OnesCount8(b)
	}
	return n
}

// without counts the numbers that another set lacks.
func (s bitset) without(other bitset) (n int) {
	for i, b := range s {
		if i < len(other) {
			b &^= other[i]
		}
		n += bits.OnesCount8(b)
	}
	return n
}

// sinkFigures has the receiver's figures since its last reset.
type sinkFigures struct {
	Arrived int                     `json:"arrived"` // numbers at hooks, each counted once
	Repeats int                     `json:"repeats"`
	First   time.Time               `json:"first"` // of the first arrival
	Last    time.Time               `json:"last"`  // of the last new arrival
	Groups  map[string]benchLatency `json:"groups"`
}

// sink is the receiver.
type sink struct {
	now   func() time.Time
	mu    sync.Mutex
	first int // the lowest number that counts
	epoch int // resets so far
	hooks map[string]map[string]*bitset
	took  map[string][]time.Duration
	f     sinkFigures
	need  int
	full  chan struct{} // closed when need have arrived
	mode  string        // "", "shut" (no answers) or "fast" (no delays)
	turn  chan struct{} // closed when the mode changes
}

// Modes of the receiver.
const (
	sinkDelays = ""
	sinkShut   = "shut"
	sinkFast   = "fast"
)

func newSink(now func() time.Time) *sink {
	s := &sink{now: now, turn: make(chan struct{})}
	s.reset(0)
	return s
}

func (s *sink) reset(first int) {
	s.epoch++
	s.first, s.hooks, s.took, s.f, s.full = first, map[string]map[string]*bitset{}, map[string][]time.Duration{}, sinkFigures{}, nil
}

func (s *sink) handler() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("POST /in/{delay}/{group}/{project}/{hook}", s.receive)
	m.HandleFunc("POST /reset/{first}", func(_ http.ResponseWriter, r *http.Request) {
		first, _ := strconv.Atoi(r.PathValue("first"))
		s.mu.Lock()
		defer s.mu.Unlock()
		s.reset(first)
	})
	m.HandleFunc("POST /mode/{mode}", func(_ http.ResponseWriter, r *http.Request) {
		s.turnTo(strings.TrimPrefix(r.PathValue("mode"), "-")) // a path cannot have an empty part
	})
	m.HandleFunc("GET /wait/{count}", s.wait)
	m.HandleFunc("GET /figures", func(w http.ResponseWriter, _ *http.Request) { s.report(w) })
	m.HandleFunc("POST /lost", s.lost)
	return m
}

func (s *sink) turnTo(mode string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mode = mode
	close(s.turn)
	s.turn = make(chan struct{})
}

// pause waits as the mode and the delay require, and reports whether the sender still
// waits.
func (s *sink) pause(ctx context.Context, delay time.Duration) bool {
	end := time.NewTimer(delay)
	defer end.Stop()
	for {
		s.mu.Lock()
		mode, turn := s.mode, s.turn
		s.mu.Unlock()
		over := end.C
		switch {
		case mode == sinkShut:
			over = nil
		case mode == sinkFast || delay == 0:
			return true
		}
		select {
		case <-over:
			return true
		case <-turn:
		case <-ctx.Done():
			return false
		}
	}
}

func (s *sink) receive(_ http.ResponseWriter, r *http.Request) {
	delay, _ := time.ParseDuration(r.PathValue("delay"))
	s.mu.Lock()
	epoch := s.epoch
	s.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil || !s.pause(r.Context(), delay) {
		return // the sender is gone
	}
	at := s.now()
	sent, number := numberAfter(body, `"sent_at":`), int(numberAfter(body, `"n":`))
	project, hook, group := r.PathValue("project"), r.PathValue("hook"), r.PathValue("group")
	s.mu.Lock()
	defer s.mu.Unlock()
	if number < s.first || epoch != s.epoch {
		return // of an earlier part
	}
	if s.hooks[project] == nil {
		s.hooks[project] = map[string]*bitset{}
	}
	seen := s.hooks[project][hook]
	if seen == nil {
		seen = &bitset{}
		s.hooks[project][hook] = seen
	}
	if !seen.add(number - s.first) {
		s.f.Repeats++
		return
	}
	s.took[group] = append(s.took[group], at.Sub(time.Unix(0, sent)))
	if s.f.Arrived == 0 {
		s.f.First = at
	}
	s.f.Arrived, s.f.Last = s.f.Arrived+1, at
	if s.full != nil && s.f.Arrived >= s.need {
		close(s.full)
		s.full = nil
	}
}

// numberAfter reads the number after a name, within the first bytes of a body.
func numberAfter(body []byte, name string) int64 {
	_, rest, _ := strings.Cut(string(body[:min(len(body), 200)]), name)
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	n, _ := strconv.ParseInt(rest[:max(end, 0)], 10, 64)
	return n
}

// wait answers once so many have arrived; only one request can wait.
func (s *sink) wait(w http.ResponseWriter, r *http.Request) {
	count, _ := strconv.Atoi(r.PathValue("count"))
	s.mu.Lock()
	full := make(chan struct{})
	if s.f.Arrived >= count {
		close(full)
	} else {
		s.need, s.full = count, full
	}
	s.mu.Unlock()
	select {
	case <-full:
	case <-r.Context().Done():
	}
	s.report(w)
}

func (s *sink) report(w http.ResponseWriter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.f.Groups = map[string]benchLatency{}
	for name, took := range s.took {
		s.f.Groups[name] = benchLatency{ArrivalP50: percentileMS(took, 50), ArrivalP99: percentileMS(took, 99)}
	}
	_ = json.NewEncoder(w).Encode(s.f) // the client may be gone
}

// acked has the acknowledged numbers of each project, and how many hooks want each.
type acked map[string]*ackedNumbers

type ackedNumbers struct {
	Hooks   int    `json:"hooks"`
	Numbers bitset `json:"numbers"`
}

// lost answers how many acknowledged numbers did not arrive at a hook.
func (s *sink) lost(w http.ResponseWriter, r *http.Request) {
	var all acked
	if err := json.NewDecoder(r.Body).Decode(&all); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	lost := 0
	for project, a := range all {
		hooks := s.hooks[project]
		lost += a.Numbers.count() * (a.Hooks - len(hooks))
		for _, seen := range hooks {
			lost += a.Numbers.without(*seen)
		}
	}
	_, _ = fmt.Fprint(w, lost) // the client may be gone
}

// benchAs runs this process as part of another's measurement: as its receiver, or with
// the address of one as a relay that stores nothing.
func (p *program) benchAs(ctx context.Context, role, to string) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var s *benchServer
	if role == benchRelayRole {
		s = &benchServer{url: startBareRelay(ctx, &errgroup.Group{}, to)}
	} else {
		s = serveBench(newSink(p.now).handler())
		defer s.close()
	}
	p.say("Bench %s listens on %s", role, s.url)
	_, err := io.Copy(io.Discard, p.stdin) // until the parent process ends
	return err
}

// Roles of a process in another's measurement.
const (
	benchReceiverRole = "receiver"
	benchRelayRole    = "relay"
)

// benchSink is the client of a receiver in a process of its own.
type benchSink struct {
	*benchChild
	client *http.Client
	first  int // the lowest number since the last reset
}

func startSink(ctx context.Context, own string, client *http.Client) (*benchSink, error) {
	c, err := startChild(ctx, nil, nil, own, "bench", "-as", benchReceiverRole)
	if err != nil {
		return nil, err
	}
	return &benchSink{benchChild: c, client: client}, nil
}

func (s *benchSink) ask(ctx context.Context, method, path string, body any) ([]byte, error) {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	got, err := benchSend(ctx, s.client, method, s.url+path, "", text)
	if err == nil && got.status != http.StatusOK {
		err = fmt.Errorf("the receiver answers %d to %s", got.status, path)
	}
	return got.body, err
}

// reset forgets all arrivals. Numbers below first do not count from now on.
func (s *benchSink) reset(ctx context.Context, first int) error {
	s.first = first
	_, err := s.ask(ctx, http.MethodPost, "/reset/"+strconv.Itoa(first), nil)
	return err
}

func (s *benchSink) turnTo(ctx context.Context, mode string) error {
	_, err := s.ask(ctx, http.MethodPost, "/mode/-"+mode, nil)
	return err
}

// waitFor waits until so many have arrived since the last reset. It returns false with
// the figures so far after most.
func (s *benchSink) waitFor(ctx context.Context, count int, most time.Duration) (f sinkFigures, all bool, err error) {
	waiting, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	text, err := s.ask(waiting, http.MethodGet, "/wait/"+strconv.Itoa(count), nil)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		text, err = s.ask(ctx, http.MethodGet, "/figures", nil)
	}
	if err == nil {
		err = json.Unmarshal(text, &f)
	}
	return f, f.Arrived >= count, err
}

// await waits until all acknowledged messages since the last reset, which make owed
// arrivals, have arrived, and returns how many have not within most.
func (s *benchSink) await(ctx context.Context, a acked, owed int, most time.Duration) (f sinkFigures, lost int, err error) {
	waiting, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for {
		until, _ := waiting.Deadline()
		if f, _, err = s.waitFor(ctx, owed, time.Until(until)); err != nil {
			return f, 0, err
		}
		if lost, err = s.lost(ctx, a); err != nil || lost == 0 || waiting.Err() != nil {
			return f, lost, err
		}
		// Messages stored without an answer have arrived too; they do not count.
		owed = f.Arrived + lost
	}
}

// lost returns how many acknowledged messages since the last reset have not arrived.
func (s *benchSink) lost(ctx context.Context, a acked) (n int, err error) {
	text, err := s.ask(ctx, http.MethodPost, "/lost", a)
	if err == nil {
		n, err = strconv.Atoi(string(text))
	}
	return n, err
}

package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// benchLoad sends messages whose numbers grow over the whole measurement.
type benchLoad struct {
	now    func() time.Time
	client *http.Client
	last   atomic.Int64 // the last number used
}

// benchPost is where a message goes, and how many webhooks want it there.
type benchPost struct {
	project, url, key string
	hooks             int
}

// benchAnswers has the answers to senders in one part of a measurement.
type benchAnswers struct {
	// Statuses counts answers; "none" are requests without one.
	Statuses map[string]int `json:"statuses"`

	mu    sync.Mutex
	first int // numbers count from here
	acked acked
	owed  int // arrivals owed by acknowledged messages
	took  []time.Duration
}

// begin starts a part: the receiver forgets earlier arrivals.
func (l *benchLoad) begin(ctx context.Context, s *benchSink) (*benchAnswers, error) {
	first := int(l.last.Load()) + 1
	return &benchAnswers{first: first, acked: acked{}, Statuses: map[string]int{}}, s.reset(ctx, first)
}

// note records the answer to a numbered message.
func (t *benchAnswers) note(to benchPost, n int, status int, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count(status)
	if status == http.StatusAccepted {
		t.took = append(t.took, took)
		t.ack(to, n)
	}
}

// count counts an answer; 0 is none.
func (t *benchAnswers) count(status int) {
	name := "none"
	if status != 0 {
		name = strconv.Itoa(status)
	}
	t.Statuses[name]++
}

func (t *benchAnswers) ack(to benchPost, n int) {
	a := t.acked[to.project]
	if a == nil {
		a = &ackedNumbers{Hooks: to.hooks}
		t.acked[to.project] = a
	}
	a.Numbers.add(n - t.first)
	t.owed += to.hooks
}

// only reports whether all answers had this status.
func (t *benchAnswers) only(status int) bool {
	return len(t.Statuses) == 1 && t.Statuses[strconv.Itoa(status)] > 0
}

// latency combines the answers to senders with the arrivals of a group of hooks.
func (t *benchAnswers) latency(f sinkFigures, group string) benchLatency {
	l := f.Groups[group]
	l.AcceptP50, l.AcceptP99 = percentileMS(t.took, 50), percentileMS(t.took, 99)
	return l
}

// numberedBody is a message with its number, its sending time and padding of so many
// bytes.
func numberedBody(at time.Time, n, pad int) []byte {
	head := fmt.Appendf(nil, `{"payload":{"sent_at":%d,"n":%d,"probe":7,"vwc":11.42,"soil_c":14.60,"battery_v":3.31,"note":"`,
		at.UnixNano(), n)
	return append(append(head, bytes.Repeat([]byte("x"), max(pad, 8))...), `"}}`...)
}

// flat sends count messages from so many senders, as fast as the answers arrive, until
// window ends; requests in progress are not interrupted. A sender that is asked to wait
// waits and repeats. A sender without an answer stops, and its error is returned.
func (l *benchLoad) flat(ctx, window context.Context, t *benchAnswers, senders, count, pad int, pick func() benchPost) error {
	var taken atomic.Int64
	var g errgroup.Group
	for range senders {
		g.Go(func() error {
			for window.Err() == nil && taken.Add(1) <= int64(count) {
				if err := l.one(ctx, window, t, pick(), pad); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// one sends a message until it is accepted or refused for good.
func (l *benchLoad) one(ctx, window context.Context, t *benchAnswers, to benchPost, pad int) error {
	n := int(l.last.Add(1))
	for {
		at := l.now()
		got, err := benchSend(ctx, l.client, http.MethodPost, to.url, to.key, numberedBody(at, n, pad))
		if err != nil {
			t.note(to, n, 0, 0)
			return err
		}
		t.note(to, n, got.status, l.now().Sub(at))
		switch got.status {
		case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		case http.StatusAccepted:
			return nil
		default:
			return fmt.Errorf("answer %d: %s", got.status, got.body)
		}
		select {
		case <-time.After(max(got.retryAfter, 100*time.Millisecond)):
		case <-window.Done():
			return nil
		}
	}
}

// even sends at an even pace until window ends. A late sender does not delay the
// others. Requests in progress are not interrupted, and refused messages are not
// repeated.
func (l *benchLoad) even(ctx, window context.Context, t *benchAnswers, rate int, pick func() benchPost) error {
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	var g errgroup.Group
	for {
		select {
		case <-window.Done():
			return g.Wait()
		case <-tick.C:
		}
		to, n := pick(), int(l.last.Add(1))
		g.Go(func() error {
			at := l.now()
			got, err := benchSend(ctx, l.client, http.MethodPost, to.url, to.key, numberedBody(at, n, 0))
			t.note(to, n, got.status, l.now().Sub(at))
			return err
		})
	}
}

// evenly is even for so many messages.
func (l *benchLoad) evenly(ctx context.Context, t *benchAnswers, rate, count int, pick func() benchPost) error {
	window, end := context.WithCancel(ctx)
	defer end()
	left := count
	return l.even(ctx, window, t, rate, func() benchPost {
		if left--; left == 0 {
			end()
		}
		return pick()
	})
}

// settle waits until all acknowledged messages have arrived, and fails if they have not
// within most.
func (t *benchAnswers) settle(ctx context.Context, s *benchSink, most time.Duration) (sinkFigures, error) {
	f, lost, err := s.await(ctx, t.acked, t.owed, most)
	if err == nil && lost > 0 {
		err = fmt.Errorf("of %d arrivals of acknowledged messages, %d did not come within %s", t.owed, lost, most)
	}
	return f, err
}

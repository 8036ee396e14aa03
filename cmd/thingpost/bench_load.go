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

// benchLoad sends messages with numbers that grow over the whole measurement.
type benchLoad struct {
	now    func() time.Time
	client *http.Client
	last   atomic.Int64 // number given
}

// benchPost is where a message goes, and how many webhooks want it there.
type benchPost struct {
	project, url, key string
	hooks             int
}

// benchTold is what senders were told in a part of a measurement.
type benchTold struct {
	// Statuses counts answers; "none" are requests without one.
	Statuses map[string]int `json:"statuses"`

	mu    sync.Mutex
	first int // numbers count from here
	acked acked
	owed  int // arrivals that what was acknowledged makes
	took  []time.Duration
}

// begin begins a part: the receiver forgets what came before.
func (l *benchLoad) begin(ctx context.Context, s *benchSink) (*benchTold, error) {
	first := int(l.last.Load()) + 1
	return &benchTold{first: first, acked: acked{}, Statuses: map[string]int{}}, s.reset(ctx, first)
}

// note keeps an answer to the message of a number.
func (t *benchTold) note(to benchPost, n int, status int, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count(status)
	if status == http.StatusAccepted {
		t.took = append(t.took, took)
		t.ack(to, n)
	}
}

// count counts an answer; 0 is none.
func (t *benchTold) count(status int) {
	name := "none"
	if status != 0 {
		name = strconv.Itoa(status)
	}
	t.Statuses[name]++
}

func (t *benchTold) ack(to benchPost, n int) {
	a := t.acked[to.project]
	if a == nil {
		a = &ackedNumbers{Hooks: to.hooks}
		t.acked[to.project] = a
	}
	a.Numbers.add(n - t.first)
	t.owed += to.hooks
}

// only reports whether senders were told nothing but this.
func (t *benchTold) only(status int) bool {
	return len(t.Statuses) == 1 && t.Statuses[strconv.Itoa(status)] > 0
}

// latency joins what senders were told with what a group of hooks saw.
func (t *benchTold) latency(f sinkFigures, group string) benchLatency {
	l := f.Groups[group]
	l.AcceptP50, l.AcceptP99 = percentileMS(t.took, 50), percentileMS(t.took, 99)
	return l
}

// numberedBody is a message with its number and the time of sending, and so many
// bytes around them.
func numberedBody(at time.Time, n, pad int) []byte {
	head := fmt.Appendf(nil, `{"payload":{"sent_at":%d,"n":%d,"probe":7,"vwc":11.42,"soil_c":14.60,"battery_v":3.31,"note":"`,
		at.UnixNano(), n)
	return append(append(head, bytes.Repeat([]byte("x"), max(pad, 8))...), `"}}`...)
}

// flat sends count messages as fast as the answers come, from so many senders, until
// window ends; none of them is cut off then. Who is told to wait waits, and sends
// again. Where a request has no answer its sender stops, and gives it as the error.
func (l *benchLoad) flat(ctx, window context.Context, t *benchTold, senders, count, pad int, pick func() benchPost) error {
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
func (l *benchLoad) one(ctx, window context.Context, t *benchTold, to benchPost, pad int) error {
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

// even sends at an even pace until window ends; a sender that is late does not hold up
// the others. None is cut off, and what is refused is not sent again.
func (l *benchLoad) even(ctx, window context.Context, t *benchTold, rate int, pick func() benchPost) error {
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
func (l *benchLoad) evenly(ctx context.Context, t *benchTold, rate, count int, pick func() benchPost) error {
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

// settle waits until all that was acknowledged has arrived, and fails if it does not
// within most.
func (t *benchTold) settle(ctx context.Context, s *benchSink, most time.Duration) (sinkFigures, error) {
	f, lost, err := s.await(ctx, t.acked, t.owed, most)
	if err == nil && lost > 0 {
		err = fmt.Errorf("of %d arrivals owed by what was acknowledged, %d did not come within %s", t.owed, lost, most)
	}
	return f, err
}

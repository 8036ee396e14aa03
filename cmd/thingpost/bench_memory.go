package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	largeMessage  = 1_000_000       // bytes of its text
	largeMost     = 2000            // messages, which are written to disk
	largeSenders  = 32              // at most
	largeTakes    = 2 * time.Second // until a webhook answers
	largeWebhooks = 5
	largePatience = 3 * time.Minute // for what is owed then; the receiver answers at once
)

// benchMemory has the figures of a server with little memory, large messages and slow
// webhooks.
type benchMemory struct {
	LimitMiB float64 `json:"limit_mib"`
	// Limited is whether the server was in a control group with that limit. Otherwise
	// its memory is only observed, and Why is the reason.
	Limited bool   `json:"limited"`
	Why     string `json:"why,omitempty"`
	Senders int    `json:"senders"`
	Seconds int    `json:"seconds"`

	PeakMiB      float64        `json:"peak_mib"`       // resident
	GroupPeakMiB float64        `json:"group_peak_mib"` // with the system's file cache
	Killed       bool           `json:"killed"`
	KilledAfter  float64        `json:"killed_after_seconds,omitempty"`
	Answers      map[string]int `json:"told"`
	Arrived      int            `json:"arrived"` // of acknowledged messages, which must be all
	Repeats      int            `json:"repeats"`
}

func (y *benchYard) smallMemory(ctx context.Context) (*benchMemory, error) {
	r := &benchMemory{LimitMiB: float64(y.c.smallMemory) / (1 << 20), Senders: min(y.c.senders, largeSenders), Seconds: y.c.seconds}
	folder := filepath.Join(y.folder, "memory")
	// Set up without the limit: signing in needs memory of its own.
	to, err := y.furnishLarge(ctx)
	if err != nil {
		return nil, err
	}
	group, err := newBenchGroup(y.c.smallMemory)
	if err != nil {
		r.Why = err.Error()
	} else {
		r.Limited = true
		defer group.remove()
	}
	server, err := benchServe(ctx, group, y.own, folder)
	if err != nil {
		return nil, err
	}
	defer func() { server.stop() }()
	answers, err := y.load.begin(ctx, y.sink)
	if err != nil {
		return nil, err
	}
	path := to.url
	to.url = server.url + path
	looked := y.watch(server, r)
	window, cancel := context.WithTimeout(ctx, time.Duration(r.Seconds)*time.Second)
	defer cancel()
	err = y.load.flat(ctx, window, answers, r.Senders, largeMost, largeMessage, func() benchPost { return to })
	if err != nil && !server.endsWithin(5*time.Second) {
		looked()
		return nil, err
	}
	if err := y.sink.turnTo(ctx, sinkFast); err != nil {
		return nil, err
	}
	until := y.now().Add(largePatience)
	for lost := 1; lost > 0 && !server.ended() && y.now().Before(until); {
		if _, lost, err = y.sink.await(ctx, answers.acked, answers.owed, time.Second); err != nil {
			return nil, err
		}
	}
	looked()
	r.Killed, r.Answers = server.ended(), answers.Statuses
	if group != nil {
		r.GroupPeakMiB = group.peakMiB()
	}
	if r.Killed {
		// Acknowledged messages are on disk all the same.
		if server, err = y.serve(ctx, "memory"); err != nil {
			return nil, err
		}
	}
	f, err := answers.settle(ctx, y.sink, largePatience)
	r.Arrived, r.Repeats = answers.owed, f.Repeats
	return r, errors.Join(err, y.sink.turnTo(ctx, sinkDelays))
}

// furnishLarge returns where messages go, without the server's address.
func (y *benchYard) furnishLarge(ctx context.Context) (benchPost, error) {
	server, err := y.serve(ctx, "memory")
	if err != nil {
		return benchPost{}, err
	}
	defer server.stop()
	a, err := benchSignIn(ctx, y.client, server.url)
	if err != nil {
		return benchPost{}, err
	}
	to, err := y.furnish(ctx, a, server, "large", y.place("large", largeTakes), largeWebhooks)
	to.url = strings.TrimPrefix(to.url, server.url)
	return to, err
}

// watch observes a server's memory until it ends or the returned function is called.
func (y *benchYard) watch(server *benchChild, r *benchMemory) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	began := y.now()
	go func() {
		defer close(done)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			r.PeakMiB = max(r.PeakMiB, server.memoryMiB("VmHWM"), server.memoryMiB("VmRSS"))
			select {
			case <-tick.C:
			case <-server.done:
				r.KilledAfter = y.now().Sub(began).Seconds()
				return
			case <-quit:
				return
			}
		}
	}()
	return func() { close(quit); <-done }
}

// peakMiB is the group's maximum of memory, including files.
func (g *benchGroup) peakMiB() float64 {
	text, err := os.ReadFile(filepath.Join(g.folder, map[bool]string{false: "memory.max_usage_in_bytes", true: "memory.peak"}[g.second]))
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
	return n / (1 << 20)
}

func (r *benchMemory) table(t benchTable) {
	how := "in a control group of"
	if !r.Limited {
		how = "without a limit (" + r.Why + ") for"
	}
	killed := "never killed"
	if r.Killed {
		killed = "KILLED"
		if r.KilledAfter > 0 {
			killed += " after " + strconv.FormatFloat(r.KilledAfter, 'f', 1, 64) + " s"
		}
	}
	t.line("\n%d senders of 1 MB for %d s, %d webhooks that take %s, %s %.0f MiB",
		r.Senders, r.Seconds, largeWebhooks, largeTakes, how, r.LimitMiB)
	t.line("at most %.0f MiB resident (%.0f MiB with files), %s; answers %s; all %d arrivals of acknowledged messages came, %d of them again",
		r.PeakMiB, r.GroupPeakMiB, killed, statuses(r.Answers), r.Arrived, r.Repeats)
}

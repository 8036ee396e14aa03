package main

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	tenantWebhooks = 5
	tenantRate     = 100 // messages per second of all projects that do not flood
)

// benchTenants has the effect of a flooding project on many others.
type benchTenants struct {
	Projects int          `json:"projects"`
	Webhooks int          `json:"webhooks"` // of each
	Alone    benchLatency `json:"alone"`    // of the projects that do not flood; medians of the rounds
	Beside   benchLatency `json:"beside"`
	// Ratio is that of the 99th percentiles from accept to arrival, beside the flood to
	// alone: the median of the rounds.
	Ratio   float64        `json:"ratio"`
	Ratios  []float64      `json:"ratios"`
	Others  map[string]int `json:"others"` // answers to the others beside it
	Flood   map[string]int `json:"flood"`  // answers to the flooding one
	Seconds int            `json:"seconds"`
}

func (y *benchYard) tenants(ctx context.Context) (*benchTenants, error) {
	r := &benchTenants{Projects: y.c.tenants, Webhooks: tenantWebhooks, Seconds: y.c.seconds,
		Others: map[string]int{}, Flood: map[string]int{}}
	server, err := y.serve(ctx, "tenants")
	if err != nil {
		return nil, err
	}
	defer server.stop()
	a, err := benchSignIn(ctx, y.client, server.url)
	if err != nil {
		return nil, err
	}
	flood, err := y.furnish(ctx, a, server, "flood", y.place("flood", 0), tenantWebhooks)
	if err != nil {
		return nil, err
	}
	var others []benchPost
	for i := range max(r.Projects-1, 1) {
		to, err := y.furnish(ctx, a, server, "tenant-"+probeName(i), y.place("others", 0), tenantWebhooks)
		if err != nil {
			return nil, err
		}
		others = append(others, to)
	}
	var alone, beside []benchSpeed
	for range y.c.rounds {
		l, err := y.tenantRound(ctx, r, others, nil)
		if err != nil {
			return nil, errors.Join(err, errorOf(server))
		}
		m, err := y.tenantRound(ctx, r, others, &flood)
		if err != nil {
			return nil, errors.Join(err, errorOf(server))
		}
		alone, beside = append(alone, benchSpeed{benchLatency: l}), append(beside, benchSpeed{benchLatency: m})
		r.Ratios = append(r.Ratios, quotient(m.ArrivalP99, l.ArrivalP99))
	}
	r.Ratio = median(r.Ratios)
	r.Alone, r.Beside = medianSpeed(alone).benchLatency, medianSpeed(beside).benchLatency
	return r, nil
}

// tenantRound sends at an even pace from random projects, beside a flooding one if
// flood is not nil, and waits until everything has arrived.
func (y *benchYard) tenantRound(ctx context.Context, r *benchTenants, others []benchPost, flood *benchPost) (l benchLatency, err error) {
	quiet, err := y.load.begin(ctx, y.sink)
	if err != nil {
		return l, err
	}
	loud := &benchAnswers{first: quiet.first, acked: acked{}, Statuses: r.Flood}
	window, end := context.WithTimeout(ctx, time.Duration(r.Seconds)*time.Second)
	defer end()
	var g errgroup.Group
	if flood != nil {
		quiet.Statuses = r.Others
		g.Go(func() error {
			return y.load.flat(ctx, window, loud, y.c.senders, y.c.messages, 0, func() benchPost { return *flood })
		})
	}
	g.Go(func() error {
		return y.load.even(ctx, window, quiet, tenantRate, func() benchPost { return others[rand.IntN(len(others))] })
	})
	if err := g.Wait(); err != nil {
		return l, err
	}
	quiet.owed += loud.owed
	maps.Copy(quiet.acked, loud.acked)
	f, err := quiet.settle(ctx, y.sink, 3*time.Minute)
	return quiet.latency(f, "others"), err
}

func (r *benchTenants) table(t benchTable) {
	t.line("\n%d projects with %d webhooks each, %d messages/s of all but one\taccept p50 / p99\tarrival p50 / p99",
		r.Projects, r.Webhooks, tenantRate)
	t.line("alone\t%s", r.Alone)
	t.line("beside one that floods\t%s", r.Beside)
	t.line("ratio of p99 to arrival\t\t%.2f\t(rounds: %.2f)", r.Ratio, r.Ratios)
	t.line("their answers were %s beside it; those to the one that floods %s", statuses(r.Others), statuses(r.Flood))
}

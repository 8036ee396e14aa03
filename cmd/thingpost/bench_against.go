package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// benchAgainst compares builds: this one, optionally another, and for some parts a
// relay that stores nothing. Each runs in processes of its own, in turns.
type benchAgainst struct {
	Other string     `json:"other,omitempty"` // the other binary
	Rows  []benchRow `json:"rows"`
}

// benchRow has a figure of each build: medians of the rounds. Figures not measured are
// null.
type benchRow struct {
	Name   string    `json:"name"`
	Unit   string    `json:"unit"`
	Ours   *float64  `json:"ours"`
	Theirs *float64  `json:"theirs,omitempty"`
	Ratio  float64   `json:"ratio,omitempty"` // ours to theirs: the median of the rounds
	Ratios []float64 `json:"ratios,omitempty"`
	Relay  *float64  `json:"relay,omitempty"` // of the relay
	Note   string    `json:"note,omitempty"`
}

// benchBuild is a measured build.
type benchBuild struct {
	name, binary string
	server       *benchChild
	api          *benchAPI
	one, five    benchPost // a project with one webhook, and one with five
}

const againstSenders = 32 // connections, beside -senders

func (y *benchYard) builds() []*benchBuild {
	list := []*benchBuild{{name: "ours", binary: y.own}}
	if y.c.against != "" {
		list = append(list, &benchBuild{name: "theirs", binary: y.c.against})
	}
	return list
}

func (y *benchYard) against(ctx context.Context) (*benchAgainst, error) {
	r := &benchAgainst{Other: y.c.against}
	builds := y.builds()
	for _, b := range builds {
		stop, err := y.open(ctx, b, b.name)
		if err != nil {
			return nil, err
		}
		defer stop()
	}
	if y.c.against != "" {
		if err := y.compareSpeeds(ctx, r, builds); err != nil {
			return nil, err
		}
		if y.c.pending > 0 {
			if err := y.comparePending(ctx, r); err != nil {
				return nil, err
			}
		}
	}
	if y.c.writes {
		if err := y.compareWrites(ctx, r, builds); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// open starts a build's server on a folder of its own and sets it up by its API.
func (y *benchYard) open(ctx context.Context, b *benchBuild, folder string) (stop func(), err error) {
	if b.server, err = benchServe(ctx, nil, b.binary, filepath.Join(y.folder, folder)); err != nil {
		return nil, err
	}
	err = func() error {
		a, err := benchSignIn(ctx, y.client, b.server.url)
		if err != nil {
			return err
		}
		b.api = a
		if b.one, err = y.furnish(ctx, a, b.server, "one", y.place("one", 0), 1); err != nil {
			return err
		}
		b.five, err = y.furnish(ctx, a, b.server, "five", y.place("five", 0), 5)
		return err
	}()
	if err != nil {
		b.server.stop()
		return nil, err
	}
	return b.server.stop, nil
}

// compareSpeeds measures throughput, CPU and latency.
func (y *benchYard) compareSpeeds(ctx context.Context, r *benchAgainst, builds []*benchBuild) error {
	relay, err := startChild(ctx, nil, nil, y.own, "bench", "-as", benchRelayRole, "-to", y.place("one", 0)+"/one/hook-1")
	if err != nil {
		return err
	}
	defer relay.kill()
	flat := func(senders, messages int, to func(*benchBuild) benchPost) func(*benchBuild) (benchSpeed, error) {
		return func(b *benchBuild) (benchSpeed, error) {
			server, post := b.server, to(b)
			return y.speed(ctx, server, senders, messages, post.project, func() benchPost { return post })
		}
	}
	one := func(b *benchBuild) benchPost { return b.one }
	bare := &benchBuild{server: relay, one: benchPost{project: "one", url: relay.url, hooks: 1}}
	for _, senders := range []int{y.c.senders, againstSenders} {
		figures, err := inTurns(y.c.rounds, append([]*benchBuild{bare}, builds...), flat(senders, y.c.messages, one))
		if err != nil {
			return err
		}
		delivered := compare(figures[1:], func(s benchSpeed) float64 { return s.Delivered })
		delivered.Name, delivered.Unit = fmt.Sprintf("delivered, %d connections", senders), "1/s"
		delivered.Relay = new(medianOf(figures[0], func(s benchSpeed) float64 { return s.Delivered }))
		cpu := compare(figures[1:], func(s benchSpeed) float64 { return s.CPUMS })
		cpu.Name, cpu.Unit = fmt.Sprintf("CPU a message, %d connections", senders), "ms"
		cpu.Relay = new(medianOf(figures[0], func(s benchSpeed) float64 { return s.CPUMS }))
		r.Rows = append(r.Rows, delivered, cpu)
	}
	five := func(b *benchBuild) benchPost { return b.five }
	figures, err := inTurns(y.c.rounds, builds, flat(againstSenders, max(y.c.messages/5, 1), five))
	if err != nil {
		return err
	}
	all := compare(figures, func(s benchSpeed) float64 { return s.Delivered })
	all.Name, all.Unit = "delivered to five webhooks", "1/s"
	r.Rows = append(r.Rows, all)
	figures, err = inTurns(y.c.rounds, builds, func(b *benchBuild) (s benchSpeed, err error) {
		s.benchLatency, err = y.evenRound(ctx, b.one, y.c.rate, y.c.rate*y.c.seconds)
		return s, err
	})
	p99 := compare(figures, func(s benchSpeed) float64 { return s.ArrivalP99 })
	p99.Name, p99.Unit = fmt.Sprintf("p99 to arrival at %d/s", y.c.rate), "ms"
	r.Rows = append(r.Rows, p99)
	return err
}

// evenRound sends at an even pace to one place and waits until all messages arrived.
func (y *benchYard) evenRound(ctx context.Context, to benchPost, rate, count int) (l benchLatency, err error) {
	answers, err := y.load.begin(ctx, y.sink)
	if err != nil {
		return l, err
	}
	if err := y.load.evenly(ctx, answers, rate, count, func() benchPost { return to }); err != nil {
		return l, err
	}
	if !answers.only(http.StatusAccepted) {
		return l, fmt.Errorf("at %d messages/s senders got the answers %s", rate, statuses(answers.Statuses))
	}
	f, err := answers.settle(ctx, y.sink, time.Minute)
	return answers.latency(f, to.project), err
}

// inTurns measures each build once per round, and returns the figures of each.
func inTurns[T any](rounds int, builds []*benchBuild, measure func(*benchBuild) (T, error)) ([][]T, error) {
	figures := make([][]T, len(builds))
	for range rounds {
		for i, b := range builds {
			f, err := measure(b)
			if err != nil {
				return nil, errors.Join(fmt.Errorf("%s: %w", b.name, err), errorOf(b.server))
			}
			figures[i] = append(figures[i], f)
		}
	}
	return figures, nil
}

// compare makes a row of our figures, and of theirs if there are any.
func compare[T any](figures [][]T, of func(T) float64) benchRow {
	row := benchRow{Ours: new(medianOf(figures[0], of))}
	if len(figures) > 1 {
		row.Theirs = new(medianOf(figures[1], of))
		for i := range figures[0] {
			row.Ratios = append(row.Ratios, quotient(of(figures[0][i]), of(figures[1][i])))
		}
		row.Ratio = median(row.Ratios)
	}
	return row
}

// pendingStart has the figures of a start with a backlog.
type pendingStart struct{ firstMS, memoryMiB float64 }

// comparePending starts each build with -pending deliveries, which it created by its
// API.
func (y *benchYard) comparePending(ctx context.Context, r *benchAgainst) error {
	if err := y.sink.turnTo(ctx, sinkShut); err != nil {
		return err
	}
	builds := y.builds()
	for _, b := range builds {
		_, err := y.open(ctx, b, b.name+pendingFolder)
		if err == nil {
			err = errors.Join(y.owe(ctx, b), errorOf(b.server))
			b.server.kill() // its earlier attempts must not count
		}
		if err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
	}
	figures, err := inTurns(y.c.rounds, builds, func(b *benchBuild) (pendingStart, error) { return y.pendingStart(ctx, b) })
	if err != nil {
		return err
	}
	first := compare(figures, func(s pendingStart) float64 { return s.firstMS })
	first.Name, first.Unit = fmt.Sprintf("start to first delivery, %d pending", y.c.pending), "ms"
	memory := compare(figures, func(s pendingStart) float64 { return s.memoryMiB })
	memory.Name, memory.Unit = "memory then", "MiB"
	r.Rows = append(r.Rows, first, memory)
	return y.sink.turnTo(ctx, sinkDelays)
}

const pendingFolder = "-pending"

// owe sends arrays while the receiver answers none.
func (y *benchYard) owe(ctx context.Context, b *benchBuild) error {
	a, err := benchSignIn(ctx, y.client, b.server.url)
	if err != nil {
		return err
	}
	url := b.server.url + "/api/v1/projects/one/messages"
	for left := y.c.pending; left > 0; left -= 5000 {
		count := min(left, 5000)
		last := int(y.load.last.Add(int64(count)))
		var text strings.Builder
		for n := last - count + 1; n <= last; n++ {
			fmt.Fprintf(&text, `,{"from":"probe-1","payload":{"sent_at":0,"n":%d}}`, n)
		}
		for {
			got, err := benchSend(ctx, y.client, http.MethodPost, url, a.token, []byte("["+text.String()[1:]+"]"))
			if err != nil {
				return err
			}
			if got.status == http.StatusAccepted {
				break
			}
			if got.status != http.StatusTooManyRequests && got.status != http.StatusServiceUnavailable {
				return fmt.Errorf("answer %d: %.200s", got.status, got.body)
			}
			select {
			case <-time.After(max(got.retryAfter, 100*time.Millisecond)):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

// pendingStart starts a build with its backlog and kills it after the first arrival.
func (y *benchYard) pendingStart(ctx context.Context, b *benchBuild) (s pendingStart, err error) {
	if err := errors.Join(y.sink.reset(ctx, 0), y.sink.turnTo(ctx, sinkFast)); err != nil {
		return s, err
	}
	began := y.now()
	if b.server, err = benchServe(ctx, nil, b.binary, filepath.Join(y.folder, b.name+pendingFolder)); err != nil {
		return s, err
	}
	defer b.server.kill()
	f, all, err := y.sink.waitFor(ctx, 1, time.Minute)
	if err == nil && !all {
		err = errors.New("nothing arrived within a minute")
	}
	if err != nil {
		return s, err
	}
	s.firstMS, s.memoryMiB = ms(f.First.Sub(began)), b.server.memoryMiB("VmRSS")
	return s, y.sink.turnTo(ctx, sinkShut)
}

func (r *benchAgainst) table(t benchTable) {
	head := "\n\tours"
	if r.Other != "" {
		head += "\tof " + filepath.Base(r.Other) + "\tratio\trounds\ta relay that keeps nothing"
	}
	t.line("%s", head)
	figure := func(v *float64, unit string) string {
		if v == nil {
			return "not measured"
		}
		return strconv.FormatFloat(*v, 'f', map[bool]int{true: 0, false: 3}[*v >= 100], 64) + " " + unit
	}
	for _, row := range r.Rows {
		line := row.Name + "\t" + figure(row.Ours, row.Unit)
		if r.Other != "" {
			line += "\t" + figure(row.Theirs, row.Unit) + fmt.Sprintf("\t%.2f\t%.2f\t", row.Ratio, row.Ratios)
			if row.Relay != nil {
				line += fmt.Sprintf("%s (%.2f)", figure(row.Relay, row.Unit), quotient(*row.Ours, *row.Relay))
			}
		}
		if row.Note != "" {
			line += "\t" + row.Note
		}
		t.line("%s", line)
	}
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"thingpost/internal/iot"
)

const benchAbout = `Measure how much this machine accepts and delivers, with everything on disk,
beside two relays in the same process that store nothing. The bare relay posts each
body once. The other behaves like Thingpost from outside: it checks that a message is
JSON, answers with an id, and sends the same headers, with a timeout.
Senders, both servers and the receiver share this machine, so read the figures as
ratios. Nothing leaves the machine, and the data folder is temporary.

Options below select other measurements.`

// benchConfig is the options of bench.
type benchConfig struct {
	messages, senders, rounds int
	rate                      int
	seconds                   int
	pending                   int
	folder, profiles          string
	json                      bool

	// See partsOptions.
	devices, tenants                     int
	arrays, arrayMessages, arrayWebhooks int
	smallMemory                          int64
	against, as, to                      string
	rates                                []int
	writes                               bool
}

func benchCommand(ctx context.Context, p *program, args []string) error {
	var c benchConfig
	o := newOptions("bench", "", benchAbout)
	o.group("Throughput")
	o.count(&c.messages, "messages", 60_000, 100, 10_000_000, "messages a round, for each of the two")
	o.count(&c.senders, "senders", 192, 1, 4096, "concurrent senders; each waits for its answer")
	o.count(&c.rounds, "rounds", 3, 1, 100, "rounds; the median ratio counts; 5 with -against")
	o.group("Latency")
	o.count(&c.rate, "rate", 100, 1, 100_000, "messages a second at an even pace")
	o.count(&c.seconds, "seconds", 5, 1, 3600, "how long at that pace, and how long beside a slow webhook")
	o.group("Backlog")
	o.count(&c.pending, "pending", 0, 0, 100_000_000, "messages pending when the server starts; 0 skips this part")
	o.group("Where and how")
	o.text(&c.folder, "folder", "DIR", "", "folder for temporary data; default: the system's temporary folder")
	o.text(&c.profiles, "profiles", "DIR", "", "after the rounds, run one more of each under Go's profilers, and write the profiles here")
	o.flag(&c.json, "json", "print the figures as JSON")
	c.partsOptions(o)
	if _, err := o.parse(p, args, 0, 0); err != nil {
		return err
	}
	if c.against != "" && o.named("rounds").text == "" {
		c.rounds = againstRounds
	}
	if c.as != "" {
		return p.benchAs(ctx, c.as, c.to)
	}
	var r interface{ print(io.Writer) error }
	var err error
	if c.parts() {
		r, err = p.runParts(ctx, c)
	} else {
		r, err = p.bench(ctx, c)
	}
	if err != nil {
		return err
	}
	if c.json {
		e := json.NewEncoder(p.stdout)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	return r.print(p.stdout)
}

// benchResult is the output of bench. Rates are messages per second.
type benchResult struct {
	Version  string       `json:"version"`
	CPUs     int          `json:"cpus"`
	Messages int          `json:"messages"`
	Senders  int          `json:"senders"`
	Bare     benchFigures `json:"bare_relay"`
	Relay    benchFigures `json:"relay"`
	Ours     benchFigures `json:"thingpost"`
	// Ratio is the median over the rounds of delivered messages per second, of
	// Thingpost to the bare relay. RelayRatio is that to the other relay.
	Ratio      float64      `json:"ratio"`
	Ratios     []float64    `json:"ratios"`
	RelayRatio float64      `json:"relay_ratio"`
	Even       benchLatency `json:"even"`
	Slow       *benchSlow   `json:"slow,omitempty"`
	Start      *benchStart  `json:"start,omitempty"`
}

// benchFigures are those of a round; of several, the median by Delivered.
type benchFigures struct {
	Accepted  float64 `json:"accepted_per_second"`
	Delivered float64 `json:"delivered_per_second"`
	CPUMS     float64 `json:"cpu_ms_per_message"`
	benchLatency
}

// benchLatency has percentiles in milliseconds: until the answer to the sender, and
// from sending to arrival at the receiver.
type benchLatency struct {
	Rate       int     `json:"rate,omitempty"`
	AcceptP50  float64 `json:"accept_p50_ms"`
	AcceptP99  float64 `json:"accept_p99_ms"`
	ArrivalP50 float64 `json:"arrival_p50_ms"`
	ArrivalP99 float64 `json:"arrival_p99_ms"`
}

// benchSlow compares a fast webhook alone with the same webhook beside one whose
// receiver takes five seconds.
type benchSlow struct {
	Rate   int          `json:"rate"`
	Alone  benchLatency `json:"alone"`
	Beside benchLatency `json:"beside"`
}

// benchStart has the figures of a start with a backlog.
type benchStart struct {
	Pending     int     `json:"pending"`
	FirstMS     float64 `json:"first_delivery_ms"`
	MemoryMiB   float64 `json:"memory_mib"` // resident, before anything else was measured
	DatabaseMiB float64 `json:"database_mib"`
}

func (p *program) bench(ctx context.Context, c benchConfig) (*benchResult, error) {
	r := &benchResult{Version: versionName(), CPUs: runtime.NumCPU(), Messages: c.messages, Senders: c.senders}
	folder, err := os.MkdirTemp(c.folder, "thingpost-bench-")
	if err != nil {
		return nil, &iot.Error{Code: iot.Unavailable, Err: err,
			Message: "The temporary folder cannot be created. Choose another place with -folder."}
	}
	defer func() { _ = os.RemoveAll(folder) }()
	if c.pending > 0 {
		// First, while the process is small.
		if r.Start, err = p.benchStart(ctx, filepath.Join(folder, "start"), c.pending); err != nil {
			return nil, err
		}
	}
	h, err := p.newBenchHouse(ctx, filepath.Join(folder, "data"))
	if err != nil {
		return nil, err
	}
	defer h.close()
	if err := h.throughput(ctx, c, r); err != nil {
		return nil, err
	}
	if c.profiles != "" {
		if err := h.profiles(ctx, c, c.profiles); err != nil {
			return nil, err
		}
	}
	if r.Even, err = h.even(ctx, c.rate, c.seconds); err != nil {
		return nil, err
	}
	r.Slow, err = h.besideSlow(ctx, c.seconds)
	return r, err
}

// throughput runs the rounds, with the relays and Thingpost in turn.
func (h *benchHouse) throughput(ctx context.Context, c benchConfig, r *benchResult) error {
	warm := c
	warm.messages = min(c.messages, 10_000)
	targets := []benchTarget{h.bare, h.relay, h.ours}
	figures := make([][]benchFigures, len(targets))
	for _, target := range targets {
		if _, err := h.round(ctx, target, warm); err != nil {
			return err
		}
	}
	var relayRatios []float64
	for range c.rounds {
		for i, target := range targets {
			f, err := h.round(ctx, target, c)
			if err != nil {
				return err
			}
			figures[i] = append(figures[i], f)
		}
		bare, relay, ours := last(figures[0]), last(figures[1]), last(figures[2])
		r.Ratios = append(r.Ratios, ours.Delivered/bare.Delivered)
		relayRatios = append(relayRatios, ours.Delivered/relay.Delivered)
	}
	r.Bare, r.Relay, r.Ours = medianFigures(figures[0]), medianFigures(figures[1]), medianFigures(figures[2])
	r.Ratio, r.RelayRatio = median(r.Ratios), median(relayRatios)
	return nil
}

func last[T any](list []T) T { return list[len(list)-1] }

func median(list []float64) float64 {
	return slices.Sorted(slices.Values(list))[len(list)/2]
}

func medianFigures(list []benchFigures) benchFigures {
	slices.SortFunc(list, func(a, b benchFigures) int { return int(a.Delivered - b.Delivered) })
	return list[len(list)/2]
}

// slowTakes is how long the slow receiver takes; slowRate is the pace beside it.
const (
	slowTakes = 5 * time.Second
	slowRate  = 50
)

func (h *benchHouse) besideSlow(ctx context.Context, seconds int) (*benchSlow, error) {
	s := &benchSlow{Rate: slowRate}
	var err error
	if s.Alone, err = h.even(ctx, slowRate, seconds); err != nil {
		return nil, err
	}
	slow := newBenchReceiver(slowTakes)
	defer slow.close()
	w := benchWebhook(h.project, "slow", slow.url)
	if err := h.app.db.CreateWebhook(w, benchActor); err != nil {
		return nil, err
	}
	if s.Beside, err = h.even(ctx, slowRate, seconds); err != nil {
		return nil, err
	}
	return s, h.app.db.DeleteWebhook(w, benchActor)
}

func (p *program) benchStart(ctx context.Context, folder string, pending int) (*benchStart, error) {
	b := &benchStart{Pending: pending}
	receiver := newBenchReceiver(0)
	defer receiver.close()
	if err := p.fillBacklog(ctx, folder, receiver.url, pending); err != nil {
		return nil, err
	}
	began := p.now()
	h, err := p.openBenchHouse(ctx, folder, receiver)
	if err != nil {
		return nil, err
	}
	defer h.close()
	if err := receiver.waitFor(ctx, 1); err != nil {
		return nil, err
	}
	b.FirstMS = ms(p.now().Sub(began))
	b.MemoryMiB = residentMiB()
	if info, err := os.Stat(h.app.db.Path()); err == nil {
		b.DatabaseMiB = float64(info.Size()) / (1 << 20)
	}
	return b, nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// benchApp is the server's config for a measurement: loopback only.
func benchApp(folder string) config {
	var c config
	c.HTTP.Listen = "127.0.0.1:0"
	c.Store.Data = folder
	c.Webhooks.Limits = iot.Limits{Webhooks: 5, Headers: 5}
	c.Webhooks.Allowed = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	return c
}

func (p *program) quietApp(ctx context.Context, c config) (*app, error) {
	return newApp(ctx, c, slog.New(slog.DiscardHandler), p.now)
}

func (r *benchResult) print(out io.Writer) error {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) } // into memory: cannot fail
	line("Thingpost %s, %d CPUs, %d messages a round from %d senders\n", r.Version, r.CPUs, r.Messages, r.Senders)
	line("\taccepted/s\tdelivered/s\tCPU a message\taccept p50 / p99\tarrival p50 / p99")
	for _, row := range []struct {
		name string
		f    benchFigures
	}{{"bare relay, stores nothing", r.Bare}, {"relay that answers as we do", r.Relay}, {"Thingpost, all on disk", r.Ours}} {
		line("%s\t%.0f\t%.0f\t%.3f ms\t%s", row.name, row.f.Accepted, row.f.Delivered, row.f.CPUMS, row.f.benchLatency)
	}
	line("ratio to the bare relay\t\t%.2f\t(rounds: %.2f)", r.Ratio, r.Ratios)
	line("ratio to the other\t\t%.2f\n", r.RelayRatio)
	line("%d messages/s\t\t\t\t%s", r.Even.Rate, r.Even)
	if s := r.Slow; s != nil {
		line("%d messages/s, alone\t\t\t\t%s", s.Rate, s.Alone)
		line("%d messages/s, beside a webhook that takes 5 s\t\t\t\t%s", s.Rate, s.Beside)
	}
	if s := r.Start; s != nil {
		line("\nstart with %d pending: first delivery after %.0f ms, %.0f MiB of memory, %.0f MiB on disk", s.Pending, s.FirstMS, s.MemoryMiB,
			s.DatabaseMiB)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// String is a row's last two columns.
func (l benchLatency) String() string {
	return fmt.Sprintf("%.1f / %.1f ms\t%.1f / %.1f ms", l.AcceptP50, l.AcceptP99, l.ArrivalP50, l.ArrivalP99)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"thingpost/internal/iot"
)

// benchParts are the measurements whose server and receiver are processes of their own.
// Those not requested are nil.
type benchParts struct {
	Version     string        `json:"version"`
	CPUs        int           `json:"cpus"`
	Devices     *benchDevices `json:"devices,omitempty"`
	Arrays      *benchArrays  `json:"arrays,omitempty"`
	Wide        *benchArrays  `json:"wide,omitempty"`
	SmallMemory *benchMemory  `json:"small_memory,omitempty"`
	Tenants     *benchTenants `json:"tenants,omitempty"`
	Against     *benchAgainst `json:"against,omitempty"`
}

// partsOptions adds the options of the parts.
func (c *benchConfig) partsOptions(o *options) {
	o.group("Separate parts: with any of these only they are run, with servers and receiver as processes")
	o.count(&c.devices, "devices", 0, 0, 1_000_000, "throughput with so many devices beside 20, cold, and what registering one costs")
	o.count(&c.arrays, "arrays", 0, 0, 1000, "so many concurrent large arrays with 5 webhooks, beside another project's sender")
	o.count(&c.arrayMessages, "array-messages", 10_000, 1, 10_000, "messages in an array")
	o.count(&c.arrayWebhooks, "array-webhooks", 300, 1, 1000, "webhooks of a project that gets one array a tenth as large, after -arrays")
	o.size(&c.smallMemory, "small-memory", "0", "large messages to a server with so much memory; 0 skips this part")
	o.count(&c.tenants, "tenants", 0, 0, 10_000, "so many projects with 5 webhooks each, one of them flooding")
	o.text(&c.against, "against", "BINARY", "", "compare with another build of thingpost, in turns")
	o.flag(&c.writes, "writes", "bytes written to disk per message, with 1 and 5 webhooks; of both builds with -against")
	c.rates = []int{1, 10, 100}
	o.add(option{name: "rates", value: "N,…", normal: "1,10,100", usage: "messages a second for -writes", set: func(s string) (err error) {
		c.rates, err = readRates(s)
		return err
	}})
	o.text(&c.as, "as", "ROLE", "", "internal: run as the receiver or relay of another process's measurement")
	o.text(&c.to, "to", "URL", "", "internal: where the relay of -as posts")
	o.validate = func() map[string]string {
		faults := map[string]string{}
		if !slices.Contains([]string{"", benchReceiverRole, benchRelayRole}, c.as) {
			faults["as"] = "must be receiver or relay"
		}
		if _, err := exec.LookPath(c.against); c.against != "" && err != nil {
			faults["against"] = "must be a program: " + err.Error()
		}
		if c.smallMemory != 0 && c.smallMemory < leastMemory {
			faults["small-memory"] = "must be at least 64MiB, or 0"
		}
		return faults
	}
}

const (
	againstRounds = 5        // with -against, by default
	leastMemory   = 64 << 20 // of a server
)

// parts reports whether separate parts were requested.
func (c *benchConfig) parts() bool {
	return c.devices > 0 || c.arrays > 0 || c.smallMemory > 0 || c.tenants > 0 || c.against != "" || c.writes
}

// benchYard has the measured servers.
type benchYard struct {
	c      benchConfig
	now    func() time.Time
	own    string // this program
	folder string
	client *http.Client
	sink   *benchSink
	load   *benchLoad
}

// runParts measures the requested parts.
func (p *program) runParts(ctx context.Context, c benchConfig) (r *benchParts, err error) {
	ctx, stop := untilSignal(ctx)
	defer stop()
	folder, err := os.MkdirTemp(c.folder, "thingpost-bench-")
	if err != nil {
		return nil, &iot.Error{Code: iot.Unavailable, Err: err,
			Message: "The temporary folder cannot be created. Choose another place with -folder."}
	}
	defer func() { _ = os.RemoveAll(folder) }()
	y := &benchYard{c: c, now: p.now, folder: folder, client: benchClient()}
	if y.own, err = os.Executable(); err != nil {
		return nil, err
	}
	y.load = &benchLoad{now: p.now, client: y.client}
	if y.sink, err = startSink(ctx, y.own, y.client); err != nil {
		return nil, err
	}
	defer y.sink.kill()
	r = &benchParts{Version: versionName(), CPUs: runtime.NumCPU()}
	for _, part := range []struct {
		wanted bool
		run    func() error
	}{
		{c.devices > 0, func() (err error) { r.Devices, err = y.devices(ctx); return err }},
		{c.arrays > 0, func() (err error) { r.Arrays, err = y.arrays(ctx, c.arrays, c.arrayMessages, 5); return err }},
		{c.arrays > 0, func() (err error) {
			r.Wide, err = y.arrays(ctx, 1, max(c.arrayMessages/10, 1), c.arrayWebhooks)
			return err
		}},
		{c.smallMemory > 0, func() (err error) { r.SmallMemory, err = y.smallMemory(ctx); return err }},
		{c.tenants > 0, func() (err error) { r.Tenants, err = y.tenants(ctx); return err }},
		{c.against != "" || c.writes, func() (err error) { r.Against, err = y.against(ctx); return err }},
	} {
		if part.wanted {
			if err := part.run(); err != nil {
				return nil, err
			}
		}
	}
	return r, nil
}

// place is the URL for webhooks of a group. The receiver answers after delay.
func (y *benchYard) place(group string, delay time.Duration) string {
	return y.sink.url + "/in/" + delay.String() + "/" + group
}

// serve starts this program's server on a folder of the yard.
func (y *benchYard) serve(ctx context.Context, folder string, args ...string) (*benchChild, error) {
	return benchServe(ctx, nil, y.own, filepath.Join(y.folder, folder), args...)
}

// post is the destination of a device's messages.
func (y *benchYard) post(server *benchChild, project, device, key string, hooks int) benchPost {
	url := server.url + "/api/v1/projects/" + project + "/devices/" + device + "/messages"
	return benchPost{project: project, url: url, key: key, hooks: hooks}
}

// furnish creates a project with webhooks to a place, and a device. It returns the
// destination of the device's messages.
func (y *benchYard) furnish(ctx context.Context, a *benchAPI, server *benchChild, project, place string, hooks int) (benchPost, error) {
	if err := a.project(ctx, project); err != nil {
		return benchPost{}, err
	}
	if err := a.webhooks(ctx, project, place, hooks); err != nil {
		return benchPost{}, err
	}
	key, err := a.device(ctx, project, "probe-1")
	return y.post(server, project, "probe-1", key, hooks), err
}

// benchSpeed has the figures of a round at full speed.
type benchSpeed struct {
	Delivered float64 `json:"delivered_per_second"`      // arrivals, at all webhooks
	CPUMS     float64 `json:"server_cpu_ms_per_message"` // 0 if unknown
	benchLatency
}

// speed sends messages as fast as the answers arrive, and waits until all have arrived.
func (y *benchYard) speed(ctx context.Context, server *benchChild, senders, messages int, group string,
	pick func() benchPost) (s benchSpeed, err error) {
	answers, err := y.load.begin(ctx, y.sink)
	if err != nil {
		return s, err
	}
	cpu, began := server.cpu(), y.now()
	if err := y.load.flat(ctx, ctx, answers, senders, messages, 0, pick); err != nil {
		return s, errors.Join(err, errorOf(server))
	}
	f, err := answers.settle(ctx, y.sink, 2*time.Minute)
	if err != nil {
		return s, err
	}
	s.Delivered = float64(f.Arrived) / f.Last.Sub(began).Seconds()
	s.CPUMS = ms(server.cpu()-cpu) / float64(messages)
	s.benchLatency = answers.latency(f, group)
	return s, nil
}

// errorOf is the last output of a server that has ended.
func errorOf(server *benchChild) error {
	if !server.ended() {
		return nil
	}
	return fmt.Errorf("the server has ended: %s", server.last.String())
}

func medianSpeed(list []benchSpeed) benchSpeed {
	return benchSpeed{
		Delivered: medianOf(list, func(s benchSpeed) float64 { return s.Delivered }),
		CPUMS:     medianOf(list, func(s benchSpeed) float64 { return s.CPUMS }),
		benchLatency: benchLatency{
			AcceptP50:  medianOf(list, func(s benchSpeed) float64 { return s.AcceptP50 }),
			AcceptP99:  medianOf(list, func(s benchSpeed) float64 { return s.AcceptP99 }),
			ArrivalP50: medianOf(list, func(s benchSpeed) float64 { return s.ArrivalP50 }),
			ArrivalP99: medianOf(list, func(s benchSpeed) float64 { return s.ArrivalP99 }),
		},
	}
}

func medianOf[T any](list []T, of func(T) float64) float64 {
	values := make([]float64, len(list))
	for i, v := range list {
		values[i] = of(v)
	}
	return median(values)
}

// quotient is a / b; 0 if b was not measured.
func quotient(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// readRates reads the list of -rates.
func readRates(text string) ([]int, error) {
	var list []int
	for part := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < 1 || n > 10_000 {
			return nil, errors.New("must be numbers from 1 to 10000, like 1,10,100")
		}
		list = append(list, n)
	}
	return list, nil
}

// benchTable writes lines of columns.
type benchTable struct{ w *tabwriter.Writer }

func (t benchTable) line(format string, args ...any) {
	_, _ = fmt.Fprintf(t.w, format+"\n", args...) // into memory: cannot fail
}

func (r *benchParts) print(out io.Writer) error {
	var text strings.Builder
	t := benchTable{tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)}
	t.line("Thingpost %s, %d CPUs; server, receiver and senders are processes of their own", r.Version, r.CPUs)
	if r.Devices != nil {
		r.Devices.table(t)
	}
	if r.Arrays != nil {
		r.Arrays.table(t)
	}
	if r.Wide != nil {
		r.Wide.table(t)
	}
	if r.SmallMemory != nil {
		r.SmallMemory.table(t)
	}
	if r.Tenants != nil {
		r.Tenants.table(t)
	}
	if r.Against != nil {
		r.Against.table(t)
	}
	if err := t.w.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(out, text.String())
	return err
}

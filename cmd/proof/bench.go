package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// figures are the figures of "thingpost bench -json" that we use.
type figures struct {
	Bare    struct{ speed } `json:"bare_relay"`
	Ours    struct{ speed } `json:"thingpost"`
	Ratio   float64         `json:"ratio"`
	Ratios  []float64       `json:"ratios"`
	Relay   float64         `json:"relay_ratio"`
	Even    latency         `json:"even"`
	Slow    struct{ Alone, Beside latency }
	Backlog struct {
		Pending   int     `json:"pending"`
		FirstMS   float64 `json:"first_delivery_ms"`
		MemoryMiB float64 `json:"memory_mib"`
	} `json:"start"`
}

type speed struct {
	Delivered float64 `json:"delivered_per_second"`
	CPUMS     float64 `json:"cpu_ms_per_message"`
}

type latency struct {
	P50 float64 `json:"arrival_p50_ms"`
	P99 float64 `json:"arrival_p99_ms"`
}

// bench runs the program's own measurement.
func (r *runner) bench(ctx context.Context, args ...string) (*figures, error) {
	var f figures
	return &f, r.measure(ctx, &f, args...)
}

// measure runs "thingpost bench" and reads its figures.
func (r *runner) measure(ctx context.Context, into any, args ...string) error {
	binary := filepath.Join(r.folder, "thingpost")
	if r.built["bench"] == "" {
		if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/thingpost").CombinedOutput(); err != nil {
			return fmt.Errorf("build: %w\n%s", err, out)
		}
		r.built["bench"] = binary
	}
	cmd := exec.CommandContext(ctx, binary, slices.Concat([]string{"bench", "-json"}, args)...)
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(complaint.String()))
	}
	return json.Unmarshal(out, into)
}

// little is a bench with short rounds, if they are not what is measured.
var little = []string{"-rounds", "1", "-messages", "1000"}

func ratio(ctx context.Context, r *runner) (string, bool, error) {
	f, err := r.bench(ctx, "-seconds", "1")
	if err != nil {
		return "", false, err
	}
	return fmt.Sprintf("%.2f (rounds %.2f): %.0f against %.0f messages/s, %.3f against %.3f ms of CPU each; %.2f of a relay that answers "+
		"as we do",
		f.Ratio, f.Ratios, f.Ours.Delivered, f.Bare.Delivered, f.Ours.CPUMS, f.Bare.CPUMS, f.Relay), f.Ratio >= 0.6, nil
}

func pace(rate int, limit float64) func(context.Context, *runner) (string, bool, error) {
	return func(ctx context.Context, r *runner) (string, bool, error) {
		f, err := r.bench(ctx, append([]string{"-rate", strconv.Itoa(rate), "-seconds", "5"}, little...)...)
		if err != nil {
			return "", false, err
		}
		return fmt.Sprintf("p50 %.1f ms, p99 %.1f ms", f.Even.P50, f.Even.P99), f.Even.P99 < limit, nil
	}
}

func beside(ctx context.Context, r *runner) (string, bool, error) {
	f, err := r.bench(ctx, append([]string{"-seconds", "10"}, little...)...)
	if err != nil {
		return "", false, err
	}
	return fmt.Sprintf("p99 %.1f ms alone, %.1f ms beside it", f.Slow.Alone.P99, f.Slow.Beside.P99), f.Slow.Beside.P99 <= 2*f.Slow.Alone.P99,
		nil
}

func pending(ctx context.Context, r *runner) (string, bool, error) {
	f, err := r.bench(ctx, append([]string{"-pending", "1000000", "-seconds", "1"}, little...)...)
	if err != nil {
		return "", false, err
	}
	return fmt.Sprintf("%d pending: first delivery after %.0f ms, %.0f MiB", f.Backlog.Pending, f.Backlog.FirstMS, f.Backlog.MemoryMiB),
		f.Backlog.FirstMS < 3000 && f.Backlog.MemoryMiB < 150, nil
}

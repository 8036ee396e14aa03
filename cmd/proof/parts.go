package main

import (
	"context"
	"fmt"
	"strings"
)

// parts are the figures of measurements whose server is a process of its own.
type parts struct {
	Devices struct {
		Keys []struct {
			Key          string
			Few, Many    struct{ speed }
			Ratio        float64
			CPURatio     float64 `json:"cpu_ratio"` // 0 if unknown
			ChangedRatio float64 `json:"changed_ratio"`
		}
		Register []struct {
			How      string
			FirstMS  float64 `json:"first_ms"`
			LastMS   float64 `json:"last_ms"`
			Ratio    float64
			CPURatio float64 `json:"cpu_ratio"`
		}
	}
	Arrays, Wide arrayFigures
	Memory       struct {
		PeakMiB     float64 `json:"peak_mib"`
		Limited     bool
		Why         string
		Killed      bool
		KilledAfter float64 `json:"killed_after_seconds"`
		Answers     answers `json:"told"`
		Arrived     int
	} `json:"small_memory"`
	Tenants struct {
		Alone, Beside latency
		Ratio         float64
		Ratios        []float64
		Others, Flood answers
	}
}

type arrayFigures struct {
	Alone, Beside bothWays
	Sender        answers
	Answers       answers `json:"told"`
	Arrived       int
	PeakMiB       float64 `json:"peak_mib"`
}

// bothWays are how long senders waited, and how long messages were on their way.
type bothWays struct {
	AcceptP99 float64 `json:"accept_p99_ms"`
	latency
}

// answers counts the answers to senders, by status.
type answers map[string]int

func (a answers) String() string { return strings.TrimPrefix(fmt.Sprint(map[string]int(a)), "map") }

// accepted reports whether all messages were acknowledged.
func (a answers) accepted() bool { return len(a) == 1 && a["202"] > 0 }

// part returns a claim's measurement with a judgement.
func part(judge func(*parts) (string, bool), args ...string) func(context.Context, *runner) (string, bool, error) {
	return func(ctx context.Context, r *runner) (string, bool, error) {
		var p parts
		if err := r.measure(ctx, &p, args...); err != nil {
			return "", false, err
		}
		figure, holds := judge(&p)
		return figure, holds, nil
	}
}

var (
	devices = part(judgeDevices, "-devices", "50000", "-messages", "10000")
	arrays  = part(judgeArrays, "-arrays", "30", "-seconds", "4")
	memory  = part(judgeMemory, "-small-memory", "192MiB", "-seconds", "20")
	tenants = part(judgeTenants, "-tenants", "200", "-seconds", "4")
)

// Bounds of the claims. One more device can cost a quarter more than the first: its
// measurement takes a tenth of a second.
const (
	leastOfFew   = 0.9
	mostRegister = 1.25
	mostBeside   = 50  // ms
	mostWide     = 500 // ms
	mostMemory   = 160 // MiB
	mostFlooded  = 2.0
)

func judgeDevices(p *parts) (string, bool) {
	var said []string
	holds := len(p.Devices.Keys) > 0 && len(p.Devices.Register) > 0
	for _, k := range p.Devices.Keys {
		said = append(said, fmt.Sprintf("%s: %.2f (%.0f against %.0f messages/s), %.2f of the CPU, %.2f beside changes", k.Key, k.Ratio,
			k.Many.Delivered, k.Few.Delivered, k.CPURatio, k.ChangedRatio))
		holds = holds && k.Ratio >= leastOfFew && k.ChangedRatio >= leastOfFew && (k.CPURatio == 0 || k.CPURatio >= leastOfFew)
	}
	for _, g := range p.Devices.Register {
		cost := g.CPURatio
		if cost == 0 {
			cost = g.Ratio
		}
		said = append(said, fmt.Sprintf("registered %s %.2f of the first (%.2f against %.2f ms)", g.How, cost, g.LastMS, g.FirstMS))
		holds = holds && cost <= mostRegister
	}
	return strings.Join(said, "; "), holds
}

func judgeArrays(p *parts) (string, bool) {
	var said []string
	holds := true
	for _, m := range []struct {
		arrayFigures
		most float64
	}{{p.Arrays, mostBeside}, {p.Wide, mostWide}} {
		a := m.arrayFigures
		said = append(said, fmt.Sprintf("p99 to the answer %.1f ms alone, %.1f ms beside, to arrival %.1f and %.1f ms; "+
			"%d deliveries of arrays, whose senders got %v, at most %.0f MiB", a.Alone.AcceptP99, a.Beside.AcceptP99, a.Alone.P99, a.Beside.P99,
			a.Arrived, a.Answers, a.PeakMiB))
		holds = holds && a.Sender.accepted() && a.Beside.AcceptP99 < m.most && a.Beside.P99 < m.most && a.Arrived > 0
	}
	return strings.Join(said, "; 300 webhooks: "), holds
}

func judgeMemory(p *parts) (string, bool) {
	m := p.Memory
	figure := fmt.Sprintf("at most %.0f MiB, answers %v, all %d arrivals came", m.PeakMiB, m.Answers, m.Arrived)
	if m.Killed {
		figure += fmt.Sprintf(", killed after %.1f s", m.KilledAfter)
	}
	if !m.Limited {
		figure += ", no limit could be set: " + m.Why
	}
	return figure, !m.Killed && m.PeakMiB > 0 && m.PeakMiB <= mostMemory && m.Answers["202"] > 0
}

func judgeTenants(p *parts) (string, bool) {
	n := p.Tenants
	return fmt.Sprintf("%.2f (rounds %.2f): p99 %.1f ms alone, %.1f ms beside; their answers %v, those of the one that floods %v",
		n.Ratio, n.Ratios, n.Alone.P99, n.Beside.P99, n.Others, n.Flood), n.Ratio > 0 && n.Ratio <= mostFlooded && n.Others.accepted()
}

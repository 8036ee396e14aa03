package ui

import (
	"fmt"
	"time"
)

// Phases are the parts of an HTTP exchange, one after the other; 0 is a part
// that did not happen. Body is the time from the first byte to the last.
type Phases struct {
	DNS, Connect, TLS, Wait, Body time.Duration
}

// Total returns the length of all phases.
func (p Phases) Total() time.Duration { return p.DNS + p.Connect + p.TLS + p.Wait + p.Body }

// Reused reports whether the exchange went over a connection that was open.
func (p Phases) Reused() bool { return p.DNS+p.Connect+p.TLS == 0 && p.Wait > 0 }

// Longer returns the longer of two, to find the scale of a list.
func (p Phases) Longer(q Phases) Phases {
	if q.Total() > p.Total() {
		return q
	}
	return p
}

// PhaseBar is a phase as a bar: X and Width in percent of the scale.
type PhaseBar struct {
	Name     string
	Class    string
	X, Width string
	Length   time.Duration
}

// phaseKind is a phase's name and fill.
type phaseKind struct{ name, class string }

func phaseKinds() []phaseKind {
	return []phaseKind{{"DNS", "p-dns"}, {"Connect", "p-connect"}, {"TLS", "p-tls"}, {"First byte", "p-wait"}, {"Body", "p-body"}}
}

// Bars returns the phases that happened, as bars on a scale of the given
// length. What reaches beyond the scale is cut, and nothing is drawn on a scale
// of 0.
func (p Phases) Bars(scale time.Duration) []PhaseBar {
	var bars []PhaseBar
	var start time.Duration
	for i, length := range []time.Duration{p.DNS, p.Connect, p.TLS, p.Wait, p.Body} {
		if length > 0 && start < scale {
			kind := phaseKinds()[i]
			bars = append(bars, PhaseBar{
				Name: kind.name, Class: kind.class, Length: length,
				X: percent(share(start, scale)), Width: percent(share(min(length, scale-start), scale)),
			})
		}
		start += max(length, 0)
	}
	return bars
}

func share(part, whole time.Duration) float64 { return 100 * float64(part) / float64(whole) }

// percent writes a coordinate of a chart.
func percent(v float64) string { return fmt.Sprintf("%.2f%%", v) }

func nodeTone(t Tone, next bool) string {
	if next {
		return "next"
	}
	return string(t)
}

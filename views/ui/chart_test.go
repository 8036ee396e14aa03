package ui

import (
	"math"
	"strings"
	"testing"
	"time"
)

func twoSeries() []Series {
	return []Series{{"Delivered", "delivered", FillOK}, {"Failed", "failed", FillBad}}
}

func TestStackedBarsFillTheAreaBetweenRoundLines(t *testing.T) {
	bars := []Bar{{Values: []int64{14000, 0}}, {Values: []int64{7000, 1000}}, {Values: []int64{0, 0}}, {Values: nil}}
	p := StackBars(bars, twoSeries(), Geometry{Height: 218, Top: 14, Bottom: 24})
	if p.Max != 16000 {
		t.Fatalf("highest line is %d, want 16000", p.Max)
	}
	var labels []string
	for _, line := range p.Lines {
		labels = append(labels, line.Label)
	}
	if got := strings.Join(labels, " "); got != "0 4k 8k 12k 16k" {
		t.Errorf("lines are %s", got)
	}
	if first, last := p.Lines[0].Y, p.Lines[len(p.Lines)-1].Y; first != 194 || math.Abs(last-14) > 1e-9 {
		t.Errorf("lines reach from %v to %v, want 194 to 14", first, last)
	}
	if len(p.Rects) != 3 {
		t.Fatalf("%d parts, want 3: nothing is drawn for 0", len(p.Rects))
	}
	if r := p.Rects[0]; math.Abs(r.H-157.5) > 1e-9 || math.Abs(r.Y+r.H-194) > 1e-9 || r.X != 4 || r.W != 17 {
		t.Errorf("first bar is %+v", r)
	}
	below, above := p.Rects[1], p.Rects[2]
	if gap := below.Y - (above.Y + above.H); math.Abs(gap-1) > 1e-9 {
		t.Errorf("parts lie %v pixels apart, want 1", gap)
	}
}

func TestOneFailureAmongThousandsIsSeen(t *testing.T) {
	p := StackBars([]Bar{{Values: []int64{1_000_000, 1}}}, twoSeries(), Geometry{Height: 100})
	if r := p.Rects[1]; r.Fill != FillBad || r.H < minVisible || r.Y < 0 {
		t.Errorf("the failure is %+v", r)
	}
}

func TestNothingFallsOutOfAChart(t *testing.T) {
	for _, values := range [][]int64{{1, 0}, {-5, -5}, {0, 0}, {math.MaxInt64 / 4, 1}, {3, 4}, {999, 1}} {
		p := StackBars([]Bar{{Values: values}, {Values: append(values, 7)}}, twoSeries(), Geometry{Height: 60, Top: 4, Bottom: 10})
		if n := len(p.Lines); n < 2 || n > 6 {
			t.Errorf("%v: %d lines", values, n)
		}
		for _, r := range p.Rects {
			if math.IsNaN(r.Y) || r.Y < 0 || r.Y+r.H > 50.0001 || r.X < 0 || r.X+r.W > 100 {
				t.Errorf("%v: %+v", values, r)
			}
		}
	}
	if p := StackBars(nil, nil, Geometry{Height: 60}); len(p.Rects) != 0 || len(p.Lines) == 0 {
		t.Errorf("without bars: %+v", p)
	}
}

func TestSparklineIsGreyWhereNothingWasSent(t *testing.T) {
	rects := Spark([]Bar{{Values: []int64{10, 0}}, {Values: []int64{0, 0}}, {Values: []int64{5, 5}}}, twoSeries(), 24, 5.5)
	want := []struct {
		fill Fill
		x    float64
	}{{FillOK, 0}, {FillIdle, 5.5}, {FillOK, 11}, {FillBad, 11}}
	if len(rects) != len(want) {
		t.Fatalf("%d parts, want %d", len(rects), len(want))
	}
	for i, w := range want {
		if rects[i].Fill != w.fill || rects[i].X != w.x || rects[i].Y < 0 || rects[i].Y+rects[i].H > 24 {
			t.Errorf("part %d is %+v, want %v at %v", i, rects[i], w.fill, w.x)
		}
	}
}

func TestBarChartSaysItsNumbersInWordsAndTable(t *testing.T) {
	doc := parse(t, BarChart(ChartProps{
		Title: "Deliveries by hour", Unit: "Hour", Series: twoSeries(), Axis: true,
		Bars: []Bar{{Label: "12:00", Name: "12:00", Values: []int64{14468, 11}}, {Name: "13:00", Values: []int64{1020, 0}, Partial: true}},
	}))
	if got := doc.Find("g title").Text(); got != "12:00: 14,468 delivered, 11 failed13:00, so far: 1,020 delivered, 0 failed" {
		t.Errorf("titles: %s", got)
	}
	if got := doc.Find("table caption").Text(); got != "Deliveries by hour" {
		t.Errorf("caption: %s", got)
	}
	if got := doc.Find("tbody tr").First().Find("td").Text(); got != "12:0014,46811" {
		t.Errorf("first row: %s", got)
	}
	if got := doc.Find(".legend b").Text(); got != "15,48811" {
		t.Errorf("sums: %s", got)
	}
	if doc.Find(`svg[role="img"][aria-label="Deliveries by hour"]`).Length() != 1 {
		t.Error("the chart has no name")
	}
	if doc.Find(`rect[opacity=".6"]`).Length() != 1 {
		t.Error("the running hour is not pale")
	}
}

func TestPhasesFollowEachOtherOnTheirScale(t *testing.T) {
	p := Phases{Connect: 20 * time.Millisecond, TLS: 40 * time.Millisecond, Wait: 140 * time.Millisecond}
	bars := p.Bars(400 * time.Millisecond)
	want := []PhaseBar{
		{"Connect", "p-connect", "0.00%", "5.00%", 20 * time.Millisecond},
		{"TLS", "p-tls", "5.00%", "10.00%", 40 * time.Millisecond},
		{"First byte", "p-wait", "15.00%", "35.00%", 140 * time.Millisecond},
	}
	if len(bars) != len(want) {
		t.Fatalf("%d bars, want %d", len(bars), len(want))
	}
	for i := range want {
		if bars[i] != want[i] {
			t.Errorf("bar %d is %+v, want %+v", i, bars[i], want[i])
		}
	}
	if cut := p.Bars(100 * time.Millisecond); cut[2].Width != "40.00%" {
		t.Errorf("a phase beyond the scale is %s wide, want 40.00%%", cut[2].Width)
	}
	if none := p.Bars(0); len(none) != 0 {
		t.Errorf("on no scale: %+v", none)
	}
}

package ui

import (
	"fmt"
	"math"
	"strings"

	"thingpost/internal/iot"
)

// Bar is what one span of time holds. Partial marks the span that still runs.
type Bar struct {
	Label string // of the axis; most are empty
	Name  string // in title and table: "3 h ago"
	// At is the beginning of an hour; the table then shows it in the reader's zone
	// instead of the name.
	At      iot.Instant
	Values  []int64
	Partial bool
}

// Series is one kind of value, from below.
type Series struct {
	Name string // "Delivered"
	Unit string // in titles, "delivered"
	Fill Fill
}

// Fill is the colour of a part of a chart.
type Fill string

// The fills: plain volume, what waits, what failed, and nothing.
const (
	FillOK   Fill = "c-ok"
	FillWait Fill = "c-wait"
	FillBad  Fill = "c-bad"
	FillIdle Fill = "c-idle"
)

// Rect is a part of a bar, in percent of the width and pixels of the height.
type Rect struct {
	Fill    Fill
	X, W    float64 // percent
	Y, H    float64 // pixels
	Partial bool
}

// GridLine is a horizontal line of a chart and its number.
type GridLine struct {
	Y     float64 // pixels
	Label string
}

// Geometry is a drawing area: its height and what stays free above and below.
type Geometry struct{ Height, Top, Bottom float64 }

// Points are all that a bar chart draws.
type Points struct {
	Rects []Rect // of all bars, in their order
	Lines []GridLine
	Max   int64 // the value of the highest line
}

// minVisible is the least height of a part that is not 0, in pixels: one
// failure among thousands must be seen.
const minVisible = 1.5

// StackBars places bars side by side and each bar's values on each other, from
// below, a pixel apart, under lines at round numbers. Negative values count as
// 0, and values beyond the series are left out.
func StackBars(bars []Bar, series []Series, g Geometry) Points {
	var highest int64 = 1
	for _, bar := range bars {
		var sum int64
		for i := range min(len(bar.Values), len(series)) {
			sum += max(bar.Values[i], 0)
		}
		highest = max(highest, sum)
	}
	step := niceStep(highest)
	top := (highest + step - 1) / step * step
	base := g.Height - g.Bottom
	scale := (base - g.Top) / float64(top)

	p := Points{Max: top}
	for v := int64(0); v <= top; v += step {
		p.Lines = append(p.Lines, GridLine{Y: base - float64(v)*scale, Label: Short(v)})
	}
	for i, bar := range bars {
		slot := 100 / float64(len(bars))
		y := base
		for s := range min(len(bar.Values), len(series)) {
			if bar.Values[s] <= 0 {
				continue
			}
			h := math.Max(float64(bar.Values[s])*scale, minVisible)
			if y < base {
				y-- // the pixel between
			}
			p.Rects = append(p.Rects, Rect{
				Fill: series[s].Fill, Partial: bar.Partial,
				X: (float64(i) + 0.16) * slot, W: 0.68 * slot, Y: math.Max(y-h, 0), H: math.Min(h, y),
			})
			y -= h
		}
	}
	return p
}

// niceStep returns the distance of lines at 1, 2, 4 or 5 times a power of ten
// that makes two to five steps up to a value of at least 1.
func niceStep(highest int64) int64 {
	for power := int64(1); ; power *= 10 {
		for _, factor := range []int64{1, 2, 4, 5} {
			step := factor * power
			if highest <= 4*step || step > math.MaxInt64/20 {
				return step
			}
		}
	}
}

// Spark returns the bars of a sparkline, without lines: each is step pixels
// from the next in x. Where nothing was sent there are 2 pixels of grey.
func Spark(bars []Bar, series []Series, height, step float64) []Rect {
	p := StackBars(bars, series, Geometry{Height: height, Top: 0})
	highest := float64(p.Max)
	var rects []Rect
	for i, bar := range bars {
		y, x := height, float64(i)*step
		for s := range min(len(bar.Values), len(series)) {
			if bar.Values[s] <= 0 {
				continue
			}
			h := math.Min(math.Max(float64(bar.Values[s])/highest*(height-1), minVisible), y)
			y -= h
			rects = append(rects, Rect{Fill: series[s].Fill, X: x, W: step - 1.5, Y: y, H: h})
		}
		if y == height {
			rects = append(rects, Rect{Fill: FillIdle, X: x, W: step - 1.5, Y: height - 2, H: 2})
		}
	}
	return rects
}

func pixels(v float64) string { return fmt.Sprintf("%.1f", v) }

// barX is the middle of the slot of a bar, in percent.
func barX(i, of int) string { return percent((float64(i) + 0.5) * 100 / float64(of)) }

// partsOf returns the rectangles that lie in the slot of a bar.
func partsOf(rects []Rect, i, of int) []Rect {
	slot := 100 / float64(of)
	var parts []Rect
	for _, r := range rects {
		if r.X >= float64(i)*slot && r.X < float64(i+1)*slot {
			parts = append(parts, r)
		}
	}
	return parts
}

// barTitle says a bar in words: "14:00: 14,468 delivered, 11 failed".
func barTitle(bar Bar, series []Series) string {
	var title strings.Builder
	title.WriteString(bar.Name)
	if bar.Partial {
		title.WriteString(", so far")
	}
	for i := range min(len(bar.Values), len(series)) {
		sep := ", "
		if i == 0 {
			sep = ": "
		}
		title.WriteString(sep + Count(bar.Values[i]) + " " + series[i].Unit)
	}
	return title.String()
}

// total returns the sum of a series over all bars.
func total(bars []Bar, series int) int64 {
	var sum int64
	for _, bar := range bars {
		if series < len(bar.Values) {
			sum += bar.Values[series]
		}
	}
	return sum
}

func value(bar Bar, series int) string {
	if series < len(bar.Values) {
		return Count(bar.Values[series])
	}
	return "0"
}

// opacity is that of a bar's part: the running span is pale.
func opacity(partial bool) string {
	if partial {
		return ".6"
	}
	return "1"
}

// meterWidth is a share of a meter, in percent.
func meterWidth(part, whole int64) string {
	if whole <= 0 {
		return "0%"
	}
	return percent(100 * float64(min(max(part, 0), whole)) / float64(whole))
}

// RetryLineProps describe a schedule of tries.
type RetryLineProps struct {
	Label string   // the schedule in words
	Waits []string // "5 s", "30 s"
	Stop  string   // "24 h"
	Text  string   // below the line
}

// retryX places the try of a number on the line, in percent.
func (p RetryLineProps) retryX(i int) string {
	return percent(2 + 96*float64(i)/float64(len(p.Waits)+1))
}

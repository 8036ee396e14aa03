package ui

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/a-h/templ"

	"thingpost/internal/iot"
)

var update = flag.Bool("update", false, "write the golden files")

// hashes of the sprite's name change with every icon.
var hashes = regexp.MustCompile(`icons\.[0-9a-f]+\.svg`)

// day is 24 hours of which some had failures, one had nothing, and the last still
// runs.
func day() []Bar {
	bars := make([]Bar, 24)
	for i := range bars {
		bars[i] = Bar{Name: number(23-i) + " h ago", At: iot.Instant(1_795_219_200_000 + i*3_600_000),
			Values: []int64{int64(9000 + 800*(i%7)), 0, 0}}
	}
	bars[3].Values = []int64{0, 0, 0}
	bars[15].Values = []int64{9266, 0, 1180}
	bars[22].Values = []int64{13_000, 600, 1}
	bars[23] = Bar{Label: "now", Name: "This hour", At: bars[23].At, Values: []int64{1020, 2, 0}, Partial: true}
	bars[2].Label, bars[11].Label, bars[17].Label = "−21 h", "−12 h", "−6 h"
	return bars
}

func TestCharts(t *testing.T) {
	series := []Series{{"Delivered", "delivered", FillOK}, {"Retried", "retried", FillWait}, {"Failed", "failed", FillBad}}
	waits := []string{"5 s", "30 s", "2 min", "10 min", "30 min", "1 h", "2 h", "4 h", "8 h"}
	for name, c := range map[string]templ.Component{
		"bars":       BarChart(ChartProps{Title: "Deliveries by hour", Unit: "Hour", Bars: day(), Series: series, Axis: true}),
		"bars-empty": BarChart(ChartProps{Title: "Deliveries by hour", Unit: "Hour", Bars: make([]Bar, 3), Series: series, Axis: true}),
		"bars-caption": BarChart(ChartProps{Title: "Messages a day", Unit: "Day", Caption: "93 each day, 43 so far today.", Height: 104,
			Bars: []Bar{{Label: "20", Name: "20 November", Values: []int64{93}},
				{Label: "today", Name: "21 November", Values: []int64{43}, Partial: true}}, Series: series[:1]}),
		"bars-plain":  BarChart(ChartProps{Title: "Deliveries by hour", Height: 60, Plain: true, Bars: day(), Series: series}),
		"spark":       Sparkline(SparkProps{Label: "Deliveries of ERP goods-in in 24 hours", Bars: day(), Series: series}),
		"spark-large": Sparkline(SparkProps{Label: "Nothing in 24 hours", Bars: make([]Bar, 24), Series: series, Large: true}),
		"retries": RetryLine(RetryLineProps{Label: "Tries after 5 s, 30 s and so on until 24 h", Waits: waits, Stop: "24 h",
			Text: "Time between tries, each ± 20 %."}),
		"meter": Meter("2.6 of 4 GiB", 26, 40),
	} {
		t.Run(name, func(t *testing.T) {
			// A tag on each line, so that a difference is seen.
			got := strings.ReplaceAll(strings.ReplaceAll(hashes.ReplaceAllString(render(t, c), "icons.svg"), "><", ">\n<"), " <", "\n<") + "\n"
			file := filepath.Join("testdata", name+".html")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s is\n%s", file, got)
			}
		})
	}
}

package dashboard

import (
	"math"
	"strconv"
	"time"

	"thingpost/db"
	"thingpost/internal/iot"
	"thingpost/views/ui"
)

// recent are figures of the last sixty minutes.
type recent struct {
	messages, delivered, failed int64 // failed: attempts that did not succeed
	grown                       int64 // how many more are pending
	seconds                     float64
}

// recentOf adds to the running hour as much of the one before it as the last
// sixty minutes reach into that, as if it had been even: counters are kept by the
// hour. A project that is younger than an hour has its age.
func recentOf(st *db.Stats, created, now iot.Instant) recent {
	var r recent
	n := len(st.Hours)
	if n < 2 {
		return r
	}
	running, before := st.Hours[n-1], st.Hours[n-2]
	share := 1 - min(max(now.Sub(running.At).Hours(), 0), 1)
	add := func(a, b int64) int64 { return a + int64(math.Round(share*float64(b))) }
	r.messages = add(running.Messages, before.Messages)
	r.delivered = add(running.Delivered, before.Delivered)
	r.failed = add(running.Failed+running.Retried, before.Failed+before.Retried)
	r.grown = add(running.Grown, before.Grown)
	r.seconds = min(max(now.Sub(created).Seconds(), 1), time.Hour.Seconds())
	return r
}

// perSecond writes how often something happened a second, with a unit apart.
func (r recent) perSecond(n int64) ui.Part {
	if n == 0 || r.seconds == 0 {
		return ui.Part{Value: "0", Unit: "/s"}
	}
	rate := float64(n) / r.seconds
	switch {
	case rate >= 100:
		return ui.Part{Value: ui.Count(int64(rate + 0.5)), Unit: "/s"}
	case rate >= 0.1:
		return ui.Part{Value: strconv.FormatFloat(rate, 'f', 1, 64), Unit: "/s"}
	case rate*60 >= 0.1:
		return ui.Part{Value: strconv.FormatFloat(rate*60, 'f', 1, 64), Unit: "/min"}
	}
	return ui.Part{Value: strconv.FormatFloat(max(rate*3600, 0.1), 'f', 1, 64), Unit: "/h"}
}

// deliverySeries are the kinds of attempts in charts, from below.
func deliverySeries() []ui.Series {
	return []ui.Series{
		{Name: "Delivered", Unit: "delivered", Fill: ui.FillOK},
		{Name: "Retried", Unit: "retried", Fill: ui.FillWait},
		{Name: "Failed", Unit: "failed", Fill: ui.FillBad},
	}
}

// deliveryBars are 24 hours for charts of deliverySeries, the running one last.
// The axis counts back from now, which is true in every time zone.
func deliveryBars(st *db.Stats) []ui.Bar {
	bars := make([]ui.Bar, len(st.Hours))
	for i, h := range st.Hours {
		back := len(st.Hours) - 1 - i
		bars[i] = ui.Bar{Name: strconv.Itoa(back) + " h ago", At: h.At, Values: []int64{h.Delivered, h.Retried, h.Failed}, Partial: back == 0}
		switch {
		case back == 0:
			bars[i].Label, bars[i].Name = "now", "This hour"
		case back%3 == 0:
			bars[i].Label = "−" + strconv.Itoa(back) + " h"
		}
	}
	return bars
}

// sumHours adds up all hours.
func sumHours(st *db.Stats) db.Hour {
	var sum db.Hour
	for _, h := range st.Hours {
		sum.Messages += h.Messages
		sum.Delivered += h.Delivered
		sum.Failed += h.Failed
		sum.Retried += h.Retried
	}
	return sum
}

// milliseconds turns a figure of the store into a duration.
func milliseconds(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }

// coarseParts writes a span without fractions of a second, and without seconds from a
// minute on, with numbers and units apart.
func coarseParts(d time.Duration) []ui.Part {
	switch {
	case d < time.Second:
		return []ui.Part{{Value: "<1", Unit: "s"}}
	case d < time.Minute:
		return ui.DurationParts(d.Truncate(time.Second))
	}
	return ui.DurationParts(d.Truncate(time.Minute))
}

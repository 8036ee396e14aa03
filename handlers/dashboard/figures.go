package dashboard

import (
	"strconv"
	"time"

	"thingpost/db"
	"thingpost/internal/iot"
	"thingpost/views/ui"
)

// recent are figures of the running hour and the one before it, so that they do
// not fall to nothing at each full hour.
type recent struct {
	messages, delivered, failed int64 // failed: attempts that did not succeed
	seconds                     float64
}

func recentOf(st *db.Stats, now iot.Instant) recent {
	last := st.Hours[max(0, len(st.Hours)-2):]
	var r recent
	for _, h := range last {
		r.messages += h.Messages
		r.delivered += h.Delivered
		r.failed += h.Failed + h.Retried
	}
	if len(last) > 0 {
		r.seconds = max(now.Sub(last[0].At).Seconds(), 1)
	}
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
		bars[i] = ui.Bar{Name: h.At.Time().Format("15:04") + " UTC", Values: []int64{h.Delivered, h.Retried, h.Failed}, Partial: back == 0}
		switch {
		case back == 0:
			bars[i].Label = "now"
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

// coarse writes a span without fractions of a second, and without seconds from a
// minute on.
func coarse(d time.Duration) string {
	if d < time.Minute {
		return strconv.Itoa(int(d/time.Second)) + " s"
	}
	return ui.Duration(d.Truncate(time.Minute))
}

// milliseconds turns a figure of the store into a duration.
func milliseconds(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }

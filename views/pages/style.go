package pages

import (
	"time"

	"github.com/a-h/templ"

	"thingpost/internal/iot"
	"thingpost/views/ui"
)

// styleGroup is a part of the style page. Its body is shown once in each theme,
// with an ending that keeps ids apart.
type styleGroup struct {
	id, title, lead string
	wide            bool // too wide to stand beside itself
	body            func(id string) templ.Component
}

func styleGroups() []styleGroup {
	return []styleGroup{
		{id: "buttons", title: "Buttons and menus", lead: "One primary button on a page; ghost is for icons, cancel and clear; red is for " +
			"actions that delete something.", body: styleButtons},
		{id: "states", title: "States, times and notices", lead: "Colour is never alone: a dot has a shape, and a word beside it.",
			body: styleStates},
		{id: "forms", title: "Forms", lead: "An error is shown at its field, before the help.", body: styleForms},
		{id: "cards", title: "Cards and facts", lead: "What a page is made of.", body: styleCards},
		{id: "lists", title: "Lists, time and code", lead: "Rows fold into two lines on phones.", wide: true, body: styleLists},
		{id: "charts", title: "Charts", lead: "With a legend in numbers, and a table of everything.", wide: true, body: styleCharts},
		{id: "columns", title: "Columns", lead: "How a page is divided.", wide: true, body: styleFormColumns},
	}
}

// styleNow is the time of all examples.
const styleNow = iot.Instant(1_795_251_723_922) // 21 November 2026

func styleOptions() []ui.Option {
	return []ui.Option{{Value: "a", Label: "Viewer"}, {Value: "b", Label: "Editor"}}
}

func styleParts() []ui.Part { return ui.DurationParts(212 * time.Millisecond) }

func stylePhases() ui.Phases {
	return ui.Phases{DNS: 4 * time.Millisecond, Connect: 21 * time.Millisecond, TLS: 38 * time.Millisecond, Wait: 144 * time.Millisecond,
		Body: 5 * time.Millisecond}
}

func styleSeries() []ui.Series {
	return []ui.Series{{Name: "Delivered", Unit: "delivered", Fill: ui.FillOK}, {Name: "Retrying", Unit: "retrying", Fill: ui.FillWait},
		{Name: "Failed", Unit: "failed", Fill: ui.FillBad}}
}

func styleBars() []ui.Bar {
	var bars []ui.Bar
	for hour := range int64(24) {
		b := ui.Bar{Name: time.UnixMilli(0).UTC().Add(time.Duration(hour) * time.Hour).Format("15:04"),
			Values: []int64{400 + hour*hour*7%311, hour * hour % 17, hour % 5 * 3}, Partial: hour == 23}
		if hour%4 == 0 {
			b.Label = b.Name
		}
		bars = append(bars, b)
	}
	bars[7].Values = []int64{0, 0, 0}
	return bars
}

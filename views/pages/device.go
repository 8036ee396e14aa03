package pages

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/a-h/templ"

	"thingpost/internal/iot"
	"thingpost/views/ui"
)

// The sections of devices that are fetched again.
const (
	DeviceListID    = "device-list"
	DeviceTrafficID = "device-traffic"
	DeviceNowID     = "device-now"
)

// RevealKey is the value of "do" that asks for a device's key; any other
// replaces it.
const RevealKey = "reveal"

// searchAttrs make the search answer while it is typed.
func searchAttrs(action string) templ.Attributes {
	attrs := ui.Swaps("get", action, DeviceListID)
	attrs["hx-trigger"] = "submit, input delay:300ms"
	return attrs
}

func profileOptions(list []iot.Profile) []ui.Option {
	var options []ui.Option
	for _, p := range list {
		options = append(options, ui.Option{Value: p.ID, Label: p.Name})
	}
	return options
}

// maxSnippet is how much of a payload a line shows, in bytes.
const maxSnippet = 160

// snippet is the start of a payload on one line.
func snippet(payload []byte) string {
	cut := payload[:min(len(payload), maxSnippet)]
	for len(cut) > 0 && len(cut) < len(payload) && !utf8.RuneStart(payload[len(cut)]) {
		cut = cut[:len(cut)-1]
	}
	text := strings.ToValidUTF8(strings.Join(strings.Fields(string(cut)), " "), "\ufffd")
	if len(cut) < len(payload) {
		text += "…"
	}
	return text
}

// wanted says how many webhooks got a message.
func wanted(n int) string {
	if n == 0 {
		return "no webhook"
	}
	return ui.Plural(int64(n), "webhook", "webhooks")
}

// outcome is the status or the class of the last error of a delivery.
func outcome(d *iot.Delivery) string {
	switch {
	case d.Code != 0:
		return strconv.Itoa(int(d.Code))
	case d.Error != "":
		return string(d.Error)
	}
	return ""
}

func (p DeviceTrafficProps) stats() []ui.Stat {
	state := DeviceStatus(p.Device, p.Expected)
	seen := ui.Stat{Label: "Last seen", Body: seenStatus(state, p.Device.LastSeenAt, p.Now), Note: "not yet"}
	if p.Device.LastSeenAt != 0 {
		seen.More = seenNote(p)
	}
	today := ui.Stat{Label: "Messages today", Value: "0", Note: "none on earlier days"}
	if n := len(p.Days); n > 0 {
		today.Value = ui.Count(p.Days[n-1].Messages)
		if usual := p.usual(); usual > 0 {
			today.Note = "about " + ui.Count(usual) + " a day"
		}
	}
	pending := ui.Stat{Label: "Undelivered", Value: p.count(p.Pending), Small: true, Note: "none pending"}
	switch {
	case p.Pending > 0:
		pending.More = ui.Link(p.In.Deliveries("device", p.Device.ID, "status", string(iot.Pending)), "show them")
	case p.Failed > 0:
		pending.More = ui.Link(p.In.Deliveries("device", p.Device.ID, "status", string(iot.Failed)), p.count(p.Failed)+" failed in 24 h")
	}
	today.Small = true
	return []ui.Stat{seen, today, pending, p.Queue.stat()}
}

func (p DeviceTrafficProps) count(n int64) string { return ui.CountCapped(n, p.Limit) }

func (p DevicePage) curl() []ui.Token {
	return Curl(p.URL+"/api/v1"+p.In.Device(p.Device.ID)+"/messages", orText(p.Key, "$DEVICE_KEY"), `{"payload":{"temperature":21.5}}`)
}

func (p DeviceFormPage) action() string {
	if p.Device == nil {
		return p.In.NewDevice()
	}
	return p.In.EditDevice(p.Device.ID)
}

func (p DeviceFormPage) back() string {
	if p.Device == nil {
		return p.In.Devices()
	}
	return p.In.Device(p.Device.ID)
}

// more reports whether the fields that are mostly empty should be seen.
func (p DeviceFormPage) more() bool {
	for _, field := range []string{"uuid", "dev_eui", "join_eui", "dev_addr"} {
		if p.Form.Value(field) != "" || p.Form.Error(field) != "" {
			return true
		}
	}
	return false
}

// sendTypes are the types that a person can send.
func sendTypes() []ui.Option {
	return []ui.Option{{Value: string(iot.User), Label: "user: from the application"},
		{Value: string(iot.Iottly), Label: "iottly: from the agent"}}
}

func (p DevicePage) editLink() ui.Crumb {
	if !p.MayChange {
		return ui.Crumb{}
	}
	return ui.Crumb{Label: "Edit", Href: p.In.EditDevice(p.Device.ID)}
}

func (p DevicePage) identity() []ui.Fact {
	d := p.Device
	facts := []ui.Fact{{Term: "Id", Value: d.ID, Mono: true}, {Term: "UUID", Value: d.UUID, Mono: true}}
	for _, f := range []ui.Fact{{Term: "DevEUI", Value: d.DevEUI, Mono: true}, {Term: "JoinEUI", Value: d.JoinEUI, Mono: true},
		{Term: "DevAddr", Value: d.DevAddr, Mono: true}} {
		if f.Value != "" {
			facts = append(facts, f)
		}
	}
	profile := ui.Fact{Term: "Profile", Value: d.Profile}
	if p.MayProfiles {
		profile.Href = p.In.Profile(d.Profile)
	}
	expected := ui.Fact{Term: "Expected", Value: "at no interval"}
	if p.Traffic.Expected > 0 {
		expected.Value = EveryText(p.Traffic.Expected)
		if p.Traffic.ByProfile {
			expected.Value += ", by its profile"
		}
	}
	return append(facts, profile, expected, ui.Fact{Term: "Added", Body: ui.Date(d.CreatedAt, p.Now)})
}

// page is the address of a page of the list with the filters of this one.
func (p DeviceList) page(after string) string {
	silent := ""
	if p.Silent {
		silent = "1"
	}
	return p.In.Devices("silent", silent, "q", p.Search, "after", after)
}

func (p DeviceList) tabs() []ui.Tab {
	return []ui.Tab{{Label: "All", Href: p.In.Devices("q", p.Search), Count: p.CountAll, Current: !p.Silent},
		{Label: "Silent", Href: p.In.Devices("silent", "1", "q", p.Search), Count: p.CountNone, Current: p.Silent}}
}

func (p DeviceList) expected(d *iot.Device) time.Duration {
	if d.ExpectedIntervalMS > 0 {
		return milliseconds(d.ExpectedIntervalMS)
	}
	return p.Expected[d.ProfileKey]
}

// DeviceStatus is the state of a device that is expected at an interval, or not
// (0).
func DeviceStatus(d *iot.Device, expected time.Duration) ui.StatusProps {
	switch {
	case d.SilentAt != 0:
		return ui.StatusProps{Label: "Silent", Tone: ui.Warning, Shape: ui.Dash}
	case d.LastSeenAt == 0:
		return ui.StatusProps{Label: "Not seen yet", Shape: ui.Ring}
	case expected > 0:
		return ui.StatusProps{Label: "On time", Tone: ui.Success}
	}
	return ui.StatusProps{Label: "Seen"}
}

// silence says since when the device is silent, and what that means.
func (p DeviceTrafficProps) silence() []templ.Component {
	return []templ.Component{strong("Silent since "), ui.Clock(p.Device.SilentAt, p.Now), words(". It is expected " + EveryText(p.Expected) +
		" and has sent nothing for that time plus a grace period of " + HowLong(iot.SilentAfter(p.Expected)-p.Expected) + ".")}
}

// usual is how much the device sends on a whole day, by those it sent on.
func (p DeviceTrafficProps) usual() int64 {
	var sum, days int64
	for _, d := range p.Days[:max(0, len(p.Days)-1)] {
		if d.Messages > 0 {
			sum, days = sum+d.Messages, days+1
		}
	}
	if days == 0 {
		return 0
	}
	return (sum + days/2) / days
}

// daysChart is the chart of the messages a day.
func (p DeviceTrafficProps) daysChart() ui.ChartProps {
	c := ui.ChartProps{Title: "Messages a day", Unit: "Day (UTC)", Height: 104, Axis: true,
		Series: []ui.Series{{Name: "Messages", Unit: "messages", Fill: ui.FillOK}}}
	for i, d := range p.Days {
		day := d.At.Time()
		bar := ui.Bar{Label: strconv.Itoa(day.Day()), Name: day.Format("2 January"), Values: []int64{d.Messages}}
		if i == len(p.Days)-1 {
			bar.Label, bar.Partial = "today", true
		}
		c.Bars = append(c.Bars, bar)
	}
	c.Caption = p.daysCaption()
	return c
}

// daysCaption says the chart in words.
func (p DeviceTrafficProps) daysCaption() string {
	if len(p.Days) < 2 {
		return ""
	}
	whole := p.Days[:len(p.Days)-1]
	least, most := whole[0], whole[0]
	for _, d := range whole {
		if d.Messages < least.Messages {
			least = d
		}
		if d.Messages > most.Messages {
			most = d
		}
	}
	today := ui.Count(p.Days[len(p.Days)-1].Messages) + " so far today."
	switch {
	case most.Messages == 0:
		return "None in the " + strconv.Itoa(len(whole)) + " days before, " + today
	case least.Messages == most.Messages:
		return ui.Count(most.Messages) + " each day, " + today
	}
	return "Between " + ui.Count(least.Messages) + " (" + least.At.Time().Format("2 January") + ") and " + ui.Count(most.Messages) + " (" +
		most.At.Time().Format("2 January") + ") a day, " + today
}

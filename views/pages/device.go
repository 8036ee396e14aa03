package pages

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/a-h/templ"

	"thingpost/internal/iot"
	"thingpost/views/ui"
)

// The sections of devices that are fetched again.
const (
	DeviceListID    = "device-list"
	DeviceTrafficID = "device-traffic"
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
		return "nobody"
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
	seen := ui.Stat{Label: "Last seen", Body: ui.Ago(p.Device.LastSeenAt, p.Now), Note: "not yet"}
	if p.Device.LastSeenAt != 0 {
		seen.More = ui.Clock(p.Device.LastSeenAt, p.Now)
	}
	failed := ui.Stat{Label: "Failed, 24 h", Value: p.count(p.Failed), Small: true, Note: "none"}
	if p.Failed > 0 {
		failed.More = ui.Link(p.In.Deliveries("device", p.Device.ID, "status", string(iot.Failed)), "show them")
	}
	pending := ui.Stat{Label: "Undelivered", Value: p.count(p.Pending), Small: true, Note: "nothing waits"}
	if p.Pending > 0 {
		pending.More = ui.Link(p.In.Deliveries("device", p.Device.ID, "status", string(iot.Pending)), "show them")
	}
	return []ui.Stat{seen, {Label: "Delivered, 24 h", Value: p.count(p.Delivered), Small: true, Note: "to all webhooks"}, pending, failed}
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
	return []ui.Option{{Value: string(iot.User), Label: "user: from the application"}, {Value: string(iot.Iottly), Label: "iottly: from the agent"}}
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
	for _, f := range []ui.Fact{{Term: "DevEUI", Value: d.DevEUI, Mono: true}, {Term: "JoinEUI", Value: d.JoinEUI, Mono: true}, {Term: "DevAddr", Value: d.DevAddr, Mono: true}} {
		if f.Value != "" {
			facts = append(facts, f)
		}
	}
	profile := ui.Fact{Term: "Profile", Value: d.Profile}
	if p.MayProfiles {
		profile.Href = p.In.Profile(d.Profile)
	}
	return append(facts, profile, ui.Fact{Term: "Added", Body: ui.Date(d.CreatedAt, p.Now)})
}

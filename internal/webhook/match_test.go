package webhook

import (
	"strings"
	"testing"

	"thingpost/internal/iot"
)

func TestMatch(t *testing.T) {
	on := &iot.Profile{ID: "default", Webhook: true}
	off := &iot.Profile{ID: "quiet"}
	cases := []struct {
		name    string
		change  func(*iot.Webhook, *iot.Message)
		profile *iot.Profile
		reason  Reason
		text    string // part of the sentence of the reason's rule
	}{
		{"all", func(*iot.Webhook, *iot.Message) {}, on, Wanted, ""},
		{"no profile known", func(*iot.Webhook, *iot.Message) {}, nil, Wanted, ""},
		{"channel", func(w *iot.Webhook, m *iot.Message) { w.Channel, m.Channel = "alarms", "alarms" }, on, Wanted, ""},
		{"device", func(w *iot.Webhook, _ *iot.Message) { w.Device, w.DeviceKey = "dev1", 7 }, on, Wanted, ""},
		{"several types", func(w *iot.Webhook, m *iot.Message) {
			w.MessageTypes, m.Type = iot.Routes{iot.User: {}, iot.ServiceData: {}}, iot.ServiceData
		}, on, Wanted, ""},

		{"paused", func(w *iot.Webhook, _ *iot.Message) { w.Paused = true }, on, ReasonPaused, "is paused."},
		{"paused by someone", func(w *iot.Webhook, _ *iot.Message) {
			w.Paused, w.PausedBy, w.PausedReason = true, "Ada", "too loud."
		}, on, ReasonPaused, "paused by Ada: too loud."},
		{"type", func(_ *iot.Webhook, m *iot.Message) { m.Type = iot.Iottly }, on, ReasonType,
			"takes user messages; this is a message of type iottly"},
		{"no types", func(w *iot.Webhook, _ *iot.Message) { w.MessageTypes = nil }, on, ReasonType, "sends nothing"},
		{"unknown type", func(w *iot.Webhook, m *iot.Message) {
			w.MessageTypes, m.Type = iot.Routes{"x": {}, iot.User: {}}, "x"
		}, on, ReasonType, "type x"},
		{"no channel", func(w *iot.Webhook, _ *iot.Message) { w.Channel = "alarms" }, on, ReasonChannel, "has none"},
		{"case", func(w *iot.Webhook, m *iot.Message) { w.Channel, m.Channel = "alarms", "Alarms" }, on, ReasonChannel,
			"They differ in upper and lower case."},
		{"another channel", func(w *iot.Webhook, m *iot.Message) { w.Channel, m.Channel = "alarms", "alarm" }, on, ReasonChannel,
			"message's is “alarm”."},
		{"another device", func(w *iot.Webhook, _ *iot.Message) { w.Device, w.DeviceKey = "dev2", 8 }, on, ReasonDevice,
			"only messages of the device “dev2”. “dev1” sent"},
		{"a device that is gone", func(w *iot.Webhook, _ *iot.Message) { w.Device = "dev1" }, on, ReasonDevice, "only"},
		{"profile", func(*iot.Webhook, *iot.Message) {}, off, ReasonProfile, "“quiet” sends no messages"},

		{"paused comes first", func(w *iot.Webhook, m *iot.Message) {
			w.Paused, w.Channel, w.Device, m.Type = true, "c", "d", iot.Iottly
		}, off, ReasonPaused, ""},
		{"type before channel", func(w *iot.Webhook, m *iot.Message) {
			w.Channel, w.Device, m.Type = "c", "d", iot.Iottly
		}, off, ReasonType, ""},
		{"channel before device", func(w *iot.Webhook, _ *iot.Message) { w.Channel, w.Device = "c", "d" }, off, ReasonChannel, ""},
		{"device before profile", func(w *iot.Webhook, _ *iot.Message) { w.Device = "d" }, off, ReasonDevice, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w, m := sampleWebhook(), sampleMessage()
			c.change(w, m)
			why := Match(w, m, c.profile)
			if why.Reason != c.reason || why.Wanted != (c.reason == Wanted) {
				t.Errorf("got %q, want %q", why.Reason, c.reason)
			}
			compiled, err := Compile(w)
			if err != nil {
				t.Fatal(err)
			}
			if got := compiled.Wants(m, c.profile); got != c.reason {
				t.Errorf("Wants says %q, want %q", got, c.reason)
			}
			checkFindings(t, why, c.text)
		})
	}
}

func checkFindings(t *testing.T, why Why, text string) {
	t.Helper()
	all := rules()
	if len(why.Checks) != len(all) {
		t.Fatalf("%d findings", len(why.Checks))
	}
	for i, rule := range all {
		finding := why.Checks[i]
		if !strings.HasSuffix(finding.Text, ".") {
			t.Errorf("%s: %q is no sentence", rule, finding.Text)
		}
		if rule != why.Reason {
			continue
		}
		if finding.OK || !strings.Contains(finding.Text, text) {
			t.Errorf("%s: ok %v, %q; want %q", rule, finding.OK, finding.Text, text)
		}
		break // earlier rules have passed; later ones need not
	}
	for i, rule := range all {
		if rule == why.Reason {
			break
		}
		if !why.Checks[i].OK {
			t.Errorf("%s failed before the reason %q", rule, why.Reason)
		}
	}
}

func TestEveryTypeHasABitOfItsOwn(t *testing.T) {
	var seen uint32
	for _, kind := range iot.MessageTypes() {
		bit := typeBit(kind)
		if bit == 0 || seen&bit != 0 {
			t.Errorf("%s has bit %b", kind, bit)
		}
		seen |= bit
	}
}

func TestWantsAllocatesNothing(t *testing.T) {
	c, err := Compile(sampleWebhook())
	if err != nil {
		t.Fatal(err)
	}
	m, p := sampleMessage(), &iot.Profile{Webhook: true}
	if n := testing.AllocsPerRun(100, func() { c.Wants(m, p) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

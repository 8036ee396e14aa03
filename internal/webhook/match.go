package webhook

import (
	"strings"

	"thingpost/internal/iot"
)

// Reason is why a webhook does not get a message, in a word; Wanted if it does.
type Reason string

// The reasons, in the order of the rules.
const (
	Wanted        Reason = ""
	ReasonPaused  Reason = "paused"
	ReasonType    Reason = "type"
	ReasonChannel Reason = "channel"
	ReasonDevice  Reason = "device"
	ReasonProfile Reason = "profile"
)

// rules returns each rule as the reason that it gives.
func rules() [5]Reason {
	return [...]Reason{ReasonPaused, ReasonType, ReasonChannel, ReasonDevice, ReasonProfile}
}

// Finding is the result of one rule for a message, in a sentence for people.
type Finding struct {
	OK   bool   `json:"ok"`
	Text string `json:"text"`
}

// Why is whether a webhook gets a message, with the result of each rule.
type Why struct {
	Wanted bool      `json:"wanted"`
	Reason Reason    `json:"reason"`
	Checks []Finding `json:"checks"`
}

// filter is what the rules need from a webhook.
type filter struct {
	types     uint32 // a bit for each message type, see typeBit
	channel   string
	device    int64
	anyDevice bool
	paused    bool
}

func filterOf(w *iot.Webhook) filter {
	f := filter{
		channel:   w.Channel,
		device:    w.DeviceKey,
		anyDevice: w.Device == "" && w.DeviceKey == 0,
		paused:    w.Paused,
	}
	for t := range w.MessageTypes {
		f.types |= typeBit(t)
	}
	return f
}

// typeBit returns the bit of a message type; 0 for an unknown type.
func typeBit(t iot.MessageType) uint32 {
	switch t {
	case iot.User:
		return 1 << 0
	case iot.Iottly:
		return 1 << 1
	case iot.UplinkMessage:
		return 1 << 2
	case iot.UplinkNormalized:
		return 1 << 3
	case iot.JoinAccept:
		return 1 << 4
	case iot.DownlinkAck:
		return 1 << 5
	case iot.DownlinkNack:
		return 1 << 6
	case iot.DownlinkSent:
		return 1 << 7
	case iot.DownlinkFailed:
		return 1 << 8
	case iot.DownlinkQueued:
		return 1 << 9
	case iot.DownlinkQueueInvalided:
		return 1 << 10
	case iot.LocationSolved:
		return 1 << 11
	case iot.ServiceData:
		return 1 << 12
	}
	return 0
}

// holds reports whether a rule allows the message.
func (f *filter) holds(rule Reason, m *iot.Message, p *iot.Profile) bool {
	switch rule {
	case ReasonPaused:
		return !f.paused
	case ReasonType:
		return f.types&typeBit(m.Type) != 0
	case ReasonChannel:
		return f.channel == "" || f.channel == m.Channel
	case ReasonDevice:
		return f.anyDevice || f.device == m.DeviceKey
	case ReasonProfile:
		return p == nil || p.Webhook
	case Wanted:
	}
	return true
}

// Wants returns Wanted, or the first reason why the webhook does not get the message. p
// is the profile of the message's device; nil allows all messages. Wants allocates
// nothing and is safe for concurrent use.
func (c *Compiled) Wants(m *iot.Message, p *iot.Profile) Reason {
	for _, rule := range rules() {
		if !c.filter.holds(rule, m, p) {
			return rule
		}
	}
	return Wanted
}

// Selector returns a function that reports whether a webhook wants a message, by the
// rules of Wants, as if it were not paused. It also works for a webhook whose settings
// make no request. It is safe for concurrent use.
func Selector(w *iot.Webhook) func(*iot.Message, *iot.Profile) bool {
	f := filterOf(w)
	f.paused = false
	return func(m *iot.Message, p *iot.Profile) bool {
		for _, rule := range rules() {
			if !f.holds(rule, m, p) {
				return false
			}
		}
		return true
	}
}

// Match returns whether a webhook gets a message, by the rules of Wants, with a
// sentence for each rule. p is the profile of the message's device; nil allows all
// messages.
func Match(w *iot.Webhook, m *iot.Message, p *iot.Profile) Why {
	f := filterOf(w)
	why := Why{Wanted: true}
	for _, rule := range rules() {
		ok := f.holds(rule, m, p)
		if !ok && why.Wanted {
			why.Wanted, why.Reason = false, rule
		}
		why.Checks = append(why.Checks, Finding{OK: ok, Text: explain(rule, ok, w, m, p)})
	}
	return why
}

func explain(rule Reason, ok bool, w *iot.Webhook, m *iot.Message, p *iot.Profile) string {
	switch rule {
	case ReasonPaused:
		return explainPaused(ok, w)
	case ReasonType:
		return explainType(ok, w, m)
	case ReasonChannel:
		return explainChannel(ok, w, m)
	case ReasonDevice:
		return explainDevice(ok, w, m)
	case ReasonProfile:
		name := "default"
		if p != nil {
			name = p.ID
		}
		if ok {
			return "The device's profile “" + name + "” sends messages to webhooks."
		}
		return "The device's profile “" + name + "” sends no messages to webhooks."
	case Wanted:
	}
	return ""
}

func explainPaused(ok bool, w *iot.Webhook) string {
	if ok {
		return "The webhook is not paused."
	}
	s := "The webhook is paused"
	if w.PausedBy != "" {
		s += " by " + w.PausedBy
	}
	if w.PausedReason != "" {
		s += ": " + strings.TrimSuffix(w.PausedReason, ".")
	}
	return s + "."
}

func explainType(ok bool, w *iot.Webhook, m *iot.Message) string {
	if ok {
		return "The webhook takes " + string(m.Type) + " messages."
	}
	var names []string
	for _, t := range w.MessageTypes.Types() {
		names = append(names, string(t))
	}
	if len(names) == 0 {
		return "The webhook takes no message types, so it sends nothing."
	}
	return "The webhook takes " + strings.Join(names, ", ") + " messages; this is a message of type " + string(m.Type) + "."
}

func explainChannel(ok bool, w *iot.Webhook, m *iot.Message) string {
	switch {
	case ok && w.Channel == "":
		return "The webhook takes every channel."
	case ok:
		return "The message's channel is “" + m.Channel + "”, the webhook's too."
	case m.Channel == "":
		return "The webhook takes the channel “" + w.Channel + "”. The message has none."
	}
	s := "The webhook takes the channel “" + w.Channel + "”. The message's is “" + m.Channel + "”."
	if strings.EqualFold(w.Channel, m.Channel) {
		s += " They differ in upper and lower case."
	}
	return s
}

func explainDevice(ok bool, w *iot.Webhook, m *iot.Message) string {
	switch {
	case ok && w.Device == "":
		return "The webhook takes messages of every device."
	case ok:
		return "The webhook takes messages of the device “" + w.Device + "”, which sent this one."
	}
	return "The webhook takes only messages of the device “" + w.Device + "”. “" + m.Device + "” sent this one."
}

// known reports whether t is one of the message types.
func known(t iot.MessageType) bool { return typeBit(t) != 0 }

package pages

import (
	"encoding/json"
	"time"

	"github.com/a-h/templ"

	"thingpost/internal/iot"
	"thingpost/views/layout"
	"thingpost/views/ui"
)

// The ids of what the page of messages swaps, as of deliveries.
const (
	MessageLogID  = "message-log"
	MessageListID = "messages"
	MessageNewID  = "messages-new"
)

// MessageQuery is what a list of messages is filtered by.
type MessageQuery struct {
	ID      string // of a message or device, as it was searched for
	Time    string
	Since   string
	Until   string
	Device  string
	Type    string
	Channel string
	Nobody  bool // only what no webhook has got
	Before  string
}

// Pairs are the parameters that are not empty, for In.Messages.
func (q MessageQuery) Pairs() []string {
	nobody := ""
	if q.Nobody {
		nobody = Nobody
	}
	return []string{ParamID, q.ID, ParamTime, q.Time, ParamSince, q.Since, ParamUntil, q.Until, ParamDevice, q.Device, ParamType, q.Type,
		ParamChannel, q.Channel, ParamFate, nobody, ParamBefore, q.Before}
}

// Nobody is the value of ParamFate for messages that no webhook has got.
const Nobody = "none"

func fateOptions(nobody bool) []ui.FilterOption {
	return []ui.FilterOption{{Value: "", Label: "Any", Checked: !nobody}, {Value: Nobody, Label: "No webhook got it", Checked: nobody}}
}

func fateText(nobody bool) string {
	if nobody {
		return "none"
	}
	return ""
}

// Filtered reports whether anything but the cursor is set.
func (q MessageQuery) Filtered() bool { q.Before = ""; return q != MessageQuery{} }

func (q MessageQuery) from(before string) MessageQuery { q.Before = before; return q }

// MessagesPage is what the list of messages shows.
type MessagesPage struct {
	Shell        layout.Props
	Project      In
	Now          iot.Instant
	Query        MessageQuery
	Ignored      []string
	Devices      []string
	Rows         []MessageRow
	New          Counted // that match and are newer than those shown, in MessageNew
	Next         string
	LookedBackTo iot.Instant
	Any          bool // the project has messages at all
	CanEdit      bool // the person may send them to a webhook
	Failed       bool // could not be loaded
}

// MessageRow is a message and what became of it.
type MessageRow struct {
	Message *iot.Message
	Fate    MessageFate
}

// MessageFate is what became of a message: how many webhooks it is for, or why
// it is for none.
type MessageFate struct {
	Delivered, Pending, Failed, Other int64 // webhooks, by their last delivery
	None                              string
}

func (f MessageFate) total() int64 { return f.Delivered + f.Pending + f.Failed + f.Other }

// status is the fate as dot and words.
func (f MessageFate) status() ui.StatusProps {
	of := " of " + ui.Plural(f.total(), "webhook", "webhooks")
	switch {
	case f.total() == 0:
		return ui.StatusProps{Label: "No webhook", Shape: ui.Dash}
	case f.Failed > 0:
		return ui.StatusProps{Label: ui.Count(f.Failed) + of + " failed", Tone: ui.Danger, Shape: ui.Square}
	case f.Pending > 0:
		return ui.StatusProps{Label: ui.Count(f.Pending) + of + " pending", Shape: ui.Ring}
	case f.Delivered > 0:
		return ui.StatusProps{Label: ui.Count(f.Delivered) + of, Tone: ui.Success}
	}
	return ui.StatusProps{Label: "Not sent", Shape: ui.Dash}
}

func (p MessagesPage) here() string { return p.Project.Messages(p.Query.Pairs()...) }

func (p MessagesPage) bulkWords() string {
	if p.Query.Filtered() {
		return "Matching messages, newest first"
	}
	return "Newest first"
}

func (p MessagesPage) older() string {
	if p.Next == "" {
		return ""
	}
	return p.Project.Messages(p.Query.from(p.Next).Pairs()...)
}

func (p MessagesPage) newest() string {
	if p.Query.Before == "" {
		return ""
	}
	return p.Project.Messages(p.Query.from("").Pairs()...)
}

func typeOptions(chosen string) []ui.FilterOption {
	options := []ui.FilterOption{{Value: "", Label: "Any", Checked: chosen == ""}}
	for _, t := range iot.MessageTypes() {
		options = append(options, ui.FilterOption{Value: string(t), Label: string(t), Checked: string(t) == chosen})
	}
	return options
}

// messageSender is who sent a message: a device, or the test.
func messageSender(m *iot.Message) string {
	switch {
	case m.Device != "":
		return m.Device
	case m.DeviceKey == 0:
		return "test"
	}
	return "deleted device"
}

// MessageDetail shows one message with why each webhook got it or not.
type MessageDetail struct {
	Shell    layout.Props
	Project  In
	Now      iot.Instant
	CanSend  bool // the person may send it to a webhook, and it can be
	Message  *iot.Message
	Webhooks []MessageWebhook
}

// MessageWebhook is a webhook and what it does with a message.
type MessageWebhook struct {
	Name       string
	Webhook    *iot.Webhook // nil if it was deleted
	Wanted     bool         // by its present settings
	Checks     []ui.Check
	Deliveries []iot.Delivery // the newest first
}

// status says what became of the message at this webhook.
func (h MessageWebhook) status() ui.StatusProps {
	switch {
	case len(h.Deliveries) > 0:
		return DeliveryStatus(&h.Deliveries[0])
	case h.Wanted:
		return ui.StatusProps{Label: "Not matched then", Shape: ui.Dash}
	}
	return ui.StatusProps{Label: "Not matched", Shape: ui.Dash}
}

// words say what the checks mean for this message.
func (h MessageWebhook) words() string {
	switch {
	case h.Webhook == nil:
		return "The webhook was deleted."
	case len(h.Deliveries) > 0 && !h.Wanted:
		return "The webhook got the message. With its current settings it would not."
	case len(h.Deliveries) == 0 && h.Wanted:
		return "With its current settings the webhook would get the message. It did not match when the message arrived."
	}
	return ""
}

// fieldFacts are what came beside the payload.
func fieldFacts(m *iot.Message) []ui.Fact {
	var facts []ui.Fact
	for _, f := range orderedFields(m.Fields) {
		value := Plain(f.value)
		if at, ok := iot.UnixTime(f.value); ok && (f.name == "timestamp" || f.name == "devicetimestamp") {
			value += " (" + at.Format(time.RFC3339Nano) + ")"
		}
		facts = append(facts, ui.Fact{Term: f.name, Value: value, Mono: true})
	}
	return facts
}

type messageField struct{ name, value string }

// orderedFields reads the fields of a JSON object in the order in which they
// came; strings without their quotes, other values as they are.
func orderedFields(object json.RawMessage) []messageField {
	var values map[string]json.RawMessage
	if json.Unmarshal(object, &values) != nil {
		return nil
	}
	var out []messageField
	for _, name := range []string{"from", "to", "timestamp", "devicetimestamp", "type", "channel"} {
		raw, ok := values[name]
		if !ok {
			continue
		}
		var s string
		if json.Unmarshal(raw, &s) != nil {
			s = string(raw)
		}
		out = append(out, messageField{name, s})
	}
	return out
}

// maxPayload bounds the payload that a message's page shows, in bytes.
const maxPayload = 256 << 10

// payloadTokens shows a payload as it came.
func (p MessageDetail) payloadTokens() []ui.Token {
	payload := p.Message.Payload
	return ui.PlainText(Plain(string(payload[:min(len(payload), maxPayload)])))
}

func (p MessageDetail) payloadNote() string {
	size := ui.Plural(int64(len(p.Message.Payload)), "byte", "bytes")
	if p.Message.InvalidUTF8 {
		return size + ". Some received bytes were not valid UTF-8, which JSON requires. They are replaced by U+FFFD here and in what is sent."
	}
	if len(p.Message.Payload) > maxPayload {
		return "The first 256 KiB of " + size + " are shown. All bytes are sent."
	}
	return size + ", sent exactly as received."
}

func (p MessageDetail) facts() []ui.Fact {
	m := p.Message
	facts := []ui.Fact{{Term: "Device", Value: messageSender(m)}, {Term: "Type", Value: string(m.Type), Mono: true},
		{Term: "Channel", Value: Plain(m.Channel), Mono: true},
		{Term: "Received", Body: ui.Stamp(m.ReceivedAt)}, {Term: "Message", Value: m.ID.String(), Mono: true}}
	if m.Device != "" {
		facts[0].Href = p.Project.Device(m.Device)
	}
	if m.SenderID != "" {
		facts = append(facts, ui.Fact{Term: "Sender's id", Value: Plain(m.SenderID), Mono: true})
	}
	if m.Transient {
		facts = append(facts, ui.Fact{Term: "Kept", Value: "until it is delivered, by the device’s profile"})
	}
	return facts
}

// SendToPage asks which webhook a message is sent to.
type SendToPage struct {
	Project  In
	Message  *iot.Message
	Webhooks []*iot.Webhook
	Form     Form
	InDialog bool
}

func (p SendToPage) options() []ui.Option {
	var options []ui.Option
	for _, w := range p.Webhooks {
		label := w.Description
		if w.Paused {
			label += " (paused)"
		}
		options = append(options, ui.Option{Value: w.ID, Label: label})
	}
	return options
}

// messageLinks make the links below an element answer into the log.
func messageLinks() templ.Attributes {
	return templ.Attributes{"hx-boost": "true", "hx-target": "#" + MessageLogID, "hx-swap": "outerHTML"}
}

// listAttrs make the first page refresh itself.
func (p MessagesPage) listAttrs() templ.Attributes {
	if p.Query.Before != "" {
		return nil
	}
	attrs := ui.Live(MessageListID, p.here(), string(iot.MessagesChanged))
	if len(p.Rows) > 0 {
		attrs["data-live-hold"] = ""
	}
	return attrs
}

// newAttrs make the count of what is new fetch itself when it is asked to.
func (p MessagesPage) newAttrs() templ.Attributes {
	if p.Query.Before != "" || len(p.Rows) == 0 {
		return nil
	}
	url := p.Project.Messages(append(p.Query.Pairs(), ParamAfter, p.Rows[0].Message.ID.String())...)
	return ui.LiveCount(MessageNewID, url)
}

func channelNote(m *iot.Message) string {
	if m.Channel == "" {
		return ""
	}
	return " · " + Plain(m.Channel)
}

func messageAbout(p MessageDetail) []templ.Component {
	m := p.Message
	parts := []templ.Component{words("Message of type "), ui.Mono(string(m.Type)), words(", "), ui.Stamp(m.ReceivedAt)}
	if m.Channel != "" {
		parts = append(parts, words(", channel "), ui.Mono(Plain(m.Channel)))
	}
	return parts
}

package pages

import (
	"encoding/hex"
	"net/http"
	"strconv"
	"unicode/utf8"

	"thingpost/internal/iot"
	"thingpost/views/layout"
	"thingpost/views/ui"
)

// InspectorID is the id of the section with what an inspector got, which
// refreshes itself.
const InspectorID = "inspections"

// Fields of the form of what an inspector answers.
const (
	FieldStatus = "status"
	FieldDelay  = "delay" // in seconds
)

// InspectorPage shows a project's inspector.
type InspectorPage struct {
	Shell     layout.Props
	In        In
	Now       iot.Instant
	Inspector *iot.Inspector // nil if the project has none yet
	URL       string
	Webhooks  []*iot.Webhook   // that lead to it
	Requests  []iot.Inspection // the newest first
	// Chosen is the request that is shown whole; nil if there is none.
	Chosen *iot.Inspection
	// Pinned: somebody chose it, so that it stays while others come.
	Pinned  bool
	CanEdit bool
	CanAdd  bool // one webhook more fits
	Form    Form
}

func (p InspectorPage) live() string {
	if p.Pinned && p.Chosen != nil {
		return p.In.Inspection(p.Chosen.ID.String())
	}
	return p.In.Inspector()
}

// count says how many requests there are and were.
func (p InspectorPage) count() string {
	if p.Inspector.Received > int64(len(p.Requests)) {
		return "the last " + ui.Count(int64(len(p.Requests))) + " of " + ui.Count(p.Inspector.Received)
	}
	return ui.Plural(int64(len(p.Requests)), "request", "requests")
}

// answers says what the inspector does with a request.
func (p InspectorPage) answers() string {
	return "Answers " + p.Inspector.Status.Text() + " " + delayText(p.Inspector.DelayMS) + "."
}

func delayText(ms int64) string {
	if ms == 0 {
		return "immediately"
	}
	return "after " + strconv.FormatInt(ms/1000, 10) + " s"
}

// curl is a command that sends something here.
func (p InspectorPage) curl() string {
	return "curl -X POST '" + p.URL + "/try?x=1' \\\n  -H 'Content-Type: application/json' \\\n  -d '{\"temperature\": 21.5}'"
}

// statusOptions are the answers that tell receivers apart, and what a webhook
// makes of each.
func statusOptions() []ui.Option {
	return []ui.Option{
		{Value: "200", Label: "200 OK: delivered"},
		{Value: "204", Label: "204 No Content: delivered"},
		{Value: "302", Label: "302 Found: a redirect, not followed"},
		{Value: "400", Label: "400 Bad Request: retried"},
		{Value: "401", Label: "401 Unauthorized: retried"},
		{Value: "404", Label: "404 Not Found: retried"},
		{Value: "410", Label: "410 Gone: pauses the webhook"},
		{Value: "429", Label: "429 Too Many Requests: slows down"},
		{Value: "500", Label: "500 Internal Server Error: retried"},
		{Value: "503", Label: "503 Service Unavailable: retried"},
	}
}

// withStatus adds an answer that the list does not have, such as one set through
// another door.
func withStatus(options []ui.Option, value string) []ui.Option {
	for _, o := range options {
		if o.Value == value {
			return options
		}
	}
	if n, err := strconv.Atoi(value); err == nil {
		options = append(options, ui.Option{Value: value, Label: iot.StatusCode(n).Text()})
	}
	return options
}

func delayOptions() []ui.Option {
	options := []ui.Option{{Value: "0", Label: "Immediately"}}
	for _, s := range []string{"1", "2", "5", "9", "15", "30"} {
		options = append(options, ui.Option{Value: s, Label: "After " + s + " s"})
	}
	return options
}

func inspectionTitle(x *iot.Inspection) string {
	title := x.Method + " " + orText(x.Path, "/")
	if x.Query != "" {
		title += "?" + x.Query
	}
	return Plain(title)
}

// inspectionMark is the answer as dot and word.
func inspectionMark(x *iot.Inspection) ui.StatusProps {
	s := ui.StatusProps{Label: x.Status.Text(), Tone: ui.Success}
	switch {
	case x.Status == http.StatusGone:
		s.Tone, s.Shape = ui.Warning, ui.Dash
	case x.Status >= 300:
		s.Tone, s.Shape = ui.Danger, ui.Square
	}
	return s
}

func inspectionCode(x *iot.Inspection) string { return strconv.Itoa(int(x.Status)) }

func inspectionAnswer(x *iot.Inspection) string {
	return x.Status.Text() + " " + delayText(x.DelayMS)
}

// inspectionBody returns a body as JSON in colours, as text, or as a dump of its
// bytes, and says which.
func inspectionBody(x *iot.Inspection) (tokens []ui.Token, note string) {
	const dumped = 4 << 10
	if len(x.Body) == 0 {
		return nil, ""
	}
	size := ui.Bytes(x.SizeBytes)
	if !utf8.Valid(x.Body) && (!x.Truncated() || !utf8.Valid(trimRune(x.Body))) {
		return ui.PlainText(hex.Dump(x.Body[:min(len(x.Body), dumped)])),
			"Not text. The bytes are shown, at most the first 4 KiB of " + size + "."
	}
	if x.Truncated() {
		return ui.PlainText(Plain(string(trimRune(x.Body)))), "Truncated. This is the first 64 KiB of " + size + "."
	}
	return ui.JSONTokens(x.Body), size + "."
}

// trimRune cuts off a character that a bound has cut in two.
func trimRune(b []byte) []byte {
	for i := 1; i <= min(utf8.UTFMax, len(b)); i++ {
		if utf8.RuneStart(b[len(b)-i]) {
			if !utf8.FullRune(b[len(b)-i:]) {
				return b[:len(b)-i]
			}
			break
		}
	}
	return b
}

// inspectionHead returns request line and headers in pieces.
func inspectionHead(x *iot.Inspection) []ui.Token {
	return append([]ui.Token{{Kind: ui.StrongToken, Text: inspectionTitle(x) + "\n"}}, headLines(x.Headers)...)
}

// rawBody is a body as it came.
func rawBody(x *iot.Inspection) []ui.Token {
	if len(x.Body) == 0 {
		return nil
	}
	return ui.PlainText(Plain(string(x.Body)))
}

// inspectionFrom says whose request it was.
func inspectionFrom(p InspectorPage, x *iot.Inspection) ui.Fact {
	if x.DeliveryID.IsZero() {
		return ui.Fact{Term: "From", Value: "outside, " + x.Remote}
	}
	return ui.Fact{Term: "From", Value: "delivery " + short(x.DeliveryID.String()), Href: p.In.Delivery(x.DeliveryID.String())}
}

package pages

import (
	"strings"
	"time"

	"thingpost/internal/iot"
	"thingpost/views/layout"
	"thingpost/views/ui"
)

// EmbedListID is the section of an embedded log that refreshes itself.
const EmbedListID = "embedded"

// ParamTheme is the parameter by which the site around an embedded log chooses
// its theme: light or dark.
const ParamTheme = "theme"

// EmbedPath is the address of an embedded log by its link's token.
type EmbedPath struct {
	Token string
	Theme layout.Theme
}

func (p EmbedPath) below(pairs []string, parts ...string) string {
	theme := string(p.Theme)
	if p.Theme == layout.System {
		theme = ""
	}
	return withQuery("/embed"+joined(append([]string{p.Token}, parts...)...), append(pairs, ParamTheme, theme)...)
}

// Log is the list, by pairs of a parameter and its value.
func (p EmbedPath) Log(pairs ...string) string { return p.below(pairs) }

// Delivery is one delivery.
func (p EmbedPath) Delivery(id string) string { return p.below(nil, "deliveries", id) }

// Events is the stream of names of what changed.
func (p EmbedPath) Events() string { return p.below(nil, "events") }

// EmbedPage is the list of an embedded log.
type EmbedPage struct {
	Path         EmbedPath
	Title        string // of the project or webhook
	Now          iot.Instant
	OneWebhook   bool
	Status       string // of the view: a status, Retrying, or "" for all
	Before       string
	Items        []iot.Delivery
	Next         string
	LookedBackTo iot.Instant
}

func (p EmbedPage) shell() layout.EmbedProps {
	s := layout.EmbedProps{Title: p.Title, Theme: p.Path.Theme}
	if p.Before == "" {
		s.Events = p.Path.Events()
	}
	return s
}

func (p EmbedPage) tabs() []ui.Tab {
	var tabs []ui.Tab
	for _, t := range [][2]string{{"", "All"}, {string(iot.Delivered), "Delivered"}, {string(iot.Failed), "Failed"}, {Retrying, "Retrying"},
		{string(iot.Pending), "Pending"}} {
		tabs = append(tabs, ui.Tab{Label: t[1], Href: p.Path.Log(ParamStatus, t[0]), Current: p.Status == t[0]})
	}
	return tabs
}

func (p EmbedPage) head() []ui.Th {
	head := []ui.Th{{Label: "Time"}, {Label: "Device"}}
	if !p.OneWebhook {
		head = append(head, ui.Th{Label: "Webhook"})
	}
	return append(head, ui.Th{Label: "Status"}, ui.Th{Label: "Code or error"}, ui.Th{Label: "Attempt", Num: true},
		ui.Th{Label: "Next try", Num: true})
}

func (p EmbedPage) here() string { return p.Path.Log(ParamStatus, p.Status, ParamBefore, p.Before) }

func (p EmbedPage) older() string {
	if p.Next == "" {
		return ""
	}
	return p.Path.Log(ParamStatus, p.Status, ParamBefore, p.Next)
}

func (p EmbedPage) newest() string {
	if p.Before == "" {
		return ""
	}
	return p.Path.Log(ParamStatus, p.Status)
}

func (p EmbedPage) note() string {
	if p.LookedBackTo == 0 {
		return ""
	}
	return "Searched back to " + p.LookedBackTo.Time().Format("2 Jan 15:04 UTC")
}

// EmbedDelivery is one delivery of an embedded log.
type EmbedDelivery struct {
	Path     EmbedPath
	Now      iot.Instant
	Delivery *iot.Delivery
	Attempts []iot.Attempt // the newest first
	Earlier  int           // attempts that are not shown
}

func (p EmbedDelivery) shell() layout.EmbedProps {
	s := layout.EmbedProps{Title: p.title(), Theme: p.Path.Theme}
	if !p.Delivery.Status.Ended() {
		s.Events = p.Path.Events()
	}
	return s
}

func (p EmbedDelivery) title() string {
	return sender(p.Delivery.Device, p.Delivery.Trigger) + " to " + target(p.Delivery.Webhook)
}

func (p EmbedDelivery) stats() []ui.Stat {
	d := p.Delivery
	code := ui.Stat{Label: "Code", Value: "–", Small: true}
	if d.Code != 0 {
		code.Value, code.Note = codeWord(d.Code), codeMeaning(d.Code)
	}
	took := ui.Stat{Label: "Duration", Value: "–", Small: true}
	if d.AttemptCount > 0 {
		took.Value, took.Parts = "", ui.DurationParts(ms(d.DurationMS))
	}
	return []ui.Stat{{Label: "Status", Body: ui.Status(DeliveryStatus(d))}, {Label: "Attempts", Value: ui.Count(int64(d.AttemptCount)),
		Small: true}, code, took}
}

func (p EmbedDelivery) facts() []ui.Fact {
	d := p.Delivery
	facts := []ui.Fact{{Term: "Message", Value: d.MessageID.String(), Mono: true}, {Term: "Type", Value: string(d.Type), Mono: true},
		{Term: "Channel", Value: Plain(d.Channel), Mono: true},
		{Term: "Received", Body: ui.Stamp(d.CreatedAt)}, {Term: "Payload", Value: ui.Bytes(d.SizeBytes)}}
	switch {
	case d.EndedAt != 0:
		facts = append(facts, ui.Fact{Term: "Ended", Body: ui.Stamp(d.EndedAt)})
	case d.DueAt != 0:
		facts = append(facts, ui.Fact{Term: "Next try", Body: ui.Ago(d.DueAt, p.Now)})
	}
	return facts
}

// embedOutcome says how a delivery went, in words that tell nothing of the
// receiver but what it answered, and no names of people.
func embedOutcome(status iot.Status, code iot.StatusCode, class iot.ErrorClass) (word, meaning string, bad bool) {
	switch {
	case status == iot.Skipped:
		return "", "not matched, or nothing to send", false
	case status == iot.Cancelled:
		return "", "cancelled", false
	case code != 0:
		return codeWord(code), codeMeaning(code), class != ""
	case class != "":
		return string(class), classWords(class), true
	}
	return "", "", false
}

func classWords(c iot.ErrorClass) string {
	switch c {
	case iot.ErrDNS:
		return "the host name was not found"
	case iot.ErrConnect:
		return "no connection"
	case iot.ErrTLS:
		return "no TLS connection"
	case iot.ErrTimeout:
		return "no answer in time"
	case iot.ErrBlocked:
		return "the address is not allowed"
	case iot.ErrConfig:
		return "no request could be created"
	case iot.ErrHTTP4xx, iot.ErrHTTP5xx, iot.ErrRedirect:
	}
	return ""
}

func embedAnswer(a *iot.Attempt) (word, meaning string, bad bool) {
	var code iot.StatusCode
	var class iot.ErrorClass
	if a.Response != nil {
		code = a.Response.Status
	}
	if a.Error != nil {
		class = a.Error.Class
	}
	return embedOutcome("", code, class)
}

// EmbedsPage lists the links to embedded logs, with the form for a new one.
type EmbedsPage struct {
	Shell    layout.Props
	In       In
	Now      iot.Instant
	Embeds   []iot.Embed
	Webhooks []*iot.Webhook
	Form     Form
	New      string // the address of the link that was made just now
}

func (p EmbedsPage) webhooks() []ui.Option {
	options := []ui.Option{{Value: "", Label: "The whole project"}}
	for _, w := range p.Webhooks {
		options = append(options, ui.Option{Value: w.ID, Label: w.Description})
	}
	return options
}

func embedLives() []ui.Option {
	return []ui.Option{{Value: "1", Label: "In a day"}, {Value: "7", Label: "In a week"}, {Value: "30", Label: "In 30 days"},
		{Value: "90", Label: "In 90 days"}, {Value: "365", Label: "In a year"}}
}

func embedStatus(e *iot.Embed, now iot.Instant) ui.StatusProps {
	switch {
	case e.RevokedAt != 0:
		return ui.StatusProps{Label: "Revoked", Shape: ui.Dash}
	case e.ExpiresAt <= now:
		return ui.StatusProps{Label: "Expired", Tone: ui.Warning, Shape: ui.Dash}
	}
	return ui.StatusProps{Label: "Active", Tone: ui.Success}
}

func embedShows(e *iot.Embed) string {
	switch {
	case e.WebhookKey == 0:
		return "the whole project"
	case e.Webhook == "":
		return "a deleted webhook"
	}
	return e.Webhook
}

// frame is the HTML with which a site shows the log.
func (p EmbedsPage) frame() []ui.Token {
	return ui.PlainText(`<iframe src="` + p.New + `?theme=light" sandbox="allow-scripts" width="100%" height="600" ` +
		`title="Deliveries"></iframe>`)
}

func originsText(e *iot.Embed) string { return strings.Join(e.Origins, ", ") }

// EmbedAttempts is how many attempts an embedded delivery shows.
const EmbedAttempts = 12

func attemptTook(a *iot.Attempt) string {
	return ui.Duration(time.Duration(a.DurationMS) * time.Millisecond)
}

package pages

import (
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"thingpost/internal/iot"
	"thingpost/views/layout"
	"thingpost/views/ui"
)

// WebhooksID is the id of the section with a project's webhooks, which
// refreshes itself.
const WebhooksID = "webhooks"

// WebhooksPage shows a project's webhooks: the panel "Configure webhooks".
type WebhooksPage struct {
	Shell   layout.Props
	Project In
	Now     iot.Instant
	Rows    []WebhookRow
	Series  []ui.Series // of the rows' hours
	Limit   int         // webhooks that a project can have
	CanEdit bool        // the person may change webhooks, test and replay
	Reader  string      // the person's name, as Webhook.PausedBy holds it
}

// WebhookRow is a webhook with its figures of the last 24 hours.
type WebhookRow struct {
	Webhook *iot.Webhook
	// URL and paths have secrets masked.
	URL       string
	Hours     []ui.Bar // 24
	Good, All int64    // attempts that delivered, and all
	P95       time.Duration
	Backlog   int64
	NextDueAt iot.Instant
	// LastFailure is the delivery of the last failed attempt; zero if none is known.
	LastFailure iot.ID
}

// full reports whether no webhook more can be added.
func (p WebhooksPage) full() bool { return len(p.Rows) >= p.Limit }

// room says how many more fit, and why no more.
func (p WebhooksPage) room() string {
	return "This host allows " + numeral(p.Limit) + " for each project."
}

// fits is the head of the line that offers one more.
func (p WebhooksPage) fits() string {
	left := p.Limit - len(p.Rows)
	if left == 1 {
		return "You can add one more."
	}
	return "You can add " + numeral(left) + " more."
}

// numeral writes a small number as a word.
func numeral(n int) string {
	words := []string{"none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"}
	if n >= 0 && n < len(words) {
		return words[n]
	}
	return ui.Count(int64(n))
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// webhookTypes are the message types that a webhook takes, "none" if it has none.
func webhookTypes(w *iot.Webhook) []string {
	var texts []string
	for _, t := range w.MessageTypes.Types() {
		texts = append(texts, string(t))
	}
	return texts
}

// someTypes are the message types for the panel: the first, where there are many.
func someTypes(w *iot.Webhook) []string {
	const few = 3
	all := webhookTypes(w)
	if len(all) <= few+1 {
		return all
	}
	return append(all[:few:few], "+"+strconv.Itoa(len(all)-few)+" more")
}

// maskedBody is bodyText with how many parts a field mask leaves.
func maskedBody(w *iot.Webhook) string {
	if len(w.FieldMask) == 0 {
		return bodyText(w)
	}
	return bodyText(w) + ", " + ui.Plural(int64(len(w.FieldMask)), "field", "fields")
}

func channelText(channel string) string {
	if channel == "" {
		return "*"
	}
	return Plain(channel)
}

// bodyText says in words what a webhook's body is.
func bodyText(w *iot.Webhook) string {
	switch {
	case w.PayloadOnly:
		return "Payload only"
	case w.Format == iot.JSON:
		return "JSON"
	case w.Format == iot.Protobuf:
		return "Protocol Buffers"
	}
	return "Envelope"
}

// headersText counts headers: "none", "2", "1, secret", "3, one secret".
func headersText(headers []iot.Header) string {
	if len(headers) == 0 {
		return "none"
	}
	secrets := 0
	for _, h := range headers {
		if h.Secret {
			secrets++
		}
	}
	text := strconv.Itoa(len(headers))
	switch {
	case secrets == 0:
	case secrets == len(headers):
		text += ", secret"
	default:
		text += ", " + numeral(secrets) + " secret"
	}
	return text
}

func webhookFacts(w *iot.Webhook) []ui.Fact {
	facts := []ui.Fact{{Term: "Type", Body: ui.Chips(someTypes(w)...)}}
	if len(w.MessageTypes) == 0 {
		facts[0] = ui.Fact{Term: "Type", Value: "none, so it sends nothing"}
	}
	facts = append(facts,
		ui.Fact{Term: "Channel", Body: ui.Chip(channelText(w.Channel))},
		ui.Fact{Term: "Body", Value: maskedBody(w)},
		ui.Fact{Term: "Headers", Value: headersText(w.Headers)})
	if w.Template != "" {
		facts = append(facts, ui.Fact{Term: "Template", Value: w.Template})
	}
	if w.Device != "" {
		facts = append(facts, ui.Fact{Term: "Device", Body: ui.Chip(w.Device)})
	}
	if w.Signed {
		facts = append(facts, ui.Fact{Term: "Signed", Value: "yes"})
	}
	if w.Settings.InOrder {
		facts = append(facts, ui.Fact{Term: "In order", Value: "per device"})
	}
	return facts
}

func (r WebhookRow) successPart() ui.Part { return ui.PercentPart(r.Good, r.All) }

func (r WebhookRow) p95Text() string {
	if r.P95 <= 0 {
		return "–"
	}
	return ui.Duration(r.P95)
}

// HowLong writes a span of settings in whole words: "24 hours", "90 minutes",
// "30 days".
func HowLong(d time.Duration) string {
	switch {
	case d >= 48*time.Hour && d%(24*time.Hour) == 0:
		return ui.Plural(int64(d/(24*time.Hour)), "day", "days")
	case d >= time.Hour && d%time.Hour == 0:
		return ui.Plural(int64(d/time.Hour), "hour", "hours")
	case d >= time.Minute && d%time.Minute == 0:
		return ui.Plural(int64(d/time.Minute), "minute", "minutes")
	}
	return ui.Duration(d)
}

// lastAttempt is the notice of a failing webhook, with the way to its last
// attempt.
func (p WebhooksPage) lastAttempt(r WebhookRow) ui.AlertProps {
	a := ui.AlertProps{Tone: ui.Danger}
	if !r.LastFailure.IsZero() {
		a.Href, a.Link = p.Project.Delivery(r.LastFailure.String()), "Last attempt"
	}
	return a
}

func pausedAlert(w *iot.Webhook) ui.AlertProps {
	if w.PausedBy == iot.PausedByThingpost {
		return ui.AlertProps{Tone: ui.Warning}
	}
	return ui.AlertProps{Tone: ui.Neutral, Icon: ui.IconPause}
}

// pausedWords say by whom a webhook was paused, when and why.
func pausedWords(w *iot.Webhook) []templ.Component {
	if w.PausedBy == iot.PausedByThingpost {
		return []templ.Component{words("It answered "), strong("410 Gone"), words(" on "), ui.Stamp(w.PausedAt),
			words(", which asks Thingpost to stop. Check the address before you resume. ")}
	}
	who := "Paused on "
	if w.PausedBy != "" {
		who = "Paused by " + w.PausedBy + " on "
	}
	why := ". "
	if w.PausedReason != "" {
		why = ": “" + w.PausedReason + "”. "
	}
	return []templ.Component{words(who), ui.Stamp(w.PausedAt), words(why)}
}

// pausedText says what happens to messages while a webhook is paused.
func (r WebhookRow) pausedText() string {
	const fresh = "ew messages stay in the log and are not queued for it."
	if r.Backlog > 0 {
		return ui.Plural(r.Backlog, "delivery waits", "deliveries wait") + " until it is resumed. N" + fresh
	}
	return "N" + fresh
}

// failingWords say how a webhook fails, how often and since when.
func failingWords(w *iot.Webhook, now iot.Instant) []templ.Component {
	times := ui.Count(w.Health.ConsecutiveFailures) + " in a row since "
	switch w.Health.ConsecutiveFailures {
	case 0:
		times = "Some deliveries failed and others succeeded, since "
	case 1:
		times = "Once, at "
	}
	what, advice := Plain(w.Health.LastError), ""
	for _, mark := range []string{": ", "; "} { // what went wrong, then what to do
		if i := strings.Index(what, mark); i >= 0 {
			what, advice = what[:i], what[i:]+advice
		}
	}
	return []templ.Component{strong(what), words(advice + " "), muted(times), ui.Clock(w.Health.Since, now), words(".")}
}

func nextTryWords(r WebhookRow, now iot.Instant) []templ.Component {
	end := ". Nothing is lost: Thingpost retries for " + HowLong(r.Webhook.Settings.GiveUpAfter()) + "."
	if r.NextDueAt <= now {
		return []templ.Component{words("Next attempt now" + end)}
	}
	return []templ.Component{words("Next attempt "), ui.Ago(r.NextDueAt, now), words(", at "), ui.Clock(r.NextDueAt, now), words(end)}
}

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

// DeliveryID is the id of the section with a delivery, which refreshes itself
// until the delivery has ended.
const DeliveryID = "delivery"

// DeliveryDrawerID is the id of the same section in the drawer beside the log.
const DeliveryDrawerID = "delivery-drawer"

// DeliveryDetail shows one delivery with its attempts.
type DeliveryDetail struct {
	Shell    layout.Props
	Project  In
	Now      iot.Instant
	CanEdit  bool
	Delivery *iot.Delivery
	Attempts []iot.Attempt // the latest ones, the oldest of them first
	Earlier  int           // attempts before them
	Webhook  *iot.Webhook  // nil if it was deleted
	Message  *iot.Message  // nil if it is no longer kept
	// Changed: the webhook's settings are newer than the last attempt.
	Changed bool
	// Request is what would be sent now, its secrets masked; nil if nothing can be.
	Request *iot.Request
	Body    []byte // of Request
	Skip    string // why nothing would be sent
	Problem string // why no request can be made
	Wanted  bool   // the webhook's present settings want the message
	Checks  []ui.Check
	Waits   []time.Duration // between the tries that would follow the next one
	Others  int             // deliveries of the same message
	// InDrawer: beside the log, rather than on a page of its own.
	InDrawer bool
}

// resentText is what people are told of an attempt that was sent twice.
const resentText = "The receiver closed an idle connection instead of answering, or refused the request (HTTP/2), so Thingpost sent the " +
	"request again. The receiver might have received the message twice, with the same webhook-id. To prevent this, the receiver should keep " +
	"idle connections open for longer than a minute, or close them with Connection: close."

func (p DeliveryDetail) sectionID() string {
	if p.InDrawer {
		return DeliveryDrawerID
	}
	return DeliveryID
}

func (p DeliveryDetail) head() ui.PageHeadProps {
	h := ui.PageHeadProps{Title: p.from() + " to " + p.To(), About: say(p.about()...)}
	if p.InDrawer {
		h.DialogTitle = ui.DrawerID + "-title"
	}
	return h
}

// retryAttrs make the form of a retry answer into the drawer, and let the key r
// find it.
func (p DeliveryDetail) retryAttrs() templ.Attributes {
	attrs := templ.Attributes{"data-retry-form": true}
	if p.InDrawer {
		attrs["hx-post"], attrs["hx-target"] = p.Project.RetryDelivery(p.Delivery.ID.String()), "#"+ui.DrawerID
	}
	return attrs
}

func (p DeliveryDetail) from() string { return sender(p.Delivery.Device, p.Delivery.Trigger) }

// To is where the delivery goes, in words.
func (p DeliveryDetail) To() string {
	if p.Webhook != nil {
		return p.Webhook.Description
	}
	return target(p.Delivery.Webhook)
}

// short is the middle of an id, by which people tell ids apart: it begins with
// the time and ends with what all ids of a host share.
func short(id string) string {
	const from, to = 9, 23
	if len(id) < to {
		return id
	}
	return "…" + id[from:to] + "…"
}

// paused reports whether the delivery waits for its webhook to be resumed.
func (p DeliveryDetail) paused() bool {
	return p.Delivery.Status == iot.Pending && p.Webhook != nil && p.Webhook.Paused && p.Delivery.Trigger != iot.TriggerTest
}

// givesUpAt is when a pending delivery is no longer tried.
func (p DeliveryDetail) givesUpAt() iot.Instant {
	if p.Webhook == nil {
		return 0
	}
	return p.Delivery.CreatedAt.Add(p.Webhook.Settings.GiveUpAfter())
}

// about says what is delivered.
func (p DeliveryDetail) about() []templ.Component {
	d := p.Delivery
	parts := []templ.Component{words("Message of type "), ui.Mono(string(d.Type)), words(", ")}
	if p.Message != nil {
		parts = append(parts, ui.Clock(p.Message.ReceivedAt, p.Now))
	} else {
		parts = append(parts, ui.Clock(d.CreatedAt, p.Now))
	}
	if d.Channel != "" {
		parts = append(parts, words(", channel "), ui.Mono(Plain(d.Channel)))
	}
	return parts
}

// stats are the four numbers at the head.
func (p DeliveryDetail) stats() []ui.Stat {
	d := p.Delivery
	status := ui.Stat{Label: "Status", Body: ui.Status(DeliveryStatus(d))}
	if word, _, _ := lastOutcome(d); word != "" {
		status.Note = "last " + lastWord(d) + " " + word
	}
	attempts := ui.Stat{Label: "Attempts", Value: strconv.Itoa(d.AttemptCount), Small: true}
	if !d.Status.Ended() {
		next := ui.Stat{Label: "Next try", Body: ui.Ago(d.DueAt, p.Now), More: say(words("at "), ui.Clock(d.DueAt, p.Now))}
		switch {
		case p.paused():
			next = ui.Stat{Label: "Next try", Value: "when resumed", Small: true, Note: "the webhook is paused"}
		case d.DueAt <= p.Now:
			next = ui.Stat{Label: "Next try", Value: "now", Small: true}
		}
		if at := p.givesUpAt(); at != 0 {
			attempts.More = say(words("gives up at "), ui.Clock(at, p.Now))
		}
		return []ui.Stat{status, next, attempts,
			{Label: "Waiting for", Small: true, Parts: ui.DurationParts(p.Now.Sub(d.CreatedAt)),
				More: say(words("since "), ui.Clock(d.CreatedAt, p.Now))}}
	}
	whole := ui.Stat{Label: "Total time", Small: true, Parts: ui.DurationParts(d.EndedAt.Sub(d.CreatedAt)), Note: "from receipt to delivery"}
	if d.Status != iot.Delivered {
		whole.Note = "from receipt to the end"
	}
	return []ui.Stat{status, {Label: StatusOf(d.Status).Label, Body: ui.Ago(d.EndedAt, p.Now),
		More: say(words("at "), ui.Clock(d.EndedAt, p.Now))}, attempts, whole}
}

func lastWord(d *iot.Delivery) string {
	if d.Code != 0 {
		return "code"
	}
	return "error"
}

// newestFirst are the attempts from the last on.
func (p DeliveryDetail) newestFirst() []*iot.Attempt {
	list := make([]*iot.Attempt, len(p.Attempts))
	for i := range p.Attempts {
		list[len(p.Attempts)-1-i] = &p.Attempts[i]
	}
	return list
}

// scale is the longest attempt but for those that ran into their timeout, so
// that the bars of the others can be told apart.
func (p DeliveryDetail) scale() ui.Phases {
	var longest, all ui.Phases
	for i := range p.Attempts {
		a := &p.Attempts[i]
		all = all.Longer(AttemptPhases(a))
		if a.Error == nil || a.Error.Class != iot.ErrTimeout {
			longest = longest.Longer(AttemptPhases(a))
		}
	}
	if longest.Total() == 0 {
		return all
	}
	return longest
}

// AttemptPhases are the phases of an attempt. What was not measured on its own
// belongs to the phase in which the attempt broke, or to the answer's body.
func AttemptPhases(a *iot.Attempt) ui.Phases {
	us := func(n int64) time.Duration { return time.Duration(max(n, 0)) * time.Microsecond }
	t := a.Timings
	p := ui.Phases{DNS: us(t.DNS), Connect: us(t.Connect), TLS: us(t.TLS), Wait: us(t.FirstByte)}
	rest := us(t.Total) - p.Total()
	if rest <= 0 {
		return p
	}
	switch {
	case a.Response != nil || a.Error == nil:
		p.Body = rest
	case a.Error.Class == iot.ErrDNS:
		p.DNS += rest
	case a.Error.Class == iot.ErrConnect, a.Error.Class == iot.ErrBlocked:
		p.Connect += rest
	case a.Error.Class == iot.ErrTLS:
		p.TLS += rest
	default:
		p.Wait += rest
	}
	return p
}

// attemptOutcome is how an attempt ended: a word that weighs, and what it means.
func attemptOutcome(a *iot.Attempt) (word, meaning string, tone ui.Tone) {
	if a.Error != nil {
		tone = ui.Danger
		if a.Response == nil {
			return string(a.Error.Class), Plain(a.Error.Detail), tone
		}
	}
	if a.Response == nil {
		return "", "", tone
	}
	return codeWord(a.Response.Status), codeMeaning(a.Response.Status), tone
}

func (p DeliveryDetail) attempt(a *iot.Attempt, first bool) ui.AttemptProps {
	word, meaning, tone := attemptOutcome(a)
	if tone == ui.Neutral {
		tone = ui.Success
	}
	return ui.AttemptProps{ID: "attempt-" + strconv.Itoa(a.Number), Title: "Attempt " + strconv.Itoa(a.Number), Short: strconv.Itoa(a.Number),
		Tone: tone,
		At:   ui.Clock(a.At, p.Now), Code: word, Text: meaning, Phases: AttemptPhases(a), Scale: p.scale(),
		Duration: ui.Duration(ms(a.DurationMS)), Open: first}
}

func triggerText(t iot.Trigger) string {
	switch t {
	case iot.TriggerMessage:
		return "message"
	case iot.TriggerRetry:
		return "manual retry"
	case iot.TriggerReplay:
		return "replay"
	case iot.TriggerTest:
		return "test"
	}
	return string(t)
}

func (p DeliveryDetail) facts() []ui.Fact {
	d := p.Delivery
	facts := []ui.Fact{{Term: "Device", Value: p.from()}, {Term: "Webhook", Value: target(d.Webhook)}}
	if d.Device != "" {
		facts[0].Href = p.Project.Device(d.Device)
	}
	if p.Webhook != nil && p.Webhook.Kind != iot.KindUpstream { // an upstream has no page
		facts[1].Href = p.Project.Webhook(p.Webhook.ID)
	}
	facts = append(facts, ui.Fact{Term: "Type", Value: string(d.Type), Mono: true},
		ui.Fact{Term: "Channel", Value: Plain(d.Channel), Mono: true},
		ui.Fact{Term: "Trigger", Value: triggerText(d.Trigger)}, ui.Fact{Term: "Payload", Value: ui.Plural(d.SizeBytes, "byte", "bytes")})
	if p.Request != nil {
		facts = append(facts, ui.Fact{Term: "Body", Value: ui.Plural(int64(len(p.Body)), "byte", "bytes") + ", " +
			strings.ToLower(bodyText(p.Webhook))})
	}
	message := ui.Fact{Term: "Message", Value: d.MessageID.String(), Mono: true}
	if p.Message != nil {
		message.Href = p.Project.Message(d.MessageID.String())
	} else {
		message = ui.Fact{Term: "Message", Value: "no longer kept"}
	}
	return append(facts, message, ui.Fact{Term: "Delivery", Value: d.ID.String(), Mono: true})
}

// next says in words what happens now; then is what follows it, quietly.
func (p DeliveryDetail) next() (now, then []templ.Component) {
	d := p.Delivery
	switch {
	case p.paused():
		who := "It is paused"
		if p.Webhook.PausedBy != "" {
			who = "It was paused by " + p.Webhook.PausedBy
		}
		return []templ.Component{words("The webhook must be resumed first. " + who + ".")},
			[]templ.Component{words("Until then nothing is sent. Nothing is lost.")}
	case d.Status == iot.Pending:
		return p.nextPending()
	case d.Status == iot.Delivered:
		return []templ.Component{words("Nothing. The receiver accepted it.")},
			[]templ.Component{words("Send again creates a new delivery with the same webhook-id.")}
	case d.Status == iot.Failed:
		return []templ.Component{words(p.failedWords())},
			[]templ.Component{words("Send again creates a new delivery with the webhook’s current settings.")}
	case d.Status == iot.Skipped:
		return []templ.Component{words("Nothing was sent: " + full(Plain(d.ErrorDetail)))},
			[]templ.Component{words("Change the webhook or the message, then send again.")}
	}
	return []templ.Component{words("Nothing. " + full(Plain(d.ErrorDetail)))}, []templ.Component{words("Send again creates a new delivery.")}
}

// full makes a sentence of words that may have no full stop.
func full(s string) string {
	if s == "" || strings.HasSuffix(s, ".") {
		return s
	}
	return s + "."
}

func (p DeliveryDetail) nextPending() (now, then []templ.Component) {
	d := p.Delivery
	first := "The first attempt is "
	if word, _, _ := lastOutcome(d); d.AttemptCount > 0 && word != "" {
		first = capital(word) + " is retried "
	}
	if d.DueAt <= p.Now {
		now = []templ.Component{words(first + "now, when the webhook has a free slot.")}
	} else {
		now = []templ.Component{words(first), ui.Ago(d.DueAt, p.Now), words(".")}
	}
	waits := []string{}
	for _, wait := range p.Waits {
		waits = append(waits, waitText(wait))
	}
	switch len(waits) {
	case 0:
		then = append(then, words("Attempts continue until "))
	case 1:
		then = append(then, words("Later attempts follow after "+waits[0]+", until "))
	default:
		then = append(then, words("Later attempts follow after "+strings.Join(waits[:len(waits)-1], ", ")+" and "+waits[len(waits)-1]+", until "))
	}
	if at := p.givesUpAt(); at != 0 {
		return now, append(then, ui.Stamp(at), words(". After that the delivery has failed and can be replayed."))
	}
	return now, nil
}

func (p DeliveryDetail) failedWords() string {
	d := p.Delivery
	switch {
	case d.Code == 410:
		return "The receiver answered 410 Gone, which asks Thingpost to stop. There are no more attempts."
	case d.Error == iot.ErrConfig:
		return "No request can be created from the webhook’s settings, so there are no more attempts. " + full(Plain(d.ErrorDetail))
	case p.Webhook != nil && p.Webhook.Settings.GiveUpAfter() > 0 && d.EndedAt.Sub(d.CreatedAt) >= p.Webhook.Settings.GiveUpAfter()/2:
		return "Thingpost retried it until the webhook’s time limit."
	}
	return "There are no more attempts."
}

// canSend reports whether the message can be sent again.
func (p DeliveryDetail) canSend() bool { return p.CanEdit && p.Message != nil && p.Webhook != nil }

// attrs make the section refresh itself while something can still happen.
func (p DeliveryDetail) attrs() templ.Attributes {
	if p.Delivery.Status.Ended() {
		return nil
	}
	return ui.Live(p.sectionID(), p.Project.Delivery(p.Delivery.ID.String()), string(iot.DeliveriesChanged))
}

func (p DeliveryDetail) whyTitle() string {
	switch {
	case len(p.Checks) == 0:
		return "Why this webhook"
	case p.Delivery.Trigger == iot.TriggerTest:
		return "What the webhook selects"
	case p.Wanted:
		return "Why this webhook"
	}
	return "No longer matched"
}

func (p DeliveryDetail) whyNot() string {
	if p.Webhook == nil {
		return "The webhook was deleted, so its rules are no longer known."
	}
	return "The message is no longer kept, so the rules cannot be checked."
}

func (p DeliveryDetail) storedWords() string {
	switch p.Delivery.Trigger {
	case iot.TriggerMessage:
		return "with its message, before the sender got an answer"
	case iot.TriggerRetry:
		return "when somebody sent it again"
	case iot.TriggerReplay:
		return "when somebody replayed it"
	case iot.TriggerTest:
		return "when somebody sent a test"
	}
	return ""
}

// errorTitle says in words what a class of failures is.
func errorTitle(c iot.ErrorClass) string {
	switch c {
	case iot.ErrDNS:
		return "The host name was not found"
	case iot.ErrConnect:
		return "No connection"
	case iot.ErrTLS:
		return "No TLS connection"
	case iot.ErrTimeout:
		return "No answer in time"
	case iot.ErrBlocked:
		return "Blocked by the network policy"
	case iot.ErrHTTP4xx:
		return "The receiver rejected the request"
	case iot.ErrHTTP5xx:
		return "The receiver had an error"
	case iot.ErrRedirect:
		return "The receiver redirected the request"
	case iot.ErrConfig:
		return "No request could be created"
	}
	return "The attempt failed"
}

package pages

import (
	"strconv"
	"time"

	"github.com/a-h/templ"

	"thingpost/internal/iot"
	"thingpost/views/layout"
	"thingpost/views/ui"
)

// The ids of the sections of replays that refresh themselves.
const (
	ReplayID         = "replay"
	ReplayListID     = "replays"
	RunningReplaysID = "running-replays"
)

// ParamRate is the field of how fast a replay goes.
const ParamRate = "rate"

// ParamFormat is the parameter of an export's format.
const ParamFormat = "format"

// exports are the formats of an export, each with the address of the file.
func exports(to func(format string) string) []ui.MenuItem {
	file := templ.Attributes{"download": ""}
	return []ui.MenuItem{{Label: "NDJSON, a line each", Icon: ui.IconFileText, Href: to("ndjson"), Attrs: file},
		{Label: "CSV, for a spreadsheet", Icon: ui.IconList, Href: to("csv"), Attrs: file}}
}

func (p DeliveriesPage) exports() []ui.MenuItem {
	return exports(func(format string) string { return p.Project.ExportDeliveries(format, p.Query.from("").Pairs()...) })
}

func (p MessagesPage) exports() []ui.MenuItem {
	return exports(func(format string) string { return p.Project.ExportMessages(format, p.Query.from("").Pairs()...) })
}

// RunningReplaysSection is what the log shows of replays that run.
type RunningReplaysSection struct {
	Project In
	Now     iot.Instant
	CanEdit bool
	Running []iot.Replay
}

// ReplaysPage lists a project's replays.
type ReplaysPage struct {
	Shell   layout.Props
	Project In
	Now     iot.Instant
	Replays []iot.Replay
	Before  string // the page's cursor
	Next    string // cursor of the next page
}

func (p ReplaysPage) attrs() templ.Attributes {
	if p.Before != "" {
		return nil
	}
	return ui.Live(ReplayListID, p.Project.Replays(), string(iot.ReplaysChanged))
}

func (p ReplaysPage) older() string {
	if p.Next == "" {
		return ""
	}
	return p.Project.ReplaysBefore(p.Next)
}

func (p ReplaysPage) newest() string {
	if p.Before == "" {
		return ""
	}
	return p.Project.Replays()
}

// ReplayDetail shows one replay.
type ReplayDetail struct {
	Shell   layout.Props
	Project In
	Now     iot.Instant
	CanEdit bool
	Replay  *iot.Replay
}

func (p ReplayDetail) attrs() templ.Attributes {
	if !p.Replay.Running() {
		return nil
	}
	return ui.Live(ReplayID, p.Project.Replay(p.Replay.ID.String()), string(iot.ReplaysChanged))
}

// jobStatus shows the state of a replay or a command.
func jobStatus(j *iot.Job) ui.StatusProps {
	switch j.State {
	case iot.JobRunning:
		return ui.StatusProps{Label: "Running", Tone: ui.Info, Live: true}
	case iot.JobStopped:
		return ui.StatusProps{Label: "Stopped", Shape: ui.Dash}
	case iot.JobFailed:
		return ui.StatusProps{Label: "Failed", Tone: ui.Danger, Shape: ui.Square}
	case iot.JobDone:
	}
	return ui.StatusProps{Label: "Done", Tone: ui.Success}
}

// replayProgress is "1,200 of 5,000".
func replayProgress(r *iot.Replay) string {
	switch {
	case !r.Counted && r.Running():
		return ui.Count(r.Done) + " so far, counting"
	case !r.Counted:
		return ui.Count(r.Done)
	}
	return ui.Count(r.Done) + " of " + ui.Count(max(r.Count, r.Done))
}

// replayRateOf returns the deliveries a second that a replay has made so far; 0
// where too little has happened to tell.
func replayRateOf(r *iot.Replay) float64 {
	took := r.ChangedAt.Sub(r.CreatedAt)
	if took < time.Second || r.Done == 0 {
		return 0
	}
	return float64(r.Done) / took.Seconds()
}

func rateWords(perSecond float64) string {
	switch {
	case perSecond >= 10:
		return ui.Count(int64(perSecond+0.5)) + "/s"
	case perSecond > 0:
		return strconv.FormatFloat(perSecond, 'f', 1, 64) + "/s"
	}
	return ""
}

// replayLeft returns how long a running replay will still take at its rate so far, in
// whole seconds and at least one; ok is false if that is not known.
func replayLeft(r *iot.Replay) (left time.Duration, ok bool) {
	rate := replayRateOf(r)
	if rate == 0 || !r.Running() || !r.Counted {
		return 0, false
	}
	left = time.Duration(float64(max(r.Count-r.Done-r.PassedOver, 0)) / rate * float64(time.Second))
	return max(left.Round(time.Second), time.Second), true
}

// replayTarget is who gets what a replay sends.
func replayTarget(r *iot.Replay) string {
	switch {
	case r.WebhookKey == 0:
		return "each to its own webhook"
	case r.Webhook == "":
		return "a deleted webhook"
	}
	return r.Webhook
}

// replayNotes are progress, rate and time left in a line.
func replayNotes(r *iot.Replay) string {
	text := replayProgress(r)
	if rate := rateWords(replayRateOf(r)); rate != "" {
		text += " · " + rate
	}
	if left, ok := replayLeft(r); ok {
		text += " · " + ui.Duration(left) + " left"
	}
	return text
}

func (p ReplayDetail) title() string {
	if p.Replay.Source == iot.FromMessages {
		return "Replay of messages"
	}
	return "Replay of deliveries"
}

func (p ReplayDetail) stats() []ui.Stat {
	r := p.Replay
	made := ui.Stat{Label: "Sent again", Value: ui.Count(r.Done)}
	switch {
	case r.Counted:
		made.Note = "of " + ui.Count(max(r.Count, r.Done))
	case r.Running():
		made.Note = "still counting"
	}
	rate := ui.Stat{Label: "Rate", Value: orText(rateWords(replayRateOf(r)), "–"), Note: "no limit set"}
	if r.Rate > 0 {
		rate.Note = "at most " + ui.Count(int64(r.Rate)) + "/s"
	}
	last := ui.Stat{Label: "Time left", Value: "–"}
	if left, ok := replayLeft(r); ok {
		last.Parts = ui.DurationParts(left)
	}
	if !r.Running() {
		last = ui.Stat{Label: "Duration", Parts: ui.DurationParts(r.EndedAt.Sub(r.CreatedAt))}
	}
	return []ui.Stat{{Label: "State", Body: ui.Status(jobStatus(&r.Job))}, made, rate, last}
}

func (p ReplayDetail) facts() []ui.Fact {
	r := p.Replay
	facts := []ui.Fact{{Term: "Filter", Value: Plain(r.About)}, {Term: "Sent to", Value: replayTarget(r)}, {Term: "By", Value: r.CreatedBy},
		{Term: "Started", Body: ui.Stamp(r.CreatedAt)}}
	if r.Webhook != "" {
		facts[1].Href = p.Project.Webhook(r.Webhook)
	}
	if r.EndedAt != 0 {
		facts = append(facts, ui.Fact{Term: "Ended", Body: ui.Stamp(r.EndedAt)})
	}
	if r.PassedOver > 0 {
		facts = append(facts, ui.Fact{Term: "Skipped", Value: ui.Count(r.PassedOver) + ": no longer kept, or the webhook was deleted"})
	}
	return append(facts, ui.Fact{Term: "Replay", Value: r.ID.String(), Mono: true})
}

// madeLog is the log of what a replay has made, as near as a filter comes.
func (p ReplayDetail) madeLog() string {
	return p.Project.Deliveries(ParamWebhook, p.Replay.Webhook, ParamSince, p.Replay.CreatedAt.Time().Format(RangeLayout))
}

func (p ReplayDetail) meter() (part, whole int64) {
	r := p.Replay
	if r.State == iot.JobDone {
		return 1, 1
	}
	return min(r.Done+r.PassedOver, r.Count), max(r.Count, 1)
}

// words say what its state means.
func (p ReplayDetail) words() string {
	r := p.Replay
	switch r.State {
	case iot.JobRunning:
		return "The replay continues if you close this page or restart Thingpost. Stop does not cancel deliveries that are already queued."
	case iot.JobStopped:
		return "Deliveries that were queued before the stop are still sent. To prevent that, cancel pending deliveries in the log."
	case iot.JobFailed:
		return r.Error
	case iot.JobDone:
	}
	return "All deliveries are queued. The log shows the result of each."
}

// SendAllPage asks to which webhook all messages that match a filter are sent.
type SendAllPage struct {
	Project  In
	Query    MessageQuery // with the cursor that was counted from
	Webhooks []*iot.Webhook
	Form     Form         // what was chosen: webhook, missing, wanted, rate
	Chosen   *iot.Webhook // nil: not chosen yet, nothing is counted
	Count    int64
	More     bool
	InDialog bool
}

// Fields of the question where messages are sent to.
const (
	ParamMissing = "missing"
	ParamWanted  = "wanted"
)

func (p SendAllPage) count() string { return capped(p.Count, p.More) }

// capped is a number, or "more than" it.
func capped(n int64, more bool) string {
	if more {
		return "more than " + ui.Count(n)
	}
	return ui.Count(n)
}

func (p SendAllPage) messages() string {
	if p.Count == 1 && !p.More {
		return "1 message"
	}
	return p.count() + " messages"
}

func (p SendAllPage) title() string {
	switch {
	case p.Chosen == nil:
		return "Send messages to a webhook"
	case p.Count == 0:
		return "Nothing to send"
	}
	return "Send " + p.messages() + " to " + p.Chosen.ID + "?"
}

func (p SendAllPage) lead() string {
	switch {
	case p.Chosen == nil:
		return "All messages that match the list’s filter. The next step shows how many."
	case p.Count == 0:
		return "No message matches these choices."
	case p.Chosen.Paused:
		return "The webhook is paused. The messages wait until it is resumed."
	}
	return "Oldest first, with the webhook’s current settings."
}

func (p SendAllPage) options() []ui.Option {
	return append([]ui.Option{{Value: "", Label: "Choose a webhook"}}, SendToPage{Webhooks: p.Webhooks}.options()...)
}

// back is the list that the question came from.
func (p SendAllPage) back() string { return p.Project.Messages(p.Query.from("").Pairs()...) }

// again is the question with what was chosen; a POST does it.
func (p SendAllPage) again() string {
	return p.Project.SendMessages(append(p.Query.Pairs(), ParamWebhook, p.Form.Value(ParamWebhook), ParamMissing, p.Form.Value(ParamMissing),
		ParamWanted, p.Form.Value(ParamWanted))...)
}

// hidden are the query's parameters, for a form that is sent by GET.
func (p SendAllPage) hidden() [][2]string {
	var list [][2]string
	pairs := p.Query.from("").Pairs()
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			list = append(list, [2]string{pairs[i], pairs[i+1]})
		}
	}
	return list
}

func (p SendAllPage) chosenWords() string {
	text := "All matching messages"
	if p.Form.Checked(ParamMissing) {
		text += ", without those it was sent before"
	}
	if p.Form.Checked(ParamWanted) {
		text += ", if they match its rules now"
	}
	return text + "."
}

package pages

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"thingpost/internal/iot"
	"thingpost/views/ui"
)

// DeliveryQuery is what a list of deliveries is filtered by, as its address says
// it. Empty fields choose all.
type DeliveryQuery struct {
	ID       string   // of a delivery, message or device, as it was searched for
	Message  string   // id
	Time     string   // a preset, see TimePresets
	Since    string   // with RangeLayout, UTC
	Until    string   // the same
	Webhook  string   // slug
	Device   string   // slug
	Statuses []string // of iot.Statuses, or Retrying alone
	Codes    string   // "5xx", "404", "500-504", "4xx,503"
	Errors   []string // of iot.ErrorClasses
	Attempt  string   // at least so many
	MS       string   // the last attempt took at least so many milliseconds
	Before   string   // the cursor
}

// Retrying is the status in a query of what is pending after a failed attempt.
const Retrying = "retrying"

// RangeLayout is how an input of date and time writes an instant.
const RangeLayout = "2006-01-02T15:04"

// Names of the query's parameters.
const (
	ParamID      = "q"
	ParamMessage = "message"
	ParamTime    = "time"
	ParamSince   = "since"
	ParamUntil   = "until"
	ParamWebhook = "webhook"
	ParamDevice  = "device"
	ParamStatus  = "status"
	ParamCodes   = "code"
	ParamError   = "error"
	ParamAttempt = "attempt"
	ParamMS      = "ms"
	ParamAfter   = "after" // of a count of what is new: the newest that is shown
	ParamBefore  = "before"
	ParamType    = "type"
	ParamChannel = "channel"
	ParamFate    = "webhooks"
)

// Pairs are the parameters that are not empty, for In.Deliveries.
func (q DeliveryQuery) Pairs() []string {
	pairs := []string{ParamID, q.ID, ParamMessage, q.Message, ParamTime, q.Time, ParamSince, q.Since, ParamUntil, q.Until, ParamWebhook,
		q.Webhook, ParamDevice, q.Device}
	for _, v := range q.Statuses {
		pairs = append(pairs, ParamStatus, v)
	}
	pairs = append(pairs, ParamCodes, q.Codes)
	for _, v := range q.Errors {
		pairs = append(pairs, ParamError, v)
	}
	return append(pairs, ParamAttempt, q.Attempt, ParamMS, q.MS, ParamBefore, q.Before)
}

// Filtered reports whether anything but the cursor is set.
func (q DeliveryQuery) Filtered() bool {
	q.Before = ""
	for i, pairs := 1, q.Pairs(); i < len(pairs); i += 2 {
		if pairs[i] != "" {
			return true
		}
	}
	return false
}

// with returns the query with other statuses and from the newest on, as the
// saved views have it.
func (q DeliveryQuery) with(statuses ...string) DeliveryQuery {
	q.Statuses, q.MS, q.Before = statuses, "", ""
	return q
}

// slow returns the query for what took long.
func (q DeliveryQuery) slow() DeliveryQuery {
	q = q.with()
	q.MS = strconv.FormatInt(SlowMS, 10)
	return q
}

// Coarse reports whether it chooses by time of the last day, webhook, status and
// duration at most: then the chart of hours speaks of the same deliveries.
func (q DeliveryQuery) Coarse() bool {
	q.Webhook, q.Statuses, q.MS = "", nil, ""
	if q.Time == lastDay {
		q.Time = ""
	}
	return !q.Filtered()
}

// from returns the query from a cursor on; "" is the newest.
func (q DeliveryQuery) from(before string) DeliveryQuery {
	q.Before = before
	return q
}

// TimePreset is a span of time that ends now.
type TimePreset struct {
	Value, Label string
	Hours        int
}

const lastDay = "24h"

// TimePresets are the spans that a list can be narrowed to.
func TimePresets() []TimePreset {
	return []TimePreset{{"1h", "Last hour", 1}, {lastDay, "Last 24 hours", 24}, {"7d", "Last 7 days", 7 * 24}}
}

func timeOptions(chosen string, ranged bool) []ui.FilterOption {
	options := []ui.FilterOption{{Value: "", Label: "Any time", Checked: chosen == "" && !ranged}}
	for _, p := range TimePresets() {
		options = append(options, ui.FilterOption{Value: p.Value, Label: p.Label, Checked: p.Value == chosen})
	}
	return append(options, ui.FilterOption{Value: "range", Label: "Range", Checked: ranged})
}

// presetText is the chosen preset in words.
func presetText(preset string) string {
	for _, p := range TimePresets() {
		if p.Value == preset {
			return p.Label
		}
	}
	return ""
}

// rangeText is the chosen range in words, nil if there is none.
func rangeText(preset, since, until string) templ.Component {
	at := func(text string) templ.Component {
		t, err := time.Parse(RangeLayout, text)
		if err != nil {
			return templ.NopComponent
		}
		return ui.Point(iot.At(t))
	}
	switch {
	case preset != "" || since == "" && until == "":
		return nil
	case until == "":
		return say(words("from "), at(since))
	case since == "":
		return say(words("until "), at(until))
	}
	return say(at(since), words(" to "), at(until))
}

func (q DeliveryQuery) statusOptions() []ui.FilterOption {
	var options []ui.FilterOption
	for _, s := range iot.Statuses() {
		look := StatusOf(s)
		options = append(options, ui.FilterOption{Value: string(s), Label: look.Label, Status: true, Tone: look.Tone, Shape: look.Shape,
			Checked: slices.Contains(q.Statuses, string(s))})
	}
	return options
}

func (q DeliveryQuery) statusText() string {
	var words []string
	for _, s := range q.Statuses {
		words = append(words, capital(s))
	}
	return strings.Join(words, ", ")
}

func (q DeliveryQuery) errorOptions() []ui.FilterOption {
	var options []ui.FilterOption
	for _, c := range iot.ErrorClasses() {
		options = append(options, ui.FilterOption{Value: string(c), Label: string(c), Checked: slices.Contains(q.Errors, string(c))})
	}
	return options
}

func (q DeliveryQuery) codeOptions() []ui.FilterOption {
	options := []ui.FilterOption{{Value: "", Label: "Any", Checked: q.Codes == ""}}
	for _, c := range []string{"2xx", "3xx", "4xx", "5xx"} {
		options = append(options, ui.FilterOption{Value: c, Label: c, Checked: q.Codes == c})
	}
	return options
}

// codesTyped are the codes that none of the options is.
func (q DeliveryQuery) codesTyped() string {
	switch q.Codes {
	case "2xx", "3xx", "4xx", "5xx":
		return ""
	}
	return q.Codes
}

func (q DeliveryQuery) attemptOptions() []ui.FilterOption {
	options := []ui.FilterOption{{Value: "", Label: "Any", Checked: q.Attempt == ""}}
	for _, n := range []string{"2", "5"} {
		options = append(options, ui.FilterOption{Value: n, Label: n + " or more", Checked: q.Attempt == n})
	}
	return options
}

func (q DeliveryQuery) attemptText() string {
	if q.Attempt == "" {
		return ""
	}
	return q.Attempt + " or more"
}

// slugOptions are the slugs to choose one of, with "Any".
func slugOptions(slugs []string, chosen string) []ui.FilterOption {
	options := []ui.FilterOption{{Value: "", Label: "Any", Checked: chosen == ""}}
	for _, s := range slugs {
		options = append(options, ui.FilterOption{Value: s, Label: s, Checked: s == chosen})
	}
	return options
}

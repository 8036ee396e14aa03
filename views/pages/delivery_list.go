package pages

import (
	"slices"
	"time"

	"github.com/a-h/templ"

	"thingpost/internal/iot"
	"thingpost/views/layout"
	"thingpost/views/ui"
)

// The ids of what the log's page swaps: all below its title, and what refreshes
// itself: the saved views, the list, and while that is held the number of what
// is new.
const (
	DeliveryLogID   = "log"
	DeliveryViewsID = "views"
	DeliveryListID  = "deliveries"
	DeliveryNewID   = "deliveries-new"
)

// MaxCounted bounds the counts of the log: "10k+".
const MaxCounted = 10_000

// DeliveriesPage is what the log shows.
type DeliveriesPage struct {
	Shell    layout.Props
	Project  In
	Now      iot.Instant
	CanEdit  bool
	Query    DeliveryQuery
	Ignored  []string // what of the address was not understood
	Webhooks []string // slugs
	Devices  []string // slugs of some, to choose from
	Tabs     DeliveryTabs
	New      Counted // that match and are newer than those shown, in DeliveryNew
	List     DeliveryPage
	Replays  RunningReplaysSection
}

// DeliveryTabs are the counts of the saved views.
type DeliveryTabs struct{ All, Failed, Retrying, Slow Counted }

// Counted is how many match, up to MaxCounted.
type Counted struct {
	N    int64
	More bool // there may be more than N
}

// text is the number, "10k+", "86+"; nothing where none was found so far.
func (c Counted) text() string {
	switch {
	case !c.More || c.N >= MaxCounted:
		return ui.CountCapped(c.N, MaxCounted)
	case c.N == 0:
		return ""
	}
	return ui.Count(c.N) + "+"
}

// DeliveryPage is one page of the list.
type DeliveryPage struct {
	Items        []iot.Delivery
	Total        Counted // that match
	Next         string
	LookedBackTo iot.Instant
	Failed       bool     // could not be loaded
	Any          bool     // the project has deliveries at all
	Pending      bool     // some of the project's are pending
	Hours        []ui.Bar // of the last day; none where the filter is narrower
	Series       []ui.Series
	HoursOf      string // the webhook whose hours they are; "" for all
}

func (p DeliveriesPage) tabs() []ui.Tab {
	failed, retrying := string(iot.Failed), Retrying
	is := func(s ...string) bool { return slices.Equal(p.Query.Statuses, s) }
	return []ui.Tab{
		{Label: "All", Href: p.Project.Deliveries(p.Query.with().Pairs()...), Count: p.Tabs.All.text(), Current: len(p.Query.Statuses) == 0 &&
			p.Query.MS == ""},
		{Label: "Failed", Href: p.Project.Deliveries(p.Query.with(failed).Pairs()...), Count: p.Tabs.Failed.text(), Current: is(failed),
			Key: "e"},
		{Label: "Retrying", Href: p.Project.Deliveries(p.Query.with(retrying).Pairs()...), Count: p.Tabs.Retrying.text(), Current: is(retrying)},
		{Label: "Slow", Href: p.Project.Deliveries(p.Query.slow().Pairs()...), Count: p.Tabs.Slow.text(), Current: is() &&
			p.Query.MS == p.Query.slow().MS,
			Title: "The last attempt took a second or longer"},
	}
}

// viewsAttrs make the counts of the saved views refresh themselves.
func (p DeliveriesPage) viewsAttrs() templ.Attributes {
	attrs := ui.Live(DeliveryViewsID, p.here(), string(iot.DeliveriesChanged))
	attrs["data-live-least"] = "1000"
	return attrs
}

func (p DeliveriesPage) hoursTitle() string {
	if p.List.HoursOf != "" {
		return "Attempts of " + p.List.HoursOf + " by hour, the last 24 hours"
	}
	return "Attempts by hour, the last 24 hours"
}

// here is the address of what is shown.
func (p DeliveriesPage) here() string { return p.Project.Deliveries(p.Query.Pairs()...) }

// live reports whether the list refreshes itself: the first page alone, as
// nothing may move where somebody reads further back.
func (p DeliveriesPage) live() bool { return p.Query.Before == "" }

// total says how many match.
func (p DeliveriesPage) total() string {
	c := p.List.Total
	one := c == Counted{N: 1}
	switch {
	case c.text() == "":
		return "No results yet"
	case !p.Query.Filtered() && one:
		return "1 delivery"
	case !p.Query.Filtered():
		return c.text() + " deliveries"
	case one:
		return "1 result"
	}
	return c.text() + " results"
}

// pendingOnly reports whether the filter chooses nothing that has ended.
func (p DeliveriesPage) pendingOnly() bool {
	return len(p.Query.Statuses) > 0 &&
		!slices.ContainsFunc(p.Query.Statuses, func(s string) bool { return s != string(iot.Pending) && s != Retrying })
}

// endedOnly reports whether it chooses nothing that is pending.
func (p DeliveriesPage) endedOnly() bool {
	return len(p.Query.Statuses) > 0 && !slices.Contains(p.Query.Statuses, string(iot.Pending)) && !slices.Contains(p.Query.Statuses, Retrying)
}

// older is the address of the next page, "" if there is none.
func (p DeliveriesPage) older() string {
	if p.List.Next == "" {
		return ""
	}
	return p.Project.Deliveries(p.Query.from(p.List.Next).Pairs()...)
}

func (p DeliveriesPage) newest() string {
	if p.Query.Before == "" {
		return ""
	}
	return p.Project.Deliveries(p.Query.from("").Pairs()...)
}

// lastOutcome is the last code or error of a delivery: first a word that weighs, then
// what it means.
func lastOutcome(d *iot.Delivery) (word, meaning string, bad bool) {
	switch {
	case d.Status == iot.Skipped || d.Status == iot.Cancelled:
		return "", d.ErrorDetail, false
	case d.Error != "" && d.Code != 0:
		return codeWord(d.Code), codeMeaning(d.Code), true
	case d.Error != "":
		return string(d.Error), d.ErrorDetail, true
	case d.Code != 0:
		return codeWord(d.Code), "", false
	}
	return "", "", false
}

func codeWord(c iot.StatusCode) string { return c.Text()[:3] }

func codeMeaning(c iot.StatusCode) string {
	if text := c.Text(); len(text) > 4 {
		return text[4:]
	}
	return ""
}

// SlowMS is how long an attempt takes that the view Slow shows, in milliseconds.
const SlowMS = 1000

func ms(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// sender is who sent a message: a device, or the test.
func sender(device string, trigger iot.Trigger) string {
	switch {
	case device != "":
		return device
	case trigger == iot.TriggerTest:
		return "test"
	}
	return "deleted device"
}

// retry is where the key r posts to on a row; nowhere for what was delivered: to
// send that again is no retry.
func (p DeliveriesPage) retry(d *iot.Delivery) string {
	if !p.CanEdit || d.Status == iot.Delivered || d.Webhook == "" {
		return ""
	}
	return p.Project.RetryDelivery(d.ID.String())
}

// target is where a delivery goes.
func target(webhook string) string {
	if webhook == "" {
		return "deleted webhook"
	}
	return webhook
}

package pages

import (
	"slices"
	"time"

	"thingpost/internal/iot"
	"thingpost/views/layout"
	"thingpost/views/ui"
)

// The ids of what the log's page swaps: all below its title, and the list that
// refreshes itself.
const (
	DeliveryLogID  = "log"
	DeliveryListID = "deliveries"
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
	List     DeliveryPage
}

// DeliveryTabs are the counts of the saved views; a negative one is not known.
type DeliveryTabs struct{ All, Failed, Retrying int64 }

// DeliveryPage is one page of the list.
type DeliveryPage struct {
	Items        []iot.Delivery
	Total        int64 // that match, up to MaxCounted
	More         bool  // there may be more than Total
	Next         string
	LookedBackTo iot.Instant
	Failed       bool     // could not be loaded
	Any          bool     // the project has deliveries at all
	Pending      bool     // some of the project's are pending
	Hours        []ui.Bar // of the last day; none where the filter is narrower
	Series       []ui.Series
}

func (p DeliveriesPage) tabs() []ui.Tab {
	failed, retrying := string(iot.Failed), Retrying
	is := func(s ...string) bool { return slices.Equal(p.Query.Statuses, s) }
	return []ui.Tab{
		{Label: "All", Href: p.Project.Deliveries(p.Query.with().Pairs()...), Count: countText(p.Tabs.All), Current: len(p.Query.Statuses) == 0},
		{Label: "Failed", Href: p.Project.Deliveries(p.Query.with(failed).Pairs()...), Count: countText(p.Tabs.Failed), Current: is(failed)},
		{Label: "Retrying", Href: p.Project.Deliveries(p.Query.with(retrying).Pairs()...), Count: countText(p.Tabs.Retrying), Current: is(retrying)},
	}
}

func countText(n int64) string {
	if n < 0 {
		return ""
	}
	return ui.CountCapped(n, MaxCounted)
}

// here is the address of what is shown.
func (p DeliveriesPage) here() string { return p.Project.Deliveries(p.Query.Pairs()...) }

// live reports whether the list refreshes itself: the first page alone, as
// nothing may move where somebody reads further back.
func (p DeliveriesPage) live() bool { return p.Query.Before == "" }

// total says how many match.
func (p DeliveriesPage) total() string {
	n := countText(p.List.Total)
	if p.List.More && p.List.Total == 0 {
		return "None so far"
	}
	if p.List.More && p.List.Total < MaxCounted {
		n = ui.Count(p.List.Total) + "+"
	}
	if !p.Query.Filtered() {
		if p.List.Total == 1 && !p.List.More {
			return "1 delivery"
		}
		return n + " deliveries"
	}
	if p.List.Total == 1 && !p.List.More {
		return "1 matches"
	}
	return n + " match"
}

// pendingOnly reports whether the filter chooses nothing that has ended.
func (p DeliveriesPage) pendingOnly() bool {
	return len(p.Query.Statuses) > 0 && !slices.ContainsFunc(p.Query.Statuses, func(s string) bool { return s != string(iot.Pending) && s != Retrying })
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

// slow marks an attempt that took long.
const slow = time.Second

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

// target is where a delivery goes.
func target(webhook string) string {
	if webhook == "" {
		return "deleted webhook"
	}
	return webhook
}

package pages

import (
	"slices"
	"strings"

	"thingpost/internal/iot"
	"thingpost/views/layout"
	"thingpost/views/ui"
)

// Parameters of the audit log's address.
const (
	ParamActor = "who"
	ParamNoun  = "what"
)

// AuditNouns returns what the audit log is about: the first part of an action.
func AuditNouns() []string {
	return []string{"account", "backup", "delivery", "device", "downlink", "embed", "inspector", "instance", "invitation", "key", "member",
		"organization", "profile", "project", "replay", "storage", "webhook"}
}

// AuditPage is what a page of the audit log shows.
type AuditPage struct {
	Shell layout.Props
	// Path makes the address of the list from pairs of a parameter and its value.
	Path        func(filter ...string) string
	Here        string // the list without a filter
	Project     string // the project that the page was opened from, if it is another's page
	Lead        string
	WithProject bool // entries of several projects
	Entries     []iot.AuditEntry
	Actor       string // what is filtered by
	Noun        string
	First       bool   // the newest page
	Next        string // cursor of the next page
	// LookedBackTo is how far a filtered list has looked; 0 if to the end.
	LookedBackTo iot.Instant
	Now          iot.Instant
}

func (p AuditPage) filtered() bool { return p.Actor != "" || p.Noun != "" }

func (p AuditPage) head() []ui.Th {
	head := []ui.Th{{Label: "Time"}, {Label: "Who"}, {Label: "Action"}, {Label: "What"}, {Label: "Detail"}}
	if p.WithProject {
		head = slices.Insert(head, 2, ui.Th{Label: "Project"})
	}
	return head
}

func (p AuditPage) nouns() []ui.FilterOption {
	options := []ui.FilterOption{{Value: "", Label: "Anything", Checked: p.Noun == ""}}
	for _, noun := range AuditNouns() {
		options = append(options, ui.FilterOption{Value: noun, Label: capital(nounText(noun)), Checked: noun == p.Noun})
	}
	return options
}

func nounText(noun string) string {
	switch noun {
	case "key":
		return "API key"
	case "embed":
		return "embedded log"
	case "instance":
		return "this host"
	}
	return noun
}

func (p AuditPage) nounValue() string {
	if p.Noun == "" {
		return ""
	}
	return nounText(p.Noun)
}

// auditText writes an action as people say it: "webhook.create" is "Webhook
// added".
func auditText(action string) string {
	noun, verb, ok := strings.Cut(action, ".")
	if !ok || noun == "" {
		return action
	}
	if action == "invitation.create" {
		return "Invitation created"
	}
	done := map[string]string{
		"accept": "accepted", "decline": "declined",
		"create": "added", "update": "changed", "delete": "deleted", "rotate_key": "key replaced", "rotate_secret": "secret replaced",
		"reveal_key": "key shown", "pause": "paused", "resume": "resumed", "replay": "replayed", "retry": "retried", "cancel": "cancelled",
		"send": "sent", "set": "role changed", "remove": "removed", "password": "password changed", "set_up": "set up", "clear": "cleared",
		"prune": "pruned", "download": "downloaded", "revoke": "revoked", "stop": "stopped",
	}[verb]
	if done == "" {
		done = strings.ReplaceAll(verb, "_", " ")
	}
	return capital(nounText(noun)) + " " + done
}

// phoneIf gives a text a line of its own on phones, and nothing none.
func phoneIf(text string) ui.Phone { return phoneWhen(text != "") }

// phoneWhen gives a cell that holds something a line of its own on phones.
func phoneWhen(holds bool) ui.Phone {
	if holds {
		return ui.PhoneFull
	}
	return ui.PhoneOff
}

func (p AuditPage) pager() ui.PagerProps {
	var pager ui.PagerProps
	if p.LookedBackTo != 0 {
		pager.Note = "Searched back to " + p.LookedBackTo.Time().Format("2 January 2006, 15:04") + " UTC. Choose Older to continue."
	}
	if !p.First {
		pager.Newest = p.Path(ParamActor, p.Actor, ParamNoun, p.Noun)
	}
	if p.Next != "" {
		pager.Older = p.Path(ParamActor, p.Actor, ParamNoun, p.Noun, "before", p.Next)
	}
	return pager
}

// action is the address of the filter's form, whose parameters are its inputs.
func (p AuditPage) action() string {
	path, _, _ := strings.Cut(p.Here, "?")
	return path
}

// hidden is the project that the filtered page is opened from too.
func (p AuditPage) hidden() string {
	if strings.Contains(p.Here, "?") {
		return p.Project
	}
	return ""
}

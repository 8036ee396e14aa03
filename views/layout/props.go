package layout

import "thingpost/views/ui"

// Theme is how a person wants the dashboard to look.
type Theme string

// The themes. System follows the browser.
const (
	System Theme = "system"
	Light  Theme = "light"
	Dark   Theme = "dark"
)

// ParseTheme returns the theme of a name, System for any other.
func ParseTheme(name string) Theme {
	switch t := Theme(name); t {
	case Light, Dark:
		return t
	case System:
	}
	return System
}

// Props are what the shell shows around a page.
type Props struct {
	Title   string // of the page; the product's name is added
	Theme   Theme
	Wide    bool   // the page uses the whole width: the log
	Home    string // where the mark leads
	Project Switcher
	Nav     []NavGroup
	Account Account
	Status  ui.StatusProps // at the foot of the navigation; none without a label
	Rate    string         // beside the status: "3.8 msg/s"
	Search  string         // address of the search, in the narrow bar
	Events  string         // address of the event stream that sections listen to
	Toasts  []ui.ToastProps
}

// NavGroup is a part of the navigation. Links without an address are left out,
// and so is a group without links.
type NavGroup struct {
	Title string // none above the first
	Links []NavLink
}

// NavLink is a line of the navigation.
type NavLink struct {
	Label   string
	Href    string
	Icon    ui.IconName
	Note    string // "4/5"
	Current bool
	Key     string // of the keyboard, after g
}

// Switcher is the project shown and the ones to switch to. Without a Name
// there is no switcher.
type Switcher struct {
	Name  string
	Group string // the organization
	Links []ui.MenuItem
	New   string // address of the form for a new one
	All   string // address of the list
}

// Account is who is signed in.
type Account struct {
	Name    string
	Note    string // the role
	Links   []ui.MenuItem
	Theme   string // address that takes the theme, as POST of "theme"
	SignOut string // address that is posted to
	Back    string // sent with the theme as "back": where to return to
}

// BareProps are what the shell without navigation shows: sign-in, set-up, and
// errors that nobody is signed in for.
type BareProps struct {
	Title  string // also the h1
	Lead   string
	Theme  Theme
	Wide   bool // for more than a form
	Status ui.StatusProps
	Foot   []ui.Crumb // text or links at the foot
	Toasts []ui.ToastProps
}

// groups returns the groups and links that lead somewhere.
func groups(all []NavGroup) []NavGroup {
	var out []NavGroup
	for _, g := range all {
		links := make([]NavLink, 0, len(g.Links))
		for _, l := range g.Links {
			if l.Href != "" {
				links = append(links, l)
			}
		}
		if len(links) > 0 {
			out = append(out, NavGroup{Title: g.Title, Links: links})
		}
	}
	return out
}

// label names a group for those who cannot see it.
func (g NavGroup) label() string {
	if g.Title == "" {
		return "Main"
	}
	return g.Title
}

func (t Theme) attr() string { return string(ParseTheme(string(t))) }

func (p Props) name() string {
	if p.Project.Name != "" {
		return p.Project.Name
	}
	return "Thingpost"
}

// htmxConfig keeps htmx within the CSP (no eval, no injected style), keeps
// pages with secrets out of the browser's storage, and makes going back ask for
// whole pages. What it swaps in works at once: with its usual delay a form that is
// sent right after a section has refreshed would leave the page.
const htmxConfig = `{"allowEval":false,"includeIndicatorStyles":false,"historyCacheSize":0,"refreshOnHistoryMiss":true,` +
	`"historyRestoreAsHxRequest":false,"defaultSettleDelay":0,"timeout":30000}`

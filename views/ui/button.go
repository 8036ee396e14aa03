package ui

import (
	"strings"

	"github.com/a-h/templ"
)

// kind is the type attribute of a button.
func (p ButtonProps) kind() string {
	if p.Plain || p.Menu != "" || p.Opens != "" {
		return "button"
	}
	return "submit"
}

// look returns the attributes of variant, size, name and what is opened.
func (p ButtonProps) look() templ.Attributes {
	attrs := look(p.Label, p.Variant, p.Small, p.IconOnly)
	if p.Menu != "" {
		attrs["popovertarget"] = p.Menu
	}
	if p.Opens != "" {
		attrs["commandfor"], attrs["command"] = p.Opens, "show-modal"
	}
	return attrs
}

func look(label string, v Variant, small, iconOnly bool) templ.Attributes {
	attrs := templ.Attributes{}
	if v != Primary {
		attrs["data-variant"] = string(v)
	}
	switch {
	case iconOnly && small:
		attrs["data-size"] = "icon-sm"
	case iconOnly:
		attrs["data-size"] = "icon"
	case small:
		attrs["data-size"] = "sm"
	}
	if iconOnly {
		attrs["aria-label"], attrs["title"] = label, label
	}
	return attrs
}

// Fills returns the attributes that make a link open its page in the dialog
// instead: the page's handler answers HX-Target "dialog" with the Confirm or
// Dialog alone.
func Fills(href string) templ.Attributes {
	return templ.Attributes{"hx-get": href, "hx-target": "#" + DialogID, "hx-swap": "innerHTML"}
}

// Swaps returns the attributes that make a form or link answer into the
// element with the id, replacing it, and put the address in the bar. Without
// scripts the form or link works as it is.
func Swaps(method, url, id string) templ.Attributes {
	attrs := templ.Attributes{"hx-" + method: url, "hx-target": "#" + id, "hx-swap": "outerHTML"}
	if method == "get" {
		attrs["hx-push-url"] = "true"
	}
	return attrs
}

// LiveCount returns the attributes of the element with the id that says, inside
// a section of Live that somebody reads and that therefore waits, how much is
// new: it fetches itself from url each time that the section would have.
func LiveCount(id, url string) templ.Attributes {
	return templ.Attributes{"hx-get": url, "hx-trigger": "refresh", "hx-target": "this", "hx-swap": "innerHTML",
		"hx-select": "#" + id + " > *", "data-live-count": ""}
}

// Live returns the attributes of the section with the id that fetches itself
// from url when one of the named events comes. What url answers holds the
// section again; its children take the place of the old ones. Open details and
// chosen views that have ids or names stay as they are, and nothing is fetched
// while a menu in the section is open. static/js/live.js decides when: at most
// twice a second, with the event that comes last never dropped.
func Live(id, url string, events ...string) templ.Attributes {
	return templ.Attributes{
		"hx-get": url, "hx-trigger": "refresh", "hx-target": "this", "hx-swap": "innerHTML", "hx-select": "#" + id + " > *",
		// Links and forms inside have targets of their own.
		"hx-disinherit": "*", "data-live-section": "", "data-hears": strings.Join(events, " "),
	}
}

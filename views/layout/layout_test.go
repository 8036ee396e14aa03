package layout

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"
	"github.com/a-h/templ"

	"thingpost/static"
	"thingpost/views/ui"
)

func parse(t *testing.T, c, children templ.Component) *goquery.Document {
	t.Helper()
	var b strings.Builder
	if err := c.Render(templ.WithChildren(t.Context(), children), &b); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(b.String(), "<!doctype html>") {
		t.Errorf("document starts with %.40q", b.String())
	}
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func full() Props {
	return Props{
		Title: "Deliveries", Theme: Dark, Home: "/projects/north", Search: "/projects/north/deliveries", Events: "/projects/north/events",
		Wide: true,
		Project: Switcher{Name: "Greenhouse North", Group: "Veldhuis", Links: []ui.MenuItem{{Label: "Cold Store", Href: "/projects/cold-store"}},
			New: "/projects/new", All: "/projects"},
		Nav: []NavGroup{
			{Links: []NavLink{{Label: "Overview", Href: "/projects/north", Icon: ui.IconOverview},
				{Label: "Deliveries", Href: "/projects/north/deliveries", Icon: ui.IconSend, Current: true},
				{Label: "Inspector", Icon: ui.IconInspector}}},
			{Title: "Settings", Links: []NavLink{{Label: "Configure webhooks", Href: "/projects/north/webhooks", Icon: ui.IconWebhook,
				Note: "4/5"}}},
			{Title: "Instance", Links: []NavLink{{Label: "Storage", Icon: ui.IconStorage}}},
		},
		Account: Account{Name: "Marit Veldhuis", Note: "Admin", Theme: "/theme", SignOut: "/sign-out", Back: "/projects/north/deliveries"},
		Status:  ui.StatusProps{Label: "Accepting", Tone: ui.Success},
		Toasts:  []ui.ToastProps{{Tone: ui.Success, Text: "Saved."}},
	}
}

func TestPageHasLandmarksAndOneWayAround(t *testing.T) {
	doc := parse(t, Page(full()), ui.PageHead(ui.PageHeadProps{Title: "Deliveries"}))
	for selector, want := range map[string]int{
		`html[lang=en][data-theme=dark]`: 1, `body > a.skip[href="#main"]`: 1, `main#main[tabindex="-1"][data-wide] h1`: 1, `h1`: 1,
		`aside#rail[popover] nav[aria-label=Main]`: 1, `nav[aria-label=Settings]`: 1, `header.topbar button[popovertarget=rail]`: 1,
		`.app[data-events="/projects/north/events"]`: 1, `#toasts .toast`: 1, `dialog#dialog`: 1, `#announce[role=status]`: 1,
	} {
		if got := doc.Find(selector).Length(); got != want {
			t.Errorf("%s: %d, want %d", selector, got, want)
		}
	}
	if got := doc.Find("title").Text(); got != "Deliveries · Thingpost" {
		t.Errorf("title is %q", got)
	}
	current := doc.Find(`nav [aria-current=page]`)
	if current.Length() != 1 || strings.TrimSpace(current.Text()) != "Deliveries" {
		t.Errorf("current: %q", current.Text())
	}
}

func TestNavigationLeadsNowhereButToPages(t *testing.T) {
	doc := parse(t, Page(full()), templ.NopComponent)
	text := doc.Find("aside").Text()
	for _, missing := range []string{"Inspector", "Instance", "Storage"} {
		if strings.Contains(text, missing) {
			t.Errorf("navigation shows %s, which has no address", missing)
		}
	}
	doc.Find("a").Each(func(_ int, a *goquery.Selection) {
		if href, ok := a.Attr("href"); !ok || href == "" {
			t.Errorf("%q leads nowhere", a.Text())
		}
	})
}

func TestThemeAndSignOutArePosted(t *testing.T) {
	doc := parse(t, Page(full()), templ.NopComponent)
	form := doc.Find(`form[method=post][action="/theme"]`)
	if got, _ := form.Find("input[name=theme][checked]").Attr("value"); got != "dark" {
		t.Errorf("theme chosen is %q", got)
	}
	if form.Find(`input[type=hidden][name=back][value="/projects/north/deliveries"]`).Length() != 1 ||
		form.Find("[data-scriptless] button[type=submit]").Length() != 1 {
		t.Error("the theme form lacks its way back or its button")
	}
	if doc.Find(`form[method=post][action="/sign-out"] button[type=submit]`).Length() != 1 {
		t.Error("no sign-out form")
	}
}

func TestDocumentsObeyAStrictPolicy(t *testing.T) {
	for name, doc := range map[string]*goquery.Document{
		"page": parse(t, Page(full()), templ.NopComponent),
		"bare": parse(t, Bare(BareProps{Title: "Sign in", Lead: "host", Foot: []ui.Crumb{{Label: "1.0"}, {Label: "Source", Href: "/x"}}}),
			templ.NopComponent),
	} {
		doc.Find("*").Each(func(_ int, s *goquery.Selection) {
			for _, a := range s.Nodes[0].Attr {
				if a.Key == "style" || strings.HasPrefix(a.Key, "on") || strings.HasPrefix(a.Key, "hx-on") {
					t.Errorf("%s: %s has %s", name, s.Nodes[0].Data, a.Key)
				}
			}
		})
		doc.Find("script, style").Each(func(_ int, s *goquery.Selection) {
			if src, _ := s.Attr("src"); !strings.HasPrefix(src, static.Prefix) || s.Text() != "" {
				t.Errorf("%s: inline %s", name, s.Nodes[0].Data)
			}
		})
		config, _ := doc.Find(`meta[name="htmx-config"]`).Attr("content")
		var settings struct {
			AllowEval, IncludeIndicatorStyles, HistoryRestoreAsHxRequest *bool
			HistoryCacheSize                                             *int
		}
		if err := json.Unmarshal([]byte(config), &settings); err != nil {
			t.Fatalf("%s: htmx-config: %v", name, err)
		}
		if settings.AllowEval == nil || *settings.AllowEval || settings.IncludeIndicatorStyles == nil || *settings.IncludeIndicatorStyles ||
			settings.HistoryRestoreAsHxRequest == nil || *settings.HistoryRestoreAsHxRequest || settings.HistoryCacheSize == nil ||
			*settings.HistoryCacheSize != 0 {
			t.Errorf("%s: htmx-config is %s", name, config)
		}
	}
}

func TestBareShowsItsHeading(t *testing.T) {
	doc := parse(t, Bare(BareProps{Title: "Sign in to Thingpost", Lead: "hooks.example", Theme: "nonsense"}), ui.Muted("form"))
	if doc.Find("main h1").Text() != "Sign in to Thingpost" || doc.Find("nav").Length() != 0 {
		t.Error("no heading, or a navigation")
	}
	if doc.Find(`html[data-theme=system]`).Length() != 1 {
		t.Error("an unknown theme is not the system's")
	}
}

func TestEmptyPropsMakeAPage(t *testing.T) {
	doc := parse(t, Page(Props{}), templ.NopComponent)
	if doc.Find("main").Length() != 1 || doc.Find("#projects, #account, [data-events]").Length() != 0 {
		t.Error("the zero value shows what it was not given")
	}
}

func TestParseTheme(t *testing.T) {
	for name, want := range map[string]Theme{"": System, "light": Light, "dark": Dark, "system": System, "Dark": System, "x": System} {
		if got := ParseTheme(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

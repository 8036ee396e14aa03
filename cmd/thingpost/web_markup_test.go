package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	neturl "net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/PuerkitoBio/goquery"
	"github.com/chromedp/chromedp"
)

// plant is text that would break out of an attribute, a text, a title, a textarea, a
// comment and a script. Each field has a number of its own.
func plant(n int) string {
	return fmt.Sprintf(`p%d'"><x-planted data-planted=%d `+
		`onpointerover=planted=1></textarea></title></script>--><script>planted=1</script><img src=x onerror=planted=1>{{planted}}<a `+
		`href="javascript:planted=1">`, n, n)
}

// planter creates a project whose text fields all contain markup, and counts them.
type planter struct {
	*webWorld
	fields atomic.Int64
}

func (p *planter) text() string { return plant(int(p.fields.Add(1))) }

// address is text for an address, where braces are variables.
func (p *planter) address() string {
	return strings.NewReplacer("{{", "", "}}", "", "#", "").Replace(p.text())
}

// plants fills in everything that people, devices, receivers and other programs write.
func (p *planter) plants() {
	p.t.Helper()
	const at = "/projects/world"
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Answer", p.text())
		w.Header().Set("Content-Type", "text/html")
		if strings.Contains(r.RequestURI, "fails") {
			w.Header().Set("Location", "javascript:planted=1//"+strings.ReplaceAll(p.text(), "\n", ""))
			w.WriteHeader(http.StatusFound)
		}
		_, _ = io.WriteString(w, "<!doctype html>"+p.text())
	}))
	p.t.Cleanup(receiver.Close)
	form := func(path string, pairs ...string) {
		p.t.Helper()
		values := neturl.Values{}
		for i := 0; i+1 < len(pairs); i += 2 {
			values.Set(pairs[i], pairs[i+1])
		}
		if s := p.tries("POST", path, values); s.status != http.StatusSeeOther {
			p.t.Errorf("%s answers %d", path, s.status)
		}
	}
	form("/settings/name", "name", p.text())
	form("/settings/organizations", "organization", p.text())
	eve := visitor(p.t, p.url)
	if s := eve.tries("POST", "/invitation", neturl.Values{"token": {p.invites("eve'\"`{}&$@example.org")}, "name": {p.text()},
		"password": {"a long password"}}); s.status != http.StatusSeeOther {
		p.t.Errorf("joining answers %d: %s", s.status, s.body)
	}
	p.invites("bob'\"`{}&$@example.org")
	p.api.call("PATCH", at, map[string]string{"name": p.text()}, 200, nil)
	p.api.call("PATCH", at+"/devices/probe", map[string]any{"name": p.text()}, 200, nil)
	p.api.call("PATCH", at+"/profiles/quiet", map[string]any{"name": p.text()}, 200, nil)
	p.api.call("POST", at+"/keys", map[string]any{"name": p.text(), "rights": []string{"RIGHT_APPLICATION_ALL"}}, 201, nil)
	form(at+"/embeds", "name", p.text(), "origins", "https://portal.example", "days", "30")
	channel := p.text()
	for _, id := range []string{"works", "fails"} {
		p.api.call("POST", at+"/webhooks", map[string]any{"id": id, "description": p.text(), "url": receiver.URL + "/" + id + "/" + p.address() +
			"?q=" + p.address(), "type": "user",
			"downlink_key": p.text()[:100], "headers": []map[string]any{{"name": "X-Planted", "value": p.text()}}}, 201, nil)
	}
	p.api.call("POST", at+"/webhooks", map[string]any{"id": "channel", "description": p.text(), "url": receiver.URL, "type": "iottly",
		"channel": channel}, 201, nil)
	p.api.call("POST", at+"/webhooks/channel/pause", map[string]string{"reason": p.text()}, 200, nil)
	p.api.call("POST", at+"/webhooks/from-template",
		map[string]any{"template": "datacake", "id": "made", "fields": map[string]string{"token": p.text()}}, 201, nil)
	message := map[string]any{"payload": map[string]any{p.text(): p.text(), "deep": []any{p.text()}}, "channel": channel, "id": p.text()[:100],
		"devicetimestamp": p.text()[:50], "to": p.text()[:50]}
	p.api.call("POST", at+"/devices/probe/messages", message, 202, nil)
	p.api.call("POST", at+"/devices/probe/messages", map[string]any{"payload": p.text(), "type": "iottly",
		"channel": "=HYPERLINK(\"http://evil.example\")"}, 202, nil)
	status, answer := p.api.exchange("POST", p.url+"/in/tts/world", `{"end_device_ids":{"device_id":"lora","dev_eui":"0004A30B001C0530"},`+
		`"uplink_message":{"f_port":1,"decoded_payload":{"x":`+quoted(p.text())+`},"locations":{"user":{"source":"SOURCE_GPS"}}},"x":`+
		quoted(p.text())+`}`,
		map[string]string{"Authorization": "Bearer " + p.key, "Content-Type": "application/json"})
	if status != http.StatusOK && status != http.StatusAccepted {
		p.t.Errorf("the uplink answers %d %s", status, answer)
	}
	p.api.call("POST", at+"/devices/probe/downlinks",
		map[string]any{"downlinks": []map[string]any{{"f_port": 1, "decoded_payload": map[string]string{"x": p.text()},
			"correlation_ids": []string{p.text()[:80]}}}}, 201, nil)
	if inspector := regexp.MustCompile(`http://[^"<\s]+/inspect/[^"<\s]+`).FindString(p.tries("GET", at+"/inspector",
		nil).body); inspector == "" {
		p.t.Error("the inspector has no address")
	} else {
		p.api.exchange("POST", inspector+"/"+neturl.PathEscape(p.text())+"?"+neturl.QueryEscape(p.text())+"="+neturl.QueryEscape(p.text()),
			p.text(), map[string]string{"Content-Type": p.text(), "X-Planted": p.text()})
	}
	until(p.t, "deliveries have ended or failed", func() bool {
		ended := 0
		for _, hook := range []string{"works", "fails"} {
			var page struct{ Items []struct{ Code int } }
			p.api.call("GET", at+"/deliveries?webhook="+hook, nil, 200, &page)
			if len(page.Items) > 0 && page.Items[0].Code != 0 {
				ended++
			}
		}
		return ended == 2
	})
	p.api.call("POST", at+"/deliveries/replay", map[string]any{"filter": map[string]string{"webhook": "works"}}, 202, nil)
}

func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// TestStoredMarkupIsText plants markup and scripts in every stored field, and checks
// every page, section and export with a parser: none has a planted element, attribute
// or address, or a script that is not a file.
func TestStoredMarkupIsText(t *testing.T) {
	p := &planter{webWorld: newWebWorld(t, "-max-webhooks", "10")}
	p.plants()
	pages, shown, exports := 0, map[string]bool{}, 0
	number := regexp.MustCompile(`p(\d+)'`)
	waiting, seenPaths := []string{"/projects/world", "/settings", "/settings/organizations/my-organization/members", "/templates", p.embed,
		"/projects/world/nothing-here?" + neturl.QueryEscape(plant(0)),
		"/projects/world/deliveries?q=" + neturl.QueryEscape(plant(0)) + "&channel=" + neturl.QueryEscape(plant(0)),
		"/sign-in?next=/" + neturl.PathEscape(plant(0)), "/projects/" + neturl.PathEscape(plant(0))}, map[string]bool{}
	for len(waiting) > 0 && len(seenPaths) < 130 {
		path, _, _ := strings.Cut(waiting[0], "#")
		waiting = waiting[1:]
		if seenPaths[path] || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "/static/") || strings.HasPrefix(path, "/api/") ||
			strings.HasSuffix(path, "/events") {
			continue
		}
		seenPaths[path] = true
		answers := []seen{p.tries("GET", path, nil)}
		if strings.HasPrefix(answers[0].header.Get("Content-Type"), "text/html") {
			for _, id := range []string{"dialog", "drawer"} {
				answers = append(answers, p.tries("GET", path, nil, "HX-Request", "true", "HX-Target", id))
			}
		}
		for i, s := range answers {
			for _, m := range number.FindAllStringSubmatch(html.UnescapeString(s.body), -1) {
				shown[m[1]] = true
			}
			switch kind := s.header.Get("Content-Type"); {
			case strings.HasPrefix(kind, "text/html"):
				pages++
				links := p.isClean(path, s.body)
				if i == 0 {
					waiting = append(waiting, links...)
				}
			case strings.HasPrefix(kind, "text/csv"):
				exports++
				p.isNoFormula(path, s.body)
			case strings.HasPrefix(kind, "application/x-ndjson"):
				exports++
			case s.status != http.StatusNoContent:
				t.Errorf("%s is %q (%d)", path, kind, s.status)
			}
		}
	}
	if pages < 150 || exports < 4 || len(shown) < int(p.fields.Load())*2/3 {
		t.Errorf("%d pages, %d exports, %d of %d fields were seen", pages, exports, len(shown), p.fields.Load())
	}
	t.Attr("figure", fmt.Sprintf("%d fields with markup, %d of them shown on %d pages and sections and %d exports: all text", p.fields.Load(),
		len(shown), pages, exports))
}

// isClean fails for planted markup, and returns the page's links.
func (p *planter) isClean(path, body string) (links []string) {
	p.t.Helper()
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(body))
	must(p.t, err)
	doc.Find("*").Each(func(_ int, e *goquery.Selection) {
		name := goquery.NodeName(e)
		_, src := e.Attr("src")
		if name == "x-planted" || name == "style" || name == "base" || name == "iframe" || name == "object" || name == "embed" ||
			name == "script" && (!src || strings.TrimSpace(e.Text()) != "") {
			p.t.Errorf("%s has an element %s: %.200s", path, name, e.Text())
		}
		for _, a := range e.Get(0).Attr {
			value := strings.ToLower(strings.TrimSpace(a.Val))
			switch {
			case a.Key == "data-planted" || strings.HasPrefix(a.Key, "on") || strings.HasPrefix(a.Key, "hx-on") || a.Key == "style" ||
				a.Key == "srcdoc":
				p.t.Errorf("%s has an attribute %s=%q", path, a.Key, a.Val)
			case slices.Contains([]string{"href", "src", "action", "formaction", "hx-get", "hx-post", "data", "poster", "xlink:href"}, a.Key) &&
				(strings.HasPrefix(value, "javascript:") || strings.HasPrefix(value, "data:") || strings.HasPrefix(value, "vbscript:")):
				p.t.Errorf("%s leads to %q", path, a.Val)
			case a.Key == "href" || a.Key == "hx-get":
				links = append(links, a.Val)
			}
		}
	})
	return links
}

// isNoFormula fails for a cell that a spreadsheet would read as a formula.
func (p *planter) isNoFormula(path, body string) {
	p.t.Helper()
	rows, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	if err != nil {
		p.t.Errorf("%s: %v", path, err)
	}
	for _, row := range rows {
		for _, cell := range row {
			if cell != "" && strings.ContainsRune("=+@\t\r", rune(cell[0])) {
				p.t.Errorf("%s has the cell %q", path, cell)
			}
		}
	}
}

// TestBrowserRunsNothingPlanted opens the pages of a project full of markup in a
// browser: no planted script runs, and the policy had none to stop.
func TestBrowserRunsNothingPlanted(t *testing.T) {
	browserProgram(t)
	p := &planter{webWorld: newWebWorld(t, "-max-webhooks", "10")}
	p.plants()
	b := newBrowser(t, p.url, true)
	b.open("/sign-in")
	b.signsIn("correct horse battery")
	b.at("/projects/world")
	paths := []string{p.embed, "/settings/organizations/my-organization/members", "/settings/organizations/my-organization/audit"}
	for _, path := range []string{"", "/deliveries", "/messages", "/devices/probe", "/webhooks", "/webhooks/works", "/webhooks/channel",
		"/inspector", "/profiles/quiet", "/keys", "/audit"} {
		paths = append(paths, "/projects/world"+path)
	}
	for _, list := range []string{"/deliveries", "/messages"} {
		detail := regexp.MustCompile(`/projects/world` + list + `/[0-9a-f-]{36}`).FindString(p.tries("GET", "/projects/world"+list, nil).body)
		if detail == "" {
			t.Fatalf("%s leads to no page of one", list)
		}
		paths = append(paths, detail)
	}
	for _, path := range paths {
		must(t, chromedp.Do(b.ctx, chromedp.Navigate(p.url+path)))
		if value[bool](b, `typeof planted !== "undefined" || document.querySelector("x-planted,[data-planted],script:not([src]),[onerror]") `+
			`!== null`) {
			t.Errorf("%s runs or holds what was planted", path)
		}
		if !value[bool](b, `document.querySelector("main") !== null`) {
			t.Errorf("%s is no page", path)
		}
	}
	t.Attr("figure", fmt.Sprintf("%d fields with scripts, %d pages in a browser: nothing ran", p.fields.Load(), len(paths)))
}

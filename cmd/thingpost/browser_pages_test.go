package main

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"
)

// narrow is the width of the smallest phones, in CSS pixels.
const narrow = 360

// TestBrowserPagesFitPhones opens every linked page, in both themes, and checks that
// nothing exceeds a small screen.
func TestBrowserPagesFitPhones(t *testing.T) {
	p := serve(t, adminEnv(), "-data", t.TempDir(), "-allow-networks", "127.0.0.0/8,::1/128")
	defer p.end(t, syscall.SIGTERM)
	fillProject(t, signIn(t, p.url))
	b := newBrowser(t, p.url, true)
	must(t, chromedp.Do(b.ctx, chromedp.EmulateViewport(narrow, 780, chromedp.EmulateTouch)))
	b.open("/sign-in")
	b.fits("/sign-in")
	b.signsIn("correct horse battery")
	b.at("/projects/long-words")
	papers := map[string]string{}
	for _, theme := range []string{"Light", "Dark"} {
		b.open("/settings")
		b.press("Menu")
		b.click("button[popovertarget=account]", "")
		b.check(theme)
		b.await("the theme is kept", func() bool {
			b.open("/projects/long-words")
			return value[string](b, "document.documentElement.dataset.theme") == strings.ToLower(theme)
		})
		papers[value[string](b, "getComputedStyle(document.body).backgroundColor")] = theme
		b.crawls(b.fits)
	}
	if len(papers) != 2 {
		t.Errorf("both themes have the same background: %v", papers)
	}
	b.open("/nowhere")
	b.forgive("404")
	b.fits("/nowhere")
}

// fillProject creates a project with everything that a page can show, in words that are
// hard to fit: a webhook that works, one that fails, one that is paused, deliveries of
// each, and messages that no webhook wants.
func fillProject(t *testing.T, c *apiClient) {
	t.Helper()
	receiver := newMoodyReceiver(t)
	failing := newMoodyReceiver(t)
	failing.answers(http.StatusInternalServerError)
	word := strings.Repeat("Donaudampfschifffahrt", 12) // one word of 252 letters
	c.call("POST", "/projects", map[string]string{"id": "long-words", "name": word}, 201, nil)
	const at = "/projects/long-words"
	for id, address := range map[string]string{"works": receiver.URL, "fails": failing.URL, "rests": receiver.URL} {
		c.call("POST", at+"/webhooks", map[string]any{"id": id, "description": id + word[len(id):], "url": address + "/" + word + word,
			"type":    "user",
			"headers": []map[string]any{{"name": "X-" + word[:60], "value": word + word}}}, 201, nil)
	}
	c.call("POST", at+"/webhooks/rests/pause", nil, 200, nil)
	device := strings.Repeat("a", 36)
	c.call("POST", at+"/devices", map[string]string{"id": device, "name": word}, 201, nil)
	c.call("POST", at+"/profiles", map[string]any{"id": "quiet", "name": word}, 201, nil)
	c.call("POST", at+"/keys", map[string]any{"name": word, "rights": []string{"RIGHT_APPLICATION_ALL"}}, 201, nil)
	message := map[string]any{"payload": map[string]string{word: word + word}, "channel": word[:200]}
	c.call("POST", at+"/devices/"+device+"/messages", message, 202, nil)
	message["type"] = "iottly"
	c.call("POST", at+"/devices/"+device+"/messages", message, 202, nil)
	c.call("POST", at+"/devices/"+device+"/downlinks", map[string]any{"downlinks": []map[string]any{{"f_port": 1, "frm_payload": "AQID"}}},
		201, nil)
	until(t, "deliveries have arrived and failed", func() bool {
		var page struct {
			Items []struct {
				Code int
			}
		}
		c.call("GET", at+"/deliveries", nil, 200, &page)
		return len(page.Items) == 2 && page.Items[0].Code != 0 && page.Items[1].Code != 0
	})
	var project struct{ UUID string }
	c.call("GET", at, nil, 200, &project)
	if status, answer := c.exchange("POST", c.url+"/groups/"+project.UUID+"/commands/"+word[:40], `{"`+word+`":true}`,
		map[string]string{"Content-Type": "application/json", "Authorization": "Bearer " + c.token}); status != http.StatusAccepted {
		t.Fatalf("a command to a group answers %d %s", status, answer)
	}
	c.call("POST", at+"/deliveries/replay", map[string]any{"filter": map[string]string{"status": "delivered"}}, 202, nil)
}

// alike are the parts of paths in which pages of one kind differ.
var alike = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`)

// crawls follows all links from the page. It checks each page under the name of its
// kind, at most two of each kind.
func (b *browser) crawls(look func(kind string)) {
	b.t.Helper()
	seen, kinds := map[string]bool{}, map[string]int{}
	waiting := []string{value[string](b, "location.href")}
	for len(waiting) > 0 {
		next := waiting[0]
		waiting = waiting[1:]
		u, err := url.Parse(next)
		must(b.t, err)
		kind := alike.ReplaceAllString(u.Path, "*")
		if seen[u.Path] || kinds[kind] == 2 || !strings.HasPrefix(next, b.url+"/") || strings.HasPrefix(u.Path, "/api/") {
			continue
		}
		seen[u.Path] = true
		kinds[kind]++
		answer, err := chromedp.Run(b.ctx, chromedp.NavigateResponse(next))
		must(b.t, err)
		if answer == nil || answer.Status != http.StatusOK {
			b.t.Errorf("a link leads to %s, which answers %+v", next, answer)
			continue
		}
		look(kind)
		waiting = append(waiting, value[[]string](b, `[...document.querySelectorAll("a[href]:not([download])")].map((a) => a.href)`)...)
	}
	if len(kinds) < 25 {
		b.t.Errorf("the links lead to %d pages only: %v", len(kinds), kinds)
	}
}

// fits fails if the page can be scrolled sideways, and names what exceeds it.
func (b *browser) fits(path string) {
	b.t.Helper()
	width := value[int](b, "document.documentElement.scrollWidth")
	if width <= narrow && width > 0 {
		return
	}
	wide := js[[]string](b, `(narrow) => [...document.body.querySelectorAll("*")].filter((e) => !e.closest(".sr-only, pre") && `+
		`(e.getBoundingClientRect().right > narrow + 1 || e.scrollWidth > narrow)).map((e) => e.cloneNode().outerHTML).slice(-5)`, narrow)
	b.t.Errorf("%s is %d pixels wide; what sticks out: %s", path, width, strings.Join(wide, "\n\t"))
}

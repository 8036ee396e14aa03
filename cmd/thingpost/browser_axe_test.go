package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"
)

// axeScript reads axe-core, which finds accessibility faults of a page. It is not part
// of the program: THINGPOST_AXE names the folder or file that npm installed it to.
// Without it the test is skipped, except where it is required.
func axeScript(t *testing.T) string {
	t.Helper()
	path := os.Getenv("THINGPOST_AXE")
	if path == "" {
		const missing = "THINGPOST_AXE does not name an axe.min.js of axe-core 4.14.1"
		if os.Getenv("THINGPOST_BROWSER_REQUIRED") != "" || os.Getenv("CI") != "" {
			t.Fatal(missing + ", and it is required here")
		}
		t.Skip(missing)
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, "node_modules", "axe-core", "axe.min.js")
	}
	text, err := os.ReadFile(path)
	must(t, err)
	return string(text)
}

// accessible fails for each serious or critical fault that axe finds in the present
// page.
func (b *browser) accessible(axe, what string) {
	b.t.Helper()
	if !value[bool](b, "typeof axe === 'object'") {
		_, err := chromedp.Run(b.ctx, chromedp.Evaluate[int](axe+"; 0"))
		must(b.t, err)
	}
	faults, err := chromedp.Run(b.ctx, chromedp.Evaluate[[]string](`(async () => {
		const found = await axe.run(document, { resultTypes: ["violations"], preload: false });
		return found.violations.filter((v) => v.impact === "serious" || v.impact === "critical").flatMap((v) =>
			v.nodes.slice(0, 4).map((n) => v.id + " (" + v.impact + "): " + n.target.join(" ") + "\n\t" + n.html.slice(0, 300) + "\n\t" + `+
		`n.any.concat(n.all, n.none).map((c) => c.message).join("; ")));
	})()`, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("axe did not look at %s: %v", what, err)
	}
	for _, fault := range faults {
		b.t.Errorf("%s: %s", what, fault)
	}
}

// unfolds opens everything folded on the page, and reports whether there is any.
func (b *browser) unfolds() bool {
	b.t.Helper()
	return js[bool](b, `() => {
		const folded = [...document.querySelectorAll("main details:not([open])")];
		folded.forEach((d) => d.open = true);
		return folded.length > 0;
	}`)
}

// TestBrowserEveryPageIsAccessible opens every linked page, in both themes, once as it
// is and once unfolded: axe finds nothing serious, and the browser has no complaints.
func TestBrowserEveryPageIsAccessible(t *testing.T) {
	axe := axeScript(t)
	p := serve(t, adminEnv(), "-data", t.TempDir(), "-allow-networks", "127.0.0.0/8,::1/128")
	defer p.end(t, syscall.SIGTERM)
	b := newBrowser(t, p.url, true)
	both := func(what string) {
		t.Helper()
		for _, theme := range []string{"light", "dark"} {
			b.prefers(theme)
			b.accessible(axe, what+" in "+theme)
		}
	}
	b.open("/sign-in")
	both("/sign-in")
	b.signsIn("wrong horse battery")
	b.sees("Wrong email or password.")
	b.forgive("422")
	both("/sign-in, refused")
	b.signsIn("correct horse battery")
	b.at("/")
	both("/ without a project")
	c := signIn(t, p.url)
	c.call("POST", "/projects", map[string]string{"id": "empty", "name": "Empty"}, 201, nil)
	for _, path := range []string{"", "/deliveries", "/messages", "/devices", "/webhooks", "/replays", "/commands", "/inspector", "/profiles",
		"/keys", "/embeds", "/audit"} {
		b.open("/projects/empty" + path)
		both("/projects/empty" + path)
	}
	c.call("DELETE", "/projects/empty", nil, 204, nil)
	fillProject(t, c)
	b.open("/projects/long-words/inspector")
	b.press("Create inspector and webhook")
	b.lacks("Create address only")
	c.call("POST", "/projects/long-words/devices/"+strings.Repeat("a", 36)+"/messages", map[string]any{"payload": 1}, 202, nil)
	b.open("/projects/long-words/inspector")
	b.sees("POST")
	c.call("POST", "/projects/long-words/webhooks", map[string]any{"id": "signed", "description": "Signed",
		"url": "https://receiver.example/in", "type": "user", "signed": true, "format": "protobuf"}, 201, nil)
	b.open("/projects/long-words/webhooks/signed")
	b.unfolds()
	b.sees("they always reject Protocol Buffers")
	link := b.makesEmbed("/projects/long-words")
	b.open("/projects/long-words")
	kinds := map[string]bool{}
	b.crawls(func(kind string) {
		if kinds[kind] || strings.HasPrefix(kind, "/static/") {
			return
		}
		kinds[kind] = true
		both(kind)
		if b.unfolds() {
			both(kind + ", unfolded")
		}
	})
	b.open("/nowhere")
	b.forgive("404")
	both("/nowhere")
	b.open("/setup?token=none")
	b.forgive("403")
	both("/setup, refused")
	invitation := b.invites("grace@example.org")
	b.open(invitation)
	b.sees("This invitation is for someone else.")
	b.forgive("403")
	both("/invitation, as another")
	b.press("Sign out")
	b.at("/sign-in")
	b.open(invitation)
	b.sees("Create account and join")
	both("/invitation, of somebody new")
	b.open("/invitation?token=none")
	b.sees("no longer open")
	b.forgive("404")
	both("/invitation, not open")
	must(t, chromedp.Do(b.ctx, chromedp.EmulateViewport(400, 700)))
	b.open(link)
	both("the embedded log")
	if got := value[int](b, "document.documentElement.scrollWidth"); got > 400 {
		t.Errorf("the embedded log is %d pixels wide", got)
	}
	b.open(value[string](b, `document.querySelector("tbody a").href`))
	both("the embedded delivery")
}

// invites invites somebody to the first organization, and returns the link.
func (b *browser) invites(email string) string {
	b.t.Helper()
	b.open("/settings")
	address, err := json.Marshal(email)
	must(b.t, err)
	link, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`(async (email) => {
		const members = document.querySelector("main a[href$='/members']").getAttribute("href");
		const form = new URLSearchParams({ email, role: "viewer" });
		const page = await (await fetch(members, { method: "POST", body: form })).text();
		return new DOMParser().parseFromString(page, "text/html").getElementById("new-invitation").value;
	})(`+string(address)+`)`, chromedp.EvalAwaitPromise))
	must(b.t, err)
	if !strings.HasPrefix(link, b.url+"/invitation?") {
		b.t.Fatalf("the link of an invitation is %q", link)
	}
	return link
}

// makesEmbed creates a link to an embedded log by its form, and returns it.
func (b *browser) makesEmbed(project string) string {
	b.t.Helper()
	b.open(project + "/embeds")
	b.fill("Name", "Customer portal")
	b.fill("Sites that can show it", "https://portal.example")
	b.press("Create link")
	b.sees("Anyone with this link can read the log")
	return value[string](b, `document.getElementById("new-embed").value`)
}

func TestBrowserSetUpIsAccessible(t *testing.T) {
	axe := axeScript(t)
	p := serve(t, nil, "-data", t.TempDir())
	defer p.end(t, syscall.SIGTERM)
	if !p.out.Scan() {
		t.Fatal("no set-up link")
	}
	b := newBrowser(t, p.url, true)
	b.open(p.out.Text()[strings.Index(p.out.Text(), "http"):])
	b.sees("Set up and sign in")
	for _, theme := range []string{"light", "dark"} {
		b.prefers(theme)
		b.accessible(axe, "the set-up in "+theme)
	}
	must(t, chromedp.Do(b.ctx, chromedp.EmulateViewport(narrow, 780, chromedp.EmulateTouch)))
	b.fits("/setup")
}

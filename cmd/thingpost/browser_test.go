package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browserPatience is how long a page can take to show what is expected.
const browserPatience = 20 * time.Second

// browser is a tab of a real browser that uses a server as a person does: it finds
// things by their words, clicks on them, and types.
type browser struct {
	t       *testing.T
	ctx     context.Context
	url     string // of the server
	scripts bool   // whether pages may run scripts
	keys    bool   // whether it has only a keyboard; see browser_keyboard_test.go

	mu     sync.Mutex
	faults []string // complaints of the browser
	over   bool     // no longer listening
}

// browserProgram finds a browser. Without one the test is skipped, except where one is
// required.
func browserProgram(t *testing.T) string {
	t.Helper()
	names := []string{"chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "headless-shell",
		"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const missing = "no Chromium or Chrome was found in PATH"
	if os.Getenv("THINGPOST_BROWSER_REQUIRED") != "" || os.Getenv("CI") != "" {
		t.Fatal(missing + ", and it is required here")
	}
	t.Skip(missing)
	return ""
}

// newBrowser starts a browser with an empty profile. At the end of the test its
// complaints are failures.
func newBrowser(t *testing.T, url string, scripts bool) *browser {
	t.Helper()
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(browserProgram(t)),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.WindowSize(1280, 900))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	// It outlives the test's own context, so that it can be closed properly.
	root, stop := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	ctx, cancel := chromedp.NewContext(root)
	b := &browser{t: t, ctx: ctx, url: url, scripts: scripts}
	t.Cleanup(func() {
		b.hearOut()
		b.picture()
		if err := chromedp.Cancel(ctx); err != nil {
			t.Error(err)
		}
		cancel()
		stop()
	})
	must(t, chromedp.Listen(ctx, b.listen))
	_, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !scripts})
	must(t, err)
	b.prefers("light")
	return b
}

// listen records exceptions, errors and warnings, including violations of the content
// policy.
func (b *browser) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return
	}
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.faults = append(b.faults, (&chromedp.ExceptionError{ExceptionDetails: e.ExceptionDetails}).Error())
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning ||
			e.Type == runtime.ConsoleAPICalledTypeAssert {
			text, _ := json.Marshal(e.Args)
			b.faults = append(b.faults, fmt.Sprintf("console %s: %s", e.Type, text))
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning || e.Entry.Source == log.EntrySourceViolation {
			b.faults = append(b.faults, fmt.Sprintf("%s %s: %s %s", e.Entry.Source, e.Entry.Level, e.Entry.Text, e.Entry.URL))
		}
	}
}

// forgive forgets complaints that contain the text; there must be some.
func (b *browser) forgive(text string) {
	b.t.Helper()
	b.await("the browser complains of "+text, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		before := len(b.faults)
		b.faults = slices.DeleteFunc(b.faults, func(fault string) bool { return strings.Contains(fault, text) })
		return len(b.faults) < before
	})
}

// hearOut fails the test for each complaint, and stops listening.
func (b *browser) hearOut() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, fault := range b.faults {
		b.t.Error("the browser complains: ", fault)
	}
	b.faults, b.over = nil, true
}

// picture saves a picture of the page with the artifacts of a failed test.
func (b *browser) picture() {
	if !b.t.Failed() {
		return
	}
	if png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100)); err == nil {
		file := filepath.Join(b.t.ArtifactDir(), "page.png")
		b.t.Logf("the page, kept with -artifacts: %s %v", file, os.WriteFile(file, png, 0o600))
	}
}

// prefers sets the theme of the reader's system. Animations are off, so that elements
// stay in place.
func (b *browser) prefers(theme string) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
	must(b.t, err)
}

// open goes to a path of the server, or to a whole URL.
func (b *browser) open(path string) {
	b.t.Helper()
	if !strings.Contains(path, "://") {
		path = b.url + path
	}
	var err error
	b.await("it can open "+path, func() bool {
		err = chromedp.Do(b.ctx, chromedp.Navigate(path))
		// A page that is still being replaced after a form was sent can replace this
		// one.
		return err == nil || !strings.Contains(err.Error(), "net::ERR_ABORTED")
	})
	if err != nil {
		b.t.Fatalf("open %s: %v", path, err)
	}
}

// await waits for a condition of the page.
func (b *browser) await(what string, ok func() bool) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), browserPatience)
	defer cancel()
	pause := time.NewTicker(10 * time.Millisecond)
	defer pause.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			b.t.Fatalf("waited in vain until %s; %s shows:\n%s", what, value[string](b, "location.href"), b.text())
		case <-pause.C:
		}
	}
}

// value evaluates an expression; the zero value while a page is being left.
func value[T any](b *browser, expression string) T {
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil && b.ctx.Err() != nil {
		b.t.Fatal(err)
	}
	return v
}

// js calls a JavaScript function with arguments.
func js[T any](b *browser, function string, args ...any) T {
	b.t.Helper()
	var list []string
	for _, a := range args {
		text, err := json.Marshal(a)
		must(b.t, err)
		list = append(list, string(text))
	}
	return value[T](b, "("+function+")("+strings.Join(list, ",")+")")
}

// text is the visible text of the page.
func (b *browser) text() string {
	return strings.Join(strings.Fields(value[string](b, `document.readyState === "complete" ? document.body.innerText : ""`)), " ")
}

// sees waits until the page shows all the words.
func (b *browser) sees(words ...string) {
	b.t.Helper()
	for _, w := range words {
		b.await(fmt.Sprintf("the page shows %q", w), func() bool { return strings.Contains(b.text(), w) })
	}
}

// lacks waits until the loaded page shows none of the words.
func (b *browser) lacks(words ...string) {
	b.t.Helper()
	for _, w := range words {
		b.await(fmt.Sprintf("the page does not show %q", w), func() bool {
			text := b.text()
			return text != "" && !strings.Contains(text, w)
		})
	}
}

// at waits until the browser is at a path.
func (b *browser) at(path string) {
	b.t.Helper()
	b.await("the browser is at "+path, func() bool { return value[string](b, "location.pathname") == path && b.text() != "" })
}

// place is an element's position in the window, and why it cannot be used.
type place struct {
	X, Y float64
	Why  string
}

// seek is a function that finds one visible element by its accessible name ("" for
// any), and scrolls it into the window. An open dialog hides the others.
const seek = `(selector, name) => {
	const root = [...document.querySelectorAll("dialog[open]")].pop() ?? document;
	const read = (e) => e?.getAttribute("aria-label") ?? e?.textContent;
	const names = (e) => [e.getAttribute("aria-label"), ...[...e.labels ?? []].map(read), e.matches("a, button, summary") ? e.textContent ` +
	`: ""];
	const same = (text) => text?.replace(/\s+/g, " ").trim() === name;
	const found = [...root.querySelectorAll(selector)].filter((e) =>
		(name === "" || names(e).some(same)) && e.checkVisibility({ visibilityProperty: true }) && !e.closest("[aria-hidden=true]") && ` +
	`!e.disabled);
	// A browser drops clicks and keys before its first paint.
	const ready = document.readyState === "complete" && performance.getEntriesByName("first-contentful-paint").length > 0;
	if (!ready || found.length !== 1) return { Why: found.length + " of them" };
	const e = found[0];
	e.scrollIntoView({ block: "center", behavior: "instant" });
	const r = e.getClientRects()[0], x = r.x + r.width / 2, y = r.y + r.height / 2;
	const top = document.elementFromPoint(x, y);
	if (!top || !(e.contains(top) || [...e.labels ?? []].some((l) => l.contains(top)))) return { Why: "covered by " + ` +
	`top?.outerHTML.slice(0, 200) };
	return { X: x, Y: y };
}`

// find waits until there is one such element, and nothing covers it.
func (b *browser) find(selector, name string) place {
	b.t.Helper()
	p := place{Why: "no page"}
	deadline := time.Now().Add(browserPatience)
	pause := time.NewTicker(10 * time.Millisecond)
	defer pause.Stop()
	for ; p.Why != "" || p.X == 0; <-pause.C {
		if p = js[place](b, seek, selector, name); time.Now().After(deadline) {
			b.t.Fatalf("cannot use %q (%s): %s; %s shows:\n%s", name, selector, p.Why, value[string](b, "location.href"), b.text())
		}
	}
	return p
}

// press clicks a button or follows a link.
func (b *browser) press(name string) {
	b.t.Helper()
	b.click("a[href], button, summary", name)
}

// check clicks a checkbox or a radio button.
func (b *browser) check(name string) {
	b.t.Helper()
	b.click("input[type=checkbox], input[type=radio]", name)
}

func (b *browser) click(selector, name string) {
	b.t.Helper()
	if b.keys {
		b.reach(selector, name)
		b.presses()
		return
	}
	p := b.find(selector, name)
	if err := chromedp.Do(b.ctx, chromedp.MouseClickXY(p.X, p.Y)); err != nil {
		b.t.Fatalf("click %q: %v", name, err)
	}
}

// points moves the mouse to the element of a selector, if there is a mouse.
func (b *browser) points(selector string) {
	b.t.Helper()
	if b.keys {
		return
	}
	p := b.find(selector, "")
	must(b.t, chromedp.Do(b.ctx, chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, p.X, p.Y)))
}

// fill replaces a field's content by typing.
func (b *browser) fill(name, text string) {
	b.t.Helper()
	const fields = "input:not([type=checkbox], [type=radio], [type=hidden]), textarea"
	if b.keys {
		b.reach(fields, name)
		must(b.t, chromedp.Do(b.ctx, chromedp.KeyEvent("a", chromedp.KeyModifiers(chromedp.ModifierCtrl))))
	} else {
		b.click(fields, name)
		js[bool](b, `() => (document.activeElement.select(), true)`)
	}
	_, err := chromedp.Call(b.ctx, input.InsertText, input.InsertTextParams{Text: text})
	must(b.t, err)
	if got := value[string](b, "document.activeElement.value"); got != text {
		b.t.Fatalf("the field %q holds %q, want %q", name, got, text)
	}
}

// signsIn fills in and sends the page's form, as Ada.
func (b *browser) signsIn(password string) {
	b.t.Helper()
	b.fill("Email", "ada@example.org")
	b.fill("Password", password)
	b.press("Sign in")
}

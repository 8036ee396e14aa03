package main

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// logStory is a browser at the log of a project with one webhook.
type logStory struct {
	*browser
	server   *process
	data     string // the server's folder
	client   *apiClient
	receiver *moodyReceiver
	sent     int
}

const (
	logProject = "/projects/greenhouse-north"
	logPage    = logProject + "/deliveries"
)

// openLog starts a server with a project, sends so many messages, and opens the log in
// a browser.
func openLog(t *testing.T, messages int) *logStory {
	t.Helper()
	s := &logStory{data: t.TempDir(), receiver: newMoodyReceiver(t)}
	s.server = serve(t, append(adminEnv(), "THINGPOST_METRICS_TOKEN="+metricsToken), "-data", s.data, "-allow-networks", "127.0.0.0/8,::1/128")
	t.Cleanup(func() { s.server.end(t, syscall.SIGTERM) })
	s.client = signIn(t, s.server.url)
	s.client.call(http.MethodPost, "/projects", map[string]string{"id": "greenhouse-north", "name": "Greenhouse North"}, 201, nil)
	s.client.call(http.MethodPost, logProject+"/devices", map[string]string{"id": "soil-probe-07"}, 201, nil)
	s.client.call(http.MethodPost, logProject+"/webhooks", map[string]any{"id": "erp", "description": "ERP goods-in", "url": s.receiver.URL,
		"type": "user"}, 201, nil)
	s.send(messages)
	s.browser = newBrowser(t, s.server.url, true)
	s.open(logPage)
	s.signsIn("correct horse battery")
	s.at(logPage)
	s.points("h1")
	return s
}

// send sends messages, and waits until the receiver has them.
func (s *logStory) send(n int) {
	for range n {
		s.sent++
		s.client.call(http.MethodPost, logProject+"/devices/soil-probe-07/messages", map[string]any{"payload": map[string]int{"n": s.sent}}, 202,
			nil)
	}
	until(s.client.t, "the messages have arrived", func() bool { return s.receiver.count() >= s.sent })
}

// rows is how many rows the log shows.
func (s *logStory) rows() int {
	return value[int](s.browser, `document.querySelectorAll("#deliveries tbody tr").length`)
}

func (s *logStory) hasRows(n int) {
	s.t.Helper()
	s.await(fmt.Sprintf("the log shows %d rows", n), func() bool { return s.rows() == n })
}

// types presses keys one after the other.
func (s *logStory) types(keys string) {
	s.t.Helper()
	must(s.t, chromedp.Do(s.ctx, chromedp.KeyEvent(keys)))
}

// slash presses the search key as on a keyboard: a handler that stops the key also
// stops the character.
func (s *logStory) slash() {
	s.t.Helper()
	for _, p := range []input.DispatchKeyEventParams{{Type: input.DispatchKeyEventTypeKeyDown, Key: "/", Code: "Slash", Text: "/"},
		{Type: input.DispatchKeyEventTypeKeyUp, Key: "/", Code: "Slash"}} {
		_, err := chromedp.Call(s.ctx, input.DispatchKeyEvent, p)
		must(s.t, err)
	}
}

// marked is the address of the row that has the focus.
func (s *logStory) marked() string {
	return value[string](s.browser, `document.activeElement?.matches("a.row-link") ? document.activeElement.pathname : ""`)
}

func TestBrowserLogWaitsUnderThePointerAndCountsWhatIsNew(t *testing.T) {
	s := openLog(t, 3)
	s.hasRows(3)
	s.send(1)
	s.hasRows(4) // by itself
	s.points(firstRow)
	s.send(2)
	s.sees("2 new")
	s.send(10)
	s.sees("12 new")
	if n := s.rows(); n != 4 {
		t.Errorf("under the pointer the log shows %d rows, want the 4 that were there", n)
	}
	s.press("12 new , show them")
	s.hasRows(16)
	s.lacks("12 new")
	s.send(1)
	s.sees("1 new") // the pointer is still over the list
	s.points("h1")
	s.hasRows(17)
	s.lacks("1 new")
	// Switched off, it counts wherever the pointer is.
	s.types("t")
	s.send(2)
	s.sees("2 new")
	if n := s.rows(); n != 17 {
		t.Errorf("with the tail switched off the log shows %d rows, want 17", n)
	}
	s.types("t")
	s.hasRows(19)
	s.sees("All 19", "19 deliveries")
}

func TestBrowserLogMovesNothingWhenItRefreshes(t *testing.T) {
	s := openLog(t, 60)
	s.hasRows(50)
	js[bool](s.browser, `() => {
		window.shifts = [];
		window.fetched = 0;
		new PerformanceObserver((list) => list.getEntries().forEach((e) => shifts.push(e.value + " " + e.sources.map((s) => s.node?.nodeName `+
		`+ "." + s.node?.className).join(" ")))).observe({ type: "layout-shift", buffered: true });
		document.addEventListener("htmx:afterSwap", (e) => fetched += e.target.id === "deliveries");
		window.table = () => [...document.querySelectorAll("#deliveries thead th")].map((th) => th.getBoundingClientRect().x + " " + `+
		`th.getBoundingClientRect().y).join();
		window.before = table();
		return true;
	}`)
	for i := range 4 {
		s.send(3)
		s.await("the log has refreshed itself", func() bool { return value[int](s.browser, "fetched") > i })
	}
	// The observer reports with the next frame.
	js[bool](s.browser, `() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`)
	if shifts := value[[]string](s.browser, "shifts"); len(shifts) > 0 {
		t.Errorf("the layout shifted: %s", strings.Join(shifts, "\n"))
	}
	if before, after := value[string](s.browser, "before"), value[string](s.browser, "table()"); before != after || before == "" {
		t.Errorf("the columns stood at %s, and stand at %s", before, after)
	}
}

func TestBrowserLogByKeyboardAlone(t *testing.T) {
	s := openLog(t, 3)
	s.hasRows(3)
	list := value[[]string](s.browser, `[...document.querySelectorAll("a.row-link")].map((a) => a.pathname)`)
	s.types("?")
	s.sees("They work on every page, but not while you type.")
	s.types("gd") // a dialog is in the way
	s.types(kb.Escape)
	s.lacks("They work on every page")
	for _, step := range []struct{ keys, want string }{{"j", list[0]}, {"jj", list[2]}, {"j", list[2]}, {"k", list[1]}} {
		s.types(step.keys)
		s.await("j and k mark "+step.want, func() bool { return s.marked() == step.want })
	}
	s.send(1)
	s.sees("1 new") // keyboard readers are not disturbed
	s.types(kb.Enter)
	drawer := func() string {
		return value[string](s.browser, `document.querySelector("dialog.drawer[open] .mono")?.textContent ?? ""`)
	}
	s.await("the drawer shows the delivery", func() bool { return strings.HasSuffix(list[1], "/"+drawer()) && drawer() != "" })
	s.sees("soil-probe-07 to ERP goods-in", "Attempt 1", "Nothing. The receiver accepted it.")
	s.types("j")
	s.await("the drawer shows the next one", func() bool { return strings.HasSuffix(list[2], "/"+drawer()) })
	s.types(kb.Escape)
	s.await("the focus is back on the row", func() bool { return s.marked() == list[2] && drawer() == "" })
	s.types("r") // it was delivered
	s.sees("Nothing to retry here.")
	s.types(kb.Escape)
	s.hasRows(4) // released
	s.receiver.answers(http.StatusBadGateway)
	s.send(1)
	s.sees("502 Bad Gateway")
	tried := s.receiver.count()
	s.receiver.answers(http.StatusOK)
	s.types("j")
	s.types("r")
	s.sees("Thingpost retries the delivery now.")
	until(t, "it is tried again", func() bool { return s.receiver.count() > tried })
	s.types(kb.Escape)
	s.types("e")
	s.sees("No deliveries match")
	s.at(logPage)
	if got := value[string](s.browser, "location.search"); got != "?status=failed" {
		t.Errorf("errors only are at %q", got)
	}
	s.types("e")
	s.hasRows(5)
	s.slash()
	s.types("tgj") // a word, no keys
	s.await("the search holds what was typed",
		func() bool { return value[string](s.browser, `document.querySelector("[type=search]").value`) == "tgj" })
	s.types(kb.Escape)
	for keys, path := range map[string]string{"gm": logProject + "/messages", "gw": logProject + "/webhooks", "go": logProject,
		"gd": logPage} {
		s.types(keys)
		s.at(path)
	}
	s.open(logProject + "/webhooks")
	s.slash()
	s.await("the search of the log has the focus", func() bool {
		return value[string](s.browser, "location.pathname") == logPage && value[string](s.browser, "document.activeElement.type") == "search"
	})
}

func TestBrowserLogDrawer(t *testing.T) {
	s := openLog(t, 2)
	s.hasRows(2)
	s.receiver.answers(http.StatusServiceUnavailable)
	s.send(1)
	s.hasRows(3)
	s.sees("503")
	s.click(firstRow, "")
	s.sees("Next try", "503 is retried")
	s.at(logPage)
	s.receiver.answers(http.StatusOK)
	s.press("Retry now")
	s.sees("Thingpost retries the delivery now.", "Nothing. The receiver accepted it.", "Attempt 2") // by itself
	s.at(logPage)
	s.press("Older (j)")
	s.sees("Attempt 1")
	s.lacks("Attempt 2")
	s.press("Close (Esc)")
	s.lacks("Nothing. The receiver accepted it.")
	s.points("h1")
	s.sees("Delivered")
	// Without room for both, the row leads to its page.
	must(t, chromedp.Do(s.ctx, chromedp.EmulateViewport(800, 900)))
	path := value[string](s.browser, `document.querySelector("a.row-link").pathname`)
	s.click(firstRow, "")
	s.at(path)
	s.sees("soil-probe-07 to ERP goods-in")
}

func TestBrowserLogRangeIsTypedInTheReadersZone(t *testing.T) {
	s := openLog(t, 1)
	// 5:30 h before UTC
	_, err := chromedp.Call(s.ctx, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "Asia/Kolkata"})
	must(t, err)
	s.open(logPage)
	s.hasRows(1)
	s.press("Time")
	s.sees("Time zone: Asia/")
	js[bool](s.browser, `() => {
		const field = document.querySelector("[name=since]");
		field.value = "2026-01-01T10:00";
		return field.dispatchEvent(new Event("input", { bubbles: true }));
	}`)
	s.press("Apply")
	s.sees("from 1 Jan 10:00")
	s.await("the address holds UTC", func() bool {
		return value[string](s.browser, `new URLSearchParams(location.search).get("since")`) == "2026-01-01T04:30"
	})
	if got := value[string](s.browser, `document.querySelector("[name=since]").value`); got != "2026-01-01T10:00" {
		t.Errorf("the field holds %q", got)
	}
}

func TestBrowserLogOfMessagesWaitsToo(t *testing.T) {
	s := openLog(t, 2)
	s.open(logProject + "/messages")
	rows := func() int { return value[int](s.browser, `document.querySelectorAll("#messages tbody tr").length`) }
	s.await("the list shows both", func() bool { return rows() == 2 })
	s.points("#messages tbody tr:first-child a")
	s.send(3)
	s.sees("3 new")
	s.points("h1")
	s.await("the list shows all", func() bool { return rows() == 5 })
	s.lacks("3 new")
}

func TestBrowserLogLosesTheConnectionAndHeals(t *testing.T) {
	s := openLog(t, 2)
	s.hasRows(2)
	s.server.end(t, syscall.SIGTERM)
	s.sees("Connection lost.")
	u, err := url.Parse(s.server.url)
	must(t, err)
	s.server = serve(t, nil, "-data", s.data, "-allow-networks", "127.0.0.0/8,::1/128", "-listen", u.Host)
	s.sent = s.receiver.count()
	s.send(1)
	s.hasRows(3)
	s.lacks("Connection lost.")
	s.forgiveLoss()
	s.send(1)
	s.hasRows(4) // the stream is open again
}

func TestBrowserLogInAHiddenTabIsQuiet(t *testing.T) {
	s := openLog(t, 2)
	s.hasRows(2)
	hide := func(hidden bool) {
		js[bool](s.browser, `(hidden) => {
			Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
			document.dispatchEvent(new Event("visibilitychange"));
			return true;
		}`, hidden)
	}
	fetches := func() int {
		return value[int](s.browser, `performance.getEntriesByType("resource").filter((e) => e.name.includes("/deliveries")).length`)
	}
	const livePages = "thingpost_live_pages"
	hide(true)
	before := fetches()
	until(t, "its stream is closed", func() bool { return s.client.metric(livePages) == 0 })
	s.send(2)
	if n := fetches(); n != before || s.rows() != 2 {
		t.Errorf("hidden, it asked %d times and shows %d rows", n-before, s.rows())
	}
	hide(false)
	s.hasRows(4)
	if n := s.client.metric(livePages); n != 1 {
		t.Errorf("back in sight it has %d streams", n)
	}
}

// forgiveLoss forgets the browser's complaints about unanswered requests.
func (s *logStory) forgiveLoss() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = slices.DeleteFunc(s.faults, func(fault string) bool {
		return strings.Contains(fault, "ERR_") || strings.Contains(fault, "htmx:sendError") || strings.Contains(fault, "htmx:afterRequest")
	})
}

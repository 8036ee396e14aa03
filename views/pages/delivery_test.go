package pages

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"github.com/a-h/templ"

	"thingpost/internal/iot"
	"thingpost/views/ui"
)

const now = iot.Instant(1795255440000) // 21 November 2026, 10:04 UTC

// rendered parses what a component shows.
func rendered(t *testing.T, c templ.Component) *goquery.Document {
	t.Helper()
	var b strings.Builder
	if err := c.Render(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func reading(s *goquery.Selection) string { return strings.Join(strings.Fields(s.Text()), " ") }

func TestEmptyLogsReadDifferently(t *testing.T) {
	page := func(q DeliveryQuery, l DeliveryPage) DeliveriesPage {
		return DeliveriesPage{Project: "p", Now: now, Webhooks: []string{"erp"}, Query: q, List: l}
	}
	filtered := DeliveryQuery{Statuses: []string{"failed"}}
	older := DeliveryQuery{Before: "019aa5d2-8c41-7e9a-8000-0123456789ab"}
	for name, tt := range map[string]struct {
		page       DeliveriesPage
		text, link string
	}{
		"nothing yet":     {page(DeliveryQuery{}, DeliveryPage{}), "No deliveries yet", "See the first steps"},
		"nothing matches": {page(filtered, DeliveryPage{Any: true}), "No deliveries match", "Clear all filters"},
		"nothing older":   {page(older, DeliveryPage{Any: true}), "No older deliveries", ""},
		"nothing so far": {page(filtered, DeliveryPage{Any: true, Total: Counted{More: true}, LookedBackTo: now,
			Next: "019aa5d2-8c41-7e9a-8000-0123456789ab"}), "No results yet", ""},
		"could not be read": {page(filtered, DeliveryPage{Failed: true}), "The deliveries could not be loaded", "Try again"},
	} {
		doc := rendered(t, DeliveryList(tt.page))
		if got := reading(doc.Find(".empty h3")); got != tt.text {
			t.Errorf("%s reads %q", name, got)
		}
		if got := doc.Find(".empty a").First().Text(); !strings.Contains(got, tt.link) {
			t.Errorf("%s offers %q", name, got)
		}
	}
	doc := rendered(t, DeliveryList(page(filtered, DeliveryPage{Failed: true})))
	if got := doc.Find(".empty a").AttrOr("href", ""); got != "/projects/p/deliveries?status=failed" {
		t.Errorf("trying again leads to %q", got)
	}
}

func TestLogThatLookedBack(t *testing.T) {
	p := DeliveriesPage{Project: "p", Now: now, Query: DeliveryQuery{Codes: "404"},
		List: DeliveryPage{Any: true, Next: "019aa5d2-8c41-7e9a-8000-0123456789ab", LookedBackTo: now - 86_400_000,
			Total: Counted{N: 3, More: true}}}
	doc := rendered(t, DeliveryList(p))
	if got := reading(doc.Find(".card")); !strings.Contains(got, "Searched back to 20 November 2026, 10:04:00. One page searches no "+
		"further.") || !strings.Contains(got, "3+ results") {
		t.Errorf("it reads %q", got)
	}
	link := doc.Find(`a:contains("Continue searching")`)
	if got := link.AttrOr("href", ""); got != "/projects/p/deliveries?before=019aa5d2-8c41-7e9a-8000-0123456789ab&code=404" {
		t.Errorf("going on leads to %q", got)
	}
}

func TestCountsAreCapped(t *testing.T) {
	for c, want := range map[Counted]string{{}: "0", {N: 9_999}: "9,999", {N: MaxCounted, More: true}: "10k+", {N: 86, More: true}: "86+",
		{More: true}: ""} {
		if got := c.text(); got != want {
			t.Errorf("%+v is written %q", c, got)
		}
	}
}

func TestAttemptPhases(t *testing.T) {
	ms := func(n int64) int64 { return n * 1000 }
	at := func(timings iot.Timings, code iot.StatusCode, class iot.ErrorClass) *iot.Attempt {
		a := &iot.Attempt{Timings: timings}
		if code != 0 {
			a.Response = &iot.Response{Status: code}
		}
		if class != "" {
			a.Error = &iot.FailedError{Class: class}
		}
		return a
	}
	const m = time.Millisecond
	for name, tt := range map[string]struct {
		attempt *iot.Attempt
		want    ui.Phases
	}{
		"answered": {at(iot.Timings{DNS: ms(1), Connect: ms(2), TLS: ms(3), FirstByte: ms(4), Total: ms(15)}, 200, ""),
			ui.Phases{DNS: m, Connect: 2 * m, TLS: 3 * m, Wait: 4 * m, Body: 5 * m}},
		"an old connection": {at(iot.Timings{FirstByte: ms(4), Total: ms(4)}, 503, iot.ErrHTTP5xx), ui.Phases{Wait: 4 * m}},
		"no name":           {at(iot.Timings{Total: ms(5)}, 0, iot.ErrDNS), ui.Phases{DNS: 5 * m}},
		"refused":           {at(iot.Timings{DNS: ms(1), Total: ms(5)}, 0, iot.ErrConnect), ui.Phases{DNS: m, Connect: 4 * m}},
		"bad certificate": {at(iot.Timings{DNS: ms(1), Connect: ms(1), Total: ms(5)}, 0, iot.ErrTLS),
			ui.Phases{DNS: m, Connect: m, TLS: 3 * m}},
		"no answer":        {at(iot.Timings{Connect: ms(1), Total: ms(10_000)}, 0, iot.ErrTimeout), ui.Phases{Connect: m, Wait: 9_999 * m}},
		"nothing measured": {at(iot.Timings{}, 0, iot.ErrConfig), ui.Phases{}},
	} {
		if got := AttemptPhases(tt.attempt); got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}

func TestCurlIsOneCommandWithoutSecrets(t *testing.T) {
	r := iot.Request{Method: "POST", URL: "https://x.example/a?b=it's&k=•••",
		Headers: iot.HeaderLines{{Name: "Authorization", Value: "Bearer •••"}, {Name: "X-Evil", Value: "'; rm -rf / #\x1b$(id)`id`"}}}
	body := []byte(`{"it's":"$HOME"}`)
	got := RequestCurl(r, body)
	want := `curl -X POST 'https://x.example/a?b=it'\''s&k=…' \
  -H 'Authorization: …' \
  -H 'X-Evil: '\''; rm -rf / #�$(id)` + "`id`" + `' \
  --data-raw '{"it'\''s":"$HOME"}'`
	if got != want {
		t.Errorf("the command is\n%s\nwant\n%s", got, want)
	}
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal("the command is for a shell, and there is none: ", err)
	}
	out, err := exec.CommandContext(t.Context(), sh, "-c", strings.Replace(got, "curl", `printf '%s\n'`, 1)).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	for i, word := range []string{"-X", "POST", "https://x.example/a?b=it's&k=…", "-H", "Authorization: …", "-H",
		"X-Evil: '; rm -rf / #�$(id)`id`", "--data-raw", string(body)} {
		if i >= len(lines) || lines[i] != word {
			t.Errorf("the shell reads word %d as %q, want %q", i, lines[min(i, len(lines)-1)], word)
		}
	}
	for name, body := range map[string][]byte{"long": []byte(strings.Repeat("x", 17<<10)), "binary": {0xff, 0},
		"with control characters": []byte("\"\x01\"")} {
		if got := RequestCurl(r, body); !strings.HasSuffix(got, " --data-binary @body") {
			t.Errorf("a %s body ends with %q", name, got[len(got)-40:])
		}
	}
}

func TestPlainTextIsWhatItLooksLike(t *testing.T) {
	for in, want := range map[string]string{
		"a\tb\r\nc":      "a\tb\nc",
		"\x00\x1b[31m":   "��[31m",
		"\xff":           "�",
		"a\u202eb":       "a�b",
		"\u2066x\u2069":  "�x�",
		"\ufeff":         "�",
		"ärgerlich 漢字 🙂": "ärgerlich 漢字 🙂",
	} {
		if got := Plain(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func TestGiveUpIsReadAsItIsWritten(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Minute: "1 m", 90 * time.Minute: "90 m", time.Hour: "1 h", 24 * time.Hour: "24 h", 48 * time.Hour: "2 d",
		30 * 24 * time.Hour: "30 d", 25 * time.Hour: "25 h",
	} {
		number, unit := GiveUp(d)
		if number+" "+unit != want {
			t.Errorf("%v is written %s %s, want %s", d, number, unit, want)
		}
	}
	for _, d := range []time.Duration{90_500 * time.Millisecond, 61_001 * time.Millisecond, 2_591_999_999 * time.Millisecond} {
		if got, ok := ParseGiveUp(GiveUp(d)); got != d || !ok {
			t.Errorf("%v comes back as %v", d, got)
		}
	}
	for _, bad := range [][2]string{{"", "h"}, {"x", "h"}, {"NaN", "h"}, {"-1", "h"}, {"Inf", "h"}, {"1", ""}, {"1", "w"}, {"1e9", "d"}} {
		if d, ok := ParseGiveUp(bad[0], bad[1]); ok {
			t.Errorf("%q is read as %v", bad, d)
		}
	}
}

func TestOnlyAWebhookThatIsFailingTellsOfIt(t *testing.T) {
	row := func(change func(*iot.Webhook)) *goquery.Document {
		w := &iot.Webhook{ID: "w", Description: "W", Settings: iot.DefaultSettings(),
			Health: iot.Health{Status: iot.Failing, LastError: "The receiver failed: a reason.", ConsecutiveFailures: 2611, Since: now - 60_000}}
		change(w)
		return rendered(t, WebhookList(WebhooksPage{Project: "p", Now: now, Limit: 5,
			Rows: []WebhookRow{{Webhook: w, Backlog: 1204, NextDueAt: now + 3000}}}))
	}
	if got := reading(row(func(*iot.Webhook) {}).Find(".alert")); got != "The receiver failed: a reason. 2,611 in a row since 10:03:00. "+
		"Next attempt in 3 s, at 10:04:03. Nothing is lost: Thingpost retries for 24 hours." {
		t.Errorf("failing reads %q", got)
	}
	if got := reading(row(func(w *iot.Webhook) { w.Health.ConsecutiveFailures = 0 }).Find(".alert")); !strings.HasPrefix(got,
		"The receiver failed: a reason. Some deliveries failed and others succeeded, since 10:03:00.") {
		t.Errorf("failing in part reads %q", got)
	}
	if got := reading(row(func(w *iot.Webhook) {
		w.Paused, w.PausedAt = true,
			now
	}).Find(".alert")); got != "Paused on 21 November 2026, 10:04:00. 1,204 deliveries wait until it is resumed. New messages stay in "+
		"the log and are not queued for it." {
		t.Errorf("paused reads %q", got)
	}
	if n := row(func(w *iot.Webhook) { w.Health.Status = iot.Healthy }).Find(".alert").Length(); n != 0 {
		t.Error("a healthy webhook has an alert")
	}
}

func TestLongBodiesAreCut(t *testing.T) {
	tokens := bodyTokens([]byte(`{"a":"` + strings.Repeat("x", maxBody) + `"}`))
	if len(tokens) != 2 || len(tokens[0].Text) != maxBody+1 || tokens[1].Text != "… 8 more bytes are not shown" {
		t.Errorf("%d pieces, the last %q", len(tokens), tokens[len(tokens)-1].Text)
	}
	if tokens := bodyTokens([]byte(`{"a":1}`)); len(tokens) < 3 {
		t.Errorf("a short body is not coloured: %q", tokens)
	}
}

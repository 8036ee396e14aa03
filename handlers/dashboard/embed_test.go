package dashboard

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"thingpost/internal/iot"
	"thingpost/views/pages"
)

const embedsPath = "/projects/greenhouse-north/embeds"

// link makes a link by the form and returns its path.
func (w *world) link(c *client, webhook string) string {
	w.t.Helper()
	c.post(embedsPath, "name", "Customer portal", "webhook", webhook, "origins", "https://portal.example http://localhost:8000", "days",
		"7").leadsTo(embedsPath)
	p := c.get(embedsPath).is(200)
	address := p.Find("#new-embed").AttrOr("value", "")
	path, ok := strings.CutPrefix(address, "https://hooks.veldhuis.example")
	if !ok || !strings.HasPrefix(path, "/embed/") {
		w.t.Fatalf("the link is %q", address)
	}
	p.has("#embed-frame", `sandbox="allow-scripts"`)
	if again := c.get(embedsPath); strings.Contains(again.body, path) {
		w.t.Error("the link is shown twice")
	}
	return path
}

func TestAnEmbeddedLogReadsOnly(t *testing.T) {
	w := openWorld(t)
	w.mixed()
	c := w.as(w.owner)
	path := w.link(c, "")
	p := w.anonymous().get(path + "?theme=dark").is(200)
	p.has("h1", "Customer portal").has("table", "soil-probe-07").has(".tabs-line",
		"All Delivered Failed Retrying Pending").lacks("form").lacks(".rail").lacks("button")
	if p.Find("html").AttrOr("data-theme", "") != "dark" || !strings.Contains(p.Find(".tabs-line a").First().AttrOr("href", ""),
		"theme=dark") {
		t.Error("it forgets the theme")
	}
	if csp := p.header.Get("Content-Security-Policy"); !strings.HasSuffix(csp,
		"frame-ancestors https://portal.example http://localhost:8000") || strings.Contains(csp, "unsafe") {
		t.Errorf("the policy is %s", csp)
	}
	if p.header.Get("Referrer-Policy") != "no-referrer" || len(p.header.Values("Set-Cookie")) > 0 || p.header.Get("X-Frame-Options") != "" {
		t.Errorf("the headers are %v", p.header)
	}
	failed := w.deliveries(iot.Failed)[0]
	row := w.anonymous().get(path+"?status=failed").is(200).Find("tbody a").AttrOr("href", "")
	if row != path+"/deliveries/"+failed.ID.String() {
		t.Fatalf("the row leads to %s", row)
	}
	detail := w.anonymous().get(row).is(200).has(".stats", "Failed").has("table", "1")
	for _, secret := range []string{headerSecret, "erp.veldhuis.example", "Authorization", w.owner.Email, "payload\":"} {
		if strings.Contains(detail.body, secret) {
			t.Errorf("the detail tells %s", secret)
		}
	}
	w.anonymous().fragment(path+"?status=failed", pages.EmbedListID).is(200).lacks("h1").has("#"+pages.EmbedListID, "Failed")
	for _, other := range []string{"/deliveries/" + w.db.NewID().String(), "/deliveries/nothing"} {
		w.anonymous().get(path+other).is(http.StatusNotFound).has("h1", "This log cannot be shown")
	}
}

func TestAnEmbeddedLogOfAWebhookShowsNoOther(t *testing.T) {
	w := openWorld(t)
	other := &iot.Webhook{ProjectKey: w.project.Key, Description: "Archive", URL: "https://archive.example", Format: iot.Envelope,
		MessageTypes: iot.Routes{iot.Iottly: {}}, Settings: iot.DefaultSettings()}
	w.must(w.db.CreateWebhook(other, w.owner.Email))
	mine := w.deliveryOf(w.send(`{"payload":1}`), w.webhook)
	theirs := w.deliveryOf(w.send(`{"payload":1,"type":"iottly"}`), other)
	path := w.link(w.as(w.owner), "archive")
	p := w.anonymous().get(path).is(200)
	if p.Find("tbody tr").Length() != 1 || !strings.Contains(p.body, theirs.ID.String()) || strings.Contains(p.body, mine.ID.String()) {
		t.Errorf("it shows %s", words(p.Find("table").Text()))
	}
	w.anonymous().get(path + "/deliveries/" + theirs.ID.String()).is(200)
	w.anonymous().get(path + "/deliveries/" + mine.ID.String()).is(http.StatusNotFound)
	// A person's name is not told.
	w.must(w.db.CancelOne(t.Context(), w.project.Key, theirs.ID, w.owner.Email))
	for _, page := range []string{path, path + "/deliveries/" + theirs.ID.String()} {
		if p := w.anonymous().get(page).is(200); strings.Contains(p.body, w.owner.Email) || !strings.Contains(p.body, "Cancelled") {
			t.Errorf("%s tells %s", page, words(p.Text()))
		}
	}
}

func TestALinkThatDoesNotHoldSaysSo(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	path := w.link(c, "")
	refused := func(path string, status int, text, ancestors string) {
		t.Helper()
		p := w.anonymous().get(path).is(status).has("h1", "This log cannot be shown").has("main", text)
		if csp := p.header.Get("Content-Security-Policy"); !strings.HasSuffix(csp, "frame-ancestors "+ancestors) {
			t.Errorf("the policy is %s", csp)
		}
	}
	const sites = "https://portal.example http://localhost:8000"
	refused(path+"x", http.StatusNotFound, "altered", "'none'")
	refused("/embed/nothing", http.StatusNotFound, "altered", "'none'")
	refused(path[:len(path)-9]+"AAAAAAAAA/events", http.StatusNotFound, "altered", "'none'")
	w.clock.advance(8 * 24 * time.Hour)
	refused(path, http.StatusForbidden, "expired on 28 November 2026", sites)
	refused(path+"/events", http.StatusForbidden, "expired on", sites)
	next := w.link(c, "")
	p := c.get(embedsPath)
	href := p.Find(`a[href$="/revoke"]`).First().AttrOr("href", "")
	c.get(href).is(200).has("h1", "Revoke Customer portal?")
	c.post(href).leadsTo(embedsPath)
	c.get(embedsPath).has("table", "Revoked").has("table", "Expired").has("table", "the whole project").has("#toasts", "was revoked")
	refused(next, http.StatusForbidden, "revoked", sites)
	c.get(href).is(http.StatusNotFound)
	if log := w.log.String(); strings.Contains(log, "/embed/") || strings.Contains(log, "level=ERROR") {
		t.Error(log)
	}
}

func TestTheFormOfALink(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	c.get("/projects/greenhouse-north/settings").has(`a[href="`+embedsPath+`"]`, "Manage links")
	c.get(embedsPath).is(200).has(".empty", "No links yet")
	c.post(embedsPath, "name", "", "origins", "https://a.example", "days", "7").faulty("name", "")
	c.post(embedsPath, "name", "A", "origins", "a.example", "days", "7").faulty("origins", "https://portal.example")
	c.post(embedsPath, "name", "A", "origins", "https://a.example", "days", "0").faulty("days", "1 to 3,650")
	c.post(embedsPath, "name", "A", "origins", "https://a.example", "days", "7", "webhook", "nobody").faulty("webhook", "Choose a webhook")
}

// TestASandboxedFrameHearsOfDeliveriesAlone asks as a browser does for a frame
// that is of no origin.
func TestASandboxedFrameHearsOfDeliveriesAlone(t *testing.T) {
	w := openWorld(t)
	w.clock.advance(time.Since(w.clock.Now())) // the connection's deadlines are in the system's time
	path := w.link(w.as(w.owner), "")
	for _, part := range []string{"", "?status=failed", "/deliveries/x", "/events"} {
		p := w.anonymous().do(httptest.NewRequest(http.MethodOptions, path+part, nil),
			[]string{"Origin", "null", "Access-Control-Request-Headers", "hx-request"})
		if p.status != http.StatusNoContent || p.header.Get("Access-Control-Allow-Origin") != "null" ||
			!strings.Contains(p.header.Get("Access-Control-Allow-Headers"), "HX-Request") {
			t.Errorf("%s: %d, %v", part, p.status, p.header)
		}
	}
	p := w.anonymous().get(path).is(200)
	if got := p.Find("main").AttrOr("data-events", ""); got != path+"/events" {
		t.Errorf("it listens to %q", got)
	}
	if p = w.anonymous().get(path, "Origin", "https://evil.example"); p.header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("another site may fetch it")
	}
	if p = w.anonymous().get(path, "Origin", "null", "HX-Request", "true", "HX-Target",
		pages.EmbedListID); p.header.Get("Access-Control-Allow-Origin") != "null" {
		t.Error("a frame of no origin may not fetch its section")
	}
	s := httptest.NewServer(w.handler)
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+path+"/events", nil)
	w.must(err)
	r.Header.Set("Origin", "null")
	answer, err := http.DefaultClient.Do(r)
	w.must(err)
	defer func() { _ = answer.Body.Close() }()
	if got := <-w.hub.subscribed; got != w.project.Key || answer.Header.Get("Access-Control-Allow-Credentials") != "true" {
		t.Fatalf("it hears of %d, %v", got, answer.Header)
	}
	w.hub.events <- iot.SettingsChanged
	w.hub.events <- iot.DeliveriesChanged
	var text strings.Builder
	buf := make([]byte, 1024)
	for !strings.Contains(text.String(), "event: deliveries") {
		n, err := answer.Body.Read(buf)
		w.must(err)
		text.Write(buf[:n])
	}
	if strings.Contains(text.String(), "settings") {
		t.Errorf("it hears %q", text.String())
	}
	cancel()
	<-w.hub.stopped
}

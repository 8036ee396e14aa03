package dashboard

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"thingpost/db"
	"thingpost/internal/iot"
	"thingpost/views/pages"
)

const deliveryLog = "/projects/greenhouse-north/deliveries"

// deliveries returns the project's deliveries of some statuses, the newest first.
func (w *world) deliveries(statuses ...iot.Status) []iot.Delivery {
	w.t.Helper()
	found, err := w.db.Deliveries(w.t.Context(), db.DeliveryFilter{ProjectKey: w.project.Key, Statuses: statuses, Limit: 1000})
	w.must(err)
	return found.Items
}

// deliveryOf returns a message's delivery to a webhook.
func (w *world) deliveryOf(message iot.ID, h *iot.Webhook) *iot.Delivery {
	w.t.Helper()
	made, err := w.db.DeliveriesOf(w.t.Context(), w.project.Key, message)
	w.must(err)
	for i := range made {
		if made[i].WebhookKey == h.Key {
			return &made[i]
		}
	}
	w.t.Fatalf("%s has no delivery to %s", message, h.ID)
	return nil
}

// outcome stores what became of an attempt.
func (w *world) outcome(o *iot.Outcome) {
	w.t.Helper()
	done := make(chan error, 1)
	w.db.Finish(o, func(err error) { done <- err })
	w.must(<-done)
}

func (w *world) attempted(d *iot.Delivery, a *iot.Attempt, status iot.Status, due iot.Instant) {
	w.t.Helper()
	a.DeliveryID, a.At = d.ID, iot.At(w.clock.Now())
	w.outcome(&iot.Outcome{Delivery: d, Attempt: a, Status: status, DueAt: due})
}

// goodAttempt is one that the receiver took.
func goodAttempt() *iot.Attempt {
	return &iot.Attempt{Number: 1, DurationMS: 12, Timings: iot.Timings{DNS: 900, Connect: 1000, TLS: 4000, FirstByte: 5000, Total: 12_000},
		Request: iot.Request{Method: "POST", URL: "https://erp.veldhuis.example/hook",
			Headers: iot.HeaderLines{{Name: "Authorization", Value: iot.Mask}, {Name: "Content-Type", Value: "application/json"}}},
		Response: &iot.Response{Status: 200, Headers: iot.HeaderLines{{Name: "Content-Type", Value: "text/plain"}}, Body: "ok"}}
}

// failedAttempt is one that was answered with a code, or not at all for 0.
func failedAttempt(number, code int, detail string) *iot.Attempt {
	a := goodAttempt()
	a.Number, a.Response.Status, a.Error = number, iot.StatusCode(code), &iot.FailedError{Class: iot.ErrHTTP5xx, Detail: detail}
	switch {
	case code == 0:
		a.Response, a.Error.Class = nil, iot.ErrTimeout
	case code < 500:
		a.Error.Class = iot.ErrHTTP4xx
	}
	return a
}

// mixed makes a log with a delivery of each kind, and returns them by name.
func (w *world) mixed() map[string]*iot.Delivery {
	w.t.Helper()
	list := map[string]*iot.Delivery{}
	next := func(name string) *iot.Delivery {
		w.clock.advance(time.Second)
		list[name] = w.deliveryOf(w.send(`{"payload":{"of":"`+name+`"}}`), w.webhook)
		return list[name]
	}
	later := iot.At(w.clock.Now()).Add(time.Hour)
	w.attempted(next("delivered"), goodAttempt(), iot.Delivered, 0)
	w.attempted(next("failed"), failedAttempt(1, 400, "The receiver answered 400 Bad Request: no."), iot.Failed, 0)
	w.attempted(next("retrying"), failedAttempt(1, 503, "The receiver answered 503 Service Unavailable: later."), iot.Pending, later)
	w.attempted(next("timeout"), failedAttempt(1, 0, "No answer in 10 s: erp took the request but did not answer."), iot.Pending, later)
	w.outcome(&iot.Outcome{Delivery: next("skipped"), Status: iot.Skipped, Detail: "the payload has no webhook_payload"})
	w.must(w.db.CancelOne(w.t.Context(), w.project.Key, next("cancelled").ID, w.owner.Email))
	next("pending")
	return list
}

// rows are the ids of the deliveries that a page of the log shows.
func (p *page) rows() []string {
	var ids []string
	for _, a := range p.Find("a.row-link").EachIter() {
		href := a.AttrOr("href", "")
		ids = append(ids, href[strings.LastIndex(href, "/")+1:])
	}
	return ids
}

func TestLogShowsEachState(t *testing.T) {
	w := openWorld(t)
	list := w.mixed()
	p := w.as(w.owner).get(deliveryLog).is(200)
	if got := p.rows(); len(got) != 7 || got[0] != list["pending"].ID.String() || got[6] != list["delivered"].ID.String() {
		t.Fatalf("rows %v", got)
	}
	for name, want := range map[string]string{
		"delivered": "soil-probe-07 user – erp-goods-in Delivered 200",
		"failed":    "Failed 400 Bad Request 1 12 ms",
		"retrying":  "Retrying 503 Service Unavailable 1 12 ms",
		"timeout":   "Retrying timeout No answer in 10 s",
		"skipped":   "Skipped the payload has no webhook_payload",
		"cancelled": "Cancelled Cancelled by marit@veldhuis.example.",
		"pending":   "Pending",
	} {
		row := squeezed(p.Find(`tr:has(a[href$="` + list[name].ID.String() + `"])`).Text())
		if !strings.Contains(row, squeezed(want)) {
			t.Errorf("%s reads %q, want %q", name, row, want)
		}
	}
	p.reads(".tabs-line", "All 7 Failed 1 Retrying 2").reads("#deliveries", "7 deliveries").reads("#deliveries .actions",
		"Replay all… Cancel pending…").reads("#deliveries figure", "now")
	w.as(w.member("vic@veldhuis.example", iot.Viewer)).get(deliveryLog).is(200).lacks(`#deliveries .actions a[hx-get]`)
}

func TestLogWithoutDeliveries(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	c.get(deliveryLog).is(200).reads(".empty", "No deliveries yet").reads(".empty a", "See the first steps").lacks("table")
	w.must(w.db.DeleteWebhook(w.webhook, w.owner.Email))
	c.get(deliveryLog).reads(".empty", "This project has no webhooks yet").reads(".empty a", "Configure webhooks")
}

func TestLogPagesStayWhileNewDeliveriesCome(t *testing.T) {
	w := openWorld(t)
	var want []string
	for range 2*perPage + 20 {
		want = append(want, w.deliveryOf(w.send(`{"payload":1}`), w.webhook).ID.String())
	}
	slices.Reverse(want)
	c := w.as(w.owner)
	p := c.get(deliveryLog).is(200)
	p.lacks(`.pager a:contains("Newest")`)
	var got []string
	for pageNumber := 1; ; pageNumber++ {
		got = append(got, p.rows()...)
		w.send(`{"payload":"new"}`)
		next, more := p.Find(`.pager a:contains("Older")`).Attr("href")
		if !more {
			break
		}
		if p = c.get(next).is(200); p.Find("#deliveries").Is("[hx-get]") {
			t.Error("an older page refreshes itself")
		}
		if newest := p.Find(`.pager a:contains("Newest")`).AttrOr("href", ""); newest != deliveryLog {
			t.Errorf("newest is at %q", newest)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d rows on all pages, want %d, each once", len(got), len(want))
	}
	c.get(deliveryLog+"?status=pending&before="+want[perPage-1]).is(200).reads(".pager a", "Older")
}

func TestLogSectionsAlone(t *testing.T) {
	w := openWorld(t)
	w.mixed()
	c := w.as(w.owner)
	p := c.fragment(deliveryLog+"?status=failed", pages.DeliveryListID).is(200)
	p.reads("#deliveries", "1 result").lacks(".tabs-line").lacks("h1")
	if got := p.Find("#deliveries").AttrOr("hx-get", ""); got != deliveryLog+"?status=failed" {
		t.Errorf("it refreshes from %q", got)
	}
	p = c.fragment(deliveryLog+"?q=&time=&webhook=&status=failed&code=&code=", pages.DeliveryLogID).is(200)
	p.reads("#log .tabs-line [aria-current]", "Failed 1").lacks("h1")
	if got := p.header.Get("HX-Push-Url"); got != deliveryLog+"?status=failed" {
		t.Errorf("the address becomes %q", got)
	}
	if got := p.header.Values("Vary"); !strings.Contains(strings.Join(got, ","), "HX-Request") {
		t.Errorf("Vary: %v", got)
	}
	c.get(deliveryLog, "HX-Request", "true", "HX-History-Restore-Request", "true", "HX-Target", pages.DeliveryLogID).reads("h1", "Deliveries")
}

func TestSearchForAnID(t *testing.T) {
	w := openWorld(t)
	list := w.mixed()
	unwanted := w.send(`{"payload":1,"type":"iottly"}`)
	c := w.as(w.owner)
	d := list["failed"]
	c.get(deliveryLog + "?q=" + strings.ToUpper(d.ID.String())).leadsTo(deliveryLog + "/" + d.ID.String())
	c.get(deliveryLog + "?q=+" + d.MessageID.String() + "+").leadsTo(deliveryLog + "?message=" + d.MessageID.String())
	c.get(deliveryLog + "?q=" + unwanted.String()).leadsTo("/projects/greenhouse-north/messages/" + unwanted.String())
	c.get(deliveryLog + "?q=soil-probe-07&status=failed").leadsTo(deliveryLog + "?device=soil-probe-07&status=failed")
	c.get(deliveryLog+"?q=%3Cb%3Enothing").is(200).reads(".empty", "No deliveries match").lacks("main b:contains(nothing)")
	c.get(deliveryLog+"?q="+w.db.NewID().String()).is(200).reads(".empty", "No deliveries match")
	p := c.fragment(deliveryLog+"?q="+d.ID.String(), pages.DeliveryLogID)
	if got := p.header.Get("HX-Location"); got != deliveryLog+"/"+d.ID.String() {
		t.Errorf("htmx is led to %q", got)
	}
}

func TestReplayCountsFirst(t *testing.T) {
	w := openWorld(t)
	w.mixed()
	c := w.as(w.owner)
	c.get(deliveryLog+"/replay?status=pending").is(200).reads("h1", "Nothing to replay")
	c.get(deliveryLog+"/replay?status=retrying").is(200).reads("h1", "Nothing to replay")
	c.get(deliveryLog+"/replay?webhook=nobody").is(200).reads("h1", "Nothing to replay")
	c.get(deliveryLog+"/replay?status=delivered").is(200).reads("h1", "Replay 1 delivery?")
	p := c.fragment(deliveryLog+"/replay?webhook=erp-goods-in", "dialog").is(200)
	p.reads("h2", "Replay 3 deliveries?").reads("form", "Delivered ones are left out").reads("li:contains(Failed)", "1").reads("button",
		"Replay 3")
	action := p.Find("form").AttrOr("action", "")
	// What comes after the count is not replayed.
	w.attempted(w.deliveryOf(w.send(`{"payload":"late"}`), w.webhook), failedAttempt(1, 410, "gone"), iot.Failed, 0)
	before := len(w.deliveries())
	for _, rate := range []string{"fast", "-1", "10001"} {
		c.post(action, "rate", rate).faulty("rate", "Must be a whole number").reads("h1", "Replay 3 deliveries?")
	}
	c.post(action, "rate", "5").is(http.StatusSeeOther)
	job := w.replay()
	if job.Rate != 5 || job.Count != 3 || !job.Counted || job.CreatedBy != w.owner.Email {
		t.Errorf("it is %+v", job)
	}
	made := w.deliveries()[:len(w.deliveries())-before]
	if len(made) != 3 || made[0].Trigger != iot.TriggerReplay {
		t.Errorf("%d were made: %+v", len(made), made)
	}
	c.get("/projects/greenhouse-north/replays/"+job.ID.String()).reads("#toasts", "The replay was started.")
	c.post(deliveryLog + "/replay?status=nonsense").is(http.StatusBadRequest)
	if got := len(w.deliveries()); got != before+3 {
		t.Errorf("a filter that is not understood replays: %d", got)
	}
}

func TestCancelCountsFirst(t *testing.T) {
	w := openWorld(t)
	w.mixed()
	c := w.as(w.owner)
	c.get(deliveryLog+"/cancel?status=failed").is(200).reads("h1", "Nothing to cancel")
	p := c.get(deliveryLog + "/cancel?status=retrying").is(200)
	p.reads("h1", "Cancel 2 deliveries?")
	c.post(p.Find("form.confirm").AttrOr("action", "")).leadsTo(deliveryLog)
	if got := w.deliveries(iot.Pending); len(got) != 1 || got[0].AttemptCount != 0 {
		t.Errorf("%d are pending", len(got))
	}
	c.post(deliveryLog + "/cancel?status=failed").leadsTo(deliveryLog)
	if got := w.deliveries(iot.Cancelled); len(got) != 3 {
		t.Errorf("%d are cancelled", len(got))
	}
	w.send(`{"payload":1}`)
	c.post(c.get(deliveryLog+"/cancel").Find("form.confirm").AttrOr("action", ""))
	c.get(deliveryLog).reads("#toasts", "2 deliveries were cancelled.").lacks(`a:contains("Cancel pending")`)
}

func TestRetryAndCancelOne(t *testing.T) {
	w := openWorld(t)
	list := w.mixed()
	c := w.as(w.owner)
	one := func(name string) string { return deliveryLog + "/" + list[name].ID.String() }
	c.get(one("retrying")).is(200).reads(".page-head", "Retry now").reads(".menu", "Cancel the delivery…")
	c.post(one("retrying") + "/retry").leadsTo(one("retrying"))
	if d := w.deliveryOf(list["retrying"].MessageID, w.webhook); d.DueAt > iot.At(w.clock.Now()) {
		t.Errorf("it is due at %v", d.DueAt)
	}
	c.get(one("failed")).is(200).reads(".page-head", "Send again").lacks(".menu a:contains(Cancel)")
	again := c.post(one("failed") + "/retry")
	newest := w.deliveries()[0]
	again.leadsTo(deliveryLog + "/" + newest.ID.String())
	if newest.MessageID != list["failed"].MessageID || newest.Trigger != iot.TriggerRetry {
		t.Errorf("%+v", newest)
	}
	c.fragment(one("pending")+"/cancel", "dialog").reads("h2", "Cancel the delivery to erp-goods-in?")
	c.get(one("pending")+"/cancel").reads("h1", "Cancel the delivery to erp-goods-in?")
	c.post(one("pending") + "/cancel").leadsTo(one("pending"))
	c.get(one("pending")).reads(".stats", "Cancelled").reads(".timeline", "Cancelled by marit@veldhuis.example.")
	c.post(one("pending") + "/cancel").is(http.StatusConflict)
	w.must(w.db.DeleteWebhook(w.webhook, w.owner.Email))
	c.post(one("skipped") + "/retry").is(http.StatusConflict)
	for _, id := range []string{"x", w.db.NewID().String(), "..%2f"} {
		c.get(deliveryLog + "/" + id).is(http.StatusNotFound)
	}
}

func TestDeliveryShowsItsAttempts(t *testing.T) {
	w := openWorld(t)
	id := w.send(`{"payload":{"vwc":11.420,"it's":"<b>"},"channel":"alarms"}`)
	d := w.deliveryOf(id, w.webhook)
	first := failedAttempt(1, 503, "The receiver answered 503 Service Unavailable: check that it is running.")
	first.Response.Body = "<script>alert(1)</script>\x1b[31m\u202etxt" + strings.Repeat("x", 50)
	first.Response.Truncated, first.Resent = true, true
	first.Note = "The answer's body broke off after 7 of <b>100</b> bytes."
	first.Response.Headers = append(first.Response.Headers, iot.HeaderLine{Name: "X-<i>", Value: "<u>"})
	w.attempted(d, first, iot.Pending, iot.At(w.clock.Now()).Add(time.Second))
	w.clock.advance(10 * time.Second)
	d = w.deliveryOf(id, w.webhook)
	w.attempted(d, failedAttempt(2, 0, "No answer in 10 s: the receiver took the request but did not answer."), iot.Pending,
		iot.At(w.clock.Now()).Add(2*time.Hour))
	c := w.as(w.owner)
	one := deliveryLog + "/" + d.ID.String()
	p := c.get(one).is(200)
	p.reads("h1", "soil-probe-07 to ERP goods-in").reads(".page-head", "Message of type user, 10:04:00, channel alarms").
		reads(".stats", "Status Retrying last error timeout Next try in 2 h at 12:04:10 Attempts 2 gives up at 22 Nov 10:04 Waiting for 10.0 "+
			"s since 10:04:00")
	if got := p.Find(".timeline > li").Length(); got != 5 {
		t.Errorf("%d lines", got)
	}
	p.reads(".timeline > li:nth-child(1)", "Attempt 3 in 2 h, at 12:04:10").reads(".timeline > li:nth-child(2) details[open]",
		"Attempt 2").reads("#attempt-1:not([open])", "503 Service Unavailable").
		reads("#attempt-2", "No answer in time. No answer in 10 s").reads(".timeline", "Stored").reads(".timeline", "Received").
		reads("#response-1", "<script>alert(1)</script>").reads("#attempt-1", "Truncated at 64 KiB").reads("#attempt-1",
		"Sent twice. The receiver closed an idle connection").reads("#response-1", "X-<i>: <u>").
		reads("#request-1", `"vwc": 11.420`).reads("#request-1", "Authorization: •••").reads("#curl-1",
		`-H 'Authorization: …'`).reads("#curl-1", `it'\''s`)
	p.reads("#attempt-1", "The response is incomplete. The answer's body broke off after 7 of <b>100</b> bytes.")
	p.lacks("main script").lacks("#attempt-2:contains('incomplete')").lacks("#attempt-2:contains('Sent twice')").lacks("#response-1 u").lacks(
		"#response-2")
	if strings.ContainsAny(p.body, "\x1b\u202e") {
		t.Error("control characters come through")
	}
	if strings.Contains(p.body, headerSecret) {
		t.Error("the secret is on the page")
	}
	p.reads(".card:contains('Why this webhook')", "The webhook takes user messages.").reads(".card:contains('What comes next')",
		"Timeout is retried in 2 h. Later attempts follow after 2 min, 10 min and 30 min, until 22 November 2026, 10:04:00.")
	if p.Find("#delivery").Is(":not([hx-get])") {
		t.Error("it does not refresh itself")
	}
	c.fragment(one, pages.DeliveryID).is(200).reads("#delivery h1", "soil-probe-07").lacks(".rail")
	w.as(w.member("vic@veldhuis.example", iot.Viewer)).get(one).is(200).lacks(".page-head form").lacks(".page-head a")
}

func TestDeliverySaysWhatIsNext(t *testing.T) {
	w := openWorld(t)
	list := w.mixed()
	c := w.as(w.owner)
	next := func(name, text string) *page {
		t.Helper()
		return c.get(deliveryLog+"/"+list[name].ID.String()).is(200).reads(".card:contains('What comes next')", text)
	}
	next("delivered", "Nothing. The receiver accepted it.").reads(".stats", "Delivered").lacks("#delivery[hx-get]")
	next("failed", "There are no more attempts.")
	next("skipped", "Nothing was sent: the payload has no webhook_payload.")
	next("cancelled", "Nothing. Cancelled by marit@veldhuis.example.")
	next("pending", "The first attempt is now")
	w.must(w.db.PauseWebhook(w.webhook, "Sam", "", w.owner.Email))
	p := next("retrying", "The webhook must be resumed first. It was paused by Sam.")
	p.reads(".stats", "when resumed").reads(".timeline", "when the webhook is resumed").reads(`.page-head button[disabled]`,
		"Retry now").reads(".card:contains('No longer matched')", "The webhook is paused by Sam")
}

func TestDeliveryOfAChangedOrDeletedWebhook(t *testing.T) {
	w := openWorld(t)
	list := w.mixed()
	c := w.as(w.owner)
	one := deliveryLog + "/" + list["delivered"].ID.String()
	c.get(one).reads("#attempt-1", "Secret header values are never shown.").lacks("#attempt-1:contains('was changed later')")
	w.clock.advance(time.Minute)
	h := w.stored(w.webhook.ID)
	h.PayloadOnly, h.Channel = true, "other"
	w.must(w.db.UpdateWebhook(h, w.owner.Email, ""))
	c.get(one).reads("#attempt-1", "The webhook was changed later").reads(".card:contains('No longer matched') [data-no]",
		"The webhook takes the channel “other”")
	w.must(w.db.DeleteWebhook(h, w.owner.Email))
	p := c.get(one).is(200)
	p.reads("h1", "soil-probe-07 to erp-goods-in").reads("#attempt-1", "The webhook was deleted").reads(".card:contains('Why this webhook')",
		"its rules are no longer known").lacks(`button:contains("Send again")`)
	c.get(deliveryLog).is(200).reads("table", "erp-goods-in")
}

func TestDeliveryWithManyAttempts(t *testing.T) {
	w := openWorld(t)
	d := w.deliveryOf(w.send(`{"payload":1}`), w.webhook)
	for i := range attemptsShown + 3 {
		w.attempted(d, failedAttempt(i+1, 503, "later"), iot.Pending, 1)
		d = w.deliveryOf(d.MessageID, w.webhook)
	}
	p := w.as(w.owner).get(deliveryLog + "/" + d.ID.String()).is(200)
	p.reads(".timeline", "3 earlier attempts not shown here").reads("#attempt-"+strconv.Itoa(attemptsShown+3), "503").lacks("#attempt-3")
}

func TestWaitsAfter(t *testing.T) {
	created := iot.Instant(1_800_000_000_000)
	for _, tt := range []struct {
		next int
		due  time.Duration
		end  time.Duration
		want []time.Duration
	}{
		{1, 0, 24 * time.Hour, []time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute}},
		{8, 8 * time.Hour, 24 * time.Hour, []time.Duration{4 * time.Hour, 8 * time.Hour}},
		{40, 10 * time.Hour, 24 * time.Hour, []time.Duration{8 * time.Hour}},
		{3, time.Minute, 2 * time.Minute, nil},
	} {
		if got := waitsAfter(tt.next, created.Add(tt.due), created.Add(tt.end)); !slices.Equal(got, tt.want) {
			t.Errorf("after try %d: %v, want %v", tt.next, got, tt.want)
		}
	}
}

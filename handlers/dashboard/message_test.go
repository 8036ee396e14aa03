package dashboard

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"thingpost/internal/iot"
	"thingpost/views/pages"
)

const messageLog = "/projects/greenhouse-north/messages"

func TestMessagesShowWhoGotThem(t *testing.T) {
	w := openWorld(t)
	other := w.newWebhook("Alarms", func(h *iot.Webhook) { h.Channel = "alarms" })
	got := w.send(`{"payload":{"n":1}}`)
	w.attempted(w.deliveryOf(got, w.webhook), goodAttempt(), iot.Delivered, 0)
	both := w.send(`{"payload":{"n":2},"channel":"alarms"}`)
	w.attempted(w.deliveryOf(both, w.webhook), goodAttempt(), iot.Delivered, 0)
	w.attempted(w.deliveryOf(both, other), failedAttempt(1, 410, "gone"), iot.Failed, 0)
	waits := w.send(`{"payload":{"n":3}}`)
	none := w.send(`{"payload":{"n":4},"type":"iottly"}`)
	p := w.as(w.owner).get(messageLog).is(200)
	if ids := p.rows(); !slices.Equal(ids, []string{none.String(), waits.String(), both.String(), got.String()}) {
		t.Fatalf("rows %v", ids)
	}
	for id, want := range map[iot.ID]string{
		got:   "soil-probe-07 user – 1 of 1 webhook",
		both:  "alarms 1 of 2 webhooks failed",
		waits: "1 of 1 webhook pending",
		none:  "iottly – No webhook iottly type",
	} {
		row := squeezed(p.Find(`tr:has(a[href$="` + id.String() + `"])`).Text())
		if !strings.Contains(row, squeezed(want)) {
			t.Errorf("it reads %q, want %q", row, want)
		}
	}
	p = w.as(w.owner).fragment(messageLog, pages.MessageListID).is(200)
	p.lacks("h1").lacks(".filters")
	if hears := p.Find("#messages").AttrOr("data-hears", ""); hears != "messages" {
		t.Errorf("it hears %q", hears)
	}
}

func TestMessagesFilter(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	c.get(messageLog).is(200).reads(".empty", "No messages yet").reads(".empty a", "See how to send one")
	alarm := w.send(`{"payload":1,"channel":"alarms"}`)
	w.clock.advance(2 * time.Hour)
	agent := w.send(`{"payload":2,"type":"iottly"}`)
	for query, want := range map[string][]iot.ID{
		"":                               {agent, alarm},
		"channel=alarms":                 {alarm},
		"type=iottly":                    {agent},
		"time=1h":                        {agent},
		"until=2026-11-21T11:00":         {alarm},
		"device=soil-probe-07&type=user": {alarm},
		"device=" + w.device.UUID:        {agent, alarm},
		"device=nobody":                  {},
		"channel=Alarms":                 {},
		"q=nothing":                      {},
		"before=" + agent.String():       {alarm},
		"type=nonsense":                  {agent, alarm},
	} {
		p := c.get(messageLog + "?" + query).is(200)
		var ids []string
		for _, id := range want {
			ids = append(ids, id.String())
		}
		if got := p.rows(); !slices.Equal(got, ids) {
			t.Errorf("%s shows %v", query, got)
		}
		if len(want) == 0 {
			p.reads(".empty", "No messages match")
		}
	}
	c.get(messageLog+"?type=nonsense").reads(".alert", "type “nonsense”")
	c.get(messageLog + "?q=" + alarm.String()).leadsTo(messageLog + "/" + alarm.String())
	c.get(messageLog + "?q=soil-probe-07").leadsTo(messageLog + "?device=soil-probe-07")
	p := c.fragment(messageLog+"?q=&channel=alarms&type=", pages.MessageLogID).is(200)
	if got := p.reads(".filters", "Channel alarms").header.Get("HX-Push-Url"); got != messageLog+"?channel=alarms" {
		t.Errorf("the address becomes %q", got)
	}
}

func TestMessagePages(t *testing.T) {
	w := openWorld(t)
	var want []string
	for range perPage + 5 {
		want = append(want, w.send(`{"payload":1}`).String())
	}
	slices.Reverse(want)
	c := w.as(w.owner)
	p := c.get(messageLog)
	got := p.rows()
	w.send(`{"payload":"new"}`)
	p = c.get(p.Find(`.pager a:contains("Older")`).AttrOr("href", "")).is(200)
	got = append(got, p.rows()...)
	if !slices.Equal(got, want) {
		t.Errorf("%d rows", len(got))
	}
	p.lacks(`.pager a:contains("Older")`).lacks("#messages[hx-get]")
}

func TestMessageShowsWhyAndPayload(t *testing.T) {
	w := openWorld(t)
	w.newWebhook("Alarms", func(h *iot.Webhook) { h.Channel = "alarms" })
	gone := w.newWebhook("Old one")
	id := w.send(`{"payload":{"vwc":11.420,"evil":"</pre><script>alert(1)</script>"},"id":"<b>7","timestamp":"2018-01-26T10:25:47.142",` +
		`"channel":"<i>"}`)
	w.must(w.db.DeleteWebhook(gone, w.owner.Email))
	d := w.deliveryOf(id, w.webhook)
	w.attempted(d, goodAttempt(), iot.Delivered, 0)
	p := w.as(w.owner).get(messageLog + "/" + id.String()).is(200)
	p.reads("h1", "Message of soil-probe-07").reads("#payload-pretty", `"vwc": 11.420,`).reads("#payload-raw",
		`{"vwc":11.420,"evil":"</pre><script>alert(1)</script>"}`).
		reads(".rows", "Sender's id <b>7").reads(`.card:contains("Metadata")`, "timestamp 2018-01-26T10:25:47.142 channel <i>").
		reads(`article:contains("ERP goods-in")`, "Delivered").reads(`article:contains("Alarms")`,
		"Not matched").reads(`article:contains("Alarms") [data-no]`, "The webhook takes the channel “alarms”").
		reads(`article:contains("old-one")`, "The webhook was deleted.")
	p.lacks("main script").lacks("main pre + script").lacks(".rows i").lacks(".rows b")
	if got := p.Find(`article:contains("ERP goods-in") a`).AttrOr("href", ""); got != deliveryLog+"/"+d.ID.String() {
		t.Errorf("the delivery is at %s", got)
	}
	c := w.as(w.owner)
	c.get(messageLog + "/" + w.db.NewID().String()).is(http.StatusNotFound)
	c.get(messageLog + "/x").is(http.StatusNotFound)
	w.as(w.member("vic@veldhuis.example", iot.Viewer)).get(messageLog + "/" + id.String()).is(200).lacks(`a:contains("Send to webhook")`)
}

func TestMessageThatCameBeforeItsWebhook(t *testing.T) {
	w := openWorld(t)
	w.must(w.db.DeleteWebhook(w.webhook, w.owner.Email))
	id := w.send(`{"payload":1}`)
	c := w.as(w.owner)
	c.get(messageLog+"/"+id.String()).is(200).reads("main", "This project has no webhooks, so the message was not sent.")
	c.get(messageLog).reads("td", "no webhooks")
	w.newWebhook("Later")
	c.get(messageLog+"/"+id.String()).reads(`article:contains("Later")`, "With its current settings the webhook would get the "+
		"message. It did not match when the message arrived.").has(`a:contains("Send to webhook")`, "")
	c.get(messageLog).reads("td", "would match now")
	c.post(messageLog+"/"+id.String()+"/send", "webhook", "later").is(http.StatusSeeOther)
	c.get(messageLog+"/"+id.String()).reads(`article:contains("Later")`, "Pending")
}

func TestMessageIsSentToAnotherWebhook(t *testing.T) {
	w := openWorld(t)
	other := w.newWebhook("Alarms", func(h *iot.Webhook) { h.Channel = "alarms" })
	id := w.send(`{"payload":1}`)
	c := w.as(w.owner)
	one := messageLog + "/" + id.String()
	c.get(one).reads(".page-head a", "Send to webhook…")
	c.get(one+"/send").is(200).reads("h1", "Send this message to a webhook").reads("option:nth-child(2)", "Alarms")
	c.fragment(one+"/send", "dialog").reads("h2", "Send this message to a webhook").lacks("h1")
	c.post(one+"/send", "webhook", "nobody").faulty("webhook", "Choose a webhook.")
	p := c.post(one+"/send", "webhook", other.ID)
	d := w.deliveryOf(id, other)
	p.leadsTo(deliveryLog + "/" + d.ID.String())
	if d.Trigger != iot.TriggerReplay || d.Status != iot.Pending {
		t.Errorf("%+v", d)
	}
	c.get(one).reads(`article:contains("Alarms")`, "The webhook got the message. With its current settings it would not.")
}

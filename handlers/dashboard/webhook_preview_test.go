package dashboard

import (
	"strings"
	"testing"

	"thingpost/views/pages"
)

const preview = panel + "/preview"

func TestPreviewShowsWhatWouldBeSent(t *testing.T) {
	w := openWorld(t)
	id := w.send(`{"payload":{"vwc":11.420,"site":"<b>"},"channel":"alarms"}`)
	c := w.as(w.owner)
	form := with(c.get(panel+"/"+w.webhook.ID).values(), "url", "https://erp.veldhuis.example/{deviceID}", "payload_only", "on", "header_rows",
		"2",
		"headers.1.name", "X-Site", "headers.1.value", "{projectID}/{channel}", "message", id.String())
	p := c.postAs(preview, pages.WebhookPreviewID, form...).is(200)
	p.lacks("h1").reads("#webhook-preview", "This message matches").reads("#preview-url", "POST https://erp.veldhuis.example/soil-probe-07").
		reads("#preview-body", `"vwc": 11.420`).reads("#webhook-preview", "27 bytes").reads("#webhook-preview",
		"X-Site greenhouse-north/alarms").reads("#webhook-preview", "Authorization •••").
		reads("#webhook-preview .checks", "The webhook takes every channel.")
	if strings.Contains(p.body, headerSecret) {
		t.Error("the secret is in the preview")
	}
	if got := p.Find("#preview-message option[selected]").AttrOr("value", ""); got != id.String() {
		t.Errorf("chosen is %q", got)
	}
	if h := w.stored(w.webhook.ID); h.PayloadOnly {
		t.Error("a preview saves")
	}
	p = c.postAs(preview, pages.WebhookPreviewID, with(form, "channel", "Alarms", "device", "soil-probe-07")...)
	p.reads("#webhook-preview", "This message does not match").reads(".checks [data-no]", "They differ in upper and lower case.").
		reads("#preview-url", "POST")
	p = c.postAs(preview, pages.WebhookPreviewID, with(form, "channel", "alarms", "message", id.String())...)
	p.reads("#webhook-preview", "This message matches")
}

func TestPreviewSaysWhyThereIsNone(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	form := c.get(panel+"/new").is(200).reads("#webhook-preview", "Enter a URL to see what would be sent to it.").values()
	sent := func(changes ...string) *page {
		return c.postAs(preview, pages.WebhookPreviewID, with(form, changes...)...).is(200)
	}
	sent("url", "ftp://x").reads("#webhook-preview", "No preview yet").reads("#webhook-preview li", "URL: ").lacks("#preview-url")
	sent("url", "https://x.example/", "device", "nobody").reads("#webhook-preview li", "There is no such device").lacks("#preview-url")
	sent("url", "https://x.example/", "header_rows", "2", "headers.1.name", "Host", "timeout", "99", "message_types", "join_accept",
		"path.join_accept", "//x").
		reads("#webhook-preview li:nth-child(1)", "Headers: Thingpost sets Host itself.").reads("#webhook-preview li:nth-child(2)",
		"Path of join_accept: ").reads("#webhook-preview li:nth-child(3)", "Timeout: must be 1 to 30 seconds.")
	p := sent("url", "https://x.example/")
	p.reads("#webhook-preview", "This message matches").reads("#preview-body", "This is a test from Thingpost.").reads("#preview-message "+
		"option[selected]", "A test message")
	p.lacks(".alert")
	sent("url", "http://127.0.0.1:1880/x").reads(".alert[data-tone=warning]",
		"is not reached unless the operator allows it").reads("#preview-url", "127.0.0.1:1880")
	w.send(`{"payload":{"webhook_channel":"alarms"}}`)
	sent("url", "https://x.example/", "channel", "alarms", "payload_only", "on").reads("#webhook-preview",
		"This message matches but is skipped").reads(".alert", "Nothing is sent: ").lacks("#preview-url")
}

func TestPreviewChoosesAMessageThatMatches(t *testing.T) {
	w := openWorld(t)
	wanted := w.send(`{"payload":1}`)
	w.send(`{"payload":2,"type":"iottly"}`)
	p := w.as(w.owner).get(panel + "/" + w.webhook.ID).is(200)
	if got := p.Find("#preview-message option[selected]").AttrOr("value", ""); got != wanted.String() {
		t.Errorf("chosen is %q", got)
	}
	p.reads("#webhook-preview", "This message matches")
}

func TestPreviewWithoutScripts(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	p := c.get(panel + "/" + w.webhook.ID)
	if got := p.Find(`#webhook-preview button[form="webhook-form"]`).AttrOr("formaction", ""); got != preview {
		t.Errorf("the button leads to %q", got)
	}
	p = c.post(preview, with(p.values(), "description", "Typed, not saved", "message", "")...).is(200)
	p.reads("h1", "ERP goods-in").reads("#webhook-preview", "This message matches")
	if got := p.Find(`[name="description"]`).AttrOr("value", ""); got != "Typed, not saved" {
		t.Errorf("the form holds %q", got)
	}
	if got := p.Find("#webhook-form").AttrOr("action", ""); got != panel+"/"+w.webhook.ID {
		t.Errorf("saving leads to %q", got)
	}
	c.post(preview, "webhook", "nobody").is(404)
	if h := w.stored(w.webhook.ID); h.Description != "ERP goods-in" {
		t.Error("a preview saves")
	}
}

func TestPreviewOfAPausedWebhookSaysSo(t *testing.T) {
	w := openWorld(t)
	w.must(w.db.PauseWebhook(w.webhook, "Sam", "broken", w.owner.Email))
	w.as(w.owner).get(panel+"/"+w.webhook.ID).reads(".checks [data-no]", "The webhook is paused by Sam: broken.").reads(".badge",
		"Paused by Sam")
}

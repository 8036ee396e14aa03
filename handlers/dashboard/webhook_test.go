package dashboard

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"thingpost/internal/iot"
	"thingpost/views/pages"
)

const signingSecret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

const panel = "/projects/greenhouse-north/webhooks"

// values are the fields of the form that a page shows, as a browser would send
// them.
func (p *page) values() []string {
	p.t.Helper()
	var pairs []string
	for _, e := range p.Find("#" + pages.WebhookFormID + " [name]").EachIter() {
		name, value := e.AttrOr("name", ""), e.AttrOr("value", "")
		_, checked := e.Attr("checked")
		switch kind := e.AttrOr("type", ""); {
		case e.Is("button"):
		case e.Is("textarea"):
			pairs = append(pairs, name, strings.TrimPrefix(e.Text(), "\n"))
		case e.Is("select"):
			pairs = append(pairs, name, e.Find("option[selected]").AttrOr("value", ""))
		case kind != "checkbox" && kind != "radio", checked:
			pairs = append(pairs, name, value)
		}
	}
	return pairs
}

// with replaces fields of a form; an empty value takes the field out.
func with(pairs []string, changes ...string) []string {
	var out []string
	for i := 0; i < len(pairs); i += 2 {
		if !slices.Contains(evens(changes), pairs[i]) {
			out = append(out, pairs[i], pairs[i+1])
		}
	}
	for i := 0; i < len(changes); i += 2 {
		if changes[i+1] != "" {
			out = append(out, changes[i], changes[i+1])
		}
	}
	return out
}

func evens(pairs []string) []string {
	var names []string
	for i := 0; i < len(pairs); i += 2 {
		names = append(names, pairs[i])
	}
	return names
}

// reads checks that an element is there and holds a text, whatever space stands
// between its words: in markup there is none between two cells.
func (p *page) reads(selector, text string) *page {
	p.t.Helper()
	found := p.Find(selector)
	if found.Length() == 0 {
		p.t.Fatalf("no %s in %s", selector, words(p.Find("body").Text()))
	}
	if !strings.Contains(squeezed(found.Text()), squeezed(text)) {
		p.t.Errorf("%s reads %q, want %q in it", selector, words(found.Text()), text)
	}
	return p
}

func squeezed(text string) string { return strings.Join(strings.Fields(text), "") }

// stored reads a webhook of the project.
func (w *world) stored(id string) *iot.Webhook {
	w.t.Helper()
	h, err := w.db.Webhook(w.t.Context(), w.project.Key, id)
	w.must(err)
	return h
}

// newWebhook adds a webhook of a description.
func (w *world) newWebhook(description string, change ...func(*iot.Webhook)) *iot.Webhook {
	w.t.Helper()
	h := &iot.Webhook{ProjectKey: w.project.Key, Description: description, URL: "https://receiver.example/in", Format: iot.Envelope,
		MessageTypes: iot.Routes{iot.User: {}}, Settings: iot.DefaultSettings()}
	for _, f := range change {
		f(h)
	}
	w.must(w.db.CreateWebhook(h, w.owner.Email))
	return h
}

func TestPanelShowsEachWebhookAsItIs(t *testing.T) {
	w := openWorld(t)
	w.newWebhook("Node-RED flows", func(h *iot.Webhook) {
		h.Channel, h.PayloadOnly, h.Signed, h.SigningSecrets = "alarms", true, true, []iot.Secret{signingSecret}
	})
	other := w.newWebhook("Pager")
	w.must(w.db.PauseWebhook(other, "Marit Veldhuis", "flows move to the new Pi", w.owner.Email))
	w.send(`{"payload":{"n":1}}`)
	p := w.as(w.owner).get(panel).is(200)
	p.reads("h1", "Configure webhooks").reads("#webhooks", "3 of 5 webhooks").reads(".page-head .actions", "Add webhook")
	first := "#webhook-erp-goods-in"
	p.reads(first+" h2", "ERP goods-in").reads(first+" .badge", "No deliveries yet").reads(first, "https://erp.veldhuis.example/hook").
		reads(first+" .facts", "Type user Channel * Body Envelope Headers 1, secret").reads(first+" .contents", "Backlog 1").reads(first+" .menu",
		"Delete…")
	p.reads("#webhook-node-red-flows .facts", "Channel alarms Body Payload only Headers none Signed yes")
	p.reads("#webhook-pager .badge", "Paused by you").reads("#webhook-pager .alert",
		"Paused by Marit Veldhuis on 21 November 2026, 10:04:00: “flows move to the new Pi”.").
		reads("#webhook-pager .actions", "Resume")
	if strings.Contains(p.body, headerSecret) || strings.Contains(p.body, signingSecret) {
		t.Error("a secret is on the page")
	}
	editor := w.as(w.member("sam@veldhuis.example", iot.Editor)).get(panel)
	editor.reads("#webhook-pager .badge", "Paused by Marit Veldhuis")
	viewer := w.as(w.member("vic@veldhuis.example", iot.Viewer)).get(panel).is(200)
	viewer.lacks("#webhooks form").lacks(`a[href$="/delete"]`).lacks(`a[href$="/webhooks/new"]`).reads("#webhook-pager .menu",
		"View deliveries")
}

func TestPanelOfFailingAndPausedByThingpost(t *testing.T) {
	w := openWorld(t)
	id := w.send(`{"payload":{"n":1}}`)
	d := w.deliveryOf(id, w.webhook)
	w.attempted(d, failedAttempt(1, 503, "The receiver answered 503 Service Unavailable: check that it is running."), iot.Pending,
		iot.At(w.clock.Now()).Add(time.Minute))
	p := w.as(w.owner).get(panel).is(200)
	p.reads(".badge", "Failing").reads(".alert strong", "The receiver answered 503 Service Unavailable").
		reads(".alert", "check that it is running. Once, at 10:04:00.").reads(".alert",
		"Next attempt in 1 min, at 10:05:00. Nothing is lost: Thingpost retries for 24 hours.")
	if got := p.Find(".alert a").AttrOr("href", ""); got != "/projects/greenhouse-north/deliveries/"+d.ID.String() {
		t.Errorf("the last attempt is at %s", got)
	}
	d = w.deliveryOf(id, w.webhook)
	o := &iot.Outcome{Delivery: d, Attempt: failedAttempt(2, 410, "The receiver answered 410 Gone: it wants no more messages here."),
		Status: iot.Failed, PauseReason: "It answered 410 Gone."}
	o.Attempt.At = iot.At(w.clock.Now())
	w.outcome(o)
	p = w.as(w.owner).get(panel)
	p.reads(".badge", "Paused: 410 Gone").reads(".alert", "It answered 410 Gone on 21 November 2026, 10:04:00, which asks Thingpost to stop. "+
		"Check the address before you resume. New messages stay")
}

func TestPanelSectionAlone(t *testing.T) {
	w := openWorld(t)
	p := w.as(w.owner).fragment(panel, pages.WebhooksID).is(200)
	p.reads("#webhooks", "ERP goods-in").lacks("h1").lacks(".rail")
	if got := p.Find("#webhooks").AttrOr("data-hears", ""); got != "webhooks deliveries" {
		t.Errorf("it listens to %q", got)
	}
}

func TestPanelWithoutWebhooks(t *testing.T) {
	w := openWorld(t)
	w.must(w.db.DeleteWebhook(w.webhook, w.owner.Email))
	w.as(w.owner).get(panel).is(200).reads(".empty", "No webhooks yet").reads(".empty a", "Paste a URL").reads("#webhooks", "0 of 5 webhooks")
	w.as(w.member("vic@veldhuis.example", iot.Viewer)).get(panel).reads(".empty", "An editor of this project can add one.").lacks(".empty a")
}

func TestSixthWebhookIsRefused(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	form := c.get(panel + "/new").is(200).values()
	for i := range 4 {
		w.newWebhook("Webhook " + strconv.Itoa(i))
	}
	p := c.get(panel).is(200)
	p.reads("#webhooks", "5 of 5 webhooks This host allows five for each project. Delete one to add another, or ask the operator to raise "+
		"-max-webhooks.")
	p.lacks(`a[href$="/webhooks/new"]`).lacks(`a[href*="copy="]`)
	c.get(panel+"/new").is(http.StatusConflict).reads("main", "This project has 5 of 5 webhooks")
	c.post(panel+"/new", with(form, "description", "One too many", "url", "https://x.example/")...).is(http.StatusConflict).reads("main",
		"the most that this host allows")
	if hooks, err := w.db.Webhooks(t.Context(), w.project.Key); err != nil || len(hooks) != 5 {
		t.Errorf("there are %d webhooks: %v", len(hooks), err)
	}
}

func TestNewWebhookIsStoredAsTyped(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	form := c.get(panel + "/new").is(200).values()
	c.post(panel+"/new", with(form, "description", " Alarm desk ", "url", "https://desk.example/{deviceID}?site={projectID}", "type", "iottly",
		"channel", "alarms", "payload_only", "on",
		"header_rows", "3", "headers.0.name", "X-Site", "headers.0.value", "{projectID}", "headers.1.name", "", "headers.2.name", "Authorization",
		"headers.2.value", "Bearer 1", "headers.2.secret", "on",
		"device", w.device.ID, "timeout", "2.5", "give_up_after", "3", "give_up_unit", "d", "max_in_flight", "7", "max_per_second", "20",
		"in_order", "on", "path.iottly", "/agent")...).leadsTo(panel)
	h := w.stored("alarm-desk")
	want := iot.Settings{TimeoutMS: 2500, GiveUpAfterMS: (3 * 24 * time.Hour).Milliseconds(), InOrder: true, MaxInFlight: 7, MaxPerSecond: 20,
		RetryOn: []iot.ErrorClass{}}
	if !reflect.DeepEqual(h.Settings, want) {
		t.Errorf("settings %+v", h.Settings)
	}
	headers := []iot.Header{{Name: "X-Site", Value: "{projectID}"}, {Name: "Authorization", Value: "Bearer 1", Secret: true}}
	if h.Description != "Alarm desk" || h.Channel != "alarms" || !h.PayloadOnly || h.Device != w.device.ID ||
		!reflect.DeepEqual(h.Headers, headers) ||
		!reflect.DeepEqual(h.MessageTypes, iot.Routes{iot.Iottly: {Path: "/agent"}}) || h.Format != iot.Envelope {
		t.Errorf("%+v", h)
	}
	c.get(panel).reads("#toasts .toast", "Alarm desk was added.")
}

func TestTheFormatAndTheFieldMask(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	form := c.get(panel+"/new").is(200).reads("select[name=format] option[selected]", "By message type").values()
	c.post(panel+"/new", with(form, "description", "ERP uplinks", "url", "https://erp.example/", "only_lorawan", "on", "message_types",
		"uplink_message",
		"field_mask", " end_device_ids \r\n\r\nup.uplink_message.f_port,received_at")...).leadsTo(panel)
	h := w.stored("erp-uplinks")
	if h.Format != iot.JSON || !slices.Equal(h.FieldMask, []string{"end_device_ids", "up.uplink_message.f_port", "received_at"}) {
		t.Errorf("%s %q", h.Format, h.FieldMask)
	}
	p := c.get(panel+"/erp-uplinks").is(200).reads("select[name=format] option[selected]",
		"JSON of The Things Stack").lacks("select[name=format] option[value='']")
	if got := p.Find("textarea[name=field_mask]").Text(); strings.TrimSpace(got) != "end_device_ids\nup.uplink_message.f_port\nreceived_at" {
		t.Errorf("the form shows %q", got)
	}
	c.post(panel+"/erp-uplinks", with(p.values(), "format", "protobuf")...).leadsTo(panel)
	if h := w.stored("erp-uplinks"); h.Format != iot.Protobuf || len(h.FieldMask) != 3 {
		t.Errorf("%s %q", h.Format, h.FieldMask)
	}
	edit := c.get(panel + "/erp-uplinks").values()
	c.post(panel+"/erp-uplinks", with(edit, "field_mask", "up.uplink_message.rx_metadata.rssi")...).is(http.StatusUnprocessableEntity).faulty(
		"field_mask", "is kept or removed as a whole")
	c.post(panel+"/erp-uplinks", with(edit, "format", "envelope")...).is(http.StatusUnprocessableEntity).faulty("field_mask",
		"Works only with the formats json and protobuf")
	c.post(panel+"/erp-uplinks", with(edit, "payload_only", "on", "field_mask", "")...).is(http.StatusUnprocessableEntity).reads("main",
		"works with the formats envelope and json")
}

func TestBadFieldsOfAWebhookAreNamed(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	form := with(c.get(panel+"/new").values(), "description", "Alarm desk", "url", "https://desk.example/in", "header_rows", "1",
		"headers.0.name", "X-Site", "headers.0.value", "north")
	for _, tt := range []struct {
		name   string
		change []string
		input  string
		says   string
	}{
		{"no description", []string{"description", ""}, "description", "Must have 1 to 254 characters."},
		{"no URL", []string{"url", ""}, "url", "Must not be empty"},
		{"a URL of another kind", []string{"url", "ftp://x.example/"}, "url", "http"},
		{"a long channel", []string{"channel", strings.Repeat("x", 255)}, "channel", "Must have at most 254 characters."},
		{"a header of ours", []string{"headers.0.name", "Content-Length"}, "headers.0.name",
			"Thingpost sets Content-Length itself. Remove it, or use another name."},
		{"a line break in a header", []string{"headers.0.value", "a\r\nX-Evil: 1"}, "headers.0.value", "line breaks"},
		{"a mask of nothing", []string{"headers.0.value", iot.Mask, "headers.0.secret", "on"}, "headers.0.value",
			"only the mask of a stored value"},
		{"a device that is not there", []string{"device", "nobody"}, "device", "There is no such device in this project."},
		{"words for a timeout", []string{"timeout", "soon"}, "timeout", "Must be 1 to 30 seconds."},
		{"a long timeout", []string{"timeout", "31"}, "timeout", "Must be 1 to 30 seconds."},
		{"a timeout beyond numbers", []string{"timeout", "NaN"}, "timeout", "Must be 1 to 30 seconds."},
		{"no end", []string{"give_up_after", "0"}, "give_up_after", "1 minute to 30 days"},
		{"a late end", []string{"give_up_after", "31", "give_up_unit", "d"}, "give_up_after", "1 minute to 30 days"},
		{"many in flight", []string{"max_in_flight", "65"}, "max_in_flight", "1 to 64"},
		{"half a request", []string{"max_per_second", "0.5"}, "max_per_second", "whole number"},
		{"a path that climbs", []string{"message_types", "uplink_message", "path.uplink_message", "../x"}, "path.uplink_message", ".."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sent := with(form, tt.change...)
			if tt.change[1] == "" {
				sent = append(sent, tt.change[0], "")
			}
			p := c.post(panel+"/new", sent...).is(http.StatusUnprocessableEntity)
			input := p.Find(`[name="` + tt.input + `"]`).Not("[type=checkbox]")
			if input.AttrOr("aria-invalid", "") != "true" {
				t.Errorf("%s is not marked: %s", tt.input, words(p.Find("[role=alert]").Text()))
			}
			if p.Find(`[id="`+strings.Fields(input.AttrOr("aria-describedby", "-"))[0]+`"]:contains("`+tt.says+`")`).Length() != 1 {
				t.Errorf("it says %q, want %q", words(p.Find("[role=alert]").Text()), tt.says)
			}
			if p.Find("details.more [aria-invalid]").Length() > 0 && !p.Find("details.more").Is("[open]") {
				t.Error("the part with the fault is closed")
			}
			p.reads("form", "Correct one field")
			if got := p.Find(`[name="headers.0.name"]`).AttrOr("value", ""); got == "" {
				t.Error("what was typed is gone")
			}
		})
	}
	nothing := c.post(panel+"/new", with(form, "type", "")...).is(http.StatusUnprocessableEntity)
	nothing.reads(`[id="type-error"]`, "Must have at least one message type.")
	c.post(panel+"/new", with(form, "retry_on", "gremlins")...).is(http.StatusUnprocessableEntity).reads(`[id="retry_on-error"]`, "gremlins")
	if hooks, err := w.db.Webhooks(t.Context(), w.project.Key); err != nil || len(hooks) != 1 {
		t.Errorf("there are %d webhooks: %v", len(hooks), err)
	}
	c.post(panel+"/new", with(form, "retry_on", "")...).is(http.StatusSeeOther)
	hooks, err := w.db.Webhooks(t.Context(), w.project.Key)
	if err != nil || len(hooks) != 2 || !hooks[1].Settings.NoRetry {
		t.Fatalf("without a failure to retry on: %+v, %v", hooks, err)
	}
	edit := c.get(panel + "/" + hooks[1].ID).is(http.StatusOK)
	if n := edit.Find(`[name="retry_on"][checked]`).Length(); n != 0 {
		t.Errorf("%d failures are chosen in the form", n)
	}
}

func TestSeveralFaultsFocusTheFirst(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	form := c.get(panel + "/new").values()
	p := c.post(panel+"/new", with(form, "description", "x", "url", "nowhere", "channel", strings.Repeat("x", 255), "timeout",
		"0")...).is(http.StatusUnprocessableEntity)
	p.reads("form", "Correct three fields")
	if focused := p.Find("[autofocus]"); focused.Length() != 1 || focused.AttrOr("name", "") != "url" {
		t.Errorf("focused: %d, %s", focused.Length(), focused.AttrOr("name", ""))
	}
}

func TestHeadersComeAndGoWithoutScripts(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	form := with(c.get(panel+"/new").values(), "description", "Kept", "add", "header")
	p := c.post(panel+"/new", form...).is(200)
	p.reads("#webhook-headers", "1 of 5").reads("h1", "Add a webhook")
	if got := p.Find(`[name="description"]`).AttrOr("value", ""); got != "Kept" {
		t.Errorf("the description is %q", got)
	}
	form = with(p.values(), "header_rows", "3", "headers.0.name", "A", "headers.1.name", "B", "headers.1.value", "2", "headers.1.secret", "on",
		"headers.2.name", "C", "remove", "0")
	p = c.post(panel+"/new", form...).is(200)
	p.reads("#webhook-headers", "2 of 5")
	if got := []string{p.Find(`[name="headers.0.name"]`).AttrOr("value", ""), p.Find(`[name="headers.0.value"]`).AttrOr("type", ""),
		p.Find(`[name="headers.1.name"]`).AttrOr("value", "")}; !slices.Equal(got, []string{"B", "password", "C"}) {
		t.Errorf("left are %q", got)
	}
	full := with(p.values(), "header_rows", "5", "add", "header")
	p = c.post(panel+"/new", full...).is(200)
	p.reads("#webhook-headers", "5 of 5").reads("#webhook-headers",
		"This host allows five headers for each webhook.").lacks(`[name="add"]`).lacks(`[name="headers.5.name"]`)

	for _, forged := range []string{"-1", "7", "x", "99999999999999999999"} {
		c.post(panel+"/new", with(full, "add", "", "remove", forged)...)
	}
	sixth := with(full, "add", "", "description", "Six", "url", "https://x.example/", "header_rows", "6")
	for i := range 6 {
		sixth = append(sixth, pages.HeaderField(i, "name"), "X-"+strconv.Itoa(i))
	}
	c.post(panel+"/new", sixth...).is(http.StatusUnprocessableEntity).reads(`[id="headers-error"]`, "Can be at most 5; there are 6.")
}

func TestHeadersComeAndGoByHTMX(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	form := with(c.get(panel+"/"+w.webhook.ID).values(), "add", "header")
	p := c.postAs(panel+"/"+w.webhook.ID, pages.WebhookHeadersID, form...).is(200)
	p.reads("#webhook-headers", "2 of 5").lacks("h1").lacks("#webhook-preview")
	if got := p.Find("[autofocus]").AttrOr("name", ""); got != "headers.1.name" {
		t.Errorf("focused: %s", got)
	}
	if p.header.Get("HX-Trigger-After-Swap") != pages.WebhookPreviewEvent {
		t.Error("the preview is not told")
	}
}

// postAs posts as htmx does for the element with an id.
func (c *client) postAs(path, id string, pairs ...string) *page {
	c.w.t.Helper()
	values := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(values.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return c.do(r, []string{"HX-Request", "true", "HX-Target", id})
}

func TestStoredSecretsStayWhereTheyAre(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	edit := panel + "/" + w.webhook.ID
	p := c.get(edit).is(200)
	if strings.Contains(p.body, headerSecret) {
		t.Fatal("the secret is on the page")
	}
	if v := p.Find(`[name="headers.0.value"]`); v.AttrOr("value", "") != iot.Mask || v.AttrOr("type", "") != "password" {
		t.Errorf("the secret is shown as %q", v.AttrOr("value", ""))
	}
	c.post(edit, with(p.values(), "channel", "alarms")...).leadsTo(panel)
	if h := w.stored(w.webhook.ID); h.Channel != "alarms" || h.Headers[0].Value != headerSecret || !h.Headers[0].Secret {
		t.Errorf("stored is %+v", h.Headers)
	}
	form := c.get(edit).values()
	c.post(edit, with(form, "headers.0.name", "authorization")...).leadsTo(panel)
	if h := w.stored(w.webhook.ID); h.Headers[0].Value != headerSecret {
		t.Error("the value is lost when the name's case changes")
	}
	form = c.get(edit).values()
	for name, change := range map[string][]string{"another name": {"headers.0.name", "X-Other"},
		"no longer secret": {"headers.0.secret", ""}} {
		p := c.post(edit, with(form, change...)...).is(http.StatusUnprocessableEntity)
		if p.Find(`[name="headers.0.value"][aria-invalid="true"]`).Length() != 1 || strings.Contains(p.body, headerSecret) {
			t.Errorf("%s: the value is not refused", name)
		}
	}
	c.post(edit, with(form, "headers.0.value", "Bearer new")...).leadsTo(panel)
	if h := w.stored(w.webhook.ID); h.Headers[0].Value != "Bearer new" {
		t.Error("a new value is not stored")
	}
}

func TestSecretInAURLIsMaskedAndKept(t *testing.T) {
	w := openWorld(t)
	h := w.newWebhook("Twice", func(h *iot.Webhook) {
		h.URL = "https://x.example/in/topsecret99?k=topsecret99"
		h.Headers = []iot.Header{{Name: "X-Key", Value: "topsecret99", Secret: true}, {Name: "X-Short", Value: "x", Secret: true}}
	})
	c := w.as(w.owner)
	p := c.get(panel + "/" + h.ID).is(200)
	if strings.Contains(p.body, "topsecret99") || strings.Contains(c.get(panel).body, "topsecret99") {
		t.Error("the secret is shown")
	}
	c.post(panel+"/"+h.ID, with(p.values(), "description", "Renamed")...).leadsTo(panel)
	if got := w.stored(h.ID); got.URL != h.URL || got.Description != "Renamed" {
		t.Errorf("stored is %s", got.URL)
	}
}

func TestDuplicateTakesSettingsAndSecrets(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	p := c.get(panel + "/new?copy=" + w.webhook.ID).is(200)
	if strings.Contains(p.body, headerSecret) {
		t.Fatal("the secret is on the page")
	}
	c.post(panel+"/new", p.values()...).leadsTo(panel)
	h := w.stored("erp-goods-in-copy")
	if h.Description != "ERP goods-in (copy)" || h.URL != w.webhook.URL || h.Headers[0].Value != headerSecret {
		t.Errorf("%+v", h)
	}
	c.get(panel + "/new?copy=nobody").is(http.StatusNotFound)
	form := p.values()
	w.must(w.db.DeleteWebhook(w.webhook, w.owner.Email))
	c.post(panel+"/new", form...).is(http.StatusUnprocessableEntity).reads("form", "only the mask of a stored value")
}

func TestChangeOfSomebodyElseIsNotLost(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	edit := panel + "/" + w.webhook.ID
	mine := c.get(edit).values()
	c.post(edit, with(c.get(edit).values(), "channel", "theirs")...).leadsTo(panel)
	p := c.post(edit, with(mine, "channel", "mine")...).is(http.StatusConflict)
	p.reads(".alert", "Somebody has changed this webhook since you opened it.")
	if got := w.stored(w.webhook.ID).Channel; got != "theirs" {
		t.Errorf("the channel is %q", got)
	}
	c.post(edit, p.values()...).leadsTo(panel)
	if got := w.stored(w.webhook.ID).Channel; got != "mine" {
		t.Errorf("saved again, the channel is %q", got)
	}
}

func TestViewerLooksAtAWebhook(t *testing.T) {
	w := openWorld(t)
	w.send(`{"payload":{"n":1}}`)
	second := w.send(`{"payload":{"n":2},"type":"iottly"}`)
	c := w.as(w.member("vic@veldhuis.example", iot.Viewer))
	p := c.get(panel + "/" + w.webhook.ID).is(200)
	p.reads(".alert", "An editor of the project can change it").reads("fieldset[disabled]",
		"Destination").lacks(`button:contains("Save")[data-variant]`)
	p.reads("#webhook-preview", "This message matches")
	if p.Find("#webhook-preview").Is("[hx-post]") || p.Find("#preview-message").AttrOr("form", "") != "webhook-look" {
		t.Error("the preview asks for what a viewer may not")
	}
	c.get(panel+"/"+w.webhook.ID+"?message="+second.String()).reads("#webhook-preview", "This message does not match")
}

func TestHostileNamesAreText(t *testing.T) {
	w := openWorld(t)
	const evil = `<img src=x onerror=alert(1)>"'`
	h := w.newWebhook(evil, func(h *iot.Webhook) {
		h.ID, h.Channel, h.URL = "evil", evil, "https://x.example/?q=%3Cscript%3E"
		h.Headers = []iot.Header{{Name: "X-Evil", Value: evil}}
	})
	w.must(w.db.PauseWebhook(h, evil, evil, w.owner.Email))
	w.send(`{"payload":{"evil":"<script>alert(1)</script>"},"channel":"</pre><script>alert(2)</script>"}`)
	c := w.as(w.owner)
	for _, path := range []string{panel, panel + "/evil", panel + "/evil/delete", panel + "/evil/pause", panel + "/new?copy=evil"} {
		p := c.get(path).is(200)
		p.lacks("main img").lacks("main script").lacks("[onerror]")
		if !strings.Contains(p.body, "onerror=alert(1)") {
			t.Errorf("%s does not show the name", path)
		}
	}
}

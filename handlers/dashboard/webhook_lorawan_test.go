package dashboard

import (
	"slices"
	"strings"
	"testing"

	"thingpost/internal/iot"
)

// A path is added to the field mask by a button, with scripts and without, and
// one that was only typed counts when the form is saved.
func TestPathsOfTheFieldMaskAreAdded(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	p := c.get(panel+"/new").is(200).has(`datalist option[value="up.uplink_message.f_port"]`, "")
	form := with(p.values(), "description", "ERP uplinks", "url", "https://erp.example/", "only_lorawan", "on", "message_types",
		"uplink_message", "mask_path", "received_at")
	lines := func(p *page) string { return strings.TrimSpace(p.Find("textarea[name=field_mask]").Text()) }
	p = c.post(panel+"/new", with(form, "add_path", "on")...).is(200).has(`input[name="mask_path"][value=""]`, "").has("h1", "Add a webhook")
	if got := lines(p); got != "received_at" {
		t.Errorf("without scripts: %q", got)
	}
	c.post(panel+"/new", with(p.values(), "mask_path", "up.uplink_message.f_port")...).leadsTo(panel)
	if h := w.stored("erp-uplinks"); !slices.Equal(h.FieldMask, []string{"received_at", "up.uplink_message.f_port"}) {
		t.Errorf("saved %q", h.FieldMask)
	}
	c.get(panel).has("#webhooks", "JSON, 2 fields")
}

func TestTheDownlinkKeyOfAWebhook(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	one := panel + "/" + w.webhook.ID
	const key = "NNSXS.A.very-secret"
	form := c.get(one).is(200).has(`[name="downlink_key"][type="password"][value=""]`, "").values()
	c.post(one, with(form, "downlink_key", key)...).leadsTo(panel)
	p := c.get(one)
	if h := w.stored(w.webhook.ID); h.DownlinkKey != key || strings.Contains(p.body, key) {
		t.Errorf("stored %q, or shown", h.DownlinkKey.Reveal())
	}
	c.post(one, p.values()...).leadsTo(panel)
	if h := w.stored(w.webhook.ID); h.DownlinkKey != key {
		t.Errorf("a mask that was left made it %q", h.DownlinkKey.Reveal())
	}
	c.post(one, with(c.get(one).values(), "downlink_key", strings.Repeat("x", 129))...).is(422).faulty("downlink_key",
		"Must have at most 128 characters.")
	c.post(one, append(with(c.get(one).values(), "downlink_key", ""), "downlink_key", "")...).leadsTo(panel)
	if h := w.stored(w.webhook.ID); h.DownlinkKey != "" {
		t.Errorf("an empty field left %q", h.DownlinkKey.Reveal())
	}
}

func TestWebhookOfATemplateSaysSo(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	h := &iot.Webhook{ProjectKey: w.project.Key, Description: "Idle", URL: "https://h/", Format: iot.JSON, MessageTypes: iot.Routes{},
		Settings: iot.DefaultSettings(), Template: "gone"}
	w.must(w.db.CreateWebhook(h, w.owner.Email))
	c.get(panel+"/idle").is(200).has("main", "from the template gone").has("main",
		"This webhook sends nothing because it has no message types").lacks(`a[href$="/templates/gone"]`)
	c.get(panel).has("#webhook-idle", "none, so it sends nothing").has("#webhook-idle", "gone")
	for _, k := range iot.MessageTypes() {
		h.MessageTypes[k] = iot.Route{}
	}
	w.must(w.db.UpdateWebhook(h, w.owner.Email, ""))
	c.get(panel).has("#webhook-idle", "+10 more")
}

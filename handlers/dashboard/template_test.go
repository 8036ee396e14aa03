package dashboard

import (
	"net/http"
	"strings"
	"testing"

	"thingpost/internal/iot"
	"thingpost/internal/webhook"
	"thingpost/views/pages"
)

const gallery = "/projects/greenhouse-north/templates"

func TestGallery(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	all := len(webhook.BuiltIn().Templates())
	p := c.get(gallery).is(200).reads("h1", "Templates").has(`.rail a[aria-current="page"]`, "Templates")
	if n := p.Find("#templates li").Length(); n != all {
		t.Errorf("%d templates, want %d", n, all)
	}
	p.reads(`a[href="`+gallery+`/tagoio"]`, "Downlinks").reads(`a[href="`+gallery+`/uib"]`, "5 fields").lacks("main img")
	p = c.get(gallery + "?q=coverage").is(200)
	if n := p.Find("#templates li").Length(); n != 1 {
		t.Errorf("%d templates found, want one", n)
	}
	p.has(`#templates li a`, "TTN Mapper").has(`.seg a[href="`+gallery+`?kind=tracking&q=coverage"]`, "Tracking")
	c.get(gallery+"?kind=buildings").is(200).has(`.seg a[aria-current="true"]`, "Buildings").lacks(`a[href="` + gallery + `/ttnmapper"]`)
	c.get(gallery+"?q=nothing+of+this").is(200).reads("#templates", "No templates match").has(`a[href="`+gallery+`"]`, "Show all templates")
	part := c.fragment(gallery+"?q=datacake", pages.TemplatesID).is(200).lacks("h1")
	if n := part.Find("li").Length(); n != 1 {
		t.Errorf("%d templates in the part, want one", n)
	}
	c.get("/templates").leadsTo(gallery)
	c.get("/projects/greenhouse-north/webhooks").is(200).has(`a[href="`+gallery+`"]`, "A template")
}

func TestTemplateFormMakesAWebhook(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	const akenza, secret = gallery + "/akenza", "s3cr3t/token-value"
	p := c.get(akenza).is(200).reads("#webhook-preview", "Fill in the fields").has(`a[rel="noreferrer"]`, "Instructions")
	in := p.Find(`[name="fields.uplink_secret"]`)
	if in.AttrOr("type", "") != "password" || in.AttrOr("aria-describedby", "") == "" {
		t.Error("the secret is typed in the open, or has no help")
	}
	if got := p.Find(`[name="description"]`).AttrOr("value", ""); got != "akenza" {
		t.Errorf("the description is %q", got)
	}
	c.post(akenza, p.values()...).is(http.StatusUnprocessableEntity).reads("#field-0-error",
		"Must not be empty.").has(`#field-0[aria-invalid="true"][autofocus]`, "")

	filled := with(p.values(), "fields.uplink_secret", secret, "description", "To akenza")
	preview := c.postAs(akenza+"/preview", pages.WebhookPreviewID, filled...).is(200)
	preview.reads("#preview-url", "https://data-gateway.akenza.io/v3/capture?secret=•••")
	if strings.Contains(words(preview.Text()), "s3cr3t") {
		t.Error("the preview shows the secret")
	}
	whole := c.post(akenza+"/preview", filled...).is(200).reads("h1", "akenza").reads("#preview-url", "secret=•••")
	if got := whole.Find(`[name="fields.uplink_secret"]`).AttrOr("value", ""); got != secret {
		t.Errorf("what was typed is gone: %q", got)
	}

	c.post(akenza, filled...).leadsTo("/projects/greenhouse-north/webhooks")
	h, err := w.db.Webhook(t.Context(), w.project.Key, "to-akenza")
	w.must(err)
	if full, ok := h.FullPath(iot.UplinkMessage); !ok || full != "/v3/capture?secret=s3cr3t%2Ftoken-value" || h.Template != "akenza" {
		t.Errorf("%+v, %s", h, full)
	}
	c.get(gallery).is(200).reads(`a[href="`+akenza+`"]`, "In use")
	// The form of the webhook shows the mask, and saving it keeps the secret.
	const form = "/projects/greenhouse-north/webhooks/to-akenza"
	edit := c.get(form).is(200)
	if text, err := edit.Html(); err != nil || strings.Contains(text, "s3cr3t") {
		t.Errorf("the webhook's form shows the secret: %v", err)
	}
	if got := edit.Find(`[name="`+pages.PathField(iot.UplinkMessage)+`"]`).AttrOr("value", ""); got != "/v3/capture?secret=•••" {
		t.Errorf("the path is shown as %q", got)
	}
	c.post(form, with(edit.values(), "description", "Renamed")...).leadsTo("/projects/greenhouse-north/webhooks")
	h, err = w.db.Webhook(t.Context(), w.project.Key, "to-akenza")
	w.must(err)
	if full, ok := h.FullPath(iot.UplinkMessage); !ok || h.Description != "Renamed" || full != "/v3/capture?secret=s3cr3t%2Ftoken-value" {
		t.Errorf("saved, it is %s", full)
	}
	c.get("/projects/greenhouse-north/audit").is(200)
	if strings.Contains(w.log.String(), "s3cr3t") {
		t.Error("the log holds the secret")
	}
}

func TestTemplateDefaultsAndOptionalFields(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	p := c.get(gallery + "/cloud-studio-plugin").is(200)
	if got := p.Find(`[name="fields.server_instance"]`).AttrOr("value", ""); got != "gear.cloud.studio" {
		t.Errorf("the default is %q", got)
	}
	c.post(gallery+"/cloud-studio-plugin", with(p.values(), "fields.access_token", "t", "fields.server_instance",
		"evil.example/a@b")...).is(http.StatusUnprocessableEntity).
		reads("#field-0-error", "Must be a host name")
	p = c.get(gallery+"/wonderland").is(200).reads("main", "User name (optional)").reads("main", "The key can send downlinks")
	c.post(gallery+"/wonderland", p.values()...).leadsTo("/projects/greenhouse-north/webhooks")
	h, err := w.db.Webhook(t.Context(), w.project.Key, "iot-wonderland")
	w.must(err)
	if len(h.Headers) != 0 || h.URL != "https://api.lorawonderland.com/master/tts_integration.php" || h.DownlinkKey == "" {
		t.Errorf("%s with %d headers", h.URL, len(h.Headers))
	}
	c.get(gallery + "/none").is(http.StatusNotFound)
}

func TestTemplatesWhereNoWebhookFitsOrNobodyMay(t *testing.T) {
	w := openWorld(t)
	viewer := w.as(w.member("viewer@veldhuis.example", iot.Viewer))
	viewer.get(gallery).is(200).lacks(`a[href$="/webhooks/new"]`)
	viewer.get(gallery+"/datacake").is(200).reads("main", "An editor of the project can create a webhook from it").
		has("main fieldset[disabled]",
			"").lacks(`#webhook-form .btn`)
	viewer.post(gallery+"/datacake", "description", "x", "fields.token", "t").is(http.StatusForbidden)

	c := w.as(w.owner)
	form := c.get(gallery + "/datacake").values()
	const newLink = `main a[href$="/webhooks/new"]`
	c.get(gallery).is(200).has(newLink, "Start without one")
	for range 4 {
		c.post(gallery+"/datacake", with(form, "fields.token", "t")...).leadsTo("/projects/greenhouse-north/webhooks")
	}
	c.get(gallery+"/datacake").is(200).reads("main", "all are in use")
	c.get(gallery).is(200).lacks(newLink)
	c.post(gallery+"/datacake", with(form, "fields.token", "t")...).is(http.StatusConflict).reads("main", "all that this host allows")
}

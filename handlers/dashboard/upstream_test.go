package dashboard

import (
	"testing"

	"thingpost/db"
	"thingpost/internal/downlink"
	"thingpost/internal/iot"
)

func TestUpstreamOfAProject(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	const settings = "/projects/greenhouse-north/settings"
	const app = "https://tts.example/api/v3/as/applications/my-app"
	c.get(settings).is(200).has(`form[action="`+settings+`/upstream"] [name="key"][type="password"][required]`,
		"").lacks(`a[href="` + settings + `/upstream/remove"]`)
	c.get(settings + "/upstream/remove").is(404)
	c.post(settings+"/upstream", "url", "tts.example", "key", "").is(422).faulty("url", "Must be the http or https address").faulty("key",
		"Must be an API key.").has(`[name="name"][value="Greenhouse North"]`, "")
	c.post(settings+"/upstream", "url", app, "key", "NNSXS.A.B").leadsTo(settings)
	stored := func() *iot.Webhook {
		h, err := w.db.Upstream(t.Context(), w.project)
		w.must(err)
		return h
	}
	if h := stored(); h.URL != app || h.Headers[0].Value != "Bearer NNSXS.A.B" {
		t.Errorf("stored %s with %s", h.URL, h.Headers[0].Value.Reveal())
	}
	c.get(settings).has("#toasts", "Downlinks are now forwarded to tts.example.").has(`[name="url"][value="`+app+`"]`, "").has("main",
		"A key is stored").lacks(`[name="key"][value]:not([value=""])`)
	c.post(settings+"/upstream", "url", "http://tts.example/api/v3/as/applications/my-app", "key", "").is(422).faulty("key",
		"is not sent to another host")
	c.post(settings+"/upstream", "url", app+"2", "key", "").leadsTo(settings)
	if h := stored(); h.URL != app+"2" || h.Headers[0].Value != "Bearer NNSXS.A.B" {
		t.Errorf("stored %s with %s", h.URL, h.Headers[0].Value.Reveal())
	}

	// View deliveries are in the log, but it has no page of its own.
	queues := downlink.New(downlink.Options{DB: w.db, Ingest: w.ingest, Now: w.clock.Now})
	_, err := queues.Push(t.Context(), w.project, w.device, []downlink.Order{{FPort: 1, FRMPayload: []byte{1}}}, false)
	w.must(err)
	sent, err := w.db.Deliveries(t.Context(), db.DeliveryFilter{ProjectKey: w.project.Key, Limit: 1})
	w.must(err)
	if len(sent.Items) != 1 || sent.Items[0].WebhookKey != stored().Key {
		t.Fatalf("the deliveries are %+v", sent.Items)
	}
	c.get(deliveryLog+"/"+sent.Items[0].ID.String()).is(200).has("main", "Upstream").
		lacks(`main a[href^="/projects/greenhouse-north/webhooks/"]`)

	c.get(settings+"/upstream/remove").is(200).has("main", "tts.example")
	c.post(settings + "/upstream/remove").leadsTo(settings)
	c.get(settings).has("#toasts", "Downlinks are no longer forwarded.").lacks(`[name="url"][value^="https"]`)
	w.as(w.member("editor@veldhuis.example", iot.Editor)).post(settings+"/upstream", "url", app, "key", "NNSXS.A.B").is(403)
}

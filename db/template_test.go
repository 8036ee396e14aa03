package db_test

import (
	"testing"

	"thingpost/db"
	"thingpost/internal/iot"
)

func TestWebhookAndItsKeyAreMadeTogether(t *testing.T) {
	w := open(t)
	hook := func(id string) *iot.Webhook {
		return &iot.Webhook{ProjectKey: w.project.Key, ID: id, Description: "Made of a template", URL: "https://h/", Format: iot.Envelope,
			MessageTypes: iot.Routes{iot.User: {}},
			Settings:     iot.DefaultSettings(), Template: "some"}
	}
	h := hook("")
	must(t, w.CreateWebhookWithKey(h, actor))
	stored, err := w.Webhook(t.Context(), w.project.Key, h.ID)
	must(t, err)
	id, secret, ok := iot.ParseAPIKey(stored.DownlinkKey.Reveal())
	if !ok {
		t.Fatal("the webhook has no key of the usual form")
	}
	k, err := w.APIKey(t.Context(), id, secret)
	must(t, err)
	if k.Rights != iot.SendDownlinks || k.ProjectKey != w.project.Key || k.Name != h.ID+" downlink API key" {
		t.Errorf("the key is %+v", k)
	}
	// A webhook that cannot be stored leaves no key behind.
	if err := w.CreateWebhookWithKey(hook(h.ID), actor); iot.CodeOf(err) != iot.Conflict {
		t.Errorf("a taken id: %v", err)
	}
	keys, err := w.APIKeys(t.Context(), w.project.Key)
	must(t, err)
	if len(keys) != 1 {
		t.Errorf("%d keys, want the one of the first webhook", len(keys))
	}
}

// The key that was created with a webhook is deleted with it, unless it is used elsewhere.
func TestWebhookTakesItsKeyWithIt(t *testing.T) {
	w := open(t)
	hook := func() *iot.Webhook {
		return &iot.Webhook{ProjectKey: w.project.Key, Description: "Made of a template", URL: "https://h/", Format: iot.Envelope,
			MessageTypes: iot.Routes{iot.User: {}},
			Settings:     iot.DefaultSettings(), Template: "some"}
	}
	keys := func() []iot.APIKey {
		list, err := w.APIKeys(t.Context(), w.project.Key)
		must(t, err)
		return list
	}
	first := hook()
	must(t, w.CreateWebhookWithKey(first, actor))
	must(t, w.DeleteWebhook(first, actor))
	if left := keys(); len(left) != 0 {
		t.Fatalf("left is %q", left[0].Name)
	}
	log, err := w.Audit(t.Context(), db.AuditFilter{ProjectKey: w.project.Key, Limit: 1})
	must(t, err)
	if e := log.Items[0]; e.Action != "key.delete" || e.Subject != first.ID+" downlink API key" || e.Actor != actor {
		t.Errorf("the audit log says %+v", e)
	}

	shared, other := hook(), hook()
	must(t, w.CreateWebhookWithKey(shared, actor))
	other.DownlinkKey = shared.DownlinkKey
	must(t, w.CreateWebhook(other, actor))
	must(t, w.DeleteWebhook(shared, actor))
	must(t, w.DeleteWebhook(other, actor)) // of another ID: not created with it
	if len(keys()) != 1 {
		t.Error("a key that another webhook handed out is gone")
	}
	renamed := hook()
	must(t, w.CreateWebhookWithKey(renamed, actor))
	for _, k := range keys() {
		if k.Name == renamed.ID+" downlink API key" {
			k.Name = "Ours now"
			must(t, w.UpdateAPIKey(&k, actor))
		}
	}
	must(t, w.DeleteWebhook(renamed, actor))
	if len(keys()) != 2 {
		t.Error("a key that a person had taken over is gone")
	}
}

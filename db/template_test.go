package db_test

import (
	"testing"

	"thingpost/internal/iot"
)

func TestWebhookAndItsKeyAreMadeTogether(t *testing.T) {
	w := open(t)
	hook := func(id string) *iot.Webhook {
		return &iot.Webhook{ProjectID: w.project.Key, ID: id, Description: "Made of a template", URL: "https://h/", Format: iot.Envelope, MessageTypes: iot.Routes{iot.User: {}},
			Settings: iot.DefaultSettings(), Template: "some"}
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
	if k.Rights != iot.SendDownlinks || k.ProjectID != w.project.Key || k.Name != h.ID+" downlink API key" {
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

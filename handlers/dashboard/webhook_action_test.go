package dashboard

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"thingpost/internal/iot"
)

func TestSigningSecretIsShownOnce(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	edit := panel + "/" + w.webhook.ID
	c.post(edit, with(c.get(edit).values(), "signed", "on")...).leadsTo(edit)
	secret := w.stored(w.webhook.ID).SigningSecrets[0].Reveal()
	p := c.get(edit).is(200)
	if got := p.Find("#signing-secret").AttrOr("value", ""); got != secret || secret == "" {
		t.Errorf("shown is %q", got)
	}
	p = c.get(edit)
	if strings.Contains(p.body, secret) {
		t.Error("it is shown again")
	}
	p.reads("form", "Secret whsec_•••")
	c.post(edit, with(p.values(), "channel", "x")...).leadsTo(panel)
	if h := w.stored(w.webhook.ID); !h.Signed || h.SigningSecrets[0].Reveal() != secret {
		t.Error("saving changes the secret")
	}
	c.post(edit + "/secret").leadsTo(edit)
	h := w.stored(w.webhook.ID)
	if len(h.SigningSecrets) != 2 || h.SigningSecrets[0].Reveal() == secret || h.OldSecretUntil != iot.At(w.clock.Now().Add(24*time.Hour)) {
		t.Errorf("rotated to %d secrets until %v", len(h.SigningSecrets), h.OldSecretUntil)
	}
	p = c.get(edit).is(200)
	p.reads("form", "The previous one also signs until 22 November 2026, 10:04:00.")
	if p.Find("#signing-secret").AttrOr("value", "") != h.SigningSecrets[0].Reveal() {
		t.Error("the new secret is not shown")
	}
	c.post(edit, with(c.get(edit).values(), "signed", "")...).leadsTo(panel)
	if h := w.stored(w.webhook.ID); h.Signed || len(h.SigningSecrets) != 0 {
		t.Error("signing is not off")
	}
}

func TestPauseWithReasonAndResume(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	one := panel + "/" + w.webhook.ID
	w.send(`{"payload":1}`)
	c.get(one+"/pause").is(200).reads("h1", "Pause ERP goods-in?").reads("form", "1 pending delivery waits")
	c.fragment(one+"/pause", "dialog").is(200).reads("h2#dialog-title", "Pause ERP goods-in?").lacks(".rail")
	c.post(one+"/pause", "reason", "a\x00b").faulty("reason", "single line")
	c.post(one+"/pause", "reason", strings.Repeat("x", 255)).faulty("reason", "254 characters")
	c.post(one+"/pause", "reason", " moves ").leadsTo(panel)
	if h := w.stored(w.webhook.ID); !h.Paused || h.PausedBy != "Marit Veldhuis" || h.PausedReason != "moves" {
		t.Errorf("%+v", h)
	}
	c.post(one + "/resume").leadsTo(panel)
	if w.stored(w.webhook.ID).Paused {
		t.Error("still paused")
	}
}

func TestDeleteSaysWhatIsLost(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	one := panel + "/" + w.webhook.ID
	c.get(one+"/delete").is(200).reads("form", "The webhook has no pending deliveries.")
	for range 3 {
		w.send(`{"payload":1}`)
	}
	c.get(one+"/delete").reads("h1", "Delete ERP goods-in?").
		reads("form", "The webhook is deleted, and its 3 pending deliveries are cancelled.")
	c.fragment(one+"/delete", "dialog").reads("h2", "Delete ERP goods-in?").lacks("h1")
	c.post(one + "/delete").leadsTo(panel)
	c.get(panel).reads("#webhooks", "0 of 5").reads("#toasts", "ERP goods-in was deleted.")
	for _, path := range []string{one, one + "/delete", one + "/pause"} {
		c.get(path).is(http.StatusNotFound)
	}
}

func TestTestLeadsToItsDelivery(t *testing.T) {
	w := openWorld(t)
	p := w.as(w.owner).post(panel + "/" + w.webhook.ID + "/test")
	list := w.deliveries(iot.Pending)
	if len(list) != 1 || list[0].Trigger != iot.TriggerTest {
		t.Fatalf("%+v", list)
	}
	p.leadsTo("/projects/greenhouse-north/deliveries/" + list[0].ID.String())
}

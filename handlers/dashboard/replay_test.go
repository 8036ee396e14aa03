package dashboard

import (
	"net/http"
	"strings"
	"testing"

	"thingpost/db"
	"thingpost/internal/iot"
	"thingpost/internal/webhook"
	"thingpost/views/pages"
)

// replay runs the one running replay to its end, as the dispatcher does, and
// returns it as it was when it began.
func (w *world) replay() iot.Replay {
	w.t.Helper()
	list, err := w.db.RunningReplays(w.t.Context())
	w.must(err)
	if len(list) != 1 {
		w.t.Fatalf("%d replays run", len(list))
	}
	before := list[0].Replay
	for ended := false; !ended; {
		_, ended, err = w.db.ReplayStep(w.t.Context(), &list[0], webhook.Selector(w.webhook), 100)
		w.must(err)
	}
	return before
}

const replaysPath = "/projects/greenhouse-north/replays"

func TestAReplayShowsItsProgressAndStops(t *testing.T) {
	w := openWorld(t)
	w.mixed()
	c, viewer := w.as(w.owner), w.as(w.member("viewer@veldhuis.example", iot.Viewer))
	c.get(replaysPath).is(200).has(".empty", "No replays")
	c.get(deliveryLog).lacks("#" + pages.RunningReplaysID + " .card")
	job := &iot.Replay{Job: iot.Job{Count: 400}, Rate: 1, Counted: true}
	w.must(w.db.CreateReplay(t.Context(), job,
		db.ReplaySpec{Deliveries: &db.DeliveryFilter{ProjectKey: w.project.Key, Statuses: []iot.Status{iot.Failed}}}, w.owner.Email))
	list, err := w.db.RunningReplays(t.Context())
	w.must(err)
	w.clock.advance(10e9)
	_, _, err = w.db.ReplayStep(t.Context(), &list[0], nil, 1)
	w.must(err)
	one := replaysPath + "/" + job.ID.String()
	p := c.get(one).is(200)
	p.has(".stats", "Running").has(".stats", "1of 400").has(".stats", "at most 1/s").has(".stats", "0.1/s").has("dl.rows",
		"status failed").has("form[action$='/stop'] button", "Stop")
	if p.Find("#"+pages.ReplayID).AttrOr("data-hears", "") != "replays" {
		t.Error("it does not refresh itself")
	}
	c.fragment(one, pages.ReplayID).is(200).lacks("h1 + nav").has("h1", "Replay of deliveries")
	c.get(deliveryLog).has("#"+pages.RunningReplaysID, "1 of 400 · 0.1/s").has("#"+pages.RunningReplaysID+" form button", "Stop")
	c.fragment(replaysPath, pages.RunningReplaysID).has("#"+pages.RunningReplaysID, "each to its own webhook")
	c.get(replaysPath).has("table", "status failed").has("table", "1 of 400")
	viewer.get(one).is(200).lacks("main form")
	viewer.get(deliveryLog).lacks("#" + pages.RunningReplaysID + " form")
	viewer.post(one + "/stop").is(http.StatusForbidden)
	c.post(one + "/stop").leadsTo(one)
	c.get(one).has(".stats", "Stopped").has("#toasts", "was stopped").lacks("main form[method=post]")
	c.post(one + "/stop").is(http.StatusConflict)
	c.get(replaysPath + "/" + w.db.NewID().String()).is(http.StatusNotFound)
	c.get(replaysPath + "/nothing").is(http.StatusNotFound)
}

// TestMessagesAreSentToOneWebhook goes by forms alone: choose, see the count,
// send.
func TestMessagesAreSentToOneWebhook(t *testing.T) {
	w := openWorld(t)
	w.send(`{"payload":1}`)
	w.must(w.db.PauseWebhook(w.webhook, "Marit", "", w.owner.Email))
	for range 3 {
		w.send(`{"payload":2}`)
	}
	w.send(`{"payload":3,"type":"iottly"}`)
	c := w.as(w.owner)
	list := "/projects/greenhouse-north/messages"
	c.get(list+"?webhooks=none").is(200).has("#messages", "No webhook")
	if rows := c.get(list + "?webhooks=none").Find("#messages tbody tr").Length(); rows != 4 {
		t.Errorf("%d messages that nobody got", rows)
	}
	href := c.get(list+"?type=user").Find(".actions a:contains('Send all to a webhook')").AttrOr("href", "")
	p := c.get(href).is(200).has("h1", "Send messages to a webhook").has("select", "ERP goods-in (paused)")
	if p.Find("input[name=type]").AttrOr("value", "") != "user" || p.Find("input[type=checkbox][checked]").Length() != 2 {
		t.Error("the form forgets the filter or the choices")
	}
	c.get(list+"/send?type=user&webhook=").faulty("webhook", "Choose a webhook.")
	c.get(list+"/send?webhook=erp-goods-in&type=join_accept").is(200).has("h1", "Nothing to send")
	for query, want := range map[string]string{"missing=1&wanted=1": "3 messages", "missing=1": "4 messages", "": "5 messages",
		"wanted=1": "4 messages"} {
		c.get(list+"/send?webhook=erp-goods-in&"+query).is(200).has("h1", "Send "+want+" to erp-goods-in?").has("form", "is paused")
	}
	p = c.get(list + "/send?webhook=erp-goods-in&missing=1&wanted=1").is(200)
	action := p.Find("form.confirm").AttrOr("action", "")
	w.send(`{"payload":"late"}`)
	c.post(action, "rate", "x").faulty("rate", "Must be a whole number")
	c.post(action, "rate", "").is(http.StatusSeeOther)
	job := w.replay()
	if job.Count != 3 || job.Webhook != "erp-goods-in" || job.Rate != 0 {
		t.Errorf("it is %+v", job)
	}
	made := 0
	for _, d := range w.deliveries(iot.Pending) {
		if d.Trigger == iot.TriggerReplay {
			made++
		}
	}
	if made != 3 {
		t.Errorf("%d were made", made)
	}
	c.post(list + "/send?webhook=erp-goods-in&type=nonsense").is(http.StatusBadRequest)
	w.as(w.member("viewer@veldhuis.example", iot.Viewer)).get(list).lacks(".actions a:contains('Send all')")
	if log := w.log.String(); strings.Contains(log, "level=ERROR") {
		t.Error(log)
	}
}

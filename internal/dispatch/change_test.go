package dispatch

import (
	"strings"
	"testing"
	"time"

	"thingpost/internal/iot"
)

func TestChangedSettingsHoldForWhatIsPending(t *testing.T) {
	b := newBench(t)
	bad := receive(t, func(int, got) int { return 500 })
	good := receive(t, nil)
	w := b.webhook(bad.URL)
	b.run()
	id := b.send(0, 0, 1, w)[0]
	b.untilStatus(id, iot.Pending, 1)
	now, err := b.db.WebhookByKey(t.Context(), w.Key)
	b.must(err)
	now.URL = good.URL
	b.must(b.db.UpdateWebhook(now, actor, "url"))
	b.pass(10 * time.Second)
	b.untilStatus(id, iot.Delivered, 2)
	if good.count() != 1 || bad.count() != 1 {
		t.Errorf("old URL got %d, new one %d", bad.count(), good.count())
	}
}

func TestDeletedWebhookStops(t *testing.T) {
	b := newBench(t)
	r := receive(t, func(int, got) int { return 500 })
	w := b.webhook(r.URL)
	b.run()
	id := b.send(0, 0, 1, w)[0]
	b.untilStatus(id, iot.Pending, 1)
	b.must(b.db.DeleteWebhook(w, actor))
	if v := b.delivery(id); v.Status != iot.Cancelled {
		t.Errorf("delivery is %s", v.Status)
	}
	b.pass(time.Hour)
	other := b.webhook(receive(t, nil).URL, func(w *iot.Webhook) { w.ID = "other" })
	b.untilStatus(b.send(0, 1, 2, other)[0], iot.Delivered, 1)
	if r.count() != 1 {
		t.Errorf("a deleted webhook got %d requests", r.count())
	}
}

func TestRetriedByHandNow(t *testing.T) {
	b := newBench(t)
	r := receive(t, func(n int, _ got) int { return []int{500, 404, 200}[min(n, 2)] })
	w := b.webhook(r.URL, func(w *iot.Webhook) { w.Settings.RetryOn = []iot.ErrorClass{iot.ErrHTTP5xx} })
	b.run()
	id := b.send(0, 0, 1, w)[0]
	b.untilStatus(id, iot.Pending, 1)
	same, err := b.db.Retry(t.Context(), b.project.Key, id, actor)
	b.must(err)
	b.untilStatus(id, iot.Failed, 2)
	again, err := b.db.Retry(t.Context(), b.project.Key, id, actor)
	b.must(err)
	if same.ID != id || again.ID == id || again.MessageID != same.MessageID || again.Trigger != iot.TriggerRetry {
		t.Errorf("retries are %+v and %+v", same, again)
	}
	b.untilStatus(again.ID, iot.Delivered, 1)
}

// TestADeliveryThatWasReadSinceItsCommitIsQueuedOnce offers a delivery that the manager
// read from disk after its commit and before the call of Changed.
func TestADeliveryThatWasReadSinceItsCommitIsQueuedOnce(t *testing.T) {
	b := newBench(t)
	hook := b.webhook("http://127.0.0.1:9")
	b.send(0, 0, 1, hook)
	q := newQueue(b.d, hook.Key)
	_, err := q.refill(t.Context())
	b.must(err)
	if len(q.backlog.items) != 1 {
		t.Fatalf("%d were read", len(q.backlog.items))
	}
	q.offer(q.backlog.items[0])
	if n := len(q.fresh.items) + len(q.backlog.items); n != 1 {
		t.Errorf("it is queued %d times", n)
	}
}

// TestOutcomesOfLargeAnswersWaitForTheDisk delays the disk while answers of 64 KiB
// arrive.
func TestOutcomesOfLargeAnswersWaitForTheDisk(t *testing.T) {
	b := newBench(t)
	r := receive(t, nil)
	r.body = strings.Repeat("x", iot.MaxResponseBody)
	w := b.webhook(r.URL)
	const all = 600
	b.send(0, 0, all, w)
	gate := make(chan struct{})
	b.gate.Store(&gate)
	b.run()
	b.until("nothing more is taken", func() bool {
		q := b.d.queue(w.Key)
		q.mu.Lock()
		defer q.mu.Unlock()
		return r.count() > 0 && q.workers == 0
	})
	if n, most := r.count(), maxUnsaved/iot.MaxResponseBody+2*iot.MaxSlots; n > most {
		t.Errorf("%d answers wait for the disk, more than %d", n, most)
	}
	b.gate.Store(nil)
	close(gate)
	b.until("all have arrived", func() bool { return r.count() == all })
}

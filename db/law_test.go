package db_test

import (
	"flag"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"thingpost/db"
	"thingpost/internal/iot"
)

// Each step waits for the disk: fewer sequences than rapid's hundred, unless the
// command line asks for more.
func init() {
	if err := flag.Set("rapid.checks", "12"); err != nil {
		panic(err)
	}
}

// ledger is what a test expects of some webhooks: the state of each delivery that was ever
// made.
type ledger struct {
	*world
	hooks   []*iot.Webhook
	deleted map[int64]bool
	status  map[iot.ID]iot.Status
	all     []*iot.Delivery
}

func (l *ledger) add(v *iot.Delivery) {
	l.all = append(l.all, v)
	l.status[v.ID] = v.Status
}

// pick draws one of the deliveries made so far; it makes some if there is none.
func (l *ledger) pick(t *rapid.T) *iot.Delivery {
	for len(l.all) == 0 {
		l.accept(t)
	}
	return l.all[rapid.IntRange(0, len(l.all)-1).Draw(t, "delivery")]
}

// live draws a webhook that is not deleted; it creates one if all are.
func (l *ledger) live(t *rapid.T) *iot.Webhook {
	var live []*iot.Webhook
	for _, h := range l.hooks {
		if !l.deleted[h.Key] {
			live = append(live, h)
		}
	}
	if len(live) == 0 {
		live = append(live, l.newWebhook(t, "Webhook "+l.NewID().String()))
		l.hooks = append(l.hooks, live...)
	}
	return rapid.SampledFrom(live).Draw(t, "webhook")
}

func (l *ledger) accept(t *rapid.T) {
	h := l.live(t)
	version := l.version(t)
	var list []*db.Accept
	for n := rapid.IntRange(1, 4).Draw(t, "messages"); n > 0; n-- {
		a := l.accepted(version, `{"n":1}`, h)
		a.InOrder[0] = rapid.Bool().Draw(t, "in order")
		if rapid.IntRange(0, 4).Draw(t, "skip") == 0 {
			a.Deliveries[0].Status, a.Deliveries[0].DueAt = iot.Skipped, 0
		}
		list = append(list, a)
	}
	if rapid.IntRange(0, 5).Draw(t, "stale") == 0 {
		list[0].Version--
	}
	must(t, l.Accept(list...))
	for _, a := range list {
		if !a.Stale {
			l.add(a.Deliveries[0])
		}
	}
}

func (l *ledger) finishSome(t *rapid.T) {
	first := l.pick(t)
	at := slices.Index(l.all, first)
	some := l.all[at:min(len(l.all), at+rapid.IntRange(1, 12).Draw(t, "outcomes"))]
	var list []*iot.Outcome
	for _, v := range some {
		status := rapid.SampledFrom([]iot.Status{iot.Pending, iot.Delivered, iot.Failed, iot.Skipped}).Draw(t, "outcome")
		o := failed(v, status)
		if status == iot.Delivered {
			o = delivered(iot.Queued{Delivery: v})
		}
		if status == iot.Skipped {
			o.Attempt = nil
		}
		list = append(list, o)
		if l.status[v.ID] == iot.Pending {
			l.status[v.ID] = status
		}
	}
	l.finish(t, list...)
}

func (l *ledger) cancelOne(t *rapid.T) {
	v := l.pick(t)
	err := l.CancelOne(t.Context(), v.ProjectKey, v.ID, actor)
	if l.status[v.ID] != iot.Pending {
		if iot.CodeOf(err) != iot.Conflict {
			t.Fatalf("cancelling one that is %s: %v", l.status[v.ID], err)
		}
		return
	}
	must(t, err)
	l.status[v.ID] = iot.Cancelled
}

func (l *ledger) cancelAll(t *rapid.T) {
	h := rapid.SampledFrom(l.hooks).Draw(t, "webhook")
	n, err := l.Cancel(t.Context(), db.DeliveryFilter{ProjectKey: h.ProjectKey, WebhookKey: h.Key}, actor)
	must(t, err)
	if want := l.cancelPending(h.Key); n != want {
		t.Fatalf("cancelled %d, want %d", n, want)
	}
}

func (l *ledger) cancelPending(hook int64) (n int) {
	for _, v := range l.all {
		if v.WebhookKey == hook && l.status[v.ID] == iot.Pending {
			l.status[v.ID] = iot.Cancelled
			n++
		}
	}
	return n
}

func (l *ledger) retry(t *rapid.T) {
	v := l.pick(t)
	again, err := l.Retry(t.Context(), v.ProjectKey, v.ID, actor)
	switch {
	case l.status[v.ID] != iot.Pending && l.deleted[v.WebhookKey]:
		if iot.CodeOf(err) != iot.Conflict {
			t.Fatalf("retry to a deleted webhook: %v", err)
		}
	case err != nil:
		t.Fatal(err)
	case l.status[v.ID] == iot.Pending && again.ID != v.ID:
		t.Fatal("the retry of a pending delivery made another")
	case again.ID != v.ID:
		l.add(again)
	}
}

func (l *ledger) replay(t *rapid.T) {
	h := rapid.SampledFrom(l.hooks).Draw(t, "webhook")
	f := db.DeliveryFilter{ProjectKey: h.ProjectKey, WebhookKey: h.Key}
	want := 0
	for _, v := range l.all {
		if v.WebhookKey == h.Key && l.status[v.ID].Ended() && !l.deleted[h.Key] {
			want++
		}
	}
	if want > 30 { // each replay doubles the deliveries
		l.cancelAll(t)
		return
	}
	counted, _, err := l.CountReplay(t.Context(), db.ReplaySpec{Deliveries: &f}, nil, 0)
	must(t, err)
	made := l.replayAll(t, db.ReplaySpec{Deliveries: &f}, rapid.IntRange(1, 40).Draw(t, "a step"))
	if made != want || counted != want {
		t.Fatalf("counted %d and made %d, want %d", counted, made, want)
	}
	f.Statuses, f.Limit = []iot.Status{iot.Pending}, 1000
	page, err := l.Deliveries(t.Context(), f)
	must(t, err)
	for i := range page.Items {
		v := &page.Items[i]
		if _, known := l.status[v.ID]; !known {
			l.add(v)
			made--
		}
	}
	if made != 0 {
		t.Fatalf("%d deliveries of the replay are not pending", made)
	}
}

func (l *ledger) deleteOne(t *rapid.T) {
	if rapid.IntRange(0, 3).Draw(t, "delete") > 0 { // little can happen to a deleted webhook
		l.accept(t)
		return
	}
	h := l.live(t)
	must(t, l.DeleteWebhook(h, actor))
	l.deleted[h.Key] = true
	l.cancelPending(h.Key)
}

// check compares the counters and the rows with what is expected.
func (l *ledger) check(t *rapid.T) {
	for _, h := range l.hooks {
		var want db.Counters
		of := map[iot.Status]*int64{iot.Pending: &want.Pending, iot.Delivered: &want.Delivered, iot.Failed: &want.Failed,
			iot.Skipped: &want.Skipped, iot.Cancelled: &want.Cancelled}
		for _, v := range l.all {
			if v.WebhookKey == h.Key {
				want.Made++
				*of[l.status[v.ID]]++
			}
		}
		const columns = `made, pending, delivered, failed, skipped, cancelled`
		const sums = `count(*), count(*) FILTER (WHERE status = 'pending'), count(*) FILTER (WHERE status = 'delivered'), count(*) FILTER ` +
			`(WHERE status = 'failed'),
			count(*) FILTER (WHERE status = 'skipped'), count(*) FILTER (WHERE status = 'cancelled')`
		must(t, l.MoveJournal(t.Context()))
		for what, query := range map[string]string{"counters": columns + ` FROM webhook_counters`, "rows": sums + ` FROM deliveries`} {
			var got db.Counters
			must(t, l.beside.QueryRowContext(t.Context(), `SELECT `+query+` WHERE webhook_id = $1`, h.Key).
				Scan(&got.Made, &got.Pending, &got.Delivered, &got.Failed, &got.Skipped, &got.Cancelled))
			if got != want {
				t.Fatalf("%s of %s are %+v, want %+v", what, h.ID, got, want)
			}
		}
	}
}

func TestCountersAreTheSumOfTheRows(t *testing.T) {
	w := open(t, func(o *db.Options) { o.Limits.Webhooks = 10_000 })
	w.raw(t)
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		l := &ledger{world: w, deleted: map[int64]bool{}, status: map[iot.ID]iot.Status{}}
		for range 2 {
			n++
			l.hooks = append(l.hooks, w.newWebhook(t, fmt.Sprintf("Webhook %d", n)))
		}
		t.Repeat(map[string]func(*rapid.T){
			"accept": l.accept, "finish": l.finishSome, "cancel one": l.cancelOne, "cancel": l.cancelAll,
			"retry": l.retry, "replay": l.replay, "delete": l.deleteOne, "": l.check,
		})
	})
	w.holds(t)
}

package db_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"thingpost/db"
	"thingpost/internal/iot"
)

func TestFinishKeepsTheAttemptAndMovesTheDeliveryOn(t *testing.T) {
	w := open(t)
	v := w.store(t, 1, `{"n":1}`, false, w.webhook)[0].Deliveries[0]
	retry := failed(v, iot.Pending)
	w.finish(t, retry)
	got, err := w.Delivery(t.Context(), w.project.Key, v.ID)
	must(t, err)
	if got.Status != iot.Pending || !got.Retrying() || got.AttemptCount != 1 || got.Code != 503 || got.Error != iot.ErrHTTP5xx ||
		got.DueAt != retry.DueAt || got.EndedAt != 0 || got.DurationMS != 12 {
		t.Errorf("after a retry it is %+v", got)
	}
	second := delivered(iot.Queued{Delivery: got})
	second.Attempt.Resent = true
	w.finish(t, second)
	if got, err = w.Delivery(t.Context(), w.project.Key, v.ID); err != nil {
		t.Fatal(err)
	}
	if got.Status != iot.Delivered || got.AttemptCount != 2 || got.Code != 200 || got.Error != "" || got.ErrorDetail != "" || got.DueAt != 0 ||
		got.EndedAt != 1_800_000_000_112 {
		t.Errorf("delivered it is %+v", got)
	}
	list, err := w.Attempts(t.Context(), v.ID, 100)
	must(t, err)
	want := *delivered(iot.Queued{Delivery: v}).Attempt
	if len(list) != 2 || list[0].Resent || !list[1].Resent || list[0].Number != 1 || list[1].Number != 2 ||
		list[0].Error.Detail != retry.Attempt.Error.Detail {
		t.Fatalf("the attempts are %+v", list)
	}
	want.Number, want.Resent = 2, true
	if a, b := fmt.Sprintf("%+v %+v", list[1], list[1].Response), fmt.Sprintf("%+v %+v", want, want.Response); len(a) != len(b) ||
		list[1].Timings != want.Timings ||
		fmt.Sprint(list[1].Request) != fmt.Sprint(want.Request) || fmt.Sprint(*list[1].Response) != fmt.Sprint(*want.Response) {
		t.Errorf("the attempt was stored as\n%s, want\n%s", a, b)
	}
	w.holds(t)
}

func TestAttemptsAreNeverChanged(t *testing.T) {
	w := open(t)
	v := w.store(t, 1, `1`, false, w.webhook)[0].Deliveries[0]
	w.finish(t, delivered(iot.Queued{Delivery: v}))
	again := failed(v, iot.Failed) // the same number again
	w.finish(t, again)
	list, err := w.Attempts(t.Context(), v.ID, 100)
	must(t, err)
	if len(list) != 1 || list[0].Error != nil || list[0].Response.Status != 200 {
		t.Errorf("the attempts became %+v", list)
	}
	if got := w.status(t, v.ID); got != iot.Delivered {
		t.Errorf("an ended delivery became %s", got)
	}
	w.holds(t)
}

func TestOneCancelledAmongManyOutcomes(t *testing.T) {
	w, g := openGated(t)
	list := w.store(t, 40, `1`, false, w.webhook)
	cancelled := list[17].Deliveries[0].ID
	must(t, w.CancelOne(t.Context(), w.project.Key, cancelled, actor))
	var writes []func()
	for _, a := range list {
		writes = append(writes, func() { w.finish(t, delivered(iot.Queued{Delivery: a.Deliveries[0]})) })
	}
	g.together(t, w, writes...)
	for _, a := range list {
		v := a.Deliveries[0]
		want := iot.Delivered
		if v.ID == cancelled {
			want = iot.Cancelled
		}
		if got := w.status(t, v.ID); got != want {
			t.Errorf("%s is %s, want %s", v.ID, got, want)
		}
		if attempts, err := w.Attempts(t.Context(), v.ID, 100); err != nil || len(attempts) != 1 {
			t.Errorf("%s has %d attempts, want its one (%v)", v.ID, len(attempts), err)
		}
	}
	if c := w.counters(t, w.webhook); c.Made != 40 || c.Delivered != 39 || c.Cancelled != 1 || c.Pending != 0 {
		t.Errorf("the counters are %+v", c)
	}
	w.holds(t)
}

func TestTwoOutcomesOfOneDeliveryInOneTransaction(t *testing.T) {
	w, g := openGated(t)
	v := w.store(t, 1, `1`, false, w.webhook)[0].Deliveries[0]
	second := failed(v, iot.Failed)
	second.Attempt.Number = 2
	g.together(t, w, func() { w.finish(t, delivered(iot.Queued{Delivery: v})) }, func() { w.finish(t, second) })
	if c := w.counters(t, w.webhook); c.Delivered != 1 || c.Failed != 0 || w.status(t, v.ID) != iot.Delivered {
		t.Errorf("it is %s, and the counters are %+v", w.status(t, v.ID), c)
	}
	w.holds(t)
}

func TestTransientMessagesGoWithTheirLastDelivery(t *testing.T) {
	type step func(w *world, v *iot.Delivery)
	end := func(status iot.Status) step {
		return func(w *world, v *iot.Delivery) {
			o := failed(v, status)
			if status == iot.Delivered {
				o = delivered(iot.Queued{Delivery: v})
			}
			if status == iot.Skipped {
				o.Attempt, o.Detail = nil, "nothing to send"
			}
			o.Transient = true
			w.finish(t, o)
		}
	}
	cancel := func(w *world, v *iot.Delivery) { must(t, w.CancelOne(t.Context(), w.project.Key, v.ID, actor)) }
	remove := func(w *world, v *iot.Delivery) {
		h, err := w.WebhookByKey(t.Context(), v.WebhookKey)
		must(t, err)
		must(t, w.DeleteWebhook(h, actor))
	}
	for name, c := range map[string]struct {
		steps []step // the first of the first delivery, and so on
		kept  bool
	}{
		"both delivered":         {[]step{end(iot.Delivered), end(iot.Delivered)}, false},
		"one pending":            {[]step{end(iot.Delivered)}, true},
		"one to be retried":      {[]step{end(iot.Delivered), end(iot.Pending)}, true},
		"one failed":             {[]step{end(iot.Failed), end(iot.Delivered)}, true},
		"delivered, skipped":     {[]step{end(iot.Delivered), end(iot.Skipped)}, false},
		"skipped, delivered":     {[]step{end(iot.Skipped), end(iot.Delivered)}, false},
		"delivered, cancelled":   {[]step{end(iot.Delivered), cancel}, false},
		"failed, cancelled":      {[]step{end(iot.Failed), cancel}, true},
		"delivered, hook gone":   {[]step{end(iot.Delivered), remove}, false},
		"hook gone, one pending": {[]step{remove}, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			other := w.newWebhook(t, "Other one")
			a := w.accepted(w.version(t), `{"n":1}`, w.webhook, other)
			a.Message.Transient = true
			must(t, w.Accept(a))
			for n, step := range c.steps {
				step(w, a.Deliveries[n])
			}
			_, err := w.Message(t.Context(), w.project.Key, a.Message.ID)
			if kept := err == nil; kept != c.kept || !c.kept && iot.CodeOf(err) != iot.NotFound {
				t.Errorf("kept: %v (%v), want %v", kept, err, c.kept)
			}
			if n := w.number(t, `SELECT count(*) FROM messages WHERE length(payload) > 0`); n != map[bool]int64{true: 1}[c.kept] {
				t.Errorf("%d payloads are stored", n)
			}
			w.holds(t)
		})
	}
}

func TestTransientMessageThatNobodyWantsIsNotKept(t *testing.T) {
	w, _ := openAt(t)
	a := w.accepted(w.version(t), `{"n":1}`)
	a.Message.Transient, a.Message.SenderID = true, "once"
	again := w.accepted(a.Version, `{"n":2}`)
	again.Message.Transient, again.Message.SenderID = true, "once"
	must(t, w.Accept(a))
	must(t, w.Accept(again))
	if n := w.number(t, `SELECT count(*) FROM messages WHERE length(payload) > 0`); n != 0 || again.Repeated != a.Message.ID {
		t.Errorf("%d payloads are stored; repeated is %q, want %s", n, again.Repeated, a.Message.ID)
	}
}

func TestAnErasedMessageCannotBeSentAgain(t *testing.T) {
	w := open(t)
	a := w.accepted(w.version(t), `1`, w.webhook)
	a.Message.Transient = true
	must(t, w.Accept(a))
	o := delivered(iot.Queued{Delivery: a.Deliveries[0]})
	o.Transient = true
	w.finish(t, o)
	if _, err := w.Retry(t.Context(), w.project.Key, a.Deliveries[0].ID, actor); iot.CodeOf(err) != iot.Conflict {
		t.Errorf("retry: %v, want conflict", err)
	}
}

func TestGonePausesTheWebhookOnce(t *testing.T) {
	w, g := openGated(t)
	list := w.store(t, 3, `1`, false, w.webhook)
	gone := func(n int) *iot.Outcome {
		o := failed(list[n].Deliveries[0], iot.Failed)
		o.Attempt.Response.Status, o.PauseReason = 410, "The receiver answered 410 Gone."
		return o
	}
	version := w.version(t)
	g.together(t, w, func() { w.finish(t, gone(0)) }, func() { w.finish(t, gone(1)) })
	h, err := w.WebhookByKey(t.Context(), w.webhook.Key)
	must(t, err)
	if !h.Paused || h.PausedBy != iot.PausedByThingpost || h.PausedReason != "The receiver answered 410 Gone." || h.PausedAt == 0 {
		t.Errorf("the webhook is %+v", h)
	}
	log, err := w.Audit(t.Context(), db.AuditFilter{ProjectKey: w.project.Key, Limit: 50})
	must(t, err)
	n := 0
	for _, e := range log.Items {
		if e.Action == "webhook.pause" && e.Actor == iot.PausedByThingpost && e.Subject == w.webhook.ID {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d entries of a pause, want 1: %+v", n, log)
	}
	if w.version(t) == version {
		t.Error("messages are still matched with a webhook that is paused")
	}
	if got := w.status(t, list[2].Deliveries[0].ID); got != iot.Pending {
		t.Errorf("what was pending is %s", got)
	}
	c := w.commits()[len(w.commits())-1]
	if len(c.Webhooks) == 0 || c.Webhooks[0] != w.webhook.Key || len(c.Projects) != 1 {
		t.Errorf("the commit says %+v", c)
	}
}

func TestGoneOfADeletedWebhookPausesNothing(t *testing.T) {
	w := open(t)
	v := w.store(t, 1, `1`, false, w.webhook)[0].Deliveries[0]
	must(t, w.DeleteWebhook(w.webhook, actor))
	o := failed(v, iot.Failed)
	o.PauseReason = "gone"
	w.finish(t, o)
	if n := w.number(t, `SELECT count(*) FROM audit WHERE action = 'webhook.pause'`); n != 0 {
		t.Errorf("%d entries record a pause", n)
	}
}

func TestAnOutcomeOfAPrunedWebhookIsStored(t *testing.T) {
	w := open(t)
	v := w.store(t, 1, `1`, false, w.webhook)[0].Deliveries[0]
	must(t, w.DeleteWebhook(w.webhook, actor))
	_, err := w.raw(t).ExecContext(t.Context(), `DELETE FROM webhooks`)
	must(t, err)
	w.finish(t, delivered(iot.Queued{Delivery: v})) // the sender must not keep it for ever
}

func TestHealthFollowsTheAnswers(t *testing.T) {
	w := open(t)
	health := func() iot.Health {
		h, err := w.WebhookByKey(t.Context(), w.webhook.Key)
		must(t, err)
		return h.Health
	}
	if h := health(); h.Status != iot.HealthUnknown {
		t.Errorf("at first it is %+v", h)
	}
	at := iot.Instant(1_800_000_000_100)
	answer := func(good bool) *iot.Outcome {
		v := w.store(t, 1, `1`, false, w.webhook)[0].Deliveries[0]
		o := delivered(iot.Queued{Delivery: v})
		if !good {
			o = failed(v, iot.Failed)
		}
		o.Attempt.At = at
		at = at.Add(time.Second)
		return o
	}
	const detail = "The receiver answered 503 Service Unavailable."
	for n, c := range []struct {
		good bool
		want iot.Health
	}{
		{true, iot.Health{Status: iot.Healthy, Since: 1_800_000_000_112}},
		{true, iot.Health{Status: iot.Healthy, Since: 1_800_000_000_112}},
		{false, iot.Health{Status: iot.Failing, ConsecutiveFailures: 1, LastError: detail, Since: 1_800_000_002_112}},
		{false, iot.Health{Status: iot.Failing, ConsecutiveFailures: 2, LastError: detail, Since: 1_800_000_002_112}},
		// Two have failed a moment ago: another success does not make it healthy.
		{true, iot.Health{Status: iot.Failing, LastError: detail, Since: 1_800_000_002_112}},
		{false, iot.Health{Status: iot.Failing, ConsecutiveFailures: 1, LastError: detail, Since: 1_800_000_002_112}},
	} {
		w.finish(t, answer(c.good))
		if got := health(); got != c.want {
			t.Errorf("after answer %d it is %+v, want %+v", n+1, got, c.want)
		}
	}
	v := w.store(t, 1, `1`, false, w.webhook)[0].Deliveries[0]
	before := health()
	w.finish(t, &iot.Outcome{Delivery: v, Status: iot.Skipped, Detail: "nothing to send"})
	if got := health(); got != before {
		t.Errorf("a skipped delivery changed it to %+v", got)
	}
}

// TestHealthWhileOtherDeliveriesFail: a success makes a webhook healthy once the messages
// that failed lately were accepted too, or failed long ago.
func TestHealthWhileOtherDeliveriesFail(t *testing.T) {
	w := open(t)
	at := iot.Instant(1_800_000_000_000)
	end := func(v *iot.Delivery, good bool) {
		t.Helper()
		o := delivered(iot.Queued{Delivery: v})
		if !good {
			o = failed(v, iot.Pending)
		}
		o.Attempt.At, at = at, at.Add(time.Second)
		w.finish(t, o)
	}
	made := func() *iot.Delivery { return w.store(t, 1, `1`, false, w.webhook)[0].Deliveries[0] }
	is := func(what string, status iot.HealthStatus, failures int64) {
		t.Helper()
		h, err := w.WebhookByKey(t.Context(), w.webhook.Key)
		must(t, err)
		if h.Health.Status != status || h.Health.ConsecutiveFailures != failures {
			t.Errorf("%s it is %+v", what, h.Health)
		}
	}
	first := made()
	end(first, false)
	is("after a failure", iot.Failing, 1)
	end(made(), true)
	is("while the first waits for its next try", iot.Failing, 0)
	end(first, true)
	is("when the first was taken at last", iot.Healthy, 0)

	var waiting []*iot.Delivery
	for range 5 { // one in two
		waiting = append(waiting, made())
		end(waiting[len(waiting)-1], false)
		end(made(), true)
		is("with failures in between", iot.Failing, 0)
	}
	at = at.Add(14 * time.Minute)
	end(made(), true)
	is("a while after the last failure", iot.Failing, 0)
	at = at.Add(8 * time.Hour)
	end(made(), true)
	is("while five wait for their next try", iot.Failing, 0)
	must(t, w.Close())
	reopened, err := db.Open(t.Context(), db.Options{Folder: filepath.Dir(w.Path())})
	must(t, err)
	t.Cleanup(func() { _ = reopened.Close() })
	w.DB = reopened
	end(made(), true)
	is("after a restart", iot.Failing, 0)
	for n, v := range waiting {
		if end(v, true); n < len(waiting)-1 {
			is("while some wait for their next try", iot.Failing, 0)
		}
	}
	is("when all were taken", iot.Healthy, 0)

	v := made()
	o := failed(v, iot.Failed)
	o.Attempt.At = at
	w.finish(t, o)
	is("when one was given up", iot.Failing, 1)
	at = at.Add(14 * time.Minute)
	end(made(), true)
	is("a while after one was given up", iot.Failing, 0)
	at = at.Add(2 * time.Minute)
	end(made(), true)
	is("long after one was given up", iot.Healthy, 0)
}

func TestNotesAreKeptWithTheirAttempts(t *testing.T) {
	w := open(t)
	v := w.store(t, 1, `1`, false, w.webhook)[0].Deliveries[0]
	first := failed(v, iot.Pending)
	first.Attempt.Note = "The answer's body broke off."
	w.finish(t, first)
	second := delivered(iot.Queued{Delivery: v})
	second.Attempt.Number, second.Attempt.Note = 2, "200 OK came and counts, but its body broke off."
	w.finish(t, second)
	list, err := w.Attempts(t.Context(), v.ID, 100)
	must(t, err)
	if len(list) != 2 || list[0].Note != first.Attempt.Note || list[0].Error == nil || *list[0].Error != *first.Attempt.Error ||
		list[1].Note != second.Attempt.Note || list[1].Error != nil {
		t.Errorf("the attempts are %+v", list)
	}
	got, err := w.Delivery(t.Context(), w.project.Key, v.ID)
	must(t, err)
	if got.Status != iot.Delivered || got.Error != "" || got.ErrorDetail != "" {
		t.Errorf("the delivery is %+v", got)
	}
}

func TestGonePausesNoUpstream(t *testing.T) {
	w := open(t)
	v := w.store(t, 1, `1`, false, w.webhook)[0].Deliveries[0]
	_, err := w.raw(t).ExecContext(t.Context(), `UPDATE webhooks SET kind = 'upstream'`)
	must(t, err)
	o := failed(v, iot.Failed)
	o.PauseReason = "gone"
	w.finish(t, o)
	if n := w.number(t, `SELECT count(*) FROM webhooks WHERE paused = 1`) +
		w.number(t, `SELECT count(*) FROM audit WHERE action = 'webhook.pause'`); n != 0 {
		t.Error("it is paused, and nobody could resume it")
	}
}

package db_test

import (
	"fmt"
	"testing"

	"thingpost/internal/iot"
)

// The oldest pending delivery is found among any number, also if it is due last.
func TestOldestPendingIsTheOldest(t *testing.T) {
	w := open(t)
	other := w.newWebhook(t, "Datacake")
	version := w.version(t)
	first := w.accepted(version, `{"n":0}`, w.webhook)
	must(t, w.Accept(first))
	later := w.accepted(version, `{"n":1}`, other)
	must(t, w.Accept(later))
	for i := range 1200 {
		must(t, w.Accept(w.accepted(version, fmt.Sprint(i), w.webhook)))
	}
	put := &iot.Outcome{Delivery: first.Deliveries[0], Status: iot.Pending, DueAt: first.Message.ReceivedAt + 1,
		Attempt: &iot.Attempt{DeliveryID: first.Deliveries[0].ID, Number: 1, At: 1_800_000_000_100,
			Error: &iot.FailedError{Class: iot.ErrHTTP5xx, Detail: "It answered 503."}}}
	w.finish(t, put)
	each, err := w.WebhookStats(t.Context(), w.project.Key)
	must(t, err)
	all, err := w.ProjectStats(t.Context(), w.project.Key)
	must(t, err)
	at := func(id iot.ID) iot.Instant { return iot.Instant(id.Key() >> 21) }
	if got, want := each[w.webhook.Key].OldestPendingAt, at(first.Deliveries[0].ID); got != want {
		t.Errorf("of the webhook: %v, want %v", got, want)
	}
	if got, want := each[other.Key].OldestPendingAt, at(later.Deliveries[0].ID); got != want {
		t.Errorf("of the other: %v, want %v", got, want)
	}
	if all.OldestPendingAt != each[w.webhook.Key].OldestPendingAt || all.NextDueAt == 0 {
		t.Errorf("of the project: %v, next %v", all.OldestPendingAt, all.NextDueAt)
	}
	var grown int64
	for _, h := range all.Hours {
		grown += h.Grown
	}
	if grown != all.Counters.Pending || grown != 1202 {
		t.Errorf("the backlog has grown by %d and is %d", grown, all.Counters.Pending)
	}
	w.finish(t, delivered(iot.Queued{Delivery: later.Deliveries[0]}))
	each, err = w.WebhookStats(t.Context(), w.project.Key)
	must(t, err)
	if s := each[other.Key]; s.OldestPendingAt != 0 || s.NextDueAt != 0 || s.Hours[23].Grown != 0 {
		t.Errorf("with nothing pending: %+v", s)
	}
}

// TestMessagesOfADayAreCountedOnceStored stores a message together with one that fails their
// transaction, so that each is retried alone.
func TestMessagesOfADayAreCountedOnceStored(t *testing.T) {
	w, g := openGated(t)
	good, bad := w.accepted(w.version(t), `1`), w.accepted(w.version(t), `2`, w.webhook)
	bad.Deliveries[0].Trigger = "none" // which the schema refuses
	var failed error
	g.together(t, w, func() { must(t, w.Accept(good)) }, func() { failed = w.Accept(bad) })
	if failed == nil {
		t.Fatal("both were stored")
	}
	must(t, w.Close())
	if n := w.number(t, `SELECT sum(messages) FROM device_days`); n != 1 {
		t.Errorf("it counts %d messages of 1", n)
	}
}

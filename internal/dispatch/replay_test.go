package dispatch

import (
	"context"
	"testing"
	"time"

	"thingpost/db"
	"thingpost/internal/iot"
)

// replayer returns a replayer over the bench's store. It stops the bench's clock: only
// pass advances it.
func (b *bench) replayer() (r *Replayer, pass func(time.Duration)) {
	at := b.now()
	return NewReplayer(ReplayOptions{DB: b.db, Now: func() time.Time { return at }}), func(d time.Duration) { at = at.Add(d) }
}

// ended stores messages whose deliveries to a webhook were cancelled.
func (b *bench) ended(n int, hook *iot.Webhook) {
	b.t.Helper()
	b.send(0, 0, n, hook)
	_, err := b.db.Cancel(b.t.Context(), db.DeliveryFilter{ProjectKey: b.project.Key}, actor)
	b.must(err)
}

func (b *bench) replay(rate int, hook *iot.Webhook) *iot.Replay {
	b.t.Helper()
	r := &iot.Replay{Rate: rate}
	b.must(b.db.CreateReplay(b.t.Context(), r, db.ReplaySpec{Deliveries: &db.DeliveryFilter{ProjectKey: b.project.Key, WebhookKey: hook.Key}},
		actor))
	return r
}

func (b *bench) look(r *iot.Replay) *iot.Replay {
	b.t.Helper()
	now, err := b.db.Replay(b.t.Context(), b.project.Key, r.ID)
	b.must(err)
	return now
}

func TestAReplayKeepsItsRate(t *testing.T) {
	b := newBench(t)
	hook := b.webhook("http://127.0.0.1:9")
	b.ended(100, hook)
	job := b.replay(10, hook)
	r, pass := b.replayer()
	_, _, err := r.turn(t.Context()) // counts
	b.must(err)
	if v := b.look(job); v.Count != 100 || !v.Counted || v.Done != 0 {
		t.Fatalf("it is %+v", v)
	}
	pass(replayAgain)
	start := int64(0)
	for second := range 4 {
		for range 40 {
			wait, some, err := r.turn(t.Context())
			if err != nil || !some || wait <= 0 || wait > time.Second {
				t.Fatalf("wait %s, %v, %v", wait, some, err)
			}
			pass(25 * time.Millisecond)
		}
		if second == 0 {
			start = b.look(job).Done // what was allowed before the first step
			continue
		}
		if done := b.look(job).Done - start; done < int64(second)*10-2 || done > int64(second)*10+2 {
			t.Errorf("%d in %d s after the first, at 10 a second", done, second)
		}
	}
	// After a long pause a step creates no more than those of one second.
	before := b.look(job).Done
	pass(time.Hour)
	_, _, err = r.turn(t.Context())
	b.must(err)
	if done := b.look(job).Done - before; done < 5 || done > 10 {
		t.Errorf("%d at once after an hour", done)
	}
}

func TestAReplayWithoutARateWaitsForItsReceiver(t *testing.T) {
	b := newBench(t)
	hook := b.webhook("http://127.0.0.1:9")
	b.ended(replayBacklog+1200, hook)
	job := b.replay(0, hook)
	r, pass := b.replayer()
	for range 20 {
		_, _, err := r.turn(t.Context())
		b.must(err)
		pass(replayAgain)
	}
	if v := b.look(job); v.Done != replayBacklog || v.Count != replayBacklog+1200 || !v.Running() {
		t.Errorf("it is %+v", v)
	}
	// A paused webhook's deliveries are held back, so that there is nothing to wait for.
	b.must(b.db.PauseWebhook(hook, "Ada", "", actor))
	for range 5 {
		_, _, err := r.turn(t.Context())
		b.must(err)
		pass(replayAgain)
	}
	if v := b.look(job); v.Done != v.Count || v.State != iot.JobDone {
		t.Errorf("it is %+v", v)
	}
}

func TestAReplayOfADeletedWebhookFails(t *testing.T) {
	b := newBench(t)
	hook := b.webhook("http://127.0.0.1:9")
	b.ended(5, hook)
	job := b.replay(1, hook)
	b.must(b.db.DeleteWebhook(hook, actor))
	r, _ := b.replayer()
	_, _, err := r.turn(t.Context())
	b.must(err)
	if v := b.look(job); v.State != iot.JobFailed || v.Error == "" || v.Done != 0 {
		t.Errorf("it is %+v", v)
	}
	if _, some, err := r.turn(t.Context()); some || err != nil {
		t.Errorf("something is left: %v, %v", some, err)
	}
}

// TestReplaysAreSentInOrderAcrossARestart replays many messages and restarts the program
// meanwhile: each message arrives once more, in its device's order.
func TestReplaysAreSentInOrderAcrossARestart(t *testing.T) {
	b := newBench(t)
	server := receive(t, nil)
	hook := b.webhook(server.URL, func(w *iot.Webhook) { w.Settings.InOrder = true })
	const n = 150
	b.ended(n, hook)
	job := b.replay(0, hook)
	r, pass := b.replayer()
	for range 2 { // a step that counts, and a small one
		list, err := b.db.RunningReplays(t.Context())
		b.must(err)
		if list[0].Counted {
			_, _, err = b.db.ReplayStep(t.Context(), &list[0], nil, 100)
			b.must(err)
			break
		}
		_, _, err = r.turn(t.Context())
		b.must(err)
		pass(replayAgain)
	}
	b.stop()
	b.open()
	b.run()
	again := NewReplayer(ReplayOptions{DB: b.db, Now: b.now})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- again.Run(ctx) }()
	b.until("all arrived", func() bool { return server.count() >= n })
	b.until("it ended", func() bool { return !b.look(job).Running() })
	cancel()
	b.must(<-done)
	if v := b.look(job); v.State != iot.JobDone || v.Done != n {
		t.Errorf("it is %+v", v)
	}
	got := server.all()
	for i, g := range got {
		if g.n != i || len(got) != n {
			t.Fatalf("of %d, number %d is message %d", len(got), i, g.n)
		}
	}
}

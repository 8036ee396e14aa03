package db_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"thingpost/db"
	"thingpost/internal/iot"
)

// replayAll runs a replay to its end, in steps of most.
func (w *world) replayAll(t tester, s db.ReplaySpec, most int) (made int) {
	t.Helper()
	r := &iot.Replay{}
	must(t, w.CreateReplay(t.Context(), r, s, actor))
	for {
		n, ended, err := w.ReplayStep(t.Context(), w.running(t, r.ID), every, most)
		must(t, err)
		made += n
		if ended {
			break
		}
	}
	r, err := w.Replay(t.Context(), s.Project(), r.ID)
	must(t, err)
	if r.State != iot.JobDone || int(r.Done) != made || r.EndedAt == 0 {
		t.Fatal("the replay says", r.State, r.Done, "and made", made)
	}
	return made
}

func every(*iot.Message, *iot.Profile) bool { return true }

// running returns a running replay as a new process reads it.
func (w *world) running(t tester, id iot.ID) *db.RunningReplay {
	t.Helper()
	list, err := w.RunningReplays(t.Context())
	must(t, err)
	for i := range list {
		if list[i].ID == id {
			return &list[i]
		}
	}
	t.Fatal("the replay does not run")
	return nil
}

// replayed returns what replays have made, in the order of their messages.
func (w *world) replayed(t tester) (list []iot.Delivery) {
	t.Helper()
	page, err := w.Deliveries(t.Context(), db.DeliveryFilter{ProjectKey: w.project.Key, Limit: 1000})
	must(t, err)
	for _, v := range slices.Backward(page.Items) {
		if v.Trigger == iot.TriggerReplay {
			list = append(list, v)
		}
	}
	return list
}

func messageIDs(list []*db.Accept) (ids []iot.ID) {
	for _, a := range list {
		ids = append(ids, a.Message.ID)
	}
	return ids
}

func idsOf(list []iot.Delivery) (ids []iot.ID) {
	for _, v := range list {
		ids = append(ids, v.MessageID)
	}
	return ids
}

func TestAReplayGoesOnAfterARestart(t *testing.T) {
	w := open(t)
	w.SetLookBack(4)
	other := w.newWebhook(t, "Other one")
	want := w.store(t, 10, `1`, true, w.webhook)
	w.store(t, 10, `2`, true, other)
	s := db.ReplaySpec{Deliveries: &db.DeliveryFilter{ProjectKey: w.project.Key, WebhookKey: w.webhook.Key,
		Statuses: []iot.Status{iot.Delivered, iot.Pending}}}
	n, more, err := w.CountReplay(t.Context(), s, nil, 0)
	if err != nil || n != 10 || more {
		t.Fatalf("counted %d, %v, %v", n, more, err)
	}
	r := &iot.Replay{Job: iot.Job{Count: int64(n)}, Counted: true, Rate: 7}
	must(t, w.CreateReplay(t.Context(), r, s, actor))
	// Messages received after it began are not sent again.
	w.store(t, 3, `3`, true, w.webhook)
	if made, ended, err := w.ReplayStep(t.Context(), w.running(t, r.ID), nil, 3); made != 3 || ended || err != nil {
		t.Fatalf("made %d, %v, %v", made, ended, err)
	}
	must(t, w.Close())
	d, err := db.Open(t.Context(), db.Options{Folder: filepath.Dir(w.Path())})
	must(t, err)
	defer func() { must(t, d.Close()) }()
	again := &world{DB: d, project: w.project, device: w.device, webhook: w.webhook}
	again.SetLookBack(4)
	// A step that was read before another one is stored changes nothing.
	stale := again.running(t, r.ID)
	for ended := false; !ended; {
		_, ended, err = again.ReplayStep(t.Context(), again.running(t, r.ID), nil, 4)
		must(t, err)
	}
	if made, ended, err := again.ReplayStep(t.Context(), stale, nil, 4); made != 0 || !ended || err != nil {
		t.Errorf("a step that comes too late made %d, %v, %v", made, ended, err)
	}
	if got := idsOf(again.replayed(t)); !slices.Equal(got, messageIDs(want)) {
		t.Errorf("it sent\n%v, want the oldest first\n%v", got, messageIDs(want))
	}
	after, err := again.Replay(t.Context(), w.project.Key, r.ID)
	must(t, err)
	if after.State != iot.JobDone || after.Done != 10 || after.Count != 10 || after.Rate != 7 || after.Webhook != w.webhook.ID ||
		after.About != "status delivered, pending; webhook erp-goods-in" {
		t.Errorf("it is %+v", after)
	}
}

func TestAStoppedReplayMakesNoMore(t *testing.T) {
	w := open(t)
	w.store(t, 10, `1`, true, w.webhook)
	r := &iot.Replay{}
	must(t, w.CreateReplay(t.Context(), r, db.ReplaySpec{Deliveries: &db.DeliveryFilter{ProjectKey: w.project.Key}}, actor))
	job := w.running(t, r.ID)
	_, _, err := w.ReplayStep(t.Context(), job, nil, 4)
	must(t, err)
	stopped, err := w.StopReplay(t.Context(), w.project.Key, r.ID, "bob@example.org")
	if err != nil || stopped.State != iot.JobStopped || stopped.Done != 4 || stopped.EndedAt == 0 {
		t.Fatalf("it is %+v, %v", stopped, err)
	}
	if made, ended, err := w.ReplayStep(t.Context(), job, nil, 4); made != 0 || !ended || err != nil {
		t.Errorf("after the stop it made %d, %v, %v", made, ended, err)
	}
	if n := len(w.replayed(t)); n != 4 {
		t.Errorf("there are %d", n)
	}
	if _, err := w.StopReplay(t.Context(), w.project.Key, r.ID, actor); iot.CodeOf(err) != iot.Conflict {
		t.Errorf("a second stop: %v", err)
	}
	if _, err := w.StopReplay(t.Context(), w.project.Key, w.NewID(), actor); iot.CodeOf(err) != iot.NotFound {
		t.Errorf("a stop of another: %v", err)
	}
	page, err := w.Audit(t.Context(), db.AuditFilter{ProjectKey: w.project.Key, Limit: 2})
	must(t, err)
	log := page.Items
	if log[0].Action != "replay.stop" || log[0].Actor != "bob@example.org" || log[1].Action != "delivery.replay" ||
		log[1].Detail != "all deliveries that have ended" {
		t.Errorf("the audit log says %+v", log)
	}
	announced := 0
	for _, c := range w.commits() {
		if slices.Contains(c.Replays, r.ID.Key()) && slices.Contains(c.Events, iot.Event{ProjectKey: w.project.Key, Name: iot.ReplaysChanged}) {
			announced++
		}
	}
	if announced != 2 {
		t.Errorf("%d commits announce it, want its beginning and its stop", announced)
	}
}

func TestRunningReplaysAreFoundByTheirIndex(t *testing.T) {
	w := open(t)
	if plan := strings.Join(w.plan(t, db.RunningQuery), "\n"); !strings.Contains(plan, "USING INDEX replays_running") ||
		strings.Contains(plan, "TEMP B-TREE") {
		t.Errorf("the plan is %s", plan)
	}
}

// TestMessagesGoToAWebhook sends messages that were received while a webhook was paused, and
// messages that no webhook wanted.
func TestMessagesGoToAWebhook(t *testing.T) {
	w := open(t)
	w.SetLookBack(3)
	got := w.store(t, 4, `1`, true, w.webhook)
	missed := w.store(t, 4, `2`, false)
	other := w.newWebhook(t, "Other one")
	elsewhere := w.store(t, 2, `3`, true, other)
	f := &db.MessageFilter{ProjectKey: w.project.Key}
	nobody := *f
	nobody.Nobody = true
	odd := func(m *iot.Message, p *iot.Profile) bool { return p.Webhook && m.ID == missed[1].Message.ID }
	for name, c := range map[string]struct {
		spec  db.ReplaySpec
		wants db.Wants
		want  []iot.ID
	}{
		"all":     {db.ReplaySpec{Messages: f, WebhookKey: w.webhook.Key}, every, messageIDs(slices.Concat(got, missed, elsewhere))},
		"missing": {db.ReplaySpec{Messages: f, WebhookKey: w.webhook.Key, Missing: true}, every, messageIDs(slices.Concat(missed, elsewhere))},
		"nobody":  {db.ReplaySpec{Messages: &nobody, WebhookKey: w.webhook.Key}, every, messageIDs(missed)},
		"wanted":  {db.ReplaySpec{Messages: f, WebhookKey: w.webhook.Key, Wanted: true}, odd, messageIDs(missed[1:2])},
	} {
		if n, more, err := w.CountReplay(t.Context(), c.spec, c.wants, 0); err != nil || n != len(c.want) || more {
			t.Errorf("%s: counted %d, %v, %v; want %d", name, n, more, err, len(c.want))
		}
	}
	r := &iot.Replay{}
	must(t, w.CreateReplay(t.Context(), r, db.ReplaySpec{Messages: f, WebhookKey: w.webhook.Key, Missing: true, Wanted: true}, actor))
	for ended := false; !ended; {
		var err error
		_, ended, err = w.ReplayStep(t.Context(), w.running(t, r.ID), every, 2)
		must(t, err)
	}
	made := w.replayed(t)
	if want := messageIDs(slices.Concat(missed, elsewhere)); !slices.Equal(idsOf(made), want) {
		t.Errorf("it sent %v, want %v", idsOf(made), want)
	}
	if made[0].WebhookKey != w.webhook.Key || made[0].DeviceKey != w.device.Key || made[0].Status != iot.Pending {
		t.Errorf("it made %+v", made[0])
	}
	if r.About != "not sent to this webhook before; wanted by its rules" || r.Source != iot.FromMessages || r.Webhook != w.webhook.ID {
		t.Errorf("it is %+v", r)
	}
}

func TestAReplayIsRefused(t *testing.T) {
	w := open(t)
	all := db.ReplaySpec{Deliveries: &db.DeliveryFilter{ProjectKey: w.project.Key}}
	for _, c := range []struct {
		code iot.Code
		rate int
		spec db.ReplaySpec
	}{
		{iot.Invalid, -1, all},
		{iot.NotFound, 0, db.ReplaySpec{Deliveries: &db.DeliveryFilter{ProjectKey: w.project.Key, WebhookKey: 99}}},
	} {
		if err := w.CreateReplay(t.Context(), &iot.Replay{Rate: c.rate}, c.spec, actor); iot.CodeOf(err) != c.code {
			t.Errorf("%v, want %s", err, c.code)
		}
	}
	for range db.MaxReplays {
		must(t, w.CreateReplay(t.Context(), &iot.Replay{}, all, actor))
	}
	if err := w.CreateReplay(t.Context(), &iot.Replay{}, all, actor); iot.CodeOf(err) != iot.LimitReached {
		t.Errorf("one too many: %v", err)
	}
	if list, err := w.Running(t.Context(), w.project.Key); err != nil || len(list) != db.MaxReplays {
		t.Errorf("%d run, %v", len(list), err)
	}
}

func TestAReplayThatCannotGoOnFails(t *testing.T) {
	w := open(t)
	r := &iot.Replay{}
	must(t, w.CreateReplay(t.Context(), r, db.ReplaySpec{Deliveries: &db.DeliveryFilter{ProjectKey: w.project.Key}}, actor))
	_, err := w.raw(t).ExecContext(t.Context(), `UPDATE replays SET chosen = '{"deliveries":7}'`)
	must(t, err)
	if list, err := w.RunningReplays(t.Context()); err != nil || len(list) > 0 {
		t.Fatalf("%v, %v", list, err)
	}
	after, err := w.Replay(t.Context(), w.project.Key, r.ID)
	if err != nil || after.State != iot.JobFailed || !strings.Contains(after.Error, "cannot be read") {
		t.Errorf("it is %+v, %v", after, err)
	}
}

func TestOldReplaysAreForgotten(t *testing.T) {
	w, c := openAt(t)
	for range db.KeptReplays + 3 {
		w.replayAll(t, db.ReplaySpec{Deliveries: &db.DeliveryFilter{ProjectKey: w.project.Key}}, 1)
		c.forward(time.Second)
	}
	list, err := w.Replays(t.Context(), w.project.Key, iot.ID{}, 1000)
	if err != nil || len(list) != db.KeptReplays {
		t.Errorf("%d are kept, %v", len(list), err)
	}
}

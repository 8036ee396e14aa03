package db_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"thingpost/db"
	"thingpost/internal/iot"
)

// cause reports each downlink by a message with a delivery to the world's webhook.
func (w *world) cause(version int64) db.Cause {
	return db.Cause{Project: w.project, Device: w.device, Version: version,
		Messages: func(kind iot.MessageType, about []*iot.Downlink) []*db.Accept {
			var list []*db.Accept
			for _, v := range about {
				a := w.accepted(version, fmt.Sprintf(`{%q:%s}`, kind, v.Object()), w.webhook)
				a.Message.Type, a.Deliveries[0].Type = kind, kind
				list = append(list, a)
			}
			return list
		}}
}

func (w *world) downlinks(n int, confirmed bool) []*iot.Downlink {
	list := make([]*iot.Downlink, n)
	for i := range list {
		list[i] = &iot.Downlink{ID: w.NewID(), Body: fmt.Appendf(nil, `{"f_port":%d}`, i%200+1), Confirmed: confirmed, MaxAttempts: 2}
	}
	return list
}

func (w *world) push(t *testing.T, list ...*iot.Downlink) {
	t.Helper()
	stale, err := w.PushDownlinks(list, false, w.cause(w.version(t)))
	must(t, err)
	if stale {
		t.Fatal("stale")
	}
}

func (w *world) take(t *testing.T) *iot.Downlink {
	t.Helper()
	v, stale, err := w.TakeDownlink(w.cause(w.version(t)))
	must(t, err)
	if stale {
		t.Fatal("stale")
	}
	return v
}

func (w *world) events(t *testing.T) (types []iot.MessageType) {
	t.Helper()
	page, err := w.Messages(t.Context(), db.MessageFilter{ProjectKey: w.project.Key, Limit: 200})
	must(t, err)
	deliveries, err := w.Deliveries(t.Context(), db.DeliveryFilter{ProjectKey: w.project.Key, Limit: 200})
	must(t, err)
	if len(deliveries.Items) != len(page.Items) {
		t.Errorf("%d messages made %d deliveries", len(page.Items), len(deliveries.Items))
	}
	for _, m := range slices.Backward(page.Items) {
		types = append(types, m.Type)
	}
	return types
}

func TestQueueIsTakenInOrderAndEachChangeIsAMessage(t *testing.T) {
	w := open(t)
	list := w.downlinks(3, true)
	w.push(t, list...)
	first := w.take(t)
	if first.ID != list[0].ID || first.Status != iot.DownlinkIsSent || first.SentAt == 0 {
		t.Fatalf("%+v", first)
	}
	refuse := func(v *iot.Downlink) *iot.Downlink {
		t.Helper()
		after, stale, err := w.AnswerDownlink(v.ID, iot.DownlinkNack, "no", w.cause(w.version(t)))
		must(t, err)
		if stale {
			t.Fatal("stale")
		}
		return after
	}
	if v := refuse(first); v.Status != iot.DownlinkIsQueued || v.Attempt != 1 {
		t.Errorf("refused once: %+v", v)
	}
	second, third := w.take(t), w.take(t)
	if second.ID != list[1].ID || third.ID != list[2].ID {
		t.Error("what was refused did not go to the end")
	}
	again := w.take(t)
	if again.ID != first.ID || again.Attempt != 1 {
		t.Fatalf("%+v", again)
	}
	if v := refuse(again); v.Status != iot.DownlinkIsFailed || v.Attempt != 2 || v.Error != db.TooManyAttempts {
		t.Errorf("refused twice of two: %+v", v)
	}
	for range 2 { // the second time changes nothing
		if _, _, err := w.AnswerDownlink(second.ID, iot.DownlinkAck, "", w.cause(w.version(t))); err != nil {
			t.Error(err)
		}
		if v, _, err := w.AnswerDownlink(third.ID, iot.DownlinkFailed, "stuck", w.cause(w.version(t))); err != nil || v.Error != "stuck" {
			t.Error(v, err)
		}
	}
	if v := w.take(t); v != nil {
		t.Errorf("an empty queue gave %+v", v)
	}
	want := []iot.MessageType{iot.DownlinkQueued, iot.DownlinkQueued, iot.DownlinkQueued, iot.DownlinkSent, iot.DownlinkNack, iot.DownlinkSent,
		iot.DownlinkSent,
		iot.DownlinkSent, iot.DownlinkNack, iot.DownlinkFailed, iot.DownlinkAck, iot.DownlinkFailed}
	if got := w.events(t); !slices.Equal(got, want) {
		t.Errorf("messages are %v, want %v", got, want)
	}
}

func TestDownlinkAnswersAreRefusedByTheirCodes(t *testing.T) {
	w := open(t)
	list := w.downlinks(1, false)
	w.push(t, list...)
	other := &iot.Device{ProjectKey: w.project.Key, ID: "other-probe"}
	must(t, w.CreateDevice(other, "other-key", actor))
	ack := func(id iot.ID, change func(*db.Cause)) iot.Code {
		c := w.cause(w.version(t))
		if change != nil {
			change(&c)
		}
		_, _, err := w.AnswerDownlink(id, iot.DownlinkAck, "", c)
		return iot.CodeOf(err)
	}
	if code := ack(list[0].ID, nil); code != iot.Conflict {
		t.Errorf("not taken yet: %s", code)
	}
	w.take(t)
	if code := ack(w.NewID(), nil); code != iot.NotFound {
		t.Errorf("unknown: %s", code)
	}
	if code := ack(list[0].ID, func(c *db.Cause) { c.Device = other }); code != iot.NotFound {
		t.Errorf("of another device: %s", code)
	}
	if v, _, err := w.AnswerDownlink(list[0].ID, iot.DownlinkNack, "no", w.cause(w.version(t))); err != nil ||
		v.Status != iot.DownlinkIsFailed {
		t.Errorf("one that needs no confirmation was refused: %+v %v", v, err)
	}
	if code := ack(list[0].ID, nil); code != iot.Conflict {
		t.Errorf("ended: %s", code)
	}
}

func TestQueueHoldsTenThousand(t *testing.T) {
	w := open(t)
	quiet := w.cause(w.version(t))
	quiet.Messages = func(iot.MessageType, []*iot.Downlink) []*db.Accept { return nil }
	push := func(n int, replace bool) error {
		_, err := w.PushDownlinks(w.downlinks(n, false), replace, quiet)
		return err
	}
	must(t, push(iot.MaxDownlinks, false))
	if err := push(1, false); iot.CodeOf(err) != iot.LimitReached {
		t.Errorf("one more: %v", err)
	}
	must(t, push(2, true))
	if n, err := w.CountDownlinks(t.Context(), w.device.Key); n != 2 || err != nil {
		t.Errorf("%d are queued after a replace by 2: %v", n, err)
	}
	if err := push(iot.MaxDownlinks+1, true); iot.CodeOf(err) != iot.LimitReached {
		t.Errorf("too many: %v", err)
	}
	if n, err := w.CountDownlinks(t.Context(), w.device.Key); n != 2 || err != nil {
		t.Errorf("a refused replace left %d: %v", n, err)
	}
}

func TestQueueChangedOnOlderSettingsIsStale(t *testing.T) {
	w, g := openGated(t)
	version := w.version(t)
	var stale bool
	var err error
	g.together(t, w,
		func() { stale, err = w.PushDownlinks(w.downlinks(1, false), false, w.cause(version)) },
		func() { _ = w.PauseWebhook(w.webhook, "Ada", "", actor) })
	if !stale || err != nil {
		t.Errorf("pushed beside a change of settings: stale %v, %v", stale, err)
	}
	if n := len(w.events(t)); n != 0 {
		t.Errorf("%d messages were stored", n)
	}
	if v := w.take(t); v != nil {
		t.Errorf("%+v was queued", v)
	}
}

func TestQueuesGoWithTheirDevicesAndStayOtherwise(t *testing.T) {
	now := time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)
	w := open(t, func(o *db.Options) { o.Now = func() time.Time { return now } })
	list := w.downlinks(3, false)
	w.push(t, list...)
	w.take(t)
	_, _, err := w.AnswerDownlink(list[0].ID, iot.DownlinkAck, "", w.cause(w.version(t)))
	must(t, err)
	now = now.Add(1000 * time.Hour)
	_, err = w.Prune(t.Context(), db.PruneOptions{OlderThan: time.Hour})
	must(t, err)
	left := func() (n int64) {
		t.Helper()
		n, err := w.CountOn(t.Context(), `SELECT count(*) FROM downlinks`)
		must(t, err)
		return n
	}
	if n := left(); n != 2 {
		t.Errorf("%d downlinks are left, want the 2 that are queued", n)
	}
	must(t, w.DeleteDevice(w.device, actor))
	if n, err := w.CountDownlinks(t.Context(), w.device.Key); n != 0 || err != nil {
		t.Errorf("%d are queued for a deleted device: %v", n, err)
	}
	all, err := w.Check(t.Context())
	must(t, err)
	for _, f := range all {
		if !f.OK() {
			t.Error(f)
		}
	}
}

func TestSizeTakesEndedDownlinksToo(t *testing.T) {
	now := time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)
	w := open(t, func(o *db.Options) { o.Now = func() time.Time { return now } })
	w.push(t, w.downlinks(2, false)...)
	w.take(t)
	now = now.Add(2 * time.Hour)
	must(t, w.Accept(w.accepted(w.version(t), `1`)))
	_, err := w.Prune(t.Context(), db.PruneOptions{MaxBytes: 1})
	must(t, err)
	if n, err := w.CountOn(t.Context(), `SELECT count(*) FROM downlinks WHERE status = 'queued'`); n != 1 || err != nil {
		t.Errorf("%d are queued: %v", n, err)
	}
	if n, err := w.CountOn(t.Context(), `SELECT count(*) FROM downlinks`); n != 1 || err != nil {
		t.Errorf("%d are left, want the queued one: %v", n, err)
	}
}

func TestBackupHoldsQueues(t *testing.T) {
	w := open(t)
	w.push(t, w.downlinks(1, true)...)
	file, folder := filepath.Join(t.TempDir(), "copy.db"), filepath.Join(t.TempDir(), "restored")
	must(t, db.Backup(t.Context(), filepath.Dir(w.Path()), file))
	must(t, db.Restore(t.Context(), folder, file, false))
	d, err := db.Open(t.Context(), db.Options{Folder: folder, KeyFile: filepath.Join(filepath.Dir(w.Path()), db.KeyFileName)})
	must(t, err)
	defer func() { must(t, d.Close()) }()
	page, err := d.Downlinks(t.Context(), w.device, db.DownlinkFilter{DeviceKey: w.device.Key, Status: iot.DownlinkIsQueued, Limit: 10})
	must(t, err)
	if len(page.Items) != 1 || string(page.Items[0].Body) != `{"f_port":1}` || !page.Items[0].Confirmed {
		t.Errorf("restored %+v", page.Items)
	}
}

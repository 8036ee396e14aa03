package db_test

import (
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"thingpost/db"
	"thingpost/internal/iot"
)

// gate stops the writer between two transactions, so that a test decides what shares one.
type gate struct {
	armed            atomic.Bool
	reached, release chan struct{}
}

func openGated(t *testing.T) (*world, *gate) {
	t.Helper()
	g := &gate{reached: make(chan struct{}), release: make(chan struct{})}
	return open(t, func(o *db.Options) {
		heard := o.OnCommit
		o.OnCommit = func(c iot.Commit) {
			heard(c)
			if g.armed.CompareAndSwap(true, false) {
				g.reached <- struct{}{}
				<-g.release
			}
		}
	}), g
}

// together queues all writes while the writer is stopped, so that they share a transaction,
// and waits until they are done.
func (g *gate) together(t *testing.T, w *world, writes ...func()) {
	t.Helper()
	done := make(chan struct{}, len(writes)+1)
	run := func(write func()) {
		go func() {
			write()
			done <- struct{}{}
		}()
	}
	g.armed.Store(true)
	run(func() { _ = w.NoteSignIn(w.account.Key, "") })
	<-g.reached
	before := len(w.commits())
	for n, write := range writes {
		run(write)
		for w.Waiting() <= n {
			runtime.Gosched()
		}
	}
	g.release <- struct{}{}
	for range len(writes) + 1 {
		<-done
	}
	if n := len(w.commits()) - before; n != 1 {
		t.Fatalf("%d transactions, want one", n)
	}
}

// finish stores outcomes. It submits all before it waits for the first.
func (w *world) finish(t tester, list ...*iot.Outcome) {
	t.Helper()
	done := make(chan error, len(list))
	for _, o := range list {
		w.Finish(o, func(err error) { done <- err })
	}
	for range list {
		must(t, <-done)
	}
}

// failed is the outcome of an attempt that was answered with 503.
func failed(v *iot.Delivery, status iot.Status) *iot.Outcome {
	o := delivered(iot.Queued{Delivery: v})
	o.Status = status
	o.Attempt.Response.Status = 503
	o.Attempt.Error = &iot.FailedError{Class: iot.ErrHTTP5xx, Detail: "The receiver answered 503 Service Unavailable."}
	if status == iot.Pending {
		o.DueAt = v.DueAt.Add(5 * time.Second)
	}
	return o
}

func (w *world) status(t tester, id iot.ID) iot.Status {
	t.Helper()
	v, err := w.Delivery(t.Context(), w.project.Key, id)
	must(t, err)
	return v.Status
}

func (w *world) counters(t tester, h *iot.Webhook) db.Counters {
	t.Helper()
	stats, err := w.WebhookStats(t.Context(), w.project.Key)
	must(t, err)
	return stats[h.Key].Counters
}

func TestAcceptStoresAMessageWithItsDeliveries(t *testing.T) {
	w := open(t)
	other := w.newWebhook(t, "Other one")
	a := w.accepted(w.version(t), `{"n":1.10}`, w.webhook, other)
	a.Message.Fields = []byte(`{"to":"x"}`)
	a.Message.SenderID, a.Message.Channel = "s-1", "alarm"
	must(t, w.Accept(a))
	m, err := w.Message(t.Context(), w.project.Key, a.Message.ID)
	must(t, err)
	if string(m.Payload) != `{"n":1.10}` || string(m.Fields) != `{"to":"x"}` || m.SenderID != "s-1" || m.Channel != "alarm" ||
		m.Device != w.device.ID || m.Transient {
		t.Errorf("the message is %+v", m)
	}
	list, err := w.DeliveriesOf(t.Context(), w.project.Key, m.ID)
	must(t, err)
	if len(list) != 2 || list[0].Status != iot.Pending || list[0].Webhook != w.webhook.ID || list[1].Webhook != other.ID ||
		list[0].SizeBytes != 10 {
		t.Errorf("the deliveries are %+v", list)
	}
	commits := w.commits()
	c := commits[len(commits)-1]
	if len(c.Queued) != 2 || c.Queued[0].Message != a.Message || len(c.Events) != 2 || len(c.Projects) != 0 {
		t.Errorf("the commit says %+v", c)
	}
	must(t, w.Accept()) // nothing at all
}

func TestAcceptStoresTheMessagesOfACallTogether(t *testing.T) {
	w := open(t)
	before := len(w.commits())
	w.store(t, 1500, `1`, false, w.webhook)
	if n := len(w.commits()) - before; n != 1 {
		t.Errorf("one call took %d transactions: a fault between them would leave half of it", n)
	}
	w.holds(t)
}

func TestAcceptMatchedOnOlderSettingsIsStale(t *testing.T) {
	paused := func(w *world) error { return w.PauseWebhook(w.webhook, "Ada", "", actor) }
	on, name := false, "New name"
	key := &iot.APIKey{ID: strings.Repeat("A", 39), Name: "k", Rights: iot.SendMessages}
	for what, change := range map[string]func(*world) error{
		"webhook created": func(w *world) error {
			h := w.webhook.Clone()
			h.ID = "another"
			return w.CreateWebhook(h, actor)
		},
		"webhook changed": func(w *world) error { return w.UpdateWebhook(w.webhook, actor, "") },
		"webhook paused":  paused,
		"webhook resumed": func(w *world) error { return w.ResumeWebhook(w.webhook, actor) },
		"webhook deleted": func(w *world) error { return w.DeleteWebhook(w.webhook, actor) },
		"profile changed": func(w *world) error {
			p, err := w.Profile(t.Context(), w.project.Key, iot.DefaultProfile)
			must(t, err)
			return w.UpdateProfile(p, iot.ProfileUpdate{Webhook: &on}, actor)
		},
		"device changed":  func(w *world) error { return w.UpdateDevice(w.device, iot.DeviceUpdate{Name: &name}, actor) },
		"device deleted":  func(w *world) error { return w.DeleteDevice(w.device, actor) },
		"project changed": func(w *world) error { return w.UpdateProject(w.project, iot.ProjectUpdate{Name: &name}, actor) },
		"project deleted": func(w *world) error { return w.DeleteProject(w.project, actor) },
		"key revoked":     func(w *world) error { return w.DeleteAPIKey(w.project.Key, key.ID, actor) },
	} {
		t.Run(what, func(t *testing.T) {
			w := open(t)
			k := *key
			k.ProjectKey = w.project.Key
			must(t, w.CreateAPIKey(&k, "secret", actor))
			a := w.accepted(w.version(t), `1`, w.webhook)
			must(t, change(w))
			must(t, w.Accept(a))
			if !a.Stale {
				t.Error("it is not stale")
			}
			if n := w.number(t, `SELECT (SELECT count(*) FROM messages) + (SELECT count(*) FROM deliveries)`); n != 0 {
				t.Errorf("%d rows were stored", n)
			}
		})
	}
}

// TestAChangedDeviceIsStaleAlone: a device that was read before its change is stale, also
// when so many have changed that the store forgets which.
func TestAChangedDeviceIsStaleAlone(t *testing.T) {
	w := open(t)
	other := &iot.Device{ProjectKey: w.project.Key, ID: "probe-beside"}
	must(t, w.CreateDevice(other, "key-beside", actor))
	read := func(name string) *iot.Device {
		d, err := w.Device(t.Context(), w.project.Key, name)
		must(t, err)
		return d
	}
	stale := func(d *iot.Device) bool {
		a := w.accepted(w.version(t), `1`, w.webhook)
		a.Device, a.Message.DeviceKey = d, d.Key
		must(t, w.Accept(a))
		return a.Stale
	}
	old, beside, name := read(w.device.ID), read(other.ID), "New name"
	version := w.version(t)
	must(t, w.UpdateDevice(read(w.device.ID), iot.DeviceUpdate{Name: &name}, actor))
	if v := w.version(t); v != version {
		t.Errorf("the project's version went from %d to %d", version, v)
	}
	if !stale(old) || stale(read(w.device.ID)) || stale(beside) {
		t.Error("not just what was read before the change is stale")
	}
	w.ForgetDeviceChanges()
	must(t, w.UpdateDevice(read(w.device.ID), iot.DeviceUpdate{Name: &name}, actor))
	if !stale(old) || !stale(beside) || stale(read(other.ID)) {
		t.Error("what may have changed is not read again, or again and again")
	}
}

func TestAcceptBesideAChangeOfSettingsIsStale(t *testing.T) {
	w, g := openGated(t)
	a := w.accepted(w.version(t), `1`, w.webhook)
	g.together(t, w,
		func() { must(t, w.Accept(a)) }, // came first, and is written after the change
		func() { must(t, w.PauseWebhook(w.webhook, "Ada", "", actor)) })
	if !a.Stale {
		t.Error("a paused webhook got a delivery")
	}
	a.Version = w.version(t)
	must(t, w.Accept(a))
	if a.Stale {
		t.Error("matched again it is still stale")
	}
}

func TestRepeatedSenderIDIsAcceptedOnce(t *testing.T) {
	w, c := openAt(t)
	other := &iot.Device{ProjectKey: w.project.Key, ID: "other-probe"}
	must(t, w.CreateDevice(other, "another-key", actor))
	send := func(d *iot.Device, id string) *db.Accept {
		a := w.accepted(w.version(t), `1`, w.webhook)
		a.Message.SenderID, a.Message.DeviceKey, a.Message.ReceivedAt = id, d.Key, iot.At(c.now())
		return a
	}
	first, same, another, elsewhere, none := send(w.device, "a"), send(w.device, "a"), send(w.device, "b"), send(other, "a"),
		send(w.device, "")
	must(t, w.Accept(first, same, another, elsewhere, none))
	if same.Repeated != first.Message.ID {
		t.Errorf("in one call: repeated is %q, want %s", same.Repeated, first.Message.ID)
	}
	for what, a := range map[string]*db.Accept{"the first": first, "another id": another, "another device": elsewhere, "no id": none} {
		if !a.Repeated.IsZero() {
			t.Errorf("%s counts as repeated", what)
		}
	}
	c.forward(db.RepeatWindow - time.Millisecond)
	later := send(w.device, "a")
	must(t, w.Accept(later))
	if later.Repeated != first.Message.ID {
		t.Errorf("within 24 h: repeated is %q, want %s", later.Repeated, first.Message.ID)
	}
	c.forward(2 * time.Millisecond)
	after := send(w.device, "a")
	must(t, w.Accept(after))
	if !after.Repeated.IsZero() {
		t.Error("after 24 h it still counts as repeated")
	}
	if n := w.number(t, `SELECT count(*) FROM messages`); n != 5 {
		t.Errorf("%d messages are stored, want 5", n)
	}
	w.holds(t)
}

func TestRepeatedSenderIDOfTwoCallsInOneTransaction(t *testing.T) {
	w, g := openGated(t)
	a, b := w.accepted(w.version(t), `1`, w.webhook), w.accepted(w.version(t), `2`, w.webhook)
	a.Message.SenderID, b.Message.SenderID = "same", "same"
	g.together(t, w, func() { must(t, w.Accept(a)) }, func() { must(t, w.Accept(b)) })
	if b.Repeated != a.Message.ID {
		t.Errorf("repeated is %q, want %s", b.Repeated, a.Message.ID)
	}
}

func TestAFailingChangeFailsNoOther(t *testing.T) {
	w, g := openGated(t)
	a := w.accepted(w.version(t), `1`, w.webhook)
	taken := w.device
	var failed, made, noted error
	g.together(t, w,
		func() { made = w.CreateDevice(&iot.Device{ProjectKey: w.project.Key, ID: "before"}, "k1", actor) },
		func() {
			failed = w.CreateDevice(&iot.Device{ProjectKey: w.project.Key, ID: "dup", UUID: taken.UUID}, "k2", actor)
		},
		func() { noted = w.NoteSignIn(w.account.Key, "") },
		func() { must(t, w.Accept(a)) })
	if iot.CodeOf(failed) != iot.Conflict || made != nil || noted != nil || a.Stale {
		t.Errorf("failed: %v, made: %v, noted: %v, stale: %v", failed, made, noted, a.Stale)
	}
	if _, err := w.Device(t.Context(), w.project.Key, "before"); err != nil {
		t.Error(err)
	}
	if _, err := w.Message(t.Context(), w.project.Key, a.Message.ID); err != nil {
		t.Error(err)
	}
	if n := w.number(t, `SELECT count(*) FROM audit WHERE subject = 'dup'`); n != 0 {
		t.Error("the failed change is in the audit log")
	}
}

func TestDevicesLastSeenIsWrittenWithOtherWork(t *testing.T) {
	w, c := openAt(t)
	w.store(t, 1, `1`, false, w.webhook)
	c.forward(3 * time.Second)
	must(t, w.NoteSignIn(w.account.Key, ""))
	d, err := w.Device(t.Context(), w.project.Key, w.device.ID)
	must(t, err)
	if d.LastSeenAt != 1_800_000_000_000 {
		t.Errorf("last seen at %d", d.LastSeenAt)
	}
}

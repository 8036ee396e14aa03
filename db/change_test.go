package db_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"thingpost/db"
	"thingpost/internal/iot"
)

func TestChangesAreRefusedByTheirCodes(t *testing.T) {
	w := open(t, func(o *db.Options) { o.Limits.Webhooks = 2 })
	p := w.project
	gone := &iot.Device{ProjectKey: p.Key, ID: "gone-probe"}
	must(t, w.CreateDevice(gone, "gone-key", actor))
	must(t, w.DeleteDevice(gone, actor))
	empty := &iot.Project{Name: "Second", OrganizationKey: p.OrganizationKey}
	must(t, w.CreateProject(empty, actor))
	profile := func(id string) *iot.Profile { return &iot.Profile{ProjectKey: p.Key, ID: id, Name: "Profile"} }
	hook := func(project int64, id string) *iot.Webhook {
		h := w.webhook.Clone()
		h.ProjectKey, h.ID = project, id
		return h
	}
	standard, err := w.Profile(t.Context(), p.Key, iot.DefaultProfile)
	must(t, err)
	used := profile("used-one")
	must(t, w.CreateProfile(used, actor))
	must(t, w.UpdateDevice(w.device, iot.DeviceUpdate{Profile: &used.ID}, actor))
	long, none, bad := strings.Repeat("x", 1025), "", "no such thing"
	device := func(change func(d *iot.Device)) error {
		d := &iot.Device{ProjectKey: p.Key, ID: "a-new-probe"}
		change(d)
		return w.CreateDevice(d, "a-new-key", actor)
	}
	key := &iot.APIKey{ID: strings.Repeat("A", 39), ProjectKey: p.Key, Name: "key", Rights: iot.SendMessages}
	must(t, w.CreateAPIKey(key, "secret", actor))
	for what, c := range map[string]struct {
		err   error
		code  iot.Code
		field string
	}{
		"device, id taken":        {device(func(d *iot.Device) { d.ID = w.device.ID }), iot.Conflict, "id"},
		"device, id is no slug":   {device(func(d *iot.Device) { d.ID = "No Slug" }), iot.Invalid, "id"},
		"device, id of a page":    {device(func(d *iot.Device) { d.ID = "new" }), iot.Invalid, "id"},
		"device, uuid taken":      {device(func(d *iot.Device) { d.UUID = strings.ToUpper(w.device.UUID) }), iot.Conflict, "uuid"},
		"device, uuid is none":    {device(func(d *iot.Device) { d.UUID = "x" }), iot.Invalid, "uuid"},
		"device, no such profile": {device(func(d *iot.Device) { d.Profile = "absent" }), iot.Invalid, "profile"},
		"device, bad eui":         {device(func(d *iot.Device) { d.DevEUI = "xyz" }), iot.Invalid, "dev_eui"},
		"device, key taken": {w.CreateDevice(&iot.Device{ProjectKey: p.Key, ID: "twin-key"}, "device-key-of-soil-probe-07", actor),
			iot.Conflict, ""},
		"device, update deleted": {w.UpdateDevice(gone, iot.DeviceUpdate{Name: &none}, actor), iot.NotFound, ""},
		"device, update name":    {w.UpdateDevice(w.device, iot.DeviceUpdate{Name: &long}, actor), iot.Invalid, "name"},
		"device, update profile": {w.UpdateDevice(w.device, iot.DeviceUpdate{Profile: &bad}, actor), iot.Invalid, "profile"},
		"device, delete twice":   {w.DeleteDevice(gone, actor), iot.NotFound, ""},
		"device, key of deleted": {w.SetDeviceKey(gone, "k", actor), iot.NotFound, ""},
		"webhook, id taken":      {w.CreateWebhook(hook(p.Key, w.webhook.ID), actor), iot.Conflict, "id"},
		"webhook, no such device": {w.CreateWebhook(func() *iot.Webhook { h := hook(p.Key, "other"); h.Device = "absent"; return h }(), actor),
			iot.Invalid, "device"},
		"webhook, second":         {w.CreateWebhook(hook(p.Key, "second"), actor), "", ""},
		"webhook, more than two":  {w.CreateWebhook(hook(p.Key, "third"), actor), iot.LimitReached, ""},
		"webhook, elsewhere":      {w.CreateWebhook(hook(empty.Key, w.webhook.ID), actor), "", ""},
		"webhook, pause absent":   {w.PauseWebhook(&iot.Webhook{Key: 99}, "a", "", actor), iot.NotFound, ""},
		"webhook, resume absent":  {w.ResumeWebhook(&iot.Webhook{Key: 99}, actor), iot.NotFound, ""},
		"webhook, delete absent":  {w.DeleteWebhook(&iot.Webhook{Key: 99}, actor), iot.NotFound, ""},
		"profile, id taken":       {w.CreateProfile(profile(iot.DefaultProfile), actor), iot.Conflict, "id"},
		"profile, no name":        {w.CreateProfile(&iot.Profile{ProjectKey: p.Key}, actor), iot.Invalid, "name"},
		"profile, delete default": {w.DeleteProfile(standard, actor), iot.Conflict, ""},
		"profile, delete used":    {w.DeleteProfile(used, actor), iot.Conflict, ""},
		"profile, update absent":  {w.UpdateProfile(&iot.Profile{Key: 99, ProjectKey: p.Key}, iot.ProfileUpdate{}, actor), iot.NotFound, ""},
		"project, id taken": {w.CreateProject(&iot.Project{ID: p.ID, Name: "x", OrganizationKey: p.OrganizationKey}, actor), iot.Conflict,
			"id"},
		"project, no name":     {w.CreateProject(&iot.Project{OrganizationKey: p.OrganizationKey}, actor), iot.Invalid, "name"},
		"project, update name": {w.UpdateProject(p, iot.ProjectUpdate{Name: &none}, actor), iot.Invalid, "name"},
		"key, no rights":       {w.CreateAPIKey(&iot.APIKey{ProjectKey: p.Key, Name: "k"}, "s", actor), iot.Invalid, "rights"},
		"key, expired": {w.CreateAPIKey(&iot.APIKey{ProjectKey: p.Key, Name: "k", Rights: 1, ExpiresAt: 5}, "s", actor), iot.Invalid,
			"expires_at"},
		"key, of another project":   {w.DeleteAPIKey(empty.Key, key.ID, actor), iot.NotFound, ""},
		"account, email taken":      {w.CreateAccount(&iot.Account{Email: strings.ToUpper(actor)}, actor), iot.Conflict, "email"},
		"set up twice":              {w.SetUp(&iot.Account{Email: "b@x.org"}, &iot.Organization{Name: "More"}), iot.Conflict, ""},
		"member, last owner":        {w.SetMember(p.OrganizationKey, w.account.Key, iot.Viewer, actor), iot.Conflict, ""},
		"member, last owner leaves": {w.SetMember(p.OrganizationKey, w.account.Key, "", actor), iot.Conflict, ""},
		"member, no such account":   {w.SetMember(p.OrganizationKey, 5, iot.Viewer, actor), iot.NotFound, ""},
	} {
		t.Run(what, func(t *testing.T) {
			if iot.CodeOf(c.err) != c.code {
				t.Fatalf("got %v, want %q", c.err, c.code)
			}
			if e, ok := errors.AsType[*iot.Error](c.err); c.field != "" && (!ok || e.Fields[c.field] == "") {
				t.Errorf("%v does not name the field %s", c.err, c.field)
			}
		})
	}
	if role, err := w.Role(t.Context(), p.OrganizationKey, w.account.Key); err != nil || role != iot.Owner {
		t.Errorf("the last owner became %q, %v", role, err)
	}
}

func TestSlugsOfDeletedThingsAreFree(t *testing.T) {
	w := open(t)
	d := *w.device
	must(t, w.DeleteDevice(w.device, actor))
	if _, err := w.Device(t.Context(), w.project.Key, d.ID); iot.CodeOf(err) != iot.NotFound {
		t.Errorf("a deleted device: %v", err)
	}
	if _, err := w.DeviceByKey(t.Context(), "device-key-of-soil-probe-07"); iot.CodeOf(err) != iot.NotFound {
		t.Errorf("a deleted device's key: %v", err)
	}
	again := &iot.Device{ProjectKey: w.project.Key, ID: d.ID, UUID: d.UUID}
	must(t, w.CreateDevice(again, "device-key-of-soil-probe-07", actor))
	if again.Key == d.Key {
		t.Error("a new device has a deleted one's key, and so its messages")
	}
	h := w.webhook.Clone()
	must(t, w.DeleteWebhook(w.webhook, actor))
	must(t, w.CreateWebhook(h, actor))
	if got, err := w.Webhook(t.Context(), w.project.Key, h.UUID); err != nil || got.Key == w.webhook.Key || got.ID != w.webhook.ID {
		t.Errorf("the new webhook is %+v, %v", got, err)
	}
	p := *w.project
	must(t, w.DeleteProject(w.project, actor))
	p.ID = w.project.ID
	must(t, w.CreateProject(&p, actor))
	if got, err := w.Project(t.Context(), strings.ToUpper(p.UUID)); err != nil || got.Key == w.project.Key || got.ID != w.project.ID {
		t.Errorf("the new project is %+v, %v", got, err)
	}
	if _, err := w.DeviceByKey(t.Context(), "device-key-of-soil-probe-07"); iot.CodeOf(err) != iot.NotFound {
		t.Errorf("the key of a deleted project's device: %v", err)
	}
}

func TestTwoPeopleChangeOneWebhook(t *testing.T) {
	w := open(t)
	mine, err := w.Webhook(t.Context(), w.project.Key, w.webhook.ID)
	must(t, err)
	theirs := mine.Clone()
	mine.Description = "mine"
	must(t, w.UpdateWebhook(mine, actor, ""))
	theirs.Description = "theirs"
	if err := w.UpdateWebhook(theirs, actor, ""); iot.CodeOf(err) != iot.Conflict {
		t.Errorf("the second change: %v, want conflict", err)
	}
	if theirs.Version != mine.Version-1 {
		t.Errorf("the refused change has the version %d, as if it were stored", theirs.Version)
	}
	mine.Description = "mine again"
	must(t, w.UpdateWebhook(mine, actor, "")) // its version is known
	got, err := w.Webhook(t.Context(), w.project.Key, w.webhook.ID)
	must(t, err)
	if got.Description != "mine again" {
		t.Errorf("stored is %q", got.Description)
	}
	must(t, w.PauseWebhook(got, "Ada", "service", actor))
	must(t, w.PauseWebhook(got, "Bob", "other", actor))
	if got, err = w.Webhook(t.Context(), w.project.Key, w.webhook.ID); err != nil || got.PausedBy != "Ada" || got.PausedReason != "service" {
		t.Errorf("paused twice it is by %q for %q, %v", got.PausedBy, got.PausedReason, err)
	}
	if n := w.number(t, `SELECT count(*) FROM audit WHERE action = 'webhook.pause'`); n != 1 {
		t.Errorf("%d pauses are in the audit log, want 1", n)
	}
}

func TestPendingDeliveriesTakeTheOrderOfTheirWebhook(t *testing.T) {
	w := open(t)
	w.store(t, 2, `1`, false, w.webhook)
	w.webhook.Settings.InOrder = true
	must(t, w.UpdateWebhook(w.webhook, actor, ""))
	if head, err := w.Head(t.Context(), w.webhook.Key, w.device.Key); err != nil || head == nil {
		t.Errorf("the first in order is %v, %v", head, err)
	}
}

// TestManyPendingDeliveriesTakeTheOrderInSteps makes a webhook with many pending deliveries
// one that is in order, while more messages come.
func TestManyPendingDeliveriesTakeTheOrderInSteps(t *testing.T) {
	w := open(t)
	const n = 2*db.MarkStep + 10
	version := w.version(t)
	pending := func() (unmarked int64) {
		t.Helper()
		must(t, w.MoveJournal(t.Context()))
		return w.number(t, `SELECT count(*) FROM deliveries WHERE status = 'pending' AND in_order = 0`)
	}
	late := make([]*db.Accept, 2000) // with ids below all others
	for i := range late {
		late[i] = w.accepted(version, `3`, w.webhook)
	}
	for range n / 2 {
		must(t, w.Accept(w.accepted(version, `1`, w.webhook), w.accepted(version, `2`, w.webhook)))
	}
	if got := pending(); got != n {
		t.Fatalf("%d are not in order, want %d", got, n)
	}
	stop, more := make(chan struct{}), make(chan int)
	began := make(chan struct{})
	go func() {
		for i, a := range late {
			if err := w.Accept(a); err != nil || a.Stale {
				more <- i
				return
			}
			if i == 0 {
				close(began)
			}
			select {
			case <-stop:
				more <- i + 1
				return
			default:
			}
		}
		more <- len(late)
	}()
	<-began
	writes := w.Writes()
	w.webhook.Settings.InOrder = true
	must(t, w.UpdateWebhook(w.webhook, actor, ""))
	close(stop)
	came := <-more
	if got := w.Writes() - writes; got < n/db.MarkStep {
		t.Errorf("%d deliveries took the order in %d transactions", n, got)
	}
	if got := pending(); got != 0 {
		t.Errorf("%d of %d are not in order", got, n+came)
	}
	w.holds(t)
}

func TestSessionsTokensAndKeysEnd(t *testing.T) {
	w, c := openAt(t)
	now := iot.At(c.now())
	must(t, w.SaveSession("s", db.Session{AccountKey: w.account.Key, Data: "d", ExpiresAt: now.Add(time.Hour)}))
	must(t, w.SaveSession("mine", db.Session{AccountKey: w.account.Key, Data: "d", ExpiresAt: now.Add(time.Hour)}))
	_, err := w.CreateToken("t", w.account.Key, time.Hour)
	must(t, err)
	id, secret, _ := iot.NewAPIKey()
	must(t, w.CreateAPIKey(&iot.APIKey{ID: id, ProjectKey: w.project.Key, Name: "k", Rights: iot.AllKeyRights, ExpiresAt: now.Add(time.Hour)},
		secret, actor))
	codes := func() [3]iot.Code {
		_, err1 := w.Session(t.Context(), "s")
		_, err2 := w.TokenAccount(t.Context(), "t")
		_, err3 := w.APIKey(t.Context(), id, secret)
		return [3]iot.Code{iot.CodeOf(err1), iot.CodeOf(err2), iot.CodeOf(err3)}
	}
	if got := codes(); got != [3]iot.Code{} {
		t.Errorf("at first: %v", got)
	}
	if _, err := w.APIKey(t.Context(), id, secret+"x"); iot.CodeOf(err) != iot.NotFound {
		t.Errorf("a wrong secret: %v", err)
	}
	must(t, w.SetPassword(w.account.Key, "hash", db.SessionHash("mine"), actor))
	if got := codes(); got != [3]iot.Code{iot.NotFound, iot.NotFound, ""} {
		t.Errorf("after a new password: %v", got)
	}
	if _, err := w.Session(t.Context(), "mine"); err != nil {
		t.Errorf("the session that changed it: %v", err)
	}
	c.forward(time.Hour)
	if _, err := w.Session(t.Context(), "mine"); iot.CodeOf(err) != iot.NotFound || codes()[2] != iot.NotFound {
		t.Errorf("what has expired is still found: %v, %v", err, codes())
	}
}

func TestDurationsFallIntoTheirBuckets(t *testing.T) {
	for ms := int64(0); ms < 40_000; ms += 1 + ms/50 {
		got := db.BucketMS(db.DurationBucket(ms))
		if ms >= 1 && (got < float64(ms)/1.19 || got > float64(ms)*1.19) {
			t.Errorf("%d ms are returned as %.1f", ms, got)
		}
	}
}

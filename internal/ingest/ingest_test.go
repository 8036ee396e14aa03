package ingest

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"thingpost/db"
	"thingpost/internal/iot"
	"thingpost/internal/webhook"
)

const actor = "ada@example.org"

// world is a store with an Ingest over it, which gets the store's commits unless it is
// deaf.
type world struct {
	*Ingest
	db      *db.DB
	clock   atomic.Int64
	commits atomic.Int64
	deaf    atomic.Bool
	heard   atomic.Pointer[func(iot.Commit)] // after each commit
	project *iot.Project
	device  *iot.Device
	webhook *iot.Webhook
}

func open(t *testing.T) *world {
	t.Helper()
	w := &world{}
	w.clock.Store(1_800_000_000_000)
	now := func() time.Time { return time.UnixMilli(w.clock.Load()) }
	d, err := db.Open(t.Context(), db.Options{Folder: t.TempDir(), Now: now, Limits: iot.Limits{Webhooks: 100, Headers: 5},
		OnCommit: func(c iot.Commit) {
			w.commits.Add(1)
			if w.Ingest != nil && !w.deaf.Load() {
				w.Changed(c)
			}
			if f := w.heard.Load(); f != nil {
				(*f)(c)
			}
		}})
	must(t, err)
	t.Cleanup(func() { must(t, d.Close()) })
	w.db = d
	o := &iot.Organization{Name: "Works"}
	must(t, d.SetUp(&iot.Account{Email: actor, Name: "Ada", PasswordHash: "x"}, o))
	w.project = &iot.Project{Name: "Greenhouse North", OrganizationKey: o.Key, AutoRegister: true}
	must(t, d.CreateProject(w.project, actor))
	w.device = &iot.Device{ProjectKey: w.project.Key, ID: "soil-probe-07"}
	must(t, d.CreateDevice(w.device, "device-key-of-soil-probe-07", actor))
	w.webhook = &iot.Webhook{ProjectKey: w.project.Key, Description: "ERP goods-in", URL: "https://erp.example/hook", Format: iot.Envelope,
		MessageTypes: iot.Routes{iot.User: {}}, Settings: iot.DefaultSettings()}
	must(t, d.CreateWebhook(w.webhook, actor))
	w.Ingest = New(d, Options{Now: now, Version: "test"})
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) sender() Sender { return Sender{Project: w.project, Device: w.device} }

// one sends a message and returns its result.
func (w *world) one(t *testing.T, s Sender, body string) Result {
	t.Helper()
	list, err := w.Accept(t.Context(), s, []byte(body))
	must(t, err)
	return list[0]
}

func (w *world) deliveries(t *testing.T, message iot.ID) []iot.Delivery {
	t.Helper()
	list, err := w.db.DeliveriesOf(t.Context(), w.project.Key, message)
	must(t, err)
	return list
}

func TestAcceptStoresGoodMessagesBesideBadOnes(t *testing.T) {
	w := open(t)
	list, err := w.Accept(t.Context(), w.sender(), []byte(`{"payload":{"n":1.10},"id":"a"}`), []byte(`nonsense`), []byte(`{"payload":2}`),
		[]byte(`{"payload":3,"id":"a"}`),
		[]byte(`{"payload":"`+strings.Repeat("x", iot.MaxMessageBytes)+`"}`))
	must(t, err)
	if list[0].Err != nil || list[2].Err != nil || iot.CodeOf(list[1].Err) != iot.Invalid || list[3].ID != list[0].ID ||
		iot.CodeOf(list[4].Err) != iot.TooLarge {
		t.Fatalf("the results are %+v", list)
	}
	m, err := w.db.Message(t.Context(), w.project.Key, list[0].ID)
	must(t, err)
	if string(m.Payload) != `{"n":1.10}` || m.SenderID != "a" || m.Device != w.device.ID || m.ReceivedAt != 1_800_000_000_000 {
		t.Errorf("the message is %+v", m)
	}
	if v := w.deliveries(t, m.ID); len(v) != 1 || v[0].Status != iot.Pending || v[0].Webhook != w.webhook.ID {
		t.Errorf("the deliveries are %+v", v)
	}
	if none, err := w.Accept(t.Context(), w.sender()); err != nil || len(none) != 0 {
		t.Errorf("no message at all: %v, %v", none, err)
	}
}

func TestFromMustBeTheSender(t *testing.T) {
	w := open(t)
	other := &iot.Device{ProjectKey: w.project.Key, ID: "other-probe"}
	must(t, w.db.CreateDevice(other, "k", actor))
	project := Sender{Project: w.project}
	path := Sender{Project: w.project, Name: w.device.ID}
	fresh := Sender{Project: w.project, Name: "fresh-probe", Register: true}
	for name, c := range map[string]struct {
		sender Sender
		from   string
		code   iot.Code
		device int64
	}{
		"own key":                     {w.sender(), "", "", w.device.Key},
		"own key, own slug":           {w.sender(), w.device.ID, "", w.device.Key},
		"own key, own UUID":           {w.sender(), strings.ToUpper(w.device.UUID), "", w.device.Key},
		"own key, another":            {w.sender(), other.ID, iot.Forbidden, 0},
		"project's key, none":         {project, "", iot.Invalid, 0},
		"project's key, slug":         {project, other.ID, "", other.Key},
		"project's key, UUID":         {project, strings.ToUpper(other.UUID), "", other.Key},
		"project's key, unknown":      {project, "no-such-probe", iot.NotFound, 0},
		"path":                        {path, "", "", w.device.Key},
		"path, same":                  {path, w.device.UUID, "", w.device.Key},
		"path, another":               {path, other.ID, iot.Invalid, 0},
		"path of a new one, another":  {fresh, other.ID, iot.Invalid, 0},
		"path of a new one, no slug":  {Sender{Project: w.project, Name: "No Slug", Register: true}, "", iot.Invalid, 0},
		"path of a new one, reserved": {Sender{Project: w.project, Name: "new", Register: true}, "", iot.Invalid, 0},
	} {
		t.Run(name, func(t *testing.T) {
			body := `{"payload":1}`
			if c.from != "" {
				body = `{"payload":1,"from":"` + c.from + `"}`
			}
			r := w.one(t, c.sender, body)
			if iot.CodeOf(r.Err) != c.code {
				t.Fatalf("got %v, want %q", r.Err, c.code)
			}
			if c.code != "" {
				return
			}
			if m, err := w.db.Message(t.Context(), w.project.Key, r.ID); err != nil || m.DeviceKey != c.device {
				t.Errorf("it is from device %d, want %d (%v)", m.DeviceKey, c.device, err)
			}
		})
	}
	if _, err := w.db.Device(t.Context(), w.project.Key, "fresh-probe"); iot.CodeOf(err) != iot.NotFound {
		t.Errorf("a message that was refused registered a device: %v", err)
	}
}

func TestUnknownDevicesAreRegisteredIfTheProjectAllowsIt(t *testing.T) {
	w := open(t)
	s := Sender{Project: w.project, Register: true, Actor: "a key"}
	uuid := "019AA5D2-8C41-7E9A-8000-0123456789AB"
	for _, from := range []string{"brand-new", "brand-new", uuid} {
		if r := w.one(t, s, `{"payload":1,"from":"`+from+`"}`); r.Err != nil {
			t.Errorf("%s: %v", from, r.Err)
		}
	}
	if d, err := w.db.Device(t.Context(), w.project.Key, uuid); err != nil || d.UUID != strings.ToLower(uuid) ||
		d.Profile != iot.DefaultProfile {
		t.Errorf("registered by its UUID: %+v, %v", d, err)
	}
	if n, err := w.db.CountDevices(t.Context(), w.project.Key); err != nil || n != 3 {
		t.Errorf("%d devices, %v", n, err)
	}
	s.Register = false
	if r := w.one(t, s, `{"payload":1,"from":"another-new"}`); iot.CodeOf(r.Err) != iot.NotFound {
		t.Errorf("a sender that may not: %v", r.Err)
	}
	s.Register = true
	off := *w.project
	off.AutoRegister = false
	s.Project = &off
	if r := w.one(t, s, `{"payload":1,"from":"another-new"}`); iot.CodeOf(r.Err) != iot.NotFound {
		t.Errorf("a project that does not: %v", r.Err)
	}
}

// TestFromFindsADeviceByAnyOfItsNames uses the names that hardware has, with and
// without a right to register.
func TestFromFindsADeviceByAnyOfItsNames(t *testing.T) {
	w := open(t)
	d := &iot.Device{ProjectKey: w.project.Key, ID: "Sensor_12.a", DevEUI: "24E124136B502217"}
	must(t, w.db.CreateDevice(d, "key-of-sensor-12", actor))
	s := Sender{Project: w.project, Register: true, Actor: actor}
	from := func(want int64, names ...string) {
		t.Helper()
		for _, name := range names {
			for range 2 { // the second is known
				r := w.one(t, s, `{"payload":1,"from":"`+name+`"}`)
				must(t, r.Err)
				m, err := w.db.Message(t.Context(), w.project.Key, r.ID)
				must(t, err)
				if m.DeviceKey != want {
					t.Errorf("%s is device %d (%s), want %d", name, m.DeviceKey, m.Device, want)
				}
			}
		}
	}
	from(d.Key, "Sensor_12.a", "SENSOR_12.A", d.UUID, strings.ToUpper(d.UUID), "24E124136B502217", "24e124136b502217")
	for _, name := range []string{"AA:BB:CC:DD:EE:FF", "x", "70B3D57ED0051A2B"} { // new ones
		r := w.one(t, s, `{"payload":1,"from":"`+name+`"}`)
		must(t, r.Err)
		made, err := w.db.Device(t.Context(), w.project.Key, name)
		must(t, err)
		if made.ID != name {
			t.Errorf("registered as %s, want %s", made.ID, name)
		}
		from(made.Key, strings.ToLower(name), strings.ToUpper(name), made.UUID)
	}
	if n, err := w.db.CountDevices(t.Context(), w.project.Key); err != nil || n != 5 {
		t.Errorf("%d devices, %v", n, err)
	}
	// An ID takes precedence over a DevEUI, even if it was created later.
	late := &iot.Device{ProjectKey: w.project.Key, ID: "24e124136B502217"}
	must(t, w.db.CreateDevice(late, "late-key", actor))
	from(late.Key, "24E124136B502217")
	must(t, w.db.DeleteDevice(late, actor))
	from(d.Key, "24E124136B502217")
	// An uplink of The Things Stack finds it by DevEUI, and by an ID in any case.
	for _, ids := range []string{`"device_id":"eui-24e124136b502217","dev_eui":"24E124136B502217"`, `"device_id":"sensor_12.a"`,
		`"dev_eui":"24E124136B502217"`} {
		_, err := w.AcceptUp(t.Context(), s, []byte(`{"end_device_ids":{`+ids+`},"uplink_message":{"f_port":1}}`))
		must(t, err)
	}
	if n, err := w.db.CountDevices(t.Context(), w.project.Key); err != nil || n != 5 {
		t.Errorf("%d devices, %v", n, err)
	}
	// The path and the key name the same device as from.
	own := Sender{Project: w.project, Device: d}
	for _, name := range []string{"sensor_12.A", "24e124136b502217", strings.ToUpper(d.UUID)} {
		must(t, w.one(t, own, `{"payload":1,"from":"`+name+`"}`).Err)
		must(t, w.one(t, Sender{Project: w.project, Name: "SENSOR_12.a"}, `{"payload":1,"from":"`+name+`"}`).Err)
	}
	if r := w.one(t, own, `{"payload":1,"from":"sensor_12"}`); iot.CodeOf(r.Err) != iot.Forbidden {
		t.Errorf("another device's name: %v", r.Err)
	}
}

func TestTheChannelChooses(t *testing.T) {
	w := open(t)
	alarm := w.webhook.Clone()
	alarm.ID, alarm.Channel = "alarms", "alarm"
	must(t, w.db.CreateWebhook(alarm, actor))
	for body, want := range map[string]int{
		`{"payload":1}`:                                         1,
		`{"payload":1,"channel":"alarm"}`:                       2,
		`{"payload":1,"channel":"Alarm"}`:                       1,
		`{"payload":{"webhook_channel":"alarm"},"channel":"x"}`: 2,
		`{"payload":{"webhook_channel":"x"},"channel":"alarm"}`: 1,
		`{"payload":{"webhook_channel":7},"channel":"alarm"}`:   2,
	} {
		if got := len(w.deliveries(t, w.one(t, w.sender(), body).ID)); got != want {
			t.Errorf("%s makes %d deliveries, want %d", body, got, want)
		}
	}
	r := w.one(t, w.sender(), `{"payload":{"webhook_channel":"`+strings.Repeat("x", 255)+`"}}`)
	if e, ok := errors.AsType[*iot.Error](r.Err); !ok || e.Fields["payload.webhook_channel"] == "" {
		t.Errorf("a long channel in the payload: %v", r.Err)
	}
}

func TestAcceptMatchesAgainAfterAChangeItDidNotHearOf(t *testing.T) {
	off := false
	for name, c := range map[string]struct {
		change func(w *world) error
		code   iot.Code
		want   int // deliveries
	}{
		"nothing":         {func(*world) error { return nil }, "", 1},
		"webhook paused":  {func(w *world) error { return w.db.PauseWebhook(w.webhook, "Ada", "", actor) }, "", 0},
		"webhook deleted": {func(w *world) error { return w.db.DeleteWebhook(w.webhook, actor) }, "", 0},
		"webhook created": {func(w *world) error {
			h := w.webhook.Clone()
			h.ID = "second-one"
			return w.db.CreateWebhook(h, actor)
		}, "", 2},
		"profile of the device": {func(w *world) error {
			p := &iot.Profile{ProjectKey: w.project.Key, ID: "quiet", Name: "Quiet", Webhook: off, Write: true}
			must(t, w.db.CreateProfile(p, actor))
			return w.db.UpdateDevice(&iot.Device{Key: w.device.Key, ProjectKey: w.project.Key}, iot.DeviceUpdate{Profile: &p.ID}, actor)
		}, "", 0},
		"device deleted":  {func(w *world) error { return w.db.DeleteDevice(w.device, actor) }, iot.NotFound, 0},
		"project deleted": {func(w *world) error { return w.db.DeleteProject(w.project, actor) }, iot.NotFound, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			w.one(t, w.sender(), `{"payload":"fills the cache"}`)
			w.deaf.Store(true)
			must(t, c.change(w))
			list, err := w.Accept(t.Context(), w.sender(), []byte(`{"payload":1}`), []byte(`{"payload":2}`))
			must(t, err)
			for _, r := range list {
				if iot.CodeOf(r.Err) != c.code {
					t.Fatalf("got %v, want %q", r.Err, c.code)
				}
				if got := len(w.deliveries(t, r.ID)); r.Err == nil && got != c.want {
					t.Errorf("%d deliveries, want %d", got, c.want)
				}
			}
		})
	}
}

func TestKeysAreRefusedAtOnceWhenTheyChange(t *testing.T) {
	w := open(t)
	const old = "device-key-of-soil-probe-07"
	device := func(key iot.Secret) iot.Code {
		_, _, err := w.Device(t.Context(), key)
		return iot.CodeOf(err)
	}
	if got := [2]iot.Code{device(old), device("unknown")}; got != [2]iot.Code{"", iot.Unauthorized} {
		t.Fatalf("at first: %q", got)
	}
	must(t, w.db.SetDeviceKey(w.device, "rotated", actor))
	if got := [2]iot.Code{device(old), device("rotated")}; got != [2]iot.Code{iot.Unauthorized, ""} {
		t.Errorf("after the rotation: %q", got)
	}
	must(t, w.db.DeleteDevice(w.device, actor))
	if got := device("rotated"); got != iot.Unauthorized {
		t.Errorf("after the deletion: %q", got)
	}
	must(t, w.db.CreateDevice(&iot.Device{ProjectKey: w.project.Key, ID: "again"}, "unknown", actor))
	if got := device("unknown"); got != "" {
		t.Errorf("a key that was unknown before: %q", got)
	}

	api := func(text iot.Secret) iot.Code {
		_, _, err := w.APIKey(t.Context(), text)
		return iot.CodeOf(err)
	}
	create := func(expires iot.Instant) (string, iot.Secret) {
		id, secret, text := iot.NewAPIKey()
		must(t, w.db.CreateAPIKey(&iot.APIKey{ID: id, ProjectKey: w.project.Key, Name: "key", Rights: iot.SendMessages, ExpiresAt: expires},
			secret, actor))
		return id, text
	}
	id, text := create(0)
	_, brief := create(1_800_000_060_000)
	_, _, stranger := iot.NewAPIKey()
	if got := [4]iot.Code{api(text), api(brief), api(stranger), api("NNSXS.x")}; got != [4]iot.Code{"", "", iot.Unauthorized,
		iot.Unauthorized} {
		t.Fatalf("at first: %q", got)
	}
	must(t, w.db.DeleteAPIKey(w.project.Key, id, actor))
	if got := [2]iot.Code{api(text), api(brief)}; got != [2]iot.Code{iot.Unauthorized, ""} {
		t.Errorf("after one was revoked: %q", got)
	}
	w.clock.Add(60_000)
	if got := api(brief); got != iot.Unauthorized {
		t.Errorf("expired while it was in memory: %q", got)
	}
	_, last := create(0)
	if got := api(last); got != "" {
		t.Fatal(got)
	}
	must(t, w.db.DeleteProject(w.project, actor))
	if got := api(last); got != iot.Unauthorized {
		t.Errorf("the key of a deleted project: %q", got)
	}
}

func TestTheUseOfAKeyIsNoted(t *testing.T) {
	w := open(t)
	id, secret, text := iot.NewAPIKey()
	must(t, w.db.CreateAPIKey(&iot.APIKey{ID: id, ProjectKey: w.project.Key, Name: "key", Rights: iot.SendMessages}, secret, actor))
	used := func() iot.Instant {
		_, _, err := w.APIKey(t.Context(), text)
		must(t, err)
		must(t, w.db.Ready(t.Context())) // written after it, by the same writer
		list, err := w.db.APIKeys(t.Context(), w.project.Key)
		must(t, err)
		return list[0].UsedAt
	}
	for _, c := range []struct{ forward, want int64 }{{0, 1_800_000_000_000}, {30_000, 1_800_000_000_000}, {30_000, 1_800_000_060_000}} {
		w.clock.Add(c.forward)
		if got := used(); int64(got) != c.want {
			t.Errorf("used at %d, want %d", got, c.want)
		}
	}
}

func TestProfilesTreatTheirDevices(t *testing.T) {
	w := open(t)
	p, err := w.db.Profile(t.Context(), w.project.Key, iot.DefaultProfile)
	must(t, err)
	off := false
	must(t, w.db.UpdateProfile(p, iot.ProfileUpdate{Write: &off}, actor))
	r := w.one(t, w.sender(), `{"payload":1}`)
	if m, err := w.db.Message(t.Context(), w.project.Key, r.ID); err != nil || !m.Transient {
		t.Errorf("with write off the message is %+v, %v", m, err)
	}
	must(t, w.db.UpdateProfile(p, iot.ProfileUpdate{Webhook: &off}, actor))
	r = w.one(t, w.sender(), `{"payload":1}`)
	if _, err := w.db.Message(t.Context(), w.project.Key, r.ID); iot.CodeOf(err) != iot.NotFound || len(w.deliveries(t, r.ID)) != 0 {
		t.Errorf("with both off it is kept: %v", err)
	}
}

// TestAProfileMadeAmidTrafficTreatsItsDevices creates a profile and a device in it
// after the project's settings are in memory.
func TestAProfileMadeAmidTrafficTreatsItsDevices(t *testing.T) {
	w := open(t)
	if r := w.one(t, w.sender(), `{"payload":1}`); len(w.deliveries(t, r.ID)) != 1 {
		t.Fatal("the message before it is not delivered")
	}
	quiet := &iot.Profile{ProjectKey: w.project.Key, Name: "Quiet", Write: true}
	must(t, w.db.CreateProfile(quiet, actor))
	d := &iot.Device{ProjectKey: w.project.Key, ID: "quiet-one", Profile: quiet.ID}
	must(t, w.db.CreateDevice(d, iot.NewDeviceKey(), actor))
	r := w.one(t, Sender{Project: w.project, Device: d}, `{"payload":1}`)
	if n := len(w.deliveries(t, r.ID)); n != 0 {
		t.Errorf("%d deliveries, though the profile has webhook off", n)
	}
}

func TestTestQueuesForOneWebhookAlone(t *testing.T) {
	w := open(t)
	other := w.webhook.Clone()
	other.ID = "other-one"
	must(t, w.db.CreateWebhook(other, actor))
	must(t, w.db.PauseWebhook(other, "Ada", "", actor))
	id, err := w.Test(t.Context(), w.project, other)
	must(t, err)
	v, err := w.db.Delivery(t.Context(), w.project.Key, id)
	must(t, err)
	if v.Webhook != other.ID || v.Trigger != iot.TriggerTest || v.Status != iot.Pending || v.DeviceKey != 0 ||
		len(w.deliveries(t, v.MessageID)) != 1 {
		t.Errorf("the delivery is %+v", v)
	}
	w.deaf.Store(true)
	must(t, w.db.ResumeWebhook(other, actor))
	if _, err := w.Test(t.Context(), w.project, other); err != nil {
		t.Errorf("after a change it did not hear of: %v", err)
	}
	must(t, w.db.DeleteWebhook(other, actor))
	if _, err := w.Test(t.Context(), w.project, other); iot.CodeOf(err) != iot.NotFound {
		t.Errorf("a deleted webhook: %v", err)
	}
	none := w.webhook.Clone()
	none.MessageTypes = nil
	if _, err := w.Test(t.Context(), w.project, none); iot.CodeOf(err) != iot.Invalid {
		t.Errorf("a webhook that takes nothing: %v", err)
	}
}

func TestPreviewIsWhatWouldBeSent(t *testing.T) {
	w := open(t)
	r := w.one(t, w.sender(), `{"payload":{"n":1.10},"channel":"alarm"}`)
	m, err := w.db.Message(t.Context(), w.project.Key, r.ID)
	must(t, err)
	h := w.webhook.Clone()
	h.PayloadOnly = true
	h.Headers = []iot.Header{{Name: "X-Device", Value: "{devID}"}}
	preview := func() Preview {
		t.Helper()
		p, err := w.Preview(t.Context(), w.project, h, m)
		must(t, err)
		return p
	}
	if p := preview(); !p.Why.Wanted || p.Request == nil || string(p.Request.Body) != `{"n":1.10}` || p.Request.URL != h.URL || p.Err != nil {
		t.Errorf("the preview is %+v", p)
	}
	h.Channel, m.Channel = "alarm", "alarm"
	m.Payload = []byte(`{"webhook_channel":"alarm"}`)
	if p := preview(); p.Skip == "" || p.Request != nil {
		t.Errorf("without webhook_payload it is %+v", p)
	}
	h.Channel = "other"
	if p := preview(); p.Why.Wanted || p.Why.Reason != webhook.ReasonChannel {
		t.Errorf("of another channel it is %+v", p.Why)
	}
	if n := len(w.deliveries(t, m.ID)); n != 1 {
		t.Errorf("previews made deliveries: there are %d", n)
	}
}

func TestWhySaysItOfEachWebhook(t *testing.T) {
	w := open(t)
	add := func(id string, change func(h *iot.Webhook)) {
		h := w.webhook.Clone()
		h.ID = id
		change(h)
		must(t, w.db.CreateWebhook(h, actor))
	}
	add("of-iottly", func(h *iot.Webhook) { h.MessageTypes = iot.Routes{iot.Iottly: {}} })
	add("of-alarms", func(h *iot.Webhook) { h.Channel = "alarm" })
	r := w.one(t, w.sender(), `{"payload":1}`)
	m, err := w.db.Message(t.Context(), w.project.Key, r.ID)
	must(t, err)
	reasons := func(ctx context.Context) map[string]webhook.Reason {
		list, err := w.Why(ctx, w.project, m)
		must(t, err)
		got := map[string]webhook.Reason{}
		for _, y := range list {
			got[y.Webhook.ID] = y.Why.Reason
		}
		return got
	}
	want := map[string]webhook.Reason{w.webhook.ID: webhook.Wanted, "of-iottly": webhook.ReasonType, "of-alarms": webhook.ReasonChannel}
	for id, reason := range reasons(t.Context()) {
		if reason != want[id] {
			t.Errorf("%s: %q, want %q", id, reason, want[id])
		}
	}
	must(t, w.db.PauseWebhook(w.webhook, "Ada", "", actor))
	if got := reasons(t.Context())[w.webhook.ID]; got != webhook.ReasonPaused {
		t.Errorf("paused: %q", got)
	}
	// A new device with the old one's ID does not explain the old one's messages.
	quiet := &iot.Profile{ProjectKey: w.project.Key, ID: "quiet", Name: "Quiet", Write: true}
	must(t, w.db.CreateProfile(quiet, actor))
	must(t, w.db.DeleteDevice(w.device, actor))
	must(t, w.db.CreateDevice(&iot.Device{ProjectKey: w.project.Key, ID: w.device.ID, Profile: quiet.ID}, "k", actor))
	must(t, w.db.ResumeWebhook(w.webhook, actor))
	if got := reasons(t.Context())[w.webhook.ID]; got != webhook.Wanted {
		t.Errorf("by another device's profile: %q", got)
	}
}

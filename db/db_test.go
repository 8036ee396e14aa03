package db_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"thingpost/db"
	"thingpost/internal/iot"
)

// world is a store with a project, a device and a webhook in it.
type world struct {
	*db.DB
	account *iot.Account
	project *iot.Project
	device  *iot.Device
	webhook *iot.Webhook
	beside  *sql.DB // see raw
	commits func() []iot.Commit
}

// tester is the common interface of a test, a benchmark and a property.
type tester interface {
	Helper()
	Fatal(...any)
	Context() context.Context
}

const actor = "ada@example.org"

// blank is a new store, by the names of its files. Creating the tables takes longer than
// most tests.
var blank = sync.OnceValues(func() (files map[string][]byte, err error) {
	folder, err := os.MkdirTemp("", "thingpost")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	d, err := db.Open(context.Background(), db.Options{Folder: folder})
	if err != nil {
		return nil, err
	}
	if err := d.Close(); err != nil {
		return nil, err
	}
	files = map[string][]byte{}
	for _, name := range []string{db.FileName, db.KeyFileName} {
		if files[name], err = os.ReadFile(filepath.Join(folder, name)); err != nil {
			return nil, err
		}
	}
	return files, nil
})

// open creates a store in a folder of the test, with what most tests need.
func open(t testing.TB, options ...func(*db.Options)) *world {
	t.Helper()
	var mu sync.Mutex
	var commits []iot.Commit
	o := db.Options{Folder: t.TempDir(), OnCommit: func(c iot.Commit) {
		mu.Lock()
		defer mu.Unlock()
		commits = append(commits, c)
	}}
	for _, set := range options {
		set(&o)
	}
	files, err := blank()
	must(t, err)
	for name, content := range files {
		must(t, os.WriteFile(filepath.Join(o.Folder, name), content, 0o600))
	}
	d, err := db.Open(t.Context(), o)
	must(t, err)
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{DB: d, commits: func() []iot.Commit {
		mu.Lock()
		defer mu.Unlock()
		return append([]iot.Commit(nil), commits...)
	}}
	w.account = &iot.Account{Email: actor, Name: "Ada", PasswordHash: "x"}
	org := &iot.Organization{Name: "Works"}
	must(t, d.SetUp(w.account, org))
	w.project = &iot.Project{Name: "Greenhouse North", OrganizationKey: org.Key, AutoRegister: true}
	must(t, d.CreateProject(w.project, actor))
	w.device = &iot.Device{ProjectKey: w.project.Key, ID: "soil-probe-07"}
	must(t, d.CreateDevice(w.device, "device-key-of-soil-probe-07", actor))
	w.webhook = w.newWebhook(t, "ERP goods-in")
	return w
}

func (w *world) newWebhook(t tester, description string) *iot.Webhook {
	t.Helper()
	h := &iot.Webhook{ProjectKey: w.project.Key, Description: description, URL: "https://erp.example/hook", Format: iot.Envelope,
		MessageTypes: iot.Routes{iot.User: {}}, Settings: iot.DefaultSettings()}
	must(t, w.CreateWebhook(h, actor))
	return h
}

func must(t tester, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// version returns the project's version, by a change that raises it: a test needs the number
// that Accept compares.
func (w *world) version(t tester) int64 {
	t.Helper()
	s, err := w.ProjectSettings(t.Context(), w.project.Key)
	must(t, err)
	return s.Version
}

// accepted returns a message with a pending delivery to each webhook.
func (w *world) accepted(version int64, payload string, hooks ...*iot.Webhook) *db.Accept {
	now := iot.Instant(1_800_000_000_000)
	m := &iot.Message{ID: w.NewID(), ProjectKey: w.project.Key, DeviceKey: w.device.Key, Device: w.device.ID, Type: iot.User,
		Payload: []byte(payload), ReceivedAt: now}
	a := &db.Accept{Message: m, Device: w.device, Project: w.project, Version: version}
	if d, err := w.DeviceOfKey(context.Background(), w.device.Key); err == nil {
		a.Device = d // as it is now
	}
	for _, h := range hooks {
		a.Deliveries = append(a.Deliveries, &iot.Delivery{ID: w.NewID(), MessageID: m.ID, ProjectKey: m.ProjectKey, WebhookKey: h.Key,
			DeviceKey: m.DeviceKey,
			Type:      m.Type, Status: iot.Pending, Trigger: iot.TriggerMessage, SizeBytes: int64(len(payload)), DueAt: now, CreatedAt: now})
		a.InOrder = append(a.InOrder, h.Settings.InOrder)
	}
	return a
}

func delivered(q iot.Queued) *iot.Outcome {
	return &iot.Outcome{Delivery: q.Delivery, Status: iot.Delivered,
		Attempt: &iot.Attempt{DeliveryID: q.Delivery.ID, Number: q.Delivery.AttemptCount + 1, At: 1_800_000_000_100, DurationMS: 12,
			Timings: iot.Timings{FirstByte: 900, Total: 1200},
			Request: iot.Request{Method: "POST", URL: "https://erp.example/hook",
				Headers: iot.HeaderLines{{Name: "Content-Type", Value: "application/json"}, {Name: "Authorization", Value: iot.Mask}}},
			Response: &iot.Response{Status: 200, Headers: iot.HeaderLines{{Name: "Content-Type", Value: "text/plain"}}, Body: "ok"}}}
}

// BenchmarkEnqueue stores a message with one delivery; many senders share a commit.
func BenchmarkEnqueue(b *testing.B) {
	w := open(b)
	version := w.version(b)
	payload := `{"probe":7,"vwc":11.42,"soil_c":14.60,"battery_v":3.31,"note":"` + fmt.Sprintf("%0100d", 7) + `"}`
	b.SetParallelism(64)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := w.Accept(w.accepted(version, payload, w.webhook)); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkFinish stores the outcome of an attempt.
func BenchmarkFinish(b *testing.B) {
	w := open(b)
	version := w.version(b)
	list := make([]*db.Accept, b.N)
	for i := range list {
		list[i] = w.accepted(version, `{"n":1}`, w.webhook)
	}
	for chunk := list; len(chunk) > 0; {
		n := min(len(chunk), 1000)
		must(b, w.Accept(chunk[:n]...))
		chunk = chunk[n:]
	}
	b.ReportAllocs()
	b.ResetTimer()
	var wait sync.WaitGroup
	wait.Add(b.N)
	for _, a := range list {
		w.Finish(delivered(iot.Queued{Delivery: a.Deliveries[0]}), func(err error) {
			if err != nil {
				b.Error(err)
			}
			wait.Done()
		})
	}
	wait.Wait()
}

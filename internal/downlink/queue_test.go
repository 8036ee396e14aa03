package downlink_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"thingpost/db"
	"thingpost/internal/downlink"
	"thingpost/internal/ingest"
	"thingpost/internal/iot"
)

// world is the queues over a real store, with a project, a device and a webhook that
// takes the messages of queues.
type world struct {
	*testing.T
	db      *db.DB
	queues  *downlink.Queue
	project *iot.Project
	device  *iot.Device
	webhook *iot.Webhook

	mu     sync.Mutex
	queued []iot.Queued
}

const actor = "ada@example.org"

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t}
	now := func() time.Time { return time.Date(2026, 11, 2, 8, 0, 0, 123_000_000, time.UTC) }
	var in *ingest.Ingest
	d, err := db.Open(t.Context(), db.Options{Folder: t.TempDir(), Now: now, OnCommit: func(c iot.Commit) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.queued = append(w.queued, c.Queued...)
		if in != nil {
			in.Changed(c)
			w.queues.Changed(c)
		}
	}})
	w.must(err)
	t.Cleanup(func() { w.must(d.Close()) })
	w.mu.Lock()
	in = ingest.New(d, ingest.Options{Now: now})
	w.queues = downlink.New(downlink.Options{DB: d, Ingest: in, Now: now})
	w.mu.Unlock()
	org := &iot.Organization{Name: "Works"}
	w.must(d.SetUp(&iot.Account{Email: actor, PasswordHash: "x"}, org))
	w.db, w.project = d, &iot.Project{Name: "Greenhouse", OrganizationKey: org.Key}
	w.must(d.CreateProject(w.project, actor))
	w.device = &iot.Device{ProjectKey: w.project.Key, ID: "valve-1", DevEUI: "70B3D57ED0051A2B"}
	w.must(d.CreateDevice(w.device, "key", actor))
	w.webhook = &iot.Webhook{ProjectKey: w.project.Key, Description: "ERP", URL: "https://erp.example", Format: iot.Envelope,
		Settings: iot.DefaultSettings(),
		MessageTypes: iot.Routes{iot.DownlinkQueued: {}, iot.DownlinkSent: {}, iot.DownlinkNack: {}, iot.DownlinkFailed: {},
			iot.DownlinkQueueInvalided: {}}}
	w.must(d.CreateWebhook(w.webhook, actor))
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) push(replace bool, orders ...downlink.Order) []*iot.Downlink {
	w.Helper()
	list, err := w.queues.Push(w.Context(), w.project, w.device, orders, replace)
	w.must(err)
	return list
}

func (w *world) take() *iot.Downlink {
	w.Helper()
	v, err := w.queues.Take(w.Context(), w.project, w.device, 0)
	w.must(err)
	return v
}

// reported returns the messages of all deliveries, as the webhook would get them.
func (w *world) reported() (types []iot.MessageType, payloads []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, q := range w.queued {
		types = append(types, q.Message.Type)
		payloads = append(payloads, string(q.Message.Payload))
	}
	return types, payloads
}

func TestChangesOfAQueueAreMessages(t *testing.T) {
	w := newWorld(t)
	list := w.push(false, downlink.Order{FPort: 15, FRMPayload: []byte{0xbe, 0xef}, Priority: "HIGH", Confirmed: true,
		CorrelationIDs: []string{"my-order-4711"},
		ConfirmedRetry: &downlink.ConfirmedRetry{MaxAttempts: 2}})
	w.push(false, downlink.Order{Payload: json.RawMessage(`"open <1>"`)}, downlink.Order{Payload: json.RawMessage(` {"minutes": 15.0} `)})
	for range 2 {
		v := w.take()
		if v.ID != list[0].ID {
			w.take()
			w.take()
			continue
		}
		_, err := w.queues.Nack(t.Context(), w.project, w.device, v.ID)
		w.must(err)
	}
	v := w.take()
	if v != nil {
		t.Fatalf("%+v", v)
	}
	if _, err := w.queues.Nack(t.Context(), w.project, w.device, list[0].ID); err != nil {
		t.Fatal(err)
	}
	types, payloads := w.reported()
	want := []iot.MessageType{iot.DownlinkQueued, iot.DownlinkQueued, iot.DownlinkQueued, iot.DownlinkSent, iot.DownlinkNack, iot.DownlinkSent,
		iot.DownlinkSent,
		iot.DownlinkSent, iot.DownlinkNack, iot.DownlinkFailed}
	if !slices.Equal(types, want) {
		t.Fatalf("reported %v, want %v", types, want)
	}
	const device = `{"end_device_ids":{"device_id":"valve-1","application_ids":{"application_id":"greenhouse"},"dev_eui":"70B3D57ED0051A2B"},`
	correlation := func(i int, before string) string {
		w.mu.Lock()
		defer w.mu.Unlock()
		_, id, _ := strings.Cut(payloads[i], "as:downlink:")
		return `"correlation_ids":[` + before + `"as:downlink:` + id[:36] + `"]`
	}
	own := correlation(0, `"my-order-4711",`)
	if own != `"correlation_ids":["my-order-4711","as:downlink:`+list[0].ID.String()+`"]` {
		t.Error(own)
	}
	for i, want := range map[int]string{
		0: device + own + `,"received_at":"2026-11-02T08:00:00.123Z","downlink_queued":{"f_port":15,"frm_payload":"vu8=","confirmed":true,` +
			`"priority":"HIGH",` + own + `,"confirmed_retry":{"max_attempts":2}}}`,
		1: device + correlation(1, "") + `,"received_at":"2026-11-02T08:00:00.123Z","downlink_queued":{` + correlation(1, "") +
			`,"decoded_payload":{"value":"open <1>"}}}`,
		2: device + correlation(2, "") + `,"received_at":"2026-11-02T08:00:00.123Z","downlink_queued":{` + correlation(2, "") +
			`,"decoded_payload":{"minutes": 15.0}}}`,
		8: device + own + `,"received_at":"2026-11-02T08:00:00.123Z","downlink_nack":{"f_port":15,"frm_payload":"vu8=","confirmed":true,` +
			`"priority":"HIGH",` + own + `,"confirmed_retry":{"attempt":2,"max_attempts":2}}}`,
	} {
		if payloads[i] != want {
			t.Errorf("message %d is\n%s, want\n%s", i, payloads[i], want)
		}
	}
	if !strings.Contains(payloads[9], `"error":{"namespace":"pkg/applicationserver","name":"max_retries_reached"`) {
		t.Error(payloads[9])
	}
}

func TestReplaceTellsWhatItDropped(t *testing.T) {
	w := newWorld(t)
	orders := make([]downlink.Order, 20)
	for i := range orders {
		orders[i] = downlink.Order{FPort: i + 1, DecodedPayload: json.RawMessage(`{"text":"` + strings.Repeat("x", 60_000) + `"}`)}
	}
	w.push(false, orders...)
	w.push(true, downlink.Order{FPort: 200})
	if v := w.take(); v == nil || !strings.Contains(string(v.Body), `"f_port":200`) {
		t.Errorf("%+v", v)
	}
	w.must(w.queues.Clear(t.Context(), w.project, w.device)) // empty: no message
	types, payloads := w.reported()
	dropped := 0
	for i, kind := range types {
		if kind != iot.DownlinkQueueInvalided {
			continue
		}
		var up struct {
			Invalidated struct {
				Downlinks []struct {
					FPort int `json:"f_port"`
				}
			} `json:"downlink_queue_invalidated"`
		}
		w.must(json.Unmarshal([]byte(payloads[i]), &up))
		for _, v := range up.Invalidated.Downlinks {
			if dropped++; v.FPort != dropped {
				t.Errorf("the %dth that was dropped is %d", dropped, v.FPort)
			}
		}
		if len(payloads[i]) > iot.MaxMessageBytes {
			t.Errorf("a message has %d bytes", len(payloads[i]))
		}
	}
	if dropped != len(orders) {
		t.Errorf("%d were reported as dropped, want %d", dropped, len(orders))
	}
}

func TestTakeWaits(t *testing.T) {
	w := newWorld(t)
	for name, wake := range map[string]func(cancel func()){
		"pushed": func(func()) { w.push(false, downlink.Order{FPort: 1}) },
		"gone":   func(cancel func()) { cancel() },
		"settings": func(func()) {
			w.must(w.db.PauseWebhook(w.webhook, "Ada", "", actor))
			w.push(false, downlink.Order{FPort: 2})
		},
		"of others": nil,
	} {
		ctx, cancel := context.WithCancel(t.Context())
		wait := time.Minute
		if wake == nil {
			wait = 20 * time.Millisecond
		}
		done := make(chan *iot.Downlink)
		go func() {
			v, err := w.queues.Take(ctx, w.project, w.device, wait)
			if err != nil {
				t.Error(err)
			}
			done <- v
		}()
		if wake != nil {
			wake(cancel)
		}
		if v := <-done; (v != nil) != (name == "pushed" || name == "settings") {
			t.Errorf("%s: %+v", name, v)
		}
		cancel()
	}
}

func TestEachDownlinkIsTakenOnce(t *testing.T) {
	w := newWorld(t)
	const all = 60
	seen := make(chan iot.ID, all)
	var takers sync.WaitGroup
	for range 6 {
		takers.Go(func() {
			for {
				v, err := w.queues.Take(t.Context(), w.project, w.device, time.Minute)
				if err != nil {
					t.Error(err)
				}
				if v == nil {
					return
				}
				seen <- v.ID
			}
		})
	}
	for i := range all {
		w.push(false, downlink.Order{FPort: i%200 + 1})
	}
	got := map[iot.ID]bool{}
	for range all {
		got[<-seen] = true
	}
	w.queues.Stop()
	w.queues.Stop()
	takers.Wait()
	if len(got) != all {
		t.Errorf("%d different ones were taken, want %d", len(got), all)
	}
}

func TestOrdersAreChecked(t *testing.T) {
	w := newWorld(t)
	long := strings.Repeat("é", 101)
	for field, o := range map[string]downlink.Order{
		"f_port":                       {FPort: 224},
		"frm_payload":                  {FPort: 1, FRMPayload: make([]byte, 256)},
		"decoded_payload":              {FPort: 1, DecodedPayload: json.RawMessage(`[1]`)},
		"payload":                      {FPort: 1, FRMPayload: []byte{1}, Payload: json.RawMessage(`1`)},
		"correlation_ids.1":            {FPort: 1, CorrelationIDs: []string{"", long}},
		"confirmed_retry.max_attempts": {FPort: 1, ConfirmedRetry: &downlink.ConfirmedRetry{MaxAttempts: 101}},
		"class_b_c.gateways.0.gateway_ids.gateway_id": {FPort: 1,
			ClassBC: &downlink.ClassBC{Gateways: []downlink.Gateway{{IDs: downlink.GatewayIDs{ID: "No Gateway"}}}}},
	} {
		for _, orders := range [][]downlink.Order{{o}, {{FPort: 1}, o}} {
			_, err := w.queues.Push(t.Context(), w.project, w.device, orders, false)
			name := field
			if len(orders) > 1 {
				name = "downlinks.1." + field
			}
			var e *iot.Error
			if iot.CodeOf(err) != iot.Invalid {
				t.Errorf("%s: %v", name, err)
			} else if e = err.(*iot.Error); len(e.Fields) != 1 || e.Fields[name] == "" { //nolint:errorlint // Faults returns it unwrapped
				t.Errorf("%s: %v", name, e.Fields)
			}
		}
	}
	for _, f := range []int{-1, 0, 256} {
		if _, err := w.queues.Push(t.Context(), w.project, w.device, []downlink.Order{{FPort: f}}, false); iot.CodeOf(err) != iot.Invalid {
			t.Errorf("f_port %d: %v", f, err)
		}
	}
	if types, _ := w.reported(); len(types) != 0 {
		t.Errorf("refused orders made %v", types)
	}
}

func TestBytesAreReadInAnyBase64(t *testing.T) {
	for text, want := range map[string]string{`"vu8="`: "beef", `"vu8"`: "beef", `"-_8="`: "fbff", `"+/8"`: "fbff", `""`: ""} {
		var b downlink.Bytes
		if err := json.Unmarshal([]byte(text), &b); err != nil || fmt.Sprintf("%x", []byte(b)) != want {
			t.Errorf("%s: %x %v", text, []byte(b), err)
		}
	}
	for _, text := range []string{`"?"`, `"v"`, `"+_8"`} {
		var b downlink.Bytes
		if err := json.Unmarshal([]byte(text), &b); err == nil {
			t.Errorf("%s was read as %x", text, []byte(b))
		}
	}
}

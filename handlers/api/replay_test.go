package api_test

import (
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3filter"

	"thingpost/internal/iot"
)

func init() {
	// The checker of answers knows CSV, but not NDJSON.
	openapi3filter.RegisterBodyDecoder("application/x-ndjson", openapi3filter.PlainBodyDecoder)
}

// replay runs a replay to its end, as the dispatcher does.
func (w *world) replay(id iot.ID) {
	w.Helper()
	for ended := false; !ended; {
		list, err := w.db.RunningReplays(w.Context())
		w.must(err)
		if len(list) != 1 || list[0].ID != id {
			w.Fatalf("there run %+v, want %s", list, id)
		}
		_, ended, err = w.db.ReplayStep(w.Context(), &list[0], func(m *iot.Message, p *iot.Profile) bool { return p.Webhook && m.Channel == "" },
			2)
		w.must(err)
	}
}

type started struct {
	Count int
	More  bool
	ID    iot.ID
}

func TestMessagesAreReplayedToAWebhook(t *testing.T) {
	w := newWorld(t)
	w.message(`{"payload":1}`)
	w.message(`{"payload":2,"channel":"alarm"}`)
	w.webhook("erp", "")
	w.message(`{"payload":3}`)
	path := base + "/messages/replay"
	for body, want := range map[string]int{
		`{"filter":{},"webhook":"erp","dry_run":true}`:                                             3,
		`{"filter":{},"webhook":"erp","missing":true,"dry_run":true}`:                              2,
		`{"filter":{"webhooks":"none","channel":"alarm"},"webhook":"erp","dry_run":true}`:          1,
		`{"filter":{"type":"iottly"},"webhook":"erp","dry_run":true}`:                              0,
		`{"filter":{"since":"2030-01-01T00:00:00Z"},"webhook":"erp","wanted":true,"dry_run":true}`: 0,
	} {
		var s started
		if w.ok(200, "POST", path, w.editor, body).into(t, &s); s.Count != want {
			t.Errorf("%s counts %d, want %d", body, s.Count, want)
		}
	}
	var s started
	w.ok(202, "POST", path, w.editor, `{"filter":{"webhooks":"none"},"webhook":"erp","missing":true,"wanted":true}`).into(t, &s)
	var job iot.Replay
	w.ok(200, "GET", base+"/replays/"+s.ID.String(), w.viewer, "").into(t, &job)
	if job.State != iot.JobRunning || job.Source != iot.FromMessages || job.Webhook != "erp" || job.Count != int64(s.Count) ||
		job.CreatedBy != "the-editor@example.org" {
		t.Errorf("it is %+v", job)
	}
	w.replay(s.ID)
	w.ok(200, "GET", base+"/replays/"+s.ID.String(), w.viewer, "").into(t, &job)
	if job.State != iot.JobDone || job.Done != 1 {
		t.Errorf("it is %+v", job)
	}
	var list struct{ Items []iot.Replay }
	w.ok(200, "GET", base+"/replays", w.viewer, "").into(t, &list)
	if len(list.Items) != 1 || list.Items[0].ID != s.ID {
		t.Errorf("the list is %+v", list)
	}
	w.refused(iot.Invalid, "POST", path, w.editor, `{"webhook":"erp"}`, "filter")
	w.refused(iot.Invalid, "POST", path, w.editor, `{"filter":{}}`, "webhook")
	w.refused(iot.Invalid, "POST", path, w.editor, `{"filter":{},"webhook":"nope-nope"}`, "webhook")
	w.refused(iot.Invalid, "POST", path, w.editor, `{"filter":{"webhooks":"some"},"webhook":"erp"}`, "filter.webhooks")
	w.refused(iot.Invalid, "POST", path, w.editor, `{"filter":{},"webhook":"erp","rate":-1}`, "rate")
	w.refused(iot.Conflict, "POST", base+"/replays/"+s.ID.String()+"/stop", w.editor, "")
	w.refused(iot.NotFound, "GET", base+"/replays/"+w.db.NewID().String(), w.viewer, "")
}

func TestAReplayIsStopped(t *testing.T) {
	w := newWorld(t)
	var s started
	w.ok(202, "POST", base+"/deliveries/replay", w.editor, `{"filter":{},"rate":7}`).into(t, &s)
	var job iot.Replay
	w.ok(200, "POST", base+"/replays/"+s.ID.String()+"/stop", w.editor, "").into(t, &job)
	if job.State != iot.JobStopped || job.Rate != 7 || job.EndedAt == 0 {
		t.Errorf("it is %+v", job)
	}
}

func TestCancelByFilter(t *testing.T) {
	w := newWorld(t)
	w.webhook("erp", "")
	for range 3 {
		w.message(`{"payload":1}`)
	}
	path := base + "/deliveries/cancel"
	var s started
	w.ok(200, "POST", path, w.editor, `{"filter":{"webhook":"erp"},"dry_run":true}`).into(t, &s)
	if s.Count != 3 || s.More || len(w.deliveries("status=pending").Items) != 3 {
		t.Errorf("the dry run: %+v", s)
	}
	s = started{}
	w.ok(200, "POST", path, w.editor, `{"filter":{"webhook":"erp","status":"pending"}}`).into(t, &s)
	if s.Count != 3 || len(w.deliveries("status=cancelled").Items) != 3 {
		t.Errorf("the cancel: %+v", s)
	}
	w.refused(iot.Invalid, "POST", path, w.editor, `{"filter":{"status":"failed"}}`, "filter.status")
	w.refused(iot.Invalid, "POST", path, w.editor, `{}`, "filter")
}

func TestAMessageIsSentToAnotherWebhook(t *testing.T) {
	w := newWorld(t)
	w.message(`{"payload":1}`)
	w.webhook("erp", "")
	var list struct{ Items []iot.Message }
	w.ok(200, "GET", base+"/messages?webhooks=none", w.viewer, "").into(t, &list)
	path := base + "/messages/" + list.Items[0].ID.String() + "/send"
	var d iot.Delivery
	w.ok(202, "POST", path, w.editor, `{"webhook":"erp"}`).into(t, &d)
	if d.Webhook != "erp" || d.MessageID != list.Items[0].ID || d.Trigger != iot.TriggerReplay {
		t.Errorf("it is %+v", d)
	}
	w.refused(iot.Invalid, "POST", path, w.editor, `{"webhook":"nope-nope"}`, "webhook")
	w.ok(200, "GET", base+"/messages?webhooks=none", w.viewer, "").into(t, &list)
	if len(list.Items) != 0 {
		t.Errorf("nobody got %+v", list.Items)
	}
}

func TestExports(t *testing.T) {
	w := newWorld(t)
	w.webhook("erp", "")
	w.message(`{"payload":"=HYPERLINK(\"http://evil.example\")","channel":"=1+1"}`)
	w.message(`{"payload":-5}`)
	for range 45 { // three pages of messages
		w.message(`{"payload":{"text":"two\nlines"}}`)
	}
	a := w.ok(200, "GET", base+"/deliveries/export?format=csv&webhook=erp", w.viewer, "")
	if got := a.header.Get("Content-Disposition"); got != `attachment; filename="greenhouse-north-deliveries-2026-11-02.csv"` ||
		a.header.Get("Content-Type") != "text/csv; charset=utf-8" {
		t.Errorf("%v", a.header)
	}
	rows, err := csv.NewReader(strings.NewReader(a.body)).ReadAll()
	w.must(err)
	if len(rows) != 48 || rows[0][0] != "id" || rows[1][3] != "soil-probe-07" || rows[1][7] != "pending" || rows[47][6] != "'=1+1" {
		t.Errorf("%d rows, from %v and %v to %v", len(rows), rows[0], rows[1], rows[len(rows)-1])
	}
	a = w.ok(200, "GET", base+"/messages/export?format=csv", w.viewer, "")
	rows, err = csv.NewReader(strings.NewReader(a.body)).ReadAll()
	w.must(err)
	if len(rows) != 48 || rows[46][6] != "-5" || rows[47][6] != `"=HYPERLINK(\"http://evil.example\")"` || rows[47][4] != "'=1+1" {
		t.Errorf("%d rows, to %v and %v", len(rows), rows[46], rows[47])
	}
	a = w.ok(200, "GET", base+"/messages/export", w.viewer, "")
	lines := strings.Split(strings.TrimSpace(a.body), "\n")
	var m iot.Message
	w.must(json.Unmarshal([]byte(lines[0]), &m))
	if len(lines) != 47 || string(m.Payload) != `{"text":"two\nlines"}` || a.header.Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("%d lines, the first %s, %v", len(lines), lines[0], a.header)
	}
	if a = w.ok(200, "GET", base+"/deliveries/export?status=failed", w.viewer, ""); len(a.body) != 0 {
		t.Errorf("nothing matches: %q", a.body)
	}
	w.refused(iot.Invalid, "GET", base+"/deliveries/export?format=xml", w.viewer, "", "format")
	w.refused(iot.Invalid, "GET", base+"/deliveries/export?limit=5", w.viewer, "", "limit")
	w.refused(iot.Invalid, "GET", base+"/messages/export?status=failed", w.viewer, "", "status")
}

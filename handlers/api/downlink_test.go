package api_test

import (
	"net/http"
	"strings"
	"testing"

	"thingpost/internal/iot"
)

const queue = base + "/devices/soil-probe-07/downlinks"

type downlinkAnswer struct {
	ID            iot.ID
	Status, Error string
	FPort         int `json:"f_port"`
	Payload       any
}

type downlinksAnswer struct {
	Items []downlinkAnswer
	Next  string
}

func (w *world) pushed(body string) {
	w.Helper()
	w.ok(201, "POST", queue, w.editor, body)
}

func (w *world) queueOf(status string) (list []downlinkAnswer) {
	w.Helper()
	for next := ""; ; {
		var v downlinksAnswer
		w.ok(200, "GET", queue+"?limit=2&status="+status+"&cursor="+next, w.deviceKey, "").into(w, &v)
		if list, next = append(list, v.Items...), v.Next; next == "" {
			return list
		}
	}
}

func TestDownlinksFromPushToAck(t *testing.T) {
	w := newWorld(t)
	w.pushed(`{"f_port":1,"frm_payload":"vu8="}`)
	w.pushed(`[{"payload":{"valve":"open"}},{"f_port":3,"confirmed":true,"decoded_payload":{"n":1.50}}]`)
	w.pushed(`{"downlinks":[{"f_port":4,"priority":"HIGHEST","class_b_c":{"gateways":[{"gateway_ids":{"gateway_id":"roof-gw-1"}}],` +
		`"absolute_time":"2026-03-14T09:40:00Z"}}]}`)
	w.pushed(`[]`)
	list := w.queueOf("queued")
	if len(list) != 4 || list[0].FPort != 1 || list[1].Payload == nil || list[3].FPort != 4 {
		t.Fatalf("%+v", list)
	}
	take := func() (v downlinkAnswer) {
		w.ok(200, "POST", queue+"/take?wait=30s", w.deviceKey, "").into(w, &v)
		return v
	}
	for i := range list {
		if v := take(); v.ID != list[i].ID || v.Status != "sent" {
			t.Errorf("took %+v, want %+v", v, list[i])
		}
	}
	if a := w.ok(204, "POST", queue+"/take", w.deviceKey, ""); a.body != "" {
		t.Error(a.body)
	}
	at := func(i int) string { return queue + "/" + list[i].ID.String() }
	var v downlinkAnswer
	w.ok(200, "POST", at(0)+"/ack", w.deviceKey, "").into(t, &v)
	if v.Status != "acked" {
		t.Errorf("%+v", v)
	}
	w.refused(iot.Conflict, "POST", at(0)+"/nack", w.deviceKey, "")
	w.ok(200, "POST", at(1)+"/fail", w.deviceKey, `{"error":"It is stuck."}`).into(t, &v)
	if v.Status != "failed" || v.Error != "It is stuck." {
		t.Errorf("%+v", v)
	}
	w.ok(200, "POST", at(2)+"/nack", w.deviceKey, "").into(t, &v)
	if v.Status != "queued" {
		t.Errorf("%+v", v)
	}
	if v := take(); v.ID != list[2].ID {
		t.Errorf("%+v", v)
	}
	w.ok(200, "GET", at(2), w.viewer, "").into(t, &v)
	if v.Status != "sent" {
		t.Errorf("%+v", v)
	}
	if n := len(w.queueOf("sent")); n != 2 {
		t.Errorf("%d are sent, want 2", n)
	}
	w.refused(iot.NotFound, "POST", queue+"/"+w.db.NewID().String()+"/ack", w.deviceKey, "")
	w.refused(iot.NotFound, "POST", queue+"/5/ack", w.deviceKey, "")
	w.refused(iot.Invalid, "POST", at(3)+"/fail", w.deviceKey, `{"error":"`+strings.Repeat("x", 1001)+`"}`, "error")
}

func TestQueueIsReplacedAndCleared(t *testing.T) {
	w := newWorld(t)
	w.pushed(`[{"f_port":1},{"f_port":2}]`)
	var v downlinksAnswer
	w.ok(200, "PUT", queue, w.editor, `{"f_port":3}`).into(t, &v)
	if list := w.queueOf("queued"); len(list) != 1 || list[0].FPort != 3 || len(v.Items) != 1 || v.Items[0].ID != list[0].ID {
		t.Errorf("%+v %+v", list, v)
	}
	w.ok(200, "PUT", queue, w.editor, `{"downlinks":[]}`)
	w.pushed(`{"f_port":1}`)
	w.ok(204, "DELETE", queue, w.editor, "")
	if list := w.queueOf("queued"); len(list) != 0 {
		t.Errorf("%+v", list)
	}
	if n := len(w.queueOf("cancelled")); n != 4 {
		t.Errorf("%d were cancelled, want 4", n)
	}
}

func TestDownlinksAreRefusedByField(t *testing.T) {
	w := newWorld(t)
	for body, field := range map[string]string{
		`{"f_port":224}`:                                   "f_port",
		`{"frm_payload":"AQ=="}`:                           "f_port",
		`{"f_port":1,"frm_payload":"?"}`:                   "frm_payload",
		`{"f_port":"1"}`:                                   "f_port",
		`{"f_port":1,"priority":"URGENT"}`:                 "priority",
		`{"f_port":1,"confirmed":"true"}`:                  "confirmed",
		`{"f_port":1,"fPort":1}`:                           "fPort",
		`{"downlinks":[{"f_port":1},{"f_port":300}]}`:      "downlinks.1.f_port",
		`{"f_port":1,"class_b_c":{"absolute_time":"now"}}`: "class_b_c.absolute_time",
	} {
		w.refused(iot.Invalid, "POST", queue, w.editor, body, field)
	}
	w.refused(iot.Invalid, "POST", queue, w.editor, "")
	w.refused(iot.Invalid, "GET", queue+"?status=lost", w.viewer, "", "status")
	for _, wait := range []string{"61s", "-1s", "soon"} {
		w.refused(iot.Invalid, "POST", queue+"/take?wait="+wait, w.deviceKey, "", "wait")
	}
	w.refused(iot.Invalid, "POST", queue+"/take?max=2", w.deviceKey, "", "max")
	w.refused(iot.NotFound, "POST", base+"/devices/nobody-here/downlinks", w.editor, `{"f_port":1}`)
	w.ok(201, "POST", base+"/devices", w.editor, `{"id":"second-one"}`)
	for _, path := range []string{"/downlinks/take", "/downlinks/" + w.db.NewID().String() + "/ack"} {
		w.refused(iot.Forbidden, "POST", base+"/devices/second-one"+path, w.deviceKey, "")
	}
	w.refused(iot.Forbidden, "GET", base+"/devices/second-one/downlinks", w.deviceKey, "")
}

func TestWaitingDeviceHearsOfAPush(t *testing.T) {
	w := newWorld(t)
	done := make(chan answer)
	go func() { done <- w.send("POST", queue+"/take?wait=60", w.deviceKey, "") }()
	w.pushed(`{"f_port":9}`)
	if a := <-done; a.status != http.StatusOK || !strings.Contains(a.body, `"f_port":9`) {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestProjectNamesItsUpstream(t *testing.T) {
	w := newWorld(t)
	const path, key = base + "/upstream", "NNSXS.of-the-other-system"
	w.refused(iot.NotFound, "GET", path, w.owner, "")
	w.refused(iot.Invalid, "PUT", path, w.owner, `{"url":"ftp://x","key":""}`, "url", "key")
	w.refused(iot.Invalid, "PUT", path, w.owner, `{"url":"https://tts.example/{devID}","key":"`+key+`"}`, "url")
	for _, body := range []string{`{"url":"https://tts.example/api/v3/as/applications/app1/","key":"` + key + `"}`,
		`{"url":"https://tts.example/api/v3/as/applications/app1","key":"•••"}`} {
		if a := w.ok(200, "PUT", path, w.owner, body); strings.Contains(a.body, key) ||
			!strings.Contains(a.body, `"url":"https://tts.example/api/v3/as/applications/app1","key":"•••"`) {
			t.Error(a.body)
		}
	}
	w.refused(iot.Invalid, "PUT", path, w.owner, `{"url":"https://other.example/api/v3/as/applications/app1","key":"•••"}`, "key")
	w.pushed(`{"f_port":1}`)
	if n := len(w.queueOf("forwarded")); n != 1 {
		t.Errorf("%d were sent on", n)
	}
	w.mu.Lock()
	q := w.queued[len(w.queued)-1]
	w.mu.Unlock()
	if q.Message.Type != iot.DownlinkQueued || !strings.HasPrefix(q.Delivery.Webhook, "upstream") {
		t.Errorf("%+v", q.Delivery)
	}
	if a := w.ok(200, "GET", base+"/webhooks", w.owner, ""); strings.Contains(a.body, "upstream") {
		t.Errorf("the webhooks are %s", a.body)
	}
	h, err := w.db.WebhookByKey(t.Context(), q.Delivery.WebhookKey)
	w.must(err)
	if v := h.Headers[0].Value.Reveal(); v != "Bearer "+key {
		t.Errorf("the mask left %q", v)
	}
	w.ok(204, "DELETE", path, w.owner, "")
	w.refused(iot.NotFound, "DELETE", path, w.owner, "")
	w.pushed(`{"f_port":1}`)
	if n := len(w.queueOf("queued")); n != 1 {
		t.Errorf("%d wait for the device", n)
	}
}

// TestWhatGoesOnToAnUpstreamIsNotJudgedHere pushes what our own queue refuses.
func TestWhatGoesOnToAnUpstreamIsNotJudgedHere(t *testing.T) {
	w := newWorld(t)
	const odd = `{"decoded_payload":{"valve":"open"},"soon":[1.0],"status":"theirs"}`
	w.refused(iot.Invalid, "POST", queue, w.editor, odd)
	w.must(w.db.SetUpstream(w.project, nil, iot.Upstream{URL: "https://tts.example/api/v3/as/applications/app1", Key: "NNSXS.A"}, "ada"))
	var v downlinksAnswer
	a := w.ok(201, "POST", queue, w.editor, odd)
	if a.into(w, &v); v.Items[0].Status != "forwarded" || !strings.Contains(a.body, `"soon":[1.0]`) {
		t.Errorf("answered %s", a.body)
	}
	w.ok(201, "POST", queue, w.editor, `[{"f_port":0},{"f_port":999}]`)
	w.ok(200, "PUT", queue, w.editor, `{"downlinks":[{"frm_payload":"`+strings.Repeat("AAAA", 100)+`"}]}`)
	if list := w.queueOf("forwarded"); len(list) != 4 {
		t.Errorf("%d went on, want 4", len(list))
	}
	for _, bad := range []string{`5`, `[5]`, `{"downlinks":5}`, `{"f_port":"x"}`, `{"soon":"` + strings.Repeat("x", 129<<10) + `"}`} {
		w.refused(iot.Invalid, "POST", queue, w.editor, bad)
	}
}

package api_test

import (
	"net/http"
	"strings"
	"testing"

	"thingpost/internal/iot"
)

// results are the answer of POST …/messages.
type results struct {
	Messages []struct {
		ID    iot.ID
		Error *fault
	}
}

func (w *world) stored() int {
	w.Helper()
	var v struct{ Items []struct{ ID iot.ID } }
	w.ok(200, "GET", base+"/messages?limit=200", w.viewer, "").into(w, &v)
	return len(v.Items)
}

func TestMessageIsStoredAndQueuedBeforeTheAnswer(t *testing.T) {
	w := newWorld(t)
	w.webhook("erp", "")
	w.webhook("mes", `,"channel":"other"`)
	id := w.message(`{"payload":{"n":1.50,"s":"<é>"},"channel":"c","id":"7"}`)
	var v struct {
		Device   string
		SenderID string `json:"sender_id"`
		Payload  struct{ S string }
		Webhooks []struct {
			Webhook, Why string
			Wanted       bool
			Delivery     *iot.ID
		}
	}
	a := w.ok(200, "GET", base+"/messages/"+id.String(), w.viewer, "")
	if !strings.Contains(a.body, `"payload":{"n":1.50,"s":"<é>"}`) {
		t.Errorf("the payload changed: %s", a.body)
	}
	a.into(t, &v)
	if v.Device != "soil-probe-07" || v.SenderID != "7" || len(v.Webhooks) != 2 {
		t.Fatalf("%s", a.body)
	}
	if erp := v.Webhooks[0]; !erp.Wanted || erp.Why != "" || erp.Delivery == nil || *erp.Delivery != w.queued[0].Delivery.ID {
		t.Errorf("erp: %+v", erp)
	}
	if mes := v.Webhooks[1]; mes.Wanted || mes.Why != "channel" || mes.Delivery != nil {
		t.Errorf("mes: %+v", mes)
	}
}

func TestRepeatedIDIsAcceptedOnce(t *testing.T) {
	w := newWorld(t)
	first := w.message(`{"payload":1,"id":"a"}`)
	if again := w.message(`{"payload":2,"id":"a"}`); again != first {
		t.Errorf("%s, want the first id %s", again, first)
	}
	if n := w.stored(); n != 1 {
		t.Errorf("%d messages are stored, want 1", n)
	}
}

func TestAnEmptyListStoresNothing(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct{ body, contentType string }{{` [ ] `, ""}, {"\n\n", "application/x-ndjson"}} {
		a := w.send("POST", base+"/messages", w.editor, c.body, func(r *http.Request) {
			if c.contentType != "" {
				r.Header.Set("Content-Type", c.contentType)
			}
		})
		if a.status != 400 || !strings.Contains(a.fault(t).Message, "empty") {
			t.Errorf("%q: %d %s", c.body, a.status, a.body)
		}
	}
}

func TestManyMessages(t *testing.T) {
	w := newWorld(t)
	const good, bad = `{"from":"soil-probe-07","payload":1}`, `{"from":"soil-probe-07"}`
	cases := map[string]struct {
		body, contentType string
		codes             []iot.Code // "" for a stored message
		message           string     // part of the whole answer's error
	}{
		"one":             {good, "", []iot.Code{""}, ""},
		"one bad":         {bad, "", []iot.Code{iot.Invalid}, "payload: is missing."},
		"no message":      {`5`, "", []iot.Code{iot.Invalid}, "A message is a JSON object"},
		"no JSON":         {`{"payload":`, "", []iot.Code{iot.Invalid}, "not valid JSON (byte 11"},
		"one of nobody":   {`{"from":"nobody-here","payload":1}`, "", []iot.Code{iot.NotFound}, "There is no device"},
		"array":           {`[` + good + `, ` + bad + `,` + good + `]`, "", []iot.Code{"", iot.Invalid, ""}, ""},
		"one in an array": {`[` + bad + `]`, "", []iot.Code{iot.Invalid}, "payload: is missing."},
		"lines":           {good + "\n\n" + `{"from":` + "\n" + good + "\r\n", "application/x-ndjson", []iot.Code{"", iot.Invalid, ""}, ""},
		"bad lines": {bad + "\nnonsense\n", "application/ndjson", []iot.Code{iot.Invalid, iot.Invalid},
			"None of the 2 messages was stored"},
		"unknown device": {`[{"from":"nobody-here","payload":1},{"payload":1}]`, "", []iot.Code{iot.NotFound, iot.Invalid},
			"None of the 2 messages was stored"},
		"one of them deep": {`[` + good + `,{"payload":` + strings.Repeat("[", 600) + strings.Repeat("]", 600) + `}]`, "",
			[]iot.Code{"", iot.Invalid}, ""},
	}
	for name, c := range cases {
		before := w.stored()
		a := w.send("POST", base+"/messages", w.editor, c.body, func(r *http.Request) {
			if c.contentType != "" {
				r.Header.Set("Content-Type", c.contentType)
			}
		})
		var v results
		a.into(t, &v)
		status, message := 202, ""
		if c.message != "" {
			status, message = 400, a.fault(t).Message
		}
		if a.status != status || v.Messages == nil || len(v.Messages) != len(c.codes) || !strings.Contains(message, c.message) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
			continue
		}
		good := 0
		for i, m := range v.Messages {
			var code iot.Code
			if m.Error != nil {
				code = m.Error.Code
			} else {
				good++
			}
			if code != c.codes[i] || m.ID.IsZero() == (code == "") {
				t.Errorf("%s: message %d: %s", name, i, a.body)
			}
		}
		if n := w.stored() - before; n != good {
			t.Errorf("%s: %d are stored, want %d", name, n, good)
		}
	}
}

func TestOnlyAProjectKeyRegistersDevices(t *testing.T) {
	w := newWorld(t)
	path := base + "/devices/a-new-one/messages"
	w.refused(iot.NotFound, "POST", path, w.owner, `{"payload":1}`)
	w.ok(202, "POST", path, w.fullKey, `{"payload":1}`)
	w.ok(200, "GET", base+"/devices/a-new-one", w.viewer, "")
	w.ok(200, "PATCH", base, w.admin, `{"auto_register":false}`)
	w.refused(iot.NotFound, "POST", base+"/devices/another-one/messages", w.fullKey, `{"payload":1}`)
}

func TestDeviceKeySendsAsItsDeviceAlone(t *testing.T) {
	w := newWorld(t)
	w.ok(201, "POST", base+"/devices", w.editor, `{"id":"second-one"}`)
	w.refused(iot.Forbidden, "POST", base+"/devices/second-one/messages", w.deviceKey, `{"payload":1}`)
	w.refused(iot.Forbidden, "POST", base+"/devices/soil-probe-07/messages", w.deviceKey, `{"payload":1,"from":"second-one"}`)
	w.refused(iot.NotFound, "POST", "/api/v1/projects/other-place/devices/soil-probe-07/messages", w.deviceKey, `{"payload":1}`)
	w.ok(202, "POST", base+"/devices/"+strings.ToUpper(w.device.UUID)+"/messages", w.deviceKey, `{"payload":1,"from":"`+w.device.UUID+`"}`)
	var v results
	w.ok(202, "POST", base+"/messages", w.deviceKey, `[{"payload":1},{"payload":1,"from":"second-one"}]`).into(t, &v)
	if v.Messages[0].Error != nil || v.Messages[1].Error == nil || v.Messages[1].Error.Code != iot.Forbidden {
		t.Errorf("%+v", v)
	}
}

func TestBadBodiesStoreNothing(t *testing.T) {
	w := newWorld(t)
	one, many := base+"/devices/soil-probe-07/messages", base+"/messages"
	big := `{"from":"soil-probe-07","payload":"` + strings.Repeat("x", iot.MaxMessageBytes) + `"}`
	whole := big[:len(big)-2-(len(big)-iot.MaxMessageBytes)] + `"}`
	w.refused(iot.Invalid, "POST", one, w.deviceKey, `{"payload":}`)
	w.refused(iot.Invalid, "POST", one, w.deviceKey, ``)
	w.refused(iot.Invalid, "POST", one, w.deviceKey, `[{"payload":1}]`)
	w.refused(iot.Invalid, "POST", one, w.deviceKey, `{"payload":1,"colour":2}`, "colour")
	w.refused(iot.Invalid, "POST", one, w.deviceKey, `{"id":5}`, "id", "payload")
	w.refused(iot.Invalid, "POST", many, w.editor, `{"payload":`)
	w.refused(iot.Invalid, "POST", many, w.editor, `[{"from":"soil-probe-07","payload":1},{]`)
	w.refused(iot.Invalid, "POST", many, w.editor, ``)
	w.refused(iot.TooLarge, "POST", one, w.deviceKey, whole+" ")
	w.refused(iot.TooLarge, "POST", many, w.editor, whole+" ")
	chunked := func(r *http.Request) { r.ContentLength = -1 }
	if a := w.send("POST", one, w.deviceKey, whole+" ", chunked); a.status != 413 {
		t.Errorf("chunked: %d, want 413", a.status)
	}
	w.refused(iot.TooLarge, "POST", many, w.editor, `[1`+strings.Repeat(`,1`, 10_000)+`]`)
	if n := w.stored(); n != 0 {
		t.Fatalf("%d messages are stored", n)
	}
	w.ok(202, "POST", one, w.deviceKey, whole)
	if a := w.send("POST", one, w.deviceKey, whole, chunked); a.status != 202 {
		t.Errorf("chunked: %d, want 202", a.status)
	}
}

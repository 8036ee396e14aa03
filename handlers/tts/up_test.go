package tts_test

import (
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"thingpost/db"
	"thingpost/handlers/tts"
	"thingpost/internal/iot"
	"thingpost/internal/lorawan/wire"
)

// newest returns the newest message of the project.
func (w *world) newest() iot.Message {
	w.Helper()
	page, err := w.db.Messages(w.Context(), db.MessageFilter{ProjectKey: w.project.Key, Limit: 1})
	w.must(err)
	if len(page.Items) == 0 {
		w.Fatal("there is no message")
	}
	m, err := w.db.Message(w.Context(), w.project.Key, page.Items[0].ID)
	w.must(err)
	return *m
}

func TestInlet(t *testing.T) {
	w := newWorld(t)
	in := tts.NewInlet(w.options)
	const message = `{"end_device_ids":{"device_id":"dev1","application_ids":{"application_id":"another"}},"uplink_message":{"f_port":1}, ` +
		`"x":1}`
	raw, err := hex.DecodeString(strings.TrimSpace(string(readFixture(t, "../../internal/lorawan/testdata/uplink_message.protobuf.hex"))))
	w.must(err)
	sends, reads := w.key(iot.SendMessages), w.key(iot.ReadTraffic)
	const jsonType, binaryType = "application/json", "application/octet-stream"
	cases := []struct {
		name, method, path, key, contentType, body string
		status                                     int
		has                                        string
	}{
		{"JSON", "POST", "/in/tts/app1", sends, jsonType, message, 202, `{"id":"`},
		{"any path below, any case", "POST", "/in/tts/" + strings.ToUpper(w.project.UUID) + "/up//x/..",
			strings.Replace(sends, "Bearer", "bearer", 1), "", message, 202, `{"id":"`},
		{"Protocol Buffers", "POST", "/in/tts/app1/up", sends, binaryType, string(raw), 404, "soil-probe-07"},
		{"no JSON", "POST", "/in/tts/app1", sends, jsonType, "{", 400, "not valid JSON"},
		{"no message", "POST", "/in/tts/app1", sends, jsonType, "{}", 400, "uplink_message"},
		{"no Protocol Buffers", "POST", "/in/tts/app1", sends, binaryType, "{}", 400, "Protocol Buffers"},
		{"too large", "POST", "/in/tts/app1", sends, jsonType, strings.Repeat(" ", iot.MaxMessageBytes+1), 413, "too_large"},
		{"no key", "POST", "/in/tts/app1", "", jsonType, message, 401, "NNSXS"},
		{"a person's token", "POST", "/in/tts/app1", "Bearer " + iot.NewToken().Reveal(), jsonType, message, 401, "People's tokens"},
		{"a device's key", "POST", "/in/tts/app1", "Bearer " + iot.NewDeviceKey().Reveal(), jsonType, message, 401, "devices' keys"},
		{"a key that may not send", "POST", "/in/tts/app1", reads, jsonType, message, 403, "RIGHT_APPLICATION_TRAFFIC_UP_WRITE"},
		{"another project", "POST", "/in/tts/app2", sends, jsonType, message, 404, "no such project"},
		{"no project", "POST", "/in/tts/", sends, jsonType, message, 404, "Unknown path"},
		{"another inlet", "POST", "/in/other", sends, jsonType, message, 404, "Unknown path"},
		{"reading", "GET", "/in/tts/app1", sends, "", "", 405, ""},
	}
	for _, c := range cases {
		r := httptest.NewRequest(c.method, "http://h/", strings.NewReader(c.body))
		r.URL.Path = c.path
		r.Header.Set("Authorization", c.key)
		r.Header.Set("Content-Type", c.contentType)
		rec := httptest.NewRecorder()
		in.ServeHTTP(rec, r)
		if rec.Code != c.status || !strings.Contains(rec.Body.String(), c.has) {
			t.Errorf("%s: %d %s, want %d with %s", c.name, rec.Code, rec.Body, c.status, c.has)
		}
		if rec.Code == http.StatusAccepted {
			if m := w.newest(); string(m.Payload) != message || m.Type != iot.UplinkMessage || m.Device != "dev1" ||
				!strings.Contains(rec.Body.String(), m.ID.String()) {
				t.Errorf("%s: stored %s %s of %s", c.name, m.Type, m.Payload, m.Device)
			}
		}
	}
}

// A webhook's headers about its downlinks are stored with the message that it sends.
func TestInletLearnsTheUpstream(t *testing.T) {
	w := newWorld(t)
	const down = "https://tts.example/api/v3/as/applications/app9/webhooks/wh9/devices/dev1/down/"
	send := func(key string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "/in/tts/app1",
			strings.NewReader(`{"end_device_ids":{"device_id":"dev1"},"uplink_message":{}}`))
		for name, value := range map[string]string{"Authorization": key, "X-Downlink-Push": down + "push", "X-Downlink-Replace": down + "replace",
			"X-Downlink-Apikey": "NNSXS.A.B"} {
			r.Header.Set(name, value)
		}
		rec := httptest.NewRecorder()
		tts.NewInlet(w.options).ServeHTTP(rec, r)
		return rec
	}
	var answer struct{ ID, Warning string }
	rec := send(w.key(iot.SendMessages))
	w.must(json.Unmarshal(rec.Body.Bytes(), &answer))
	if rec.Code != http.StatusAccepted || answer.ID == "" || !strings.Contains(answer.Warning, "RIGHT_APPLICATION_SETTINGS_BASIC") {
		t.Errorf("without the right: %d %s", rec.Code, rec.Body)
	}
	if settings, err := w.options.Ingest.Snapshot(t.Context(), w.project.Key); err != nil || settings.Upstream(w.device) != nil {
		t.Errorf("without the right it learned %v, %v", settings.Upstream(w.device), err)
	}
	rec = send(w.key(iot.SendMessages | iot.ChangeSettings))
	settings, err := w.options.Ingest.Snapshot(t.Context(), w.project.Key)
	w.must(err)
	d, err := w.db.Device(t.Context(), w.project.Key, "dev1")
	w.must(err)
	if rec.Code != http.StatusAccepted || settings.Upstream(d) == nil {
		t.Errorf("%d %s, upstream %v", rec.Code, rec.Body, settings.Upstream(d))
	}
}

func TestSimulateByGRPC(t *testing.T) {
	w := newWorld(t)
	client := wire.NewAppAsClient(w.dial(w.options))
	up := &wire.ApplicationUp{EndDeviceIds: &wire.EndDeviceIdentifiers{DeviceId: "dev1",
		ApplicationIds: &wire.ApplicationIdentifiers{ApplicationId: "app1"}},
		Up: &wire.ApplicationUp_UplinkMessage{UplinkMessage: &wire.ApplicationUplink{FPort: 1, FrmPayload: []byte{1}}}}
	_, err := client.SimulateUplink(w.as(w.full), up)
	st := status.Convert(err)
	if st.Code() != codes.InvalidArgument || st.Message() != "error:pkg/errors:validation (invalid `uplink_message`: embedded message "+
		"failed validation)" || len(st.Details()) != 1 {
		t.Fatalf("an uplink without settings: %v with %v", st, st.Details())
	}
	outer := st.Details()[0].(*wire.ErrorDetails)
	inner := outer.GetCause()
	if outer.GetAttributes().AsMap()["name"] != "ApplicationUpValidationError" || inner.GetName() != "validation" ||
		!equal(inner.GetAttributes().AsMap(), map[string]any{"field": "settings", "name": "ApplicationUplinkValidationError",
			"reason": "value is required"}) {
		t.Errorf("its details: %v", outer)
	}
	up.GetUplinkMessage().Settings = &wire.TxSettings{Frequency: 868300000}
	_, err = client.SimulateUplink(w.as(w.full), up)
	w.must(err)
	want := `{"end_device_ids":{"device_id":"dev1","application_ids":{"application_id":"app1"}},"uplink_message":{"f_port":1,` +
		`"frm_payload":"AQ==","settings":{"frequency":"868300000"}},"received_at":"2026-11-21T04:46:56Z","simulated":true}`
	if m := w.newest(); string(m.Payload) != want {
		t.Errorf("got  %s\nwant %s", m.Payload, want)
	}
	if _, err := client.SimulateUplink(w.as(w.key(iot.ReadTraffic)), up); status.Code(err) != codes.PermissionDenied {
		t.Errorf("without the right: %v", err)
	}
	up.Up = nil
	if _, err := client.SimulateUplink(w.as(w.full), up); status.Code(err) != codes.InvalidArgument {
		t.Errorf("without a message: %v", err)
	}
}

func readFixture(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSimulate(t *testing.T) {
	w := newWorld(t)
	const path = "/api/v3/as/applications/app1/devices/dev1/up/simulate"
	const body = `{"uplink_message":{"f_port":1,"frm_payload":"AQ==","nobody_knows":[1.0]}}`
	if got := w.call("POST", path, w.full, body, 200, ""); got != "{}" {
		t.Errorf("answer %q", got)
	}
	want := `{"end_device_ids":{"device_id":"dev1","application_ids":{"application_id":"app1"}},"uplink_message":{"f_port":1,` +
		`"frm_payload":"AQ==","nobody_knows":[1.0]},"received_at":"2026-11-21T04:46:56Z","simulated":true}`
	if m := w.newest(); string(m.Payload) != want {
		t.Errorf("got  %s\nwant %s", m.Payload, want)
	}
	w.call("POST", strings.Replace(path, "/api/v3", "/v3/api", 1), w.full, body, 200, "{}")
	w.call("POST", path, w.full, `{"downlink_sent":{"priority":"URGENT"}}`, 400,
		`"message":"unmarshal error at path \"downlink_sent\": unknown value for enum: \"URGENT\""`)
	w.call("POST", path, w.full, `{bad`, 400, `invalid character 'b' looking for beginning of object key string`)
	w.call("POST", path, w.full, ``, 400, "value is required")
	w.call("POST", path, w.full, `{"simulated":true}`, 400, "value is required")
	w.call("POST", strings.Replace(path, "dev1", "D!", 1), w.full, body, 400, "does not match regex")
	w.call("POST", strings.Replace(path, "dev1", "dev9", 1), w.full, body, 404, "device_not_found")
	w.call("POST", path, w.key(iot.ReadTraffic), body, 403, "RIGHT_APPLICATION_TRAFFIC_UP_WRITE")
	w.call("POST", path, "", body, 403, "no_application_rights")
}

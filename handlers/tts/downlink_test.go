package tts_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"thingpost/db"
	"thingpost/handlers/tts"
	"thingpost/internal/downlink"
	"thingpost/internal/ingest"
	"thingpost/internal/iot"
	"thingpost/internal/lorawan/wire"
)

// world is the dialect over a real store with a project, a device and a webhook.
type world struct {
	*testing.T
	db      *db.DB
	tts     http.Handler
	options tts.Options
	project *iot.Project
	device  *iot.Device
	webhook *iot.Webhook
	full    string // a key with all rights
}

const actor = "ada@example.org"

func newWorld(t *testing.T) *world {
	t.Helper()
	now := func() time.Time { return time.Date(2026, 11, 21, 4, 46, 56, 0, time.UTC) }
	w := &world{T: t}
	var in *ingest.Ingest
	d, err := db.Open(t.Context(), db.Options{Folder: t.TempDir(), Now: now, OnCommit: func(c iot.Commit) {
		if in != nil {
			in.Changed(c)
		}
	}})
	w.must(err)
	t.Cleanup(func() { w.must(d.Close()) })
	w.db, in = d, ingest.New(d, ingest.Options{Now: now})
	w.options = tts.Options{DB: d, Ingest: in, Downlinks: downlink.New(downlink.Options{DB: d, Ingest: in, Now: now}), Now: now}
	w.tts = tts.New(w.options)
	org := &iot.Organization{Name: "Works"}
	w.must(d.SetUp(&iot.Account{Email: actor, PasswordHash: "x"}, org))
	w.project = &iot.Project{ID: "app1", Name: "App", OrganizationKey: org.Key}
	w.must(d.CreateProject(w.project, actor))
	w.device = &iot.Device{ProjectKey: w.project.Key, ID: "dev1"}
	w.must(d.CreateDevice(w.device, "key", actor))
	w.webhook = &iot.Webhook{ProjectKey: w.project.Key, ID: "wh1", Description: "ERP", URL: "https://erp.example", Format: iot.JSON,
		MessageTypes: iot.Routes{iot.UplinkMessage: {}}, Settings: iot.DefaultSettings()}
	w.must(d.CreateWebhook(w.webhook, actor))
	w.full = w.key(iot.AllKeyRights)
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) key(rights iot.Rights) string {
	w.Helper()
	return w.keyOf(w.project, rights)
}

func (w *world) keyOf(p *iot.Project, rights iot.Rights) string {
	w.Helper()
	id, secret, text := iot.NewAPIKey()
	w.must(w.db.CreateAPIKey(&iot.APIKey{ID: id, ProjectKey: p.Key, Name: "a key", Rights: rights}, secret, actor))
	return "Bearer " + text.Reveal()
}

// call expects a status and an answer that contains a text.
func (w *world) call(method, path, authorization, body string, status int, has string) string {
	w.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	rec := httptest.NewRecorder()
	w.tts.ServeHTTP(rec, r)
	if rec.Code != status || !strings.Contains(rec.Body.String(), has) {
		w.Errorf("%s %s %.100s answers %d %s, want %d with %s", method, path, body, rec.Code, rec.Body, status, has)
	}
	return rec.Body.String()
}

const (
	queue   = "/api/v3/as/applications/app1/devices/dev1/down"
	webhook = "/api/v3/as/applications/app1/webhooks/wh1/devices/dev1/down"
)

// queued are the downlinks of the queue.
func (w *world) queued() []map[string]any {
	w.Helper()
	var v struct{ Downlinks []map[string]any }
	w.must(json.Unmarshal([]byte(w.call("GET", queue, w.full, "", 200, "{")), &v))
	return v.Downlinks
}

func TestMeasuredExchangesOfDownlinks(t *testing.T) {
	w := newWorld(t)
	if body := w.call("POST", queue+"/push", w.full, `{"downlinks":[{"frm_payload":"AQ==","f_port":1,"priority":"NORMAL"}]}`, 200,
		""); body != "{}" {
		t.Errorf("a push is answered with %q", body)
	}
	list := w.queued()
	if len(list) != 1 {
		t.Fatalf("%v", list)
	}
	delete(list[0], "correlation_ids")
	if b, _ := json.Marshal(list); string(b) != `[{"f_port":1,"frm_payload":"AQ==","priority":"NORMAL"}]` {
		t.Errorf("the queue is %s", b)
	}
	w.call("POST", queue+"/push", w.full, `{"downlinks":[{"frm_payload":"vu8=","f_port":1},{"frm_payload":"vu8=","f_port":224,`+
		`"priority":"NORMAL"}]}`, 400,
		"{\"code\":3,\"message\":\"error:pkg/errors:validation (invalid `downlinks[1]`: embedded message failed validation)\","+
			"\"details\":[{\"@type\":\"type.googleapis.com/ttn.lorawan.v3.ErrorDetails\",\"namespace\":\"pkg/errors\",\"name\":\"validation\","+
			"\"message_format\":\"invalid `{field}`: {reason}\",\"attributes\":{\"field\":\"downlinks[1]\","+
			"\"name\":\"DownlinkQueueRequestValidationError\",\"reason\":\"embedded message failed validation\"},")
	w.call("POST", queue+"/push", w.full, `{"downlinks":[{"f_port":224}]}`, 400,
		`"attributes":{"field":"f_port","name":"ApplicationDownlinkValidationError","reason":"value must not be in list [224]"}`)
	w.call("POST", queue+"/push", w.full, `{"downlinks":[{"frm_payload":"vu8=","f_port":1,"priority":"URGENT"}]}`, 400,
		`{"code":3,"message":"unmarshal error at path \"downlinks\": unknown value for enum: \"URGENT\""}`)
	w.call("POST", queue+"/push", w.full, `{bad json`, 400, `{"code":3,"message":"invalid character 'b' looking for beginning of object `+
		`key string"}`)
	w.call("GET", "/api/v3/nope", w.full, "", 404, `{"code":5,"message":"Not Found"}`)
	if n := len(w.queued()); n != 1 {
		t.Errorf("%d are queued after what was refused", n)
	}
}

func TestDownlinkBodiesAreReadLeniently(t *testing.T) {
	w := newWorld(t)
	for body, want := range map[string]string{
		`{"downlinks":[{"fPort":1,"frmPayload":"vu8"}]}`:                              `[{"f_port":1,"frm_payload":"vu8="}]`,
		`{"downlinks":[{"f_port":"1","frm_payload":"-_8=","nothing":{"known":[1]}}]}`: `[{"f_port":1,"frm_payload":"+/8="}]`,
		`{"downlinks":[{"f_port":1.0,"priority":6,"confirmed":true}]}`:                `[{"confirmed":true,"f_port":1,"priority":"HIGHEST"}]`,
		`{"downlinks":[{"f_port":1,"session_key_id":"AQ==","f_cnt":7,` +
			`"decoded_payload_warnings":["x"],"confirmed_retry":{"attempt":5}}]}`: `[{"f_port":1}]`,
		`{"downlinks":[{"f_port":1,"priority":"LOWEST","confirmed_retry":{"max_attempts":4}}]}`: `[` +
			`{"confirmed_retry":{"max_attempts":4},"f_port":1}]`,
		`{"downlinks":[]}`: `null`,
		`{}`:               `null`,
		``:                 `null`,
	} {
		w.call("POST", queue+"/replace", w.full, body, 200, "{}")
		list := w.queued()
		for _, v := range list {
			delete(v, "correlation_ids")
		}
		if b, _ := json.Marshal(list); string(b) != want {
			t.Errorf("%s is queued as %s, want %s", body, b, want)
		}
	}
	w.call("POST", queue+"/replace", w.full, `{}`, 200, "{}")
	for body, has := range map[string]string{
		`{"downlinks":[{"f_port":0}]}`:                    "no_f_port",
		`{"downlinks":[{"f_port":-1}]}`:                   `"code":3`,
		`{"downlinks":[{"f_port":256}]}`:                  "value must be less than or equal to 255",
		`{"downlinks":[{"f_port":1,"confirmed":"true"}]}`: `unmarshal error at path \"downlinks\"`,
		`{"downlinks":[{"f_port":1,"confirmed":null}]}`:   `unmarshal error at path \"downlinks\"`,
		`[{"f_port":1}]`:                                  `"code":3`,
		`{"downlinks":[{"f_port":1,"correlation_ids":["` + strings.Repeat("x", 101) +
			`"]}]}`: "value length must be at most 100 runes",
		`{"downlinks":[{"f_port":1,"confirmed_retry":{"max_attempts":101}}]}`:                              "value must be inside range [1, 100]",
		`{"downlinks":[{"f_port":1,"class_b_c":{"gateways":[{"gateway_ids":{"gateway_id":"No Good"}}]}}]}`: "GatewayIdentifiersValidationError",
		`{"downlinks":[{"f_port":1,"frm_payload":"` + strings.Repeat("AAAA", 86) +
			`"}]}`: "value length must be at most 255 bytes",
	} {
		w.call("POST", queue+"/push", w.full, body, 400, has)
	}
	if n := len(w.queued()); n != 0 {
		t.Errorf("%d are queued", n)
	}
}

func TestWebhookReceiversPushAndReplace(t *testing.T) {
	w := newWorld(t)
	key := w.key(iot.SendDownlinks)
	for i, name := range []string{"down_push_request", "down_push_decoded_request", "down_push_class_c_request"} {
		body, err := os.ReadFile(filepath.Join("testdata", name+".json"))
		w.must(err)
		if answer := w.call("POST", webhook+"/push", key, string(body), 200, ""); answer != "" {
			t.Errorf("%s is answered with %s", name, answer)
		}
		var want struct{ Downlinks []map[string]any }
		w.must(json.Unmarshal(body, &want))
		got := w.queued()
		if len(got) != i+1 {
			t.Fatalf("%d are queued", len(got))
		}
		for field, value := range want.Downlinks[0] {
			a, _ := json.Marshal(got[i][field])
			b, _ := json.Marshal(value)
			// Zeros are omitted, and a correlation id is added.
			a, b = []byte(strings.ReplaceAll(string(a), `,"as:downlink:`, `]#`)),
				[]byte(strings.NewReplacer(`"antenna_index":0,`, "", `,"group_index":0`, "").Replace(string(b)))
			if head, _, _ := strings.Cut(string(a), "#"); head != string(b) {
				t.Errorf("%s: %s is %s, want %s", name, field, head, b)
			}
		}
	}
	w.call("POST", "/v3/api/as/applications/app1/webhooks/wh1/devices/dev1/down/replace", "bearer"+strings.TrimPrefix(key, "Bearer"),
		`{"downlinks":[{"f_port":9}]}`, 200, "")
	if got := w.queued(); len(got) != 1 || got[0]["f_port"] != 9.0 {
		t.Errorf("replaced by %v", got)
	}
	w.webhook.Format = iot.Protobuf
	w.must(w.db.UpdateWebhook(w.webhook, actor, ""))
	b, err := proto.Marshal(&wire.ApplicationDownlinks{Downlinks: []*wire.ApplicationDownlink{{FPort: 10, FrmPayload: []byte{1}}}})
	w.must(err)
	w.call("POST", webhook+"/push", key, string(b), 200, "")
	w.call("POST", webhook+"/push", key, `{"downlinks":[]}`, 400, `"name": "decode_body"`)
	if got := w.queued(); len(got) != 2 || got[1]["f_port"] != 10.0 {
		t.Errorf("pushed as Protocol Buffers: %v", got)
	}
	w.must(w.db.PauseWebhook(w.webhook, "Ada", "", actor))
	if answer := w.call("POST", webhook+"/push", key, "{}", 406, ""); answer != "" {
		t.Errorf("a paused webhook answers %s", answer)
	}
}

func TestDownlinksAreRefusedByName(t *testing.T) {
	w := newWorld(t)
	const one = `{"downlinks":[{"f_port":1}]}`
	none, few := "", w.key(iot.SendMessages)
	other := &iot.Project{ID: "app2", Name: "Other", OrganizationKey: w.project.OrganizationKey}
	w.must(w.db.CreateProject(other, actor))
	for _, c := range []struct {
		method, path, key, body string
		status                  int
		has                     string
	}{
		{"POST", queue + "/push", none, one, 403, "no_application_rights"},
		{"POST", queue + "/push", few, one, 403, `"missing":["RIGHT_APPLICATION_TRAFFIC_DOWN_WRITE"]`},
		{"GET", queue, w.key(iot.SendDownlinks), "", 403, `"missing":["RIGHT_APPLICATION_TRAFFIC_READ"]`},
		{"POST", queue + "/push", "Basic abc", one, 401, "unsupported_authorization"},
		{"POST", queue + "/push", "Bearer abc", one, 400, ":token "},
		{"POST", queue + "/push", "Bearer NNSXS." + strings.Repeat("A", 39) + "." + strings.Repeat("B", 52), one, 401, "api_key_not_found"},
		{"POST", strings.Replace(queue, "app1", "app2", 1) + "/push", w.full, one, 403, "no rights for application `app2`"},
		{"POST", strings.Replace(queue, "dev1", "dev2", 1) + "/push", w.full, one, 404, "device `app1.dev2` not found"},
		{"GET", strings.Replace(queue, "dev1", "dev2", 1), w.full, "", 404, "device_not_found"},
		{"PUT", queue + "/push", w.full, one, 501, `{"code":12,"message":"Method Not Allowed"}`},
		{"POST", strings.Replace(webhook, "wh1", "wh2", 1) + "/push", w.full, one, 404, "pkg/redis:not_found"},
		{"POST", strings.Replace(webhook, "wh1", "W!", 1) + "/push", w.full, one, 400, "webhook_id"},
		{"POST", webhook + "/push", w.full, `{"downlinks":[{"f_port":224}]}`, 400, "validate_body"},
		{"POST", webhook + "/push", w.full, `{"downlinks":`, 400, "\n\t\t\t\"name\": \"decode_body\""},
		{"GET", webhook + "/push", w.full, "", 405, ""},
		{"POST", queue + "/push", w.full, `{"downlinks":[` + strings.Repeat(`{"f_port":1},`, iot.MaxDownlinks) + `{"f_port":1}]}`, 429,
			"downlink_queue_capacity"},
	} {
		w.call(c.method, c.path, c.key, c.body, c.status, c.has)
	}
	if n := len(w.queued()); n != 0 {
		t.Errorf("%d are queued", n)
	}
}

// TestWhatGoesOnToAnUpstreamIsJudgedThere pushes by each door what our own queue
// refuses, and checks the message that a webhook gets.
func TestWhatGoesOnToAnUpstreamIsJudgedThere(t *testing.T) {
	w := newWorld(t)
	const odd = `{"downlinks":[{"decodedPayload":{"valve":"open"},"soon":[1.0]},{"f_port":224,"frm_payload":"vu8="}]}`
	w.call("POST", queue+"/push", w.full, odd, 400, "value must not be in list [224]")
	w.must(w.db.SetUpstream(w.project, nil, iot.Upstream{URL: "https://tts.example/api/v3/as/applications/app1", Key: "NNSXS.A"}, actor))
	heard := func(want ...string) {
		t.Helper()
		page, err := w.db.Messages(t.Context(), db.MessageFilter{ProjectKey: w.project.Key, Limit: 10})
		w.must(err)
		for _, m := range page.Items {
			if m.Type == iot.DownlinkQueued && len(want) > 0 {
				last := want[len(want)-1]
				if !strings.Contains(string(m.Payload), `"downlink_queued":{`+last+`"correlation_ids":["as:`) {
					t.Errorf("got %s, want %s", m.Payload, last)
				}
				want = want[:len(want)-1]
			}
		}
		if len(want) > 0 {
			t.Errorf("no message with %q", want)
		}
	}
	w.call("POST", queue+"/push", w.full, odd, 200, "{}")
	heard(`"decoded_payload":{"valve":"open"},"soon":[1.0],`, `"f_port":224,"frm_payload":"vu8=",`)
	w.call("POST", webhook+"/push", w.full, `{"downlinks":[{"f_port":0,"why":"x"}]}`, 200, "")
	heard(`"f_port":0,"why":"x",`)
	w.webhook.Format = iot.Protobuf
	w.must(w.db.UpdateWebhook(w.webhook, actor, ""))
	b, err := proto.Marshal(&wire.ApplicationDownlinks{Downlinks: []*wire.ApplicationDownlink{{FPort: 256, FCnt: 9}}})
	w.must(err)
	w.call("POST", webhook+"/push", w.full, string(b), 200, "")
	heard(`"f_port":256,"f_cnt":9,`)
	for body, has := range map[string]string{
		`{"downlinks":[{"f_port":1,"priority":"URGENT"}]}`:                `unknown value for enum`,
		`{"downlinks":[{"soon":"` + strings.Repeat("x", 129<<10) + `"}]}`: "128 KiB",
	} {
		w.call("POST", queue+"/push", w.full, body, 400, has)
	}
	w.call("POST", queue+"/push", w.key(iot.ReadTraffic), odd, 400, "value must not be in list [224]")
	w.call("POST", queue+"/push", w.key(iot.ReadTraffic), `{"downlinks":[{"decoded_payload":{}}]}`, 403, "")
}

// TestDevicesWithOtherIDs has an existing device whose ID The Things Stack would
// refuse. An unknown device is refused by that system's rule.
func TestDevicesWithOtherIDs(t *testing.T) {
	w := newWorld(t)
	w.must(w.db.CreateDevice(&iot.Device{ProjectKey: w.project.Key, ID: "AA:BB.c_1", DevEUI: "24E124136B502217"}, "other-key", actor))
	const app = "/api/v3/as/applications/app1/"
	w.call("POST", app+"devices/aa:bb.C_1/down/push", w.full, `{"downlinks":[{"f_port":1}]}`, 200, "{}")
	w.call("POST", app+"webhooks/wh1/devices/AA:BB.c_1/down/push", w.full, `{"downlinks":[{"f_port":2}]}`, 200, "")
	w.call("POST", app+"devices/24e124136b502217/down/push", w.full, `{"downlinks":[{"f_port":3}]}`, 200, "{}")
	var v struct{ Downlinks []map[string]any }
	w.must(json.Unmarshal([]byte(w.call("GET", app+"devices/AA:BB.c_1/down", w.full, "", 200, "{")), &v))
	if len(v.Downlinks) != 3 {
		t.Errorf("queued are %v", v.Downlinks)
	}
	w.call("POST", app+"devices/AA:BB.c_1/up/simulate", w.full, `{"uplink_message":{"f_port":1}}`, 200, "{}")
	for _, path := range []string{"devices/CC:DD/down/push", "webhooks/wh1/devices/CC:DD/down/push", "devices/CC:DD/up/simulate"} {
		w.call("POST", app+path, w.full, `{"downlinks":[{"f_port":1}],"uplink_message":{"f_port":1}}`, 400, `value does not match regex pattern`)
	}
	if n, err := w.db.CountDevices(t.Context(), w.project.Key); err != nil || n != 2 {
		t.Errorf("%d devices, %v", n, err)
	}
}

package tts

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"google.golang.org/protobuf/proto"

	"thingpost/internal/iot"
	"thingpost/internal/lorawan/wire"
)

// A request to set a webhook, by REST or gRPC, is refused or changes only what its mask
// names.
func FuzzSetWebhook(f *testing.F) {
	f.Add([]byte(`{"webhook":{"ids":{"application_ids":{"application_id":"app1"},"webhook_id":"wh1"},"base_url":"https://h",`+
		`"format":"json","headers":{"A":"•••"},"uplink_message":{"path":"/up"}},"field_mask":{"paths":["base_url","headers",`+
		`"uplink_message.path"]}}`), false)
	f.Add([]byte(`{"webhook":{"queue":{},"paused":true,"health_status":{"unhealthy":{}}},"field_mask":"paused,health_status,queue"}`), false)
	b, err := proto.Marshal(&wire.SetApplicationWebhookRequest{Webhook: &wire.ApplicationWebhook{BaseUrl: "https://h", Format: "json"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b, true)
	f.Fuzz(func(t *testing.T, body []byte, binary bool) {
		q := &wire.SetApplicationWebhookRequest{}
		if binary && proto.Unmarshal(body, q) != nil || !binary && parseJSON(body, q) != nil {
			return
		}
		mask := q.GetFieldMask().GetPaths()
		if checkMask(webhookPaths, mask) != nil || checkSet(q.GetWebhook(), newPaths(mask)) != nil {
			return
		}
		w := &iot.Webhook{ID: "wh1", URL: "https://h", Format: iot.JSON, MessageTypes: iot.Routes{iot.User: {}, iot.JoinAccept: {Path: "/j"}},
			Headers: []iot.Header{{Name: "A", Value: "s3cr3t", Secret: true}}, DownlinkKey: "k3y"}
		w.MaskSecrets()
		c := change{w: w, in: q.GetWebhook(), by: "key"}
		if c.apply(newPaths(mask)) != nil {
			return
		}
		if _, ok := w.MessageTypes[iot.User]; !ok || w.ID != "wh1" {
			t.Errorf("%q changes what this dialect cannot say", body)
		}
		if len(mask) == 0 && (w.URL != "https://h" || len(w.Headers) != 1 || w.MessageTypes[iot.JoinAccept].Path != "/j") {
			t.Errorf("%q changes a webhook without a mask", body)
		}
		_, named := newPaths(mask)["headers"]
		for _, h := range w.Headers {
			if h.Name == "A" && (!h.Secret || !named && h.Value != iot.Mask) {
				t.Errorf("%q makes %q of the secret, secret is %t", body, h.Value.Reveal(), h.Secret)
			}
		}
		answered("app1", w, mask)
	})
}

func FuzzGetQuery(f *testing.F) {
	f.Add("field_mask=base_url,headers&field_mask.paths=paused")
	f.Add("fieldMask=up.&limit=99999999999&ids=x")
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.RawQuery = query
		q := &wire.GetApplicationWebhookRequest{}
		if readQuery(r, q) != nil || checkMask(webhookPaths, q.GetFieldMask().GetPaths()) != nil {
			return
		}
		w := &iot.Webhook{ID: "wh1", URL: "https://h", Format: iot.JSON, MessageTypes: iot.Routes{iot.UplinkMessage: {Path: "/up"}},
			Headers: []iot.Header{{Name: "A", Value: "s3cr3t", Secret: true}}}
		got := answered("app1", w, q.GetFieldMask().GetPaths())
		if got.GetBaseUrl() != "https://h" || got.GetHeaders()["A"] == "s3cr3t" {
			t.Errorf("%q is answered %v", query, got)
		}
	})
}

func FuzzDownlinks(f *testing.F) {
	f.Add([]byte(`{"downlinks":[{"f_port":1,"frm_payload":"AQID","priority":"HIGH","confirmed":true,` +
		`"class_b_c":{"absolute_time":"2026-01-01T00:00:00Z"}}]}`))
	f.Add([]byte(`{"downlinks":[{"f_port":256,"decoded_payload":{"a":[1,null]}}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		q := &wire.DownlinkQueueRequest{}
		if parseJSON(body, q) != nil || checkDownlinks("DownlinkQueueRequest", q.GetDownlinks()) != nil {
			return
		}
		for _, d := range q.GetDownlinks() {
			if d.GetFPort() > 255 {
				t.Errorf("%q has the port %d", body, d.GetFPort())
			}
		}
	})
}

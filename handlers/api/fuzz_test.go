package api

import (
	"encoding/json"
	"net/url"
	"reflect"
	"testing"

	"thingpost/internal/iot"
)

// Filters of queries and of replays read the same, within their bounds.
func FuzzFilter(f *testing.F) {
	f.Add("failed,pending", "500-599,404", "timeout", "2026-01-31T08:00:00Z", "user")
	f.Add("", "100-99,+5", ",", "0000-01-01T00:00:00+99:99", "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b")
	f.Fuzz(func(t *testing.T, status, code, class, since, kind string) {
		name := "type"
		if _, ok := iot.ParseID(kind); ok {
			name = "message"
		}
		filter := map[string]string{"status": status, "code": code, "error": class, "since": since, name: kind}
		q := url.Values{}
		for name, text := range filter {
			q.Set(name, text)
		}
		out, err := deliveryFilterOf(q).parse(t.Context(), nil, 1, "")
		if err != nil {
			return
		}
		for _, r := range out.Codes {
			if r.From < 100 || r.To > 599 || r.From > r.To {
				t.Errorf("%q asks for the codes %+v", code, r)
			}
		}
		if len(out.Codes) > 50 || len(out.Statuses) > len(iot.Statuses()) || since != "" && out.Since <= 0 {
			t.Errorf("%q gives %+v", q, out)
		}
		text, err := json.Marshal(filter)
		if err != nil {
			t.Fatal(err)
		}
		var again deliveryFilter
		if err := json.Unmarshal(text, &again); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if same, err := again.parse(t.Context(), nil, 1, ""); err != nil || !reflect.DeepEqual(same, out) {
			t.Errorf("%q gives %+v, and %s gives %+v: %v", q, out, text, same, err)
		}
	})
}

// A body changes a webhook or names its faults. A secret value that is a mask stays a
// mask.
func FuzzWebhookBody(f *testing.F) {
	f.Add(`{"url":"https://h","headers":[{"name":"X-Key","value":"•••"}],"message_types":{"user":{"path":"/a"}},` +
		`"settings":{"retry_on":["dns"]}}`)
	f.Add(`{"type":"user","headers":[{"name":" x-KEY ","value":"•••","secret":false}],"downlink_key":"•••"}`)
	f.Fuzz(func(t *testing.T, text string) {
		var body webhookBody
		if json.Unmarshal([]byte(text), &body) != nil {
			return
		}
		w := &iot.Webhook{URL: "https://h", MessageTypes: iot.Routes{iot.User: {}},
			Headers: []iot.Header{{Name: "X-Key", Value: "s3cr3t", Secret: true}}, DownlinkKey: "k3y"}
		w.MaskSecrets()
		var faults iot.Faults
		body.apply(w, &faults)
		for _, h := range w.Headers {
			kept := body.Headers == nil || sameHeader(h.Name, "X-Key") && h.Value == iot.Mask
			if kept && (h.Value != iot.Mask || !h.Secret) {
				t.Errorf("%s makes %q of the secret, secret is %t", text, h.Value.Reveal(), h.Secret)
			}
		}
		if (body.DownlinkKey == nil || *body.DownlinkKey == iot.Mask) && w.DownlinkKey != iot.Mask {
			t.Errorf("%s makes %q of the key", text, w.DownlinkKey.Reveal())
		}
	})
}

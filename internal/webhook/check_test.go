package webhook

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"thingpost/internal/iot"
)

func TestCheckNamesTheField(t *testing.T) {
	header := func(name, value string) func(*iot.Webhook) {
		return func(w *iot.Webhook) {
			w.Headers = []iot.Header{{Name: "X-First", Value: "1"}, {Name: name, Value: iot.Secret(value)}}
		}
	}
	settings := func(change func(*iot.Settings)) func(*iot.Webhook) {
		return func(w *iot.Webhook) { change(&w.Settings) }
	}
	long := func(n int) string { return strings.Repeat("é", n) }
	cases := []struct {
		name   string
		change func(*iot.Webhook)
		field  string
		text   string // in the sentence
	}{
		{"slug", func(w *iot.Webhook) { w.ID = "No" }, "id", "3 to 36"},
		{"uuid as slug", func(w *iot.Webhook) { w.ID = "019aa5d2-8c41-7e9a-8000-000000000001" }, "id", ""},
		{"no description", func(w *iot.Webhook) { w.Description = " \n" }, "description", "1 to 254"},
		{"long description", func(w *iot.Webhook) { w.Description = long(255) }, "description", "1 to 254"},
		{"description of two lines", func(w *iot.Webhook) { w.Description = "a\nb" }, "description", "single line"},
		{"masked url", func(w *iot.Webhook) { w.URL = "https://h/•••" }, "url", "mask"},
		{"no types", func(w *iot.Webhook) { w.MessageTypes = nil }, "message_types", "at least one"},
		{"unknown type", func(w *iot.Webhook) { w.MessageTypes["x"] = iot.Route{} }, "message_types.x", "uplink_message"},
		{"masked path", func(w *iot.Webhook) { w.MessageTypes[iot.User] = iot.Route{Path: "/•••"} }, "message_types.user.path", "mask"},
		{"control in path", func(w *iot.Webhook) { w.MessageTypes[iot.User] = iot.Route{Path: "/\r\n"} }, "message_types.user.path", "control"},
		{"long channel", func(w *iot.Webhook) { w.Channel = long(255) }, "channel", "254"},
		{"control in channel", func(w *iot.Webhook) { w.Channel = "a\x00" }, "channel", "control"},
		{"long key", func(w *iot.Webhook) { w.DownlinkKey = iot.Secret(long(129)) }, "downlink_key", "128"},
		{"control in key", func(w *iot.Webhook) { w.DownlinkKey = "a\r\nb" }, "downlink_key", "control"},
		{"masked key", func(w *iot.Webhook) { w.DownlinkKey = iot.Mask }, "downlink_key", "mask"},
		{"a payload alone as Protocol Buffers", func(w *iot.Webhook) { w.Format, w.PayloadOnly = iot.Protobuf, true }, "payload_only",
			"envelope and json"},
		{"mask of a payload alone", func(w *iot.Webhook) { w.Format, w.PayloadOnly, w.FieldMask = iot.JSON, true, []string{"up"} }, "field_mask",
			"Keep one"},
		{"mask below a list", func(w *iot.Webhook) {
			w.Format, w.FieldMask = iot.JSON, []string{"up.uplink_message.rx_metadata.rssi"}
		}, "field_mask", "as a whole"},
		{"no format", func(w *iot.Webhook) { w.Format = "xml" }, "format", "json or protobuf"},
		{"mask of an envelope", func(w *iot.Webhook) { w.FieldMask = []string{"up"} }, "field_mask", "json"},

		{"no name", header("", "x"), "headers.1.name", "empty"},
		{"space in name", header("a b", "x"), "headers.1.name", "spaces"},
		{"colon in name", header("a:", "x"), "headers.1.name", "letters"},
		{"line break in name", header("a\r\nb", "x"), "headers.1.name", "letters"},
		{"non-ASCII name", header("é", "x"), "headers.1.name", "letters"},
		{"long name", header(strings.Repeat("a", 65), "x"), "headers.1.name", "64"},
		{"twice", header("x-first", "x"), "headers.1.name", "twice"},
		{"host", header("HOST", "x"), "headers.1.name", "Thingpost sets Host itself. Remove it, or use another name."},
		{"length", header("content-length", "x"), "headers.1.name", "Thingpost sets Content-Length itself."},
		{"chunks", header("Transfer-Encoding", "x"), "headers.1.name", "Thingpost sets"},
		{"connection", header("connection", "x"), "headers.1.name", "Thingpost sets"},
		{"keep alive", header("Keep-Alive", "x"), "headers.1.name", "Thingpost sets"},
		{"te", header("TE", "x"), "headers.1.name", "Thingpost sets"},
		{"trailer", header("trailer", "x"), "headers.1.name", "Thingpost sets"},
		{"upgrade", header("upgrade", "x"), "headers.1.name", "Thingpost sets"},
		{"proxy", header("proxy-authorization", "x"), "headers.1.name", "Thingpost sets"},
		{"id", header("webhook-id", "x"), "headers.1.name", "webhook-"},
		{"anything of ours", header("Webhook-Anything", "x"), "headers.1.name", "webhook-"},
		{"line break", header("X-A", "a\r\nb: c"), "headers.1.value", "line breaks"},
		{"nul", header("X-A", "a\x00"), "headers.1.value", "control"},
		{"long value", header("X-A", long(4097)), "headers.1.value", "4,096"},
		{"masked value", header("X-A", iot.Mask), "headers.1.value", "mask"},
		{"sixth header", func(w *iot.Webhook) { w.Headers = manyHeaders(6) }, "headers", "at most 5; there are 6"},

		{"short timeout", settings(func(s *iot.Settings) { s.TimeoutMS = 999 }), "settings.timeout_ms", "1,000"},
		{"long timeout", settings(func(s *iot.Settings) { s.TimeoutMS = 30_001 }), "settings.timeout_ms", "30,000"},
		{"gives up soon", settings(func(s *iot.Settings) { s.GiveUpAfterMS = 59_999 }), "settings.give_up_after_ms", "1 minute"},
		{"gives up late", settings(func(s *iot.Settings) { s.GiveUpAfterMS = 30*86_400_000 + 1 }), "settings.give_up_after_ms", "30 days"},
		{"fewer than none", settings(func(s *iot.Settings) { s.MaxInFlight = -1 }), "settings.max_in_flight", "64"},
		{"many at once", settings(func(s *iot.Settings) { s.MaxInFlight = 65 }), "settings.max_in_flight", "64"},
		{"less than none a second", settings(func(s *iot.Settings) { s.MaxPerSecond = -1 }), "settings.max_per_second", "10,000"},
		{"many a second", settings(func(s *iot.Settings) { s.MaxPerSecond = 10_001 }), "settings.max_per_second", "10,000"},
		{"config", settings(func(s *iot.Settings) { s.RetryOn = []iot.ErrorClass{iot.ErrConfig} }), "settings.retry_on", "config"},
		{"unknown failure", settings(func(s *iot.Settings) { s.RetryOn = []iot.ErrorClass{"rain"} }), "settings.retry_on", "rain"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := sampleWebhook()
			c.change(w)
			err := Check(w, iot.Limits{Webhooks: 5, Headers: 5}, true)
			e, ok := errors.AsType[*iot.Error](err)
			if !ok || e.Code != iot.Invalid || len(e.Fields) != 1 || !strings.Contains(e.Fields[c.field], c.text) || e.Fields[c.field] == "" {
				t.Fatalf("got %v, want %q about %s alone", err, c.text, c.field)
			}
			if !strings.HasSuffix(e.Fields[c.field], ".") {
				t.Errorf("%q is no sentence", e.Fields[c.field])
			}
		})
	}
}

func TestCheckNamesAllFaultsAtOnce(t *testing.T) {
	w := &iot.Webhook{Headers: []iot.Header{{Name: "Host"}, {Name: "a b"}}}
	err := Check(w, iot.Limits{Headers: 5}, true)
	for _, field := range []string{"description", "url", "message_types", "headers.0.name", "headers.1.name", "settings.timeout_ms",
		"settings.give_up_after_ms"} {
		if !hasFault(err, field) {
			t.Errorf("no fault of %s in %v", field, err)
		}
	}
}

func TestCheckTakesTheBounds(t *testing.T) {
	w := sampleWebhook()
	w.Description, w.Channel = strings.Repeat("é", 254), strings.Repeat("é", 254)
	w.URL = "https://h/" + strings.Repeat("a", 2038)
	w.MessageTypes = iot.Routes{iot.User: {Path: strings.Repeat("é", 64)}, iot.UplinkMessage: {}}
	w.Headers, w.DownlinkKey = manyHeaders(5), iot.Secret(strings.Repeat("k", 128))
	w.Settings = iot.Settings{TimeoutMS: 30_000, GiveUpAfterMS: 30 * 86_400_000, MaxInFlight: 64, MaxPerSecond: 10_000}
	if err := Check(w, iot.Limits{Headers: 5}, true); err != nil {
		t.Error(err)
	}
	w.Settings.TimeoutMS, w.Settings.GiveUpAfterMS = 1000, 60_000
	w.Headers = manyHeaders(50)
	if err := Check(w, iot.Limits{Headers: 5}, false); err != nil {
		t.Errorf("fifty headers of a template: %v", err)
	}
	w.Headers = manyHeaders(51)
	if err := Check(w, iot.Limits{Headers: 100}, false); !hasFault(err, "headers") {
		t.Errorf("fifty-one headers of a template: %v", err)
	}
	w.Headers, w.MessageTypes = nil, nil
	if err := Check(w, iot.Limits{Headers: 5}, false); err != nil {
		t.Errorf("a template without message types: %v", err)
	}
}

func TestCheckFillsIn(t *testing.T) {
	w := sampleWebhook()
	w.URL, w.Description, w.Format = " HTTPS://H/a ", " Sample ", ""
	w.Headers, w.FieldMask = []iot.Header{{Name: " X-A ", Value: " b\t"}}, nil
	w.Settings.RetryOn = []iot.ErrorClass{iot.ErrDNS, iot.ErrTLS, iot.ErrDNS}
	if err := Check(w, iot.Limits{Headers: 5}, true); err != nil {
		t.Fatal(err)
	}
	if w.URL != "https://H/a" || w.Description != "Sample" || w.Format != iot.Envelope || w.FieldMask == nil {
		t.Errorf("got %q, %q, %q, %v", w.URL, w.Description, w.Format, w.FieldMask)
	}
	if w.Headers[0].Name != "X-A" || w.Headers[0].Value != "b" || len(w.Settings.RetryOn) != 2 {
		t.Errorf("got %v and %v", w.Headers, w.Settings.RetryOn)
	}
	for kind, want := range map[iot.MessageType]iot.Format{iot.Iottly: iot.Envelope, iot.JoinAccept: iot.JSON} {
		w := sampleWebhook()
		w.Format, w.MessageTypes = "", iot.Routes{iot.User: {}, kind: {}}
		if err := Check(w, iot.Limits{Headers: 5}, true); err != nil || w.Format != want {
			t.Errorf("the format of %s is %s, want %s; %v", kind, w.Format, want, err)
		}
	}
	masked := sampleWebhook()
	masked.Format, masked.FieldMask = iot.Protobuf, []string{" up.join_accept ", "", "received_at", "received_at"}
	if err := Check(masked, iot.Limits{Headers: 5}, true); err != nil ||
		!slices.Equal(masked.FieldMask, []string{"up.join_accept", "received_at"}) {
		t.Errorf("mask %q, %v", masked.FieldMask, err)
	}
	again := w.Clone()
	if err := Check(again, iot.Limits{Headers: 5}, true); err != nil || again.URL != w.URL || len(again.Headers) != 1 {
		t.Errorf("a second check changes it: %v, %v", again, err)
	}
}

func TestEveryVariableHasAValue(t *testing.T) {
	m := sampleMessage()
	m.Type, m.Channel = iot.UplinkMessage, "alarms"
	m.Payload = []byte(`{"uplink_message":{"f_port":15}}`)
	in := sampleInput(m)
	want := map[string]string{
		"appID": "app1", "applicationID": "app1", "projectID": "app1", "devID": "dev1", "deviceID": "dev1",
		"deviceUUID": in.Device.UUID, "devEUI": in.Device.DevEUI, "joinEUI": in.Device.JoinEUI, "appEUI": in.Device.JoinEUI,
		"devAddr": in.Device.DevAddr, "messageID": m.ID.String(), "messageType": "uplink_message", "channel": "alarms", "fPort": "15",
	}
	for _, v := range Variables() {
		text := parseHeaderText("{" + v.Name + "}")
		if got := text.expand(&in); got != want[v.Name] || got == "" || v.Description == "" {
			t.Errorf("%s (%s) is %q, want %q", v.Name, v.Description, got, want[v.Name])
		}
		delete(want, v.Name)
	}
	if len(want) > 0 {
		t.Errorf("no variables %v", want)
	}
}

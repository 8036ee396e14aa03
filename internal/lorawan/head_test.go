package lorawan

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"thingpost/internal/iot"
	"thingpost/internal/lorawan/wire"
)

func TestReadHead(t *testing.T) {
	for name, text := range fixtures(t) {
		h, same, err := ReadHead(text)
		if err != nil || &same[0] != &text[0] {
			t.Errorf("%s: %v, or its bytes were copied", name, err)
		}
		want := Head{Type: h.Type, ApplicationID: "greenhouse", DeviceID: "soil-probe-07", DevEUI: "70B3D57ED0051A2B",
			JoinEUI: "0000000000000001", DevAddr: "260B4F11"}
		if h.DevAddr == "260BE001" && name == "join_accept" {
			want.DevAddr = h.DevAddr // a join gives a new one
		}
		if h != want || !strings.HasPrefix(name, string(h.Type)) {
			t.Errorf("%s: %+v", name, h)
		}
	}
}

func TestReadHeadBringsNamesIntoTheirForm(t *testing.T) {
	cases := []struct{ in, want string }{
		{`{"endDeviceIds":{"deviceId":"dev1","devEui":"70b3d57ed0051a2b"},"uplinkMessage":{"fPort":1,"x":2,` +
			`"rxMetadata":[{"gatewayIds":{"gatewayId":"g"}}],"locations":{"fPort":{"altitude":1}},"decodedPayload":{"fPort":3}}}`,
			`{"end_device_ids":{"device_id":"dev1","dev_eui":"70b3d57ed0051a2b"},"uplink_message":{"f_port":1,"x":2,` +
				`"rx_metadata":[{"gateway_ids":{"gateway_id":"g"}}],"locations":{"fPort":{"altitude":1}},"decoded_payload":{"fPort":3}}}`},
		{` { "up\u006cink_message" : { "f_port" : 1 } } `, ` { "uplink_message" : { "f_port" : 1 } } `},
		{`{"uplink_message":{"rxMetadata":null,"locations":[1],"settings":3}}`,
			`{"uplink_message":{"rx_metadata":null,"locations":[1],"settings":3}}`},
	}
	for _, c := range cases {
		h, got, err := ReadHead([]byte(c.in))
		if err != nil || string(got) != c.want || h.Type != iot.UplinkMessage {
			t.Errorf("got  %s\nwant %s\n%v", got, c.want, err)
		}
	}
	h, _, err := ReadHead([]byte(cases[0].in))
	if err != nil || h.DevEUI != "70B3D57ED0051A2B" || h.DeviceID != "dev1" {
		t.Errorf("%+v %v", h, err)
	}
}

func TestBadHeads(t *testing.T) {
	cases := []struct{ in, field, says string }{
		{`{`, "", "not valid JSON"},
		{`[]`, "", "must be a JSON object"},
		{`null`, "", "must be a JSON object"},
		{`{}`, "", "uplink_message"},
		{`{"uplink_message":null}`, "", "uplink_message"},
		{`{"uplink_message":[]}`, "uplink_message", "must be an object"},
		{`{"uplink_message":{},"join_accept":{}}`, "join_accept", "one type"},
		{`{"uplink_message":{},"uplink_message":{}}`, "uplink_message", "one type"},
		{`{"uplink_message":{},"end_device_ids":{},"end_device_ids":{}}`, "end_device_ids", "once"},
		{`{"uplink_message":{},"end_device_ids":"dev1"}`, "end_device_ids", "object"},
		{`{"uplink_message":{},"end_device_ids":{"device_id":1}}`, "end_device_ids.device_id", "text"},
		{`{"uplink_message":{},"end_device_ids":{"application_ids":{"application_id":1}}}`, "end_device_ids.application_ids.application_id",
			"text"},
		{`{"uplink_message":{},"end_device_ids":{"dev_eui":"70B3"}}`, "end_device_ids.dev_eui", "16 hex digits"},
		{`{"uplink_message":{},"end_device_ids":{"dev_addr":"zzzzzzzz"}}`, "end_device_ids.dev_addr", "8 hex digits"},
	}
	for _, c := range cases {
		_, _, err := ReadHead([]byte(c.in))
		e, ok := errors.AsType[*iot.Error](err)
		if !ok || e.Code != iot.Invalid || c.field != "" && !strings.Contains(e.Fields[c.field], c.says) || !strings.Contains(e.Message, c.says) {
			t.Errorf("%s: %v", c.in, err)
		}
	}
}

func TestSimulated(t *testing.T) {
	at := time.Date(2026, 3, 14, 9, 26, 53, 120_000_000, time.UTC)
	const ids = `{"end_device_ids":{"device_id":"dev1","application_ids":{"application_id":"app1"}`
	cases := []struct{ in, want string }{
		{`{"uplink_message":{"f_port":1}}`, ids + `},"uplink_message":{"f_port":1},"received_at":"2026-03-14T09:26:53.12Z","simulated":true}`},
		{`{"simulated":false,"received_at":null,"end_device_ids":{"device_id":"other","dev_eui":"70B3D57ED0051A2B"},"x":1,"uplink_message":{}}`,
			ids + `,"dev_eui":"70B3D57ED0051A2B"},"x":1,"uplink_message":{},"received_at":"2026-03-14T09:26:53.12Z","simulated":true}`},
		{`{"received_at":"2026-01-01T00:00:00Z","uplink_message":{}}`, ids + `},"received_at":"2026-01-01T00:00:00Z","uplink_message":{},` +
			`"simulated":true}`},
	}
	for _, c := range cases {
		if got := string(Simulated([]byte(c.in), "app1", "dev1", at)); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// A message that ReadHead accepts keeps its meaning, and the schema reads both the same
// way.
func FuzzReadHead(f *testing.F) {
	for _, text := range fixtures(f) {
		f.Add(text)
	}
	f.Add([]byte(`{"endDeviceIds":{"deviceId":"a"},"uplinkMessage":{"rxMetadata":[{"gatewayIds":{}},3],"locations":{"a":{"latitude":1}}}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		h, out, err := ReadHead(in)
		if err != nil {
			return
		}
		if !json.Valid(out) || h.Type == "" {
			t.Fatalf("%+v %s", h, out)
		}
		if made := Simulated(out, "app1", "dev1", time.Time{}); !json.Valid(made) {
			t.Fatalf("no JSON: %s", made)
		}
		before, after := &wire.ApplicationUp{}, &wire.ApplicationUp{}
		if one, two := ParseJSON(in, before), ParseJSON(out, after); (one == nil) != (two == nil) {
			t.Fatalf("%v before, %v after", one, two)
		}
	})
}

func BenchmarkReadHead(b *testing.B) {
	text := fixtures(b)["uplink_message"]
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := ReadHead(text); err != nil {
			b.Fatal(err)
		}
	}
}

package webhook

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"thingpost/internal/iot"
	"thingpost/internal/lorawan"
	"thingpost/internal/lorawan/wire"
)

func lorawanMessage(t testing.TB, name string) *iot.Message {
	t.Helper()
	m := sampleMessage()
	m.Payload = readLoRaWAN(t, name+".json")
	head, _, err := lorawan.ReadHead(m.Payload)
	if err != nil {
		t.Fatal(err)
	}
	m.Type = head.Type
	return m
}

// readLoRaWAN reads a fixture, which package lorawan's tests use too.
func readLoRaWAN(t testing.TB, name string) []byte {
	t.Helper()
	return mustRead(t, "../lorawan/testdata/"+name)
}

func mustRead(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func lorawanWebhook(format iot.Format, kind iot.MessageType, mask ...string) *iot.Webhook {
	w := sampleWebhook()
	w.Format, w.FieldMask, w.MessageTypes = format, mask, iot.Routes{kind: {Path: "/up"}}
	return w
}

// parseUp reads Protocol Buffers.
func parseUp(t testing.TB, b []byte) *wire.ApplicationUp {
	t.Helper()
	up, err := lorawan.ParseProtobuf(b)
	if err != nil {
		t.Fatal(err)
	}
	return up
}

// TestEveryMessageInEveryFormat sends each fixture as JSON (its own bytes), as Protocol
// Buffers (equal in meaning to the other system's), and as an envelope.
func TestEveryMessageInEveryFormat(t *testing.T) {
	files, err := filepath.Glob("../lorawan/testdata/*.json")
	if err != nil || len(files) < 16 {
		t.Fatalf("%d fixtures, %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			m := lorawanMessage(t, name)
			in := sampleInput(m)
			r := mustRender(t, lorawanWebhook(iot.JSON, m.Type), in)
			if &r.Body[0] != &m.Payload[0] || len(r.Body) != len(m.Payload) {
				t.Error("JSON without a mask must be the stored bytes")
			}
			if h := httpHeader(r); h.Get("Content-Type") != "application/json" || h.Get("X-Tts-Domain") != "thingpost.example.com:8443" {
				t.Errorf("headers of JSON: %v", h)
			}
			r = mustRender(t, lorawanWebhook(iot.Protobuf, m.Type), in)
			want, err := hex.DecodeString(strings.TrimSpace(string(readLoRaWAN(t, name+".protobuf.hex"))))
			if err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(parseUp(t, r.Body), parseUp(t, want)) {
				t.Error("Protocol Buffers mean something else")
			}
			if h := httpHeader(r); h.Get("Content-Type") != "application/octet-stream" || h.Get("X-Tts-Domain") != "thingpost.example.com:8443" {
				t.Errorf("headers of Protocol Buffers: %v", h)
			}
			r = mustRender(t, lorawanWebhook(iot.Envelope, m.Type), in)
			var envelope struct {
				Msg struct {
					Type    string          `json:"type"`
					Payload json.RawMessage `json:"payload"`
				} `json:"msg"`
			}
			if err := json.Unmarshal(r.Body, &envelope); err != nil || envelope.Msg.Type != string(m.Type) ||
				!bytes.Contains(m.Payload, envelope.Msg.Payload) {
				t.Errorf("envelope: %v %s", err, r.Body)
			}
			if h := httpHeader(r); h.Get("X-Tts-Domain") != "" {
				t.Errorf("headers of an envelope: %v", h)
			}
		})
	}
}

func TestOtherMessagesBecomeUplinks(t *testing.T) {
	const head = `{"end_device_ids":{"device_id":"dev1","application_ids":{"application_id":"app1"},"dev_eui":"70B3D57ED000ABCD",` +
		`"join_eui":"0004A30B001C0530","dev_addr":"2600ABCD"},` +
		`"received_at":"2026-01-31T08:00:00.120Z","uplink_message":{"decoded_payload":`
	const tail = `,"received_at":"2026-01-31T08:00:00.120Z"}}`
	cases := []struct {
		kind          iot.MessageType
		payload, want string
	}{
		{iot.User, `{"temperature":21.50}`, `{"temperature":21.50}`},
		{iot.Iottly, `[1, 2]`, `{"value":[1, 2]}`},
		{iot.User, `"{"`, `{"value":"{"}`},
		{iot.User, `null`, `{"value":null}`},
	}
	for _, c := range cases {
		m := sampleMessage()
		m.Type, m.Payload = c.kind, []byte(c.payload)
		r := mustRender(t, lorawanWebhook(iot.JSON, c.kind), sampleInput(m))
		if got, want := string(r.Body), head+c.want+tail; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		r = mustRender(t, lorawanWebhook(iot.Protobuf, c.kind), sampleInput(m))
		up := parseUp(t, r.Body)
		if got := up.GetUplinkMessage().GetDecodedPayload(); len(got.GetFields()) != 1 || up.GetEndDeviceIds().GetDeviceId() != "dev1" {
			t.Errorf("%v", up)
		}
	}
	m := sampleMessage()
	r := mustRender(t, lorawanWebhook(iot.JSON, iot.User, "up.uplink_message.decoded_payload"), sampleInput(m))
	if got := string(r.Body); got != `{"uplink_message":{"decoded_payload":{"temperature":21.50}}}` {
		t.Errorf("masked: %s", got)
	}
	in := sampleInput(m)
	in.Device = iot.TestDevice(1)
	r = mustRender(t, lorawanWebhook(iot.JSON, iot.User, "end_device_ids"), in)
	if got := string(r.Body); got != `{"end_device_ids":{"device_id":"test-device","application_ids":{"application_id":"app1"}}}` {
		t.Errorf("without EUIs: %s", got)
	}
}

func TestMaskOfProtobuf(t *testing.T) {
	m := lorawanMessage(t, "uplink_message")
	r := mustRender(t, lorawanWebhook(iot.Protobuf, m.Type, "end_device_ids.dev_eui", "up.uplink_message.f_port",
		"up.uplink_message.settings.coding_rate"), sampleInput(m))
	want := &wire.ApplicationUp{EndDeviceIds: &wire.EndDeviceIdentifiers{DevEui: []byte{0x70, 0xB3, 0xD5, 0x7E, 0xD0, 0x05, 0x1A, 0x2B}},
		Up: &wire.ApplicationUp_UplinkMessage{UplinkMessage: &wire.ApplicationUplink{FPort: 2, Settings: &wire.TxSettings{}}}}
	if got := parseUp(t, r.Body); !proto.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestPayloadOnlyOfJSON(t *testing.T) {
	m := lorawanMessage(t, "uplink_normalized")
	w := lorawanWebhook(iot.JSON, m.Type)
	w.PayloadOnly = true
	if r := mustRender(t, w, sampleInput(m)); httpHeader(r).Get("Content-Type") != typeBinary ||
		!bytes.Equal(r.Body, []byte("\x0b\xea\x00\x86\x01J\f\xed")) {
		t.Errorf("% x", r.Body)
	}
}

func TestVariablesAreTheMessagesOwn(t *testing.T) {
	m := lorawanMessage(t, "uplink_message")
	w := lorawanWebhook(iot.JSON, m.Type)
	w.URL = "https://h/{appID}/{applicationID}/{devID}/{deviceID}/{devEUI}/{joinEUI}/{appEUI}/{devAddr}/{fPort}/{projectID}"
	if r := mustRender(t, w, sampleInput(m)); r.URL != "https://h/greenhouse/greenhouse/soil-probe-07/soil-probe-07/"+
		"70B3D57ED0051A2B/0000000000000001/0000000000000001/260B4F11/2/app1/up" {
		t.Error(r.URL)
	}
}

// A message that Protocol Buffers cannot represent is a fault of the settings, reported
// in words.
func TestMessageThatDoesNotFit(t *testing.T) {
	m := sampleMessage()
	m.Type, m.Payload = iot.UplinkMessage, []byte(`{"uplink_message":{"f_port":"x"}}`)
	c, err := Compile(lorawanWebhook(iot.Protobuf, m.Type))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Render(sampleInput(m)); iot.CodeOf(err) != iot.Invalid || !strings.Contains(err.Error(), "uplink_message.f_port") {
		t.Error(err)
	}
}

// differs are the cases of request-builder.txt in which we differ on purpose: the URL
// instead, or the field that is refused when saved.
func differs() map[string]string {
	return map[string]string{
		"https://h/a?x=1 | /up":                         "https://h/a/up?x=1",      // the URL's query is kept
		"https://h/a?x=1 | ?y=2":                        "https://h/a?x=1&y=2",     // and the path's added to it
		"https://h/a/b | ../c":                          "refused: message_types.", // no path leaves the URL's
		"https://h/a/b | //c":                           "refused: message_types.", // nor names a host
		"https://h/a | https://evil/x":                  "refused: message_types.",
		"https://h/a | /{nope}/x":                       "https://h/a//x",          // nor does an empty variable
		"https://h/a | /up?y=2#f":                       "refused: message_types.", // fragments are never sent
		"https://h/a#frag | /up":                        "refused: url",
		"https://h/a | /{bad":                           "refused: message_types.", // there it fails with each message
		"https://u:p@h/a | /up":                         "https://h/a/up",          // the login is moved into a header
		"https://{devID}.h/a | /up":                     "refused: url",            // no variable sets the host
		"up.uplink_message.rx_metadata.rssi":            "refused: field_mask",     // there it loses each message
		"up.uplink_message.decoded_payload.temperature": "refused: field_mask",
	}
}

func TestRequestBuilder(t *testing.T) {
	const message = `{"end_device_ids":{"device_id":"dev1","application_ids":{"application_id":"app1"},"dev_eui":"70B3D57ED000ABCD",` +
		`"join_eui":"0004A30B001C0530","dev_addr":"2600ABCD"},"correlation_ids":["as:up:1"],"received_at":"2023-11-14T22:13:20.120Z",` +
		`"uplink_message":{"f_port":1,"frm_payload":"AQ==","decoded_payload":{"a<b":"x&y", "big":1e+21, "n":42, "temperature":21.5},` +
		`"settings":{"data_rate":{"lora":{"bandwidth":125000, "spreading_factor":7, "coding_rate":"4/5"}}, "frequency":"868100000"}}}`
	m := sampleMessage()
	m.Type, m.Payload = iot.UplinkMessage, []byte(message)
	other, urls, masks := differs(), 0, 0
	for line := range strings.Lines(string(mustRead(t, "testdata/request-builder.txt"))) {
		part := strings.Split(strings.TrimSuffix(line, "\n"), " | ")
		w := lorawanWebhook(iot.JSON, iot.UplinkMessage)
		switch {
		case part[0] == "URL" && len(part) == 4:
			urls++
			w.URL = part[1]
			w.MessageTypes = iot.Routes{iot.UplinkMessage: {Path: part[2]}}
			name := part[1] + " | " + part[2]
			checkRequest(t, name, w, m, part[3], other[name], func(r Request) string { return r.URL })
			delete(other, name)
		case part[0] == "MASK":
			masks++
			name := strings.Trim(part[1], "[]")
			w.FieldMask = strings.Fields(name)
			checkRequest(t, "mask "+name, w, m, part[2], other[name], func(r Request) string { return string(r.Body) })
			delete(other, name)
		}
	}
	if urls != 28 || masks != 12 || len(other) > 0 {
		t.Errorf("%d URLs, %d masks; not there: %v", urls, masks, other)
	}
}

func checkRequest(t *testing.T, name string, w *iot.Webhook, m *iot.Message, want, instead string, of func(Request) string) {
	t.Helper()
	if instead != "" {
		if want == instead {
			t.Errorf("%s does not differ", name)
		}
		want = instead
	}
	err := Check(w, iot.Limits{Headers: 5}, false)
	if field, refused := strings.CutPrefix(want, "refused: "); refused {
		if field == "message_types." {
			field += "uplink_message.path"
		}
		if !hasFault(err, field) {
			t.Errorf("%s: %v, want a fault of %s", name, err, field)
		}
		return
	}
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	if got := of(mustRender(t, w, sampleInput(m))); got != want {
		t.Errorf("%s\ngot  %s\nwant %s", name, got, want)
	}
}

// The headers of request-builder.txt: a person's own headers that cannot be sent are
// refused when saved; the others are as there.
func TestRequestBuilderHeaders(t *testing.T) {
	m := lorawanMessage(t, "uplink_message")
	w := lorawanWebhook(iot.Protobuf, m.Type)
	w.ID, w.DownlinkKey = "wh1", "NNSXS.A.B"
	own := []iot.Header{{Name: "Content-Type", Value: "text/plain"}, {Name: "User-Agent", Value: "mine"},
		{Name: "X-Downlink-Push", Value: "theirs"}, {Name: "X-Tts-Domain", Value: "theirs"}}
	w.Headers = append(own, iot.Header{Name: "Host", Value: "other"}, iot.Header{Name: "a b", Value: "c"})
	if err := Check(w, iot.Limits{}, false); !hasFault(err, "headers.4.name") || !hasFault(err, "headers.5.name") {
		t.Errorf("Host and a name with a space: %v", err)
	}
	w.Headers = own
	if err := Check(w, iot.Limits{}, false); err != nil {
		t.Fatal(err)
	}
	in := sampleInput(m)
	in.PublicURL = "https://tts.example.com:8885"
	in.Device = &iot.Device{ID: "dev1"}
	got := map[string][]string{}
	for name, values := range httpHeader(mustRender(t, w, in)) {
		if !strings.HasPrefix(name, "Webhook-") {
			got[name] = values
		}
	}
	const down = "https://tts.example.com:8885/api/v3/as/applications/app1/webhooks/wh1/devices/dev1/down/"
	want := map[string][]string{"Content-Type": {"application/octet-stream"}, "User-Agent": {"mine"}, "X-Downlink-Apikey": {"NNSXS.A.B"},
		"X-Downlink-Push": {down + "push"}, "X-Downlink-Replace": {down + "replace"}, "X-Tts-Domain": {"tts.example.com:8885"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	in.PublicURL = ""
	if domain := httpHeader(mustRender(t, w, in))["X-Tts-Domain"]; domain != nil {
		t.Errorf("a domain without a public address: %v", domain)
	}
}

func BenchmarkRenderLoRaWAN(b *testing.B) {
	mask := []string{"end_device_ids", "received_at", "up.uplink_message.f_port", "up.uplink_message.f_cnt",
		"up.uplink_message.decoded_payload", "up.uplink_message.rx_metadata",
		"up.uplink_message.settings.data_rate.modulation.lora.spreading_factor", "up.uplink_message.settings.frequency"}
	kinds := []struct {
		name    string
		webhook *iot.Webhook
	}{
		{"json", lorawanWebhook(iot.JSON, iot.UplinkMessage)},
		{"json, mask", lorawanWebhook(iot.JSON, iot.UplinkMessage, mask...)},
		{"protobuf", lorawanWebhook(iot.Protobuf, iot.UplinkMessage)},
		{"protobuf, mask", lorawanWebhook(iot.Protobuf, iot.UplinkMessage, mask...)},
	}
	in := sampleInput(lorawanMessage(b, "uplink_message"))
	for _, kind := range kinds {
		b.Run(kind.name, func(b *testing.B) {
			c, err := Compile(kind.webhook)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Render(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

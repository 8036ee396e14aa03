package lorawan

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"

	"thingpost/internal/lorawan/wire"
)

// fixtures returns the JSON of messages by name. Their Protocol Buffers are beside
// them.
func fixtures(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) < 16 {
		t.Fatalf("%d fixtures, %v", len(files), err)
	}
	all := map[string][]byte{}
	for _, file := range files {
		all[strings.TrimSuffix(filepath.Base(file), ".json")] = readFile(t, file)
	}
	return all
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func binary(t testing.TB, name string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.TrimSpace(string(readFile(t, "testdata/"+name+".protobuf.hex"))))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func meaning(t testing.TB, b []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	return v
}

// sameJSON compares the meaning of two texts, with digits unchanged.
func sameJSON(t testing.TB, got, want []byte) {
	t.Helper()
	if !reflect.DeepEqual(meaning(t, got), meaning(t, want)) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// asWritten brings a fixture into the form that we write: without unknown members, and
// with three, six or nine decimals in instants.
func asWritten(b []byte) []byte {
	s := strings.Replace(string(b), "53.700120000Z", "53.700120Z", 1)
	if at := strings.Index(s, `,
    "attributes": {
      "site"`); at >= 0 {
		s = s[:at] + "}}"
	}
	return []byte(s)
}

func TestFixturesBothWays(t *testing.T) {
	for name, text := range fixtures(t) {
		t.Run(name, func(t *testing.T) {
			want := &wire.ApplicationUp{}
			if err := proto.Unmarshal(binary(t, name), want); err != nil {
				t.Fatal(err)
			}
			if n := len(want.ProtoReflect().GetUnknown()); n > 0 {
				t.Errorf("%d bytes that the schema does not know", n)
			}
			got := &wire.ApplicationUp{}
			if err := ParseJSON(text, got); err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(got, want) {
				t.Errorf("from JSON\n%v\nfrom Protocol Buffers\n%v", got, want)
			}
			back, err := AppendJSON(nil, want)
			if err != nil {
				t.Fatal(err)
			}
			sameJSON(t, back, asWritten(text))
			made, err := Protobuf(text)
			if err != nil {
				t.Fatal(err)
			}
			again, err := ParseProtobuf(made)
			if err != nil || !proto.Equal(again, want) {
				t.Errorf("%v %v", again, err)
			}
			if kind, ok := Type(again); !ok || !strings.HasPrefix(name, string(kind)) {
				t.Errorf("type %q of %s", kind, name)
			}
		})
	}
}

// Every field of the schema that the fixtures name must have a value in one of them,
// both ways, so that no number is wrong unnoticed. Deterministic bytes are compared
// with the other system's if maps and plain JSON allow only one form.
func TestBytesAreThoseOfTheOtherSystem(t *testing.T) {
	for _, name := range []string{"downlink_ack", "downlink_nack", "downlink_sent", "join_accept", "uplink_message_simulated",
		"uplink_message_fsk"} {
		got, err := Protobuf(fixtures(t)[name])
		if err != nil {
			t.Fatal(err)
		}
		if want := binary(t, name); len(got) != len(want) {
			t.Errorf("%s: %d bytes, want %d", name, len(got), len(want))
		}
	}
}

func TestLeniency(t *testing.T) {
	cases := []struct{ name, in, want string }{
		{"camel case", `{"downlinks":[{"fPort":15,"frmPayload":"vu8="}]}`, `{"downlinks":[{"f_port":15,"frm_payload":"vu8="}]}`},
		{"unknown members", `{"nope":{"a":[1,"}"]},"downlinks":[{"x":1,"f_port":15}]}`, `{"downlinks":[{"f_port":15}]}`},
		{"escaped name", `{"down\u006cinks":[{"f_port":15}]}`, `{"downlinks":[{"f_port":15}]}`},
		{"base64 without padding", `{"downlinks":[{"frm_payload":"vu8"}]}`, `{"downlinks":[{"frm_payload":"vu8="}]}`},
		{"base64 for URLs", `{"downlinks":[{"frm_payload":"-_8"}]}`, `{"downlinks":[{"frm_payload":"+/8="}]}`},
		{"numbers as texts", `{"downlinks":[{"f_port":"15"}]}`, `{"downlinks":[{"f_port":15}]}`},
		{"a whole number with a fraction", `{"downlinks":[{"f_port":1.0,"f_cnt":2e1}]}`, `{"downlinks":[{"f_port":1,"f_cnt":20}]}`},
		{"enumeration as number", `{"downlinks":[{"priority":3}]}`, `{"downlinks":[{"priority":"NORMAL"}]}`},
		{"lowest is left out", `{"downlinks":[{"priority":"LOWEST"}]}`, `{"downlinks":[{}]}`},
		{"enumeration that nobody knows", `{"downlinks":[{"priority":99}]}`, `{"downlinks":[{"priority":99}]}`},
		{"null", `{"downlinks":[{"f_port":null,"frm_payload":null,"decoded_payload":null,"correlation_ids":null,"class_b_c":null}]}`,
			`{"downlinks":[{}]}`},
		{"nothing", ` { } `, `{}`},
		{"an empty list", `{"downlinks":[]}`, `{}`},
		{"wrapper", `{"downlinks":[{"confirmed_retry":{"max_attempts":0}}]}`, `{"downlinks":[{"confirmed_retry":{"max_attempts":0}}]}`},
		{"plain JSON", `{"downlinks":[{"decoded_payload":{"a":{"b":[1,null,true,"x\n\"\u0001"]},"n":1e21,"m":-0.5}}]}`,
			`{"downlinks":[{"decoded_payload":{"a":{"b":[1,null,true,"x\n\"\u0001"]},"n":1e+21,"m":-0.5}}]}`},
		{"instant of another zone", `{"downlinks":[{"class_b_c":{"absolute_time":"2026-03-14T10:40:00.5+01:00"}}]}`,
			`{"downlinks":[{"class_b_c":{"absolute_time":"2026-03-14T09:40:00.500Z"}}]}`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			m := &wire.ApplicationDownlinks{}
			if err := ParseJSON([]byte(c.in), m); err != nil {
				t.Fatal(err)
			}
			got, err := AppendJSON(nil, m)
			if err != nil {
				t.Fatal(err)
			}
			sameJSON(t, got, []byte(c.want))
		})
	}
}

func TestFaultsSayWhere(t *testing.T) {
	cases := []struct{ in, field, path, reason string }{
		{`{"downlinks":[{"priority":"URGENT"}]}`, "downlinks", "downlinks[0].priority", `unknown value for enum: "URGENT"`},
		{`{"downlinks":[{},{"confirmed":"true"}]}`, "downlinks", "downlinks[1].confirmed", "expected true or false, got a text"},
		{`{"downlinks":[{"confirmed":null}]}`, "downlinks", "downlinks[0].confirmed", "expected true or false, got null"},
		{`[{"f_port":1}]`, "", "", "expected an object, got an array"},
		{`{"downlinks":{}}`, "downlinks", "downlinks", "expected an array, got an object"},
		{`{"downlinks":[{"f_port":-1}]}`, "downlinks", "downlinks[0].f_port", "is no number that fits here"},
		{`{"downlinks":[{"f_port":4294967296}]}`, "downlinks", "downlinks[0].f_port", "is no number that fits here"},
		{`{"downlinks":[{"f_port":1.5}]}`, "downlinks", "downlinks[0].f_port", "is no number that fits here"},
		{`{"downlinks":[{"f_port":"0x10"}]}`, "downlinks", "downlinks[0].f_port", "is no number that fits here"},
		{`{"downlinks":[{"frm_payload":"*"}]}`, "downlinks", "downlinks[0].frm_payload", "is not base64"},
		{`{"downlinks":[{"class_b_c":{"absolute_time":"noon"}}]}`, "downlinks", "downlinks[0].class_b_c.absolute_time",
			"is no instant in the years 1 to 9999"},
		{`{"downlinks":[{"class_b_c":{"gateways":[{"gateway_ids":{"eui":"xy"}}]}}]}`, "downlinks",
			"downlinks[0].class_b_c.gateways[0].gateway_ids.eui", "is not made of pairs of hex digits"},
		{`{"downlinks":[{"decoded_payload":{"a":[1e999]}}]}`, "downlinks", "downlinks[0].decoded_payload.a[0]", "is no number that fits here"},
		{`{"downlinks":[{"decoded_payload":[1]}]}`, "downlinks", "downlinks[0].decoded_payload", "expected an object, got an array"},
	}
	for _, c := range cases {
		err := ParseJSON([]byte(c.in), &wire.ApplicationDownlinks{})
		e, ok := errors.AsType[*JSONError](err)
		if !ok || e.Field != c.field || e.Path != c.path || e.Reason != c.reason {
			t.Errorf("%s: %v", c.in, err)
		}
	}
	err := ParseJSON([]byte("{bad json"), &wire.ApplicationDownlinks{})
	if _, ok := errors.AsType[*json.SyntaxError](err); !ok ||
		err.Error() != "invalid character 'b' looking for beginning of object key string" {
		t.Errorf("%v", err)
	}
	if err := ParseJSON([]byte(`{"uplink_message":{},"join_accept":{}}`), &wire.ApplicationUp{}); err == nil ||
		!strings.Contains(err.Error(), "together with uplink_message") {
		t.Errorf("two messages in one: %v", err)
	}
}

func TestDepthIsBounded(t *testing.T) {
	deep := func(n int) []byte {
		return []byte(`{"service_data":{"data":{"a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}}}`)
	}
	if err := ParseJSON(deep(maxDepth-3), &wire.ApplicationUp{}); err != nil {
		t.Error(err)
	}
	if err := ParseJSON(deep(maxDepth), &wire.ApplicationUp{}); err == nil {
		t.Error("no bound when reading")
	}
	v := structpb.NewNullValue()
	for range maxDepth {
		v = structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{v}})
	}
	if _, err := AppendJSON(nil, v); err != nil {
		t.Error(err)
	}
	if _, err := AppendJSON(nil, structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{v}})); err == nil {
		t.Error("no bound when writing")
	}
	b, err := proto.Marshal(&wire.ApplicationServiceData{Data: &structpb.Struct{Fields: map[string]*structpb.Value{"a": v}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := parseBinary(b, &wire.ApplicationServiceData{}); err != nil {
		t.Errorf("what JSON can hold: %v", err)
	}
}

func TestNumbersThatJSONLacks(t *testing.T) {
	if _, err := AppendJSON(nil, structpb.NewNumberValue(math.NaN())); err == nil {
		t.Error("NaN in plain JSON")
	}
	m := &wire.RxMetadata{Rssi: float32(math.Inf(-1)), Snr: float32(math.NaN()), ChannelRssi: float32(math.Inf(1))}
	b, err := AppendJSON(nil, m)
	if err != nil || string(b) != `{"rssi":"-Infinity","channel_rssi":"Infinity","snr":"NaN"}` {
		t.Errorf("%s %v", b, err)
	}
	back := &wire.RxMetadata{}
	if err := ParseJSON(b, back); err != nil || !math.IsInf(float64(back.GetRssi()), -1) {
		t.Errorf("%v %v", back, err)
	}
}

func TestAny(t *testing.T) {
	inner, err := anypb.New(&wire.ErrorDetails{Namespace: "pkg/x", Code: 3})
	if err != nil {
		t.Fatal(err)
	}
	detail, err := anypb.New(structpb.NewStringValue("x"))
	if err != nil {
		t.Fatal(err)
	}
	m := &wire.ErrorDetails{Name: "n",
		Details: []*anypb.Any{inner, detail, {TypeUrl: "type.googleapis.com/nobody.Knows", Value: []byte{1, 2}}}}
	b, err := AppendJSON(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"name":"n","details":[{"@type":"type.googleapis.com/ttn.lorawan.v3.ErrorDetails","namespace":"pkg/x","code":3},` +
		`{"@type":"type.googleapis.com/google.protobuf.Value","value":"x"},{"@type":"type.googleapis.com/nobody.Knows","value":"AQI="}]}`
	if string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
	back := &wire.ErrorDetails{}
	if err := ParseJSON(b, back); err != nil || !proto.Equal(m, back) {
		t.Errorf("%v %v", back, err)
	}
}

func TestFieldMaskAsText(t *testing.T) {
	for _, in := range []string{`{"field_mask":"paused, base_url"}`, `{"field_mask":{"paths":["paused","base_url"]}}`} {
		m := &wire.SetApplicationWebhookRequest{}
		if err := ParseJSON([]byte(in), m); err != nil {
			t.Fatal(err)
		}
		if got := m.GetFieldMask().GetPaths(); !reflect.DeepEqual(got, []string{"paused", "base_url"}) {
			t.Errorf("%s: %q", in, got)
		}
	}
}

func TestSixtyFourBitNumbersAreTexts(t *testing.T) {
	h := &wire.ApplicationWebhookHealth{
		Status: &wire.ApplicationWebhookHealth_Unhealthy{Unhealthy: &wire.ApplicationWebhookHealth_WebhookHealthStatusUnhealthy{
			FailedAttempts: math.MaxUint64}}}
	b, err := AppendJSON(nil, h)
	if err != nil || string(b) != `{"unhealthy":{"failed_attempts":"18446744073709551615"}}` {
		t.Errorf("%s %v", b, err)
	}
}

func FuzzJSON(f *testing.F) {
	for _, text := range fixtures(f) {
		f.Add(text)
	}
	f.Add([]byte(`{"downlink_failed":{"error":{"details":[{"@type":"type.googleapis.com/ttn.lorawan.v3.ErrorDetails","code":1}]}}}`))
	f.Add([]byte(`{"serviceData":{"data":{"a":[{},[],"\ud800",-0.0,1e-9]}}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		m := &wire.ApplicationUp{}
		if err := ParseJSON(in, m); err != nil {
			return
		}
		out, err := AppendJSON(nil, m)
		if err != nil {
			t.Fatalf("read but not written: %v", err)
		}
		back := &wire.ApplicationUp{}
		if err := ParseJSON(out, back); err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		again, err := AppendJSON(nil, back)
		if err != nil || !bytes.Equal(again, out) {
			t.Fatalf("%v\nfirst  %s\nsecond %s", err, out, again)
		}
	})
}

func FuzzProtobuf(f *testing.F) {
	for name := range fixtures(f) {
		f.Add(binary(f, name))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		up, err := ParseProtobuf(in)
		if err != nil {
			return
		}
		out, err := AppendJSON(nil, up)
		if err != nil {
			return
		}
		if !json.Valid(out) {
			t.Fatalf("no JSON: %s", out)
		}
		if err := ParseJSON(out, &wire.ApplicationUp{}); err != nil {
			t.Fatalf("%v in %s", err, out)
		}
	})
}

func BenchmarkProtobufFromJSON(b *testing.B) {
	text := fixtures(b)["uplink_message"]
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Protobuf(text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkProtobufFromMessage(b *testing.B) {
	up := &wire.ApplicationUp{}
	if err := ParseJSON(fixtures(b)["uplink_message"], up); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := proto.Marshal(up); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkJSONFromProtobuf(b *testing.B) {
	raw := binary(b, "uplink_message")
	b.ReportAllocs()
	for b.Loop() {
		up, err := ParseProtobuf(raw)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := AppendJSON(nil, up); err != nil {
			b.Fatal(err)
		}
	}
}

package lorawan

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"thingpost/internal/iot"
)

// documented returns the 170 paths of The Things Stack's document.
func documented(t testing.TB) []string {
	t.Helper()
	paths := strings.Fields(string(readFile(t, "testdata/mask-paths.txt")))
	if len(paths) != 170 {
		t.Fatalf("%d paths", len(paths))
	}
	return paths
}

// full returns a message of a type with a value in every field, as JSON, including
// fields that only JSON can represent. path selects the member of a oneof.
func full(t testing.TB, path string) []byte {
	t.Helper()
	return []byte(`{` + members(upDescriptor(), strings.Split(path, "."), 0) + `}`)
}

func members(md protoreflect.MessageDescriptor, path []string, depth int) string {
	var b strings.Builder
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		rest := path
		if of := fd.ContainingOneof(); of != nil {
			want := string(of.Fields().Get(0).Name())
			if len(path) > 1 && path[0] == string(of.Name()) {
				want, rest = path[1], path[1:]
			}
			if want != string(fd.Name()) {
				continue
			}
		}
		if len(rest) > 0 {
			rest = rest[1:]
		}
		value := example(fd, rest, depth)
		if value == "" {
			continue
		}
		b.WriteString(`,"` + string(fd.Name()) + `":` + value)
	}
	for _, name := range jsonOnly(md.Name()) {
		b.WriteString(`,"` + name + `":"x"`)
	}
	return strings.TrimPrefix(b.String(), ",")
}

func example(fd protoreflect.FieldDescriptor, path []string, depth int) string {
	if fd.IsMap() {
		return `{"k":` + example(fd.MapValue(), nil, depth+1) + `}`
	}
	value := `1`
	switch {
	case depth > 5:
		return ""
	case fd.Kind() == protoreflect.MessageKind:
		switch formOf(fd) {
		case formTimestamp:
			value = `"2026-03-14T09:26:53Z"`
		case formDuration:
			value = `"1.500s"`
		case formStruct:
			value = `{"a":[1,{"b":null}]}`
		case formAny:
			value = `{"@type":"type.googleapis.com/ttn.lorawan.v3.Location","altitude":3}`
		case formWrapper:
			if value = `1`; strings.Contains(string(fd.Message().Name()), "String") {
				value = `"x"`
			}
		case formPlain, formHex, formValue, formListValue, formFieldMask:
			value = `{` + members(fd.Message(), path, depth+1) + `}`
		}
	case fd.Kind() == protoreflect.StringKind:
		value = `"x"`
	case fd.Kind() == protoreflect.BytesKind:
		value = `"AAAAAAAAAAAAAAAA"`
	case fd.Kind() == protoreflect.BoolKind:
		value = `true`
	}
	if fd.IsList() {
		return "[" + value + "," + value + "]"
	}
	return value
}

// names returns a path's steps in JSON, which has no step for a oneof.
func names(path string) []string {
	var list []string
	for name := range strings.SplitSeq(path, ".") {
		if name != "up" && name != "modulation" {
			list = append(list, name)
		}
	}
	return list
}

func TestEachPathAloneLeavesJustIt(t *testing.T) {
	all := MaskPaths()
	has := map[string]bool{}
	for _, path := range all {
		has[path] = true
	}
	for _, path := range documented(t) {
		if !has[path] {
			t.Errorf("%s is not among MaskPaths", path)
		}
	}
	for _, path := range []string{"up.uplink_normalized.normalized_payload", "up.uplink_message.normalized_payload_warnings",
		"up.uplink_message.packet_error_rate",
		"up.uplink_message.network_ids.ns_id", "up.downlink_sent.confirmed_retry.max_attempts", "up.uplink_message.attributes",
		"up.join_accept.attributes",
		"up.uplink_message.settings.data_rate.modulation.lora.coding_rate", "up.downlink_failed.error.cause.code"} {
		if !has[path] {
			t.Errorf("%s is not among MaskPaths", path)
		}
	}
	for _, path := range all {
		m, err := CompileMask([]string{path})
		if err != nil {
			t.Fatal(err)
		}
		text := full(t, path)
		got := m.Append(nil, text)
		want, whole := map[string]any{}, meaning(t, text)
		at, into := whole.(map[string]any), want
		steps := names(path)
		switch {
		case path == "up":
			want["uplink_message"] = at["uplink_message"]
		case strings.HasSuffix(path, ".modulation"):
			steps = append(steps, "lora")
		}
		for i, step := range steps {
			if at[step] == nil {
				t.Fatalf("%s: the example has no %s", path, step)
			}
			if i == len(steps)-1 {
				into[step] = at[step]
				break
			}
			next := map[string]any{}
			into[step] = next
			at, into = at[step].(map[string]any), next
		}
		expected, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		sameJSON(t, got, expected)

		raw, err := Protobuf(got)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if last := steps; len(last) > 0 && last[len(last)-1] != "attributes" || strings.Contains(path, "location_solved") {
			checkPath(t, path, raw)
		}
	}
}

// checkPath checks that Protocol Buffers have the path's field and no other.
func checkPath(t *testing.T, path string, raw []byte) {
	t.Helper()
	md := upDescriptor()
	for _, name := range names(path) {
		fd := md.Fields().ByName(protoreflect.Name(name))
		if fd == nil {
			if len(raw) > 0 {
				t.Errorf("%s: % x for a field that Protocol Buffers lack", path, raw)
			}
			return
		}
		number, kind, n := protowire.ConsumeTag(raw)
		if n < 0 || number != fd.Number() {
			t.Errorf("%s: field %d, want %d", path, number, fd.Number())
			return
		}
		if md = partsOf(fd); md == nil {
			return
		}
		value, m := protowire.ConsumeBytes(raw[n:])
		if kind != protowire.BytesType || n+m != len(raw) {
			t.Errorf("%s: there is more than %s", path, name)
			return
		}
		raw = value
	}
}

// The cases measured on The Things Stack, and those of paths through a value that is
// kept as a whole.
func TestMeasuredMasks(t *testing.T) {
	const ids = `"end_device_ids":{"device_id":"dev1","application_ids":{"application_id":"app1"},"dev_eui":"70B3D57ED000ABCD",` +
		`"join_eui":"0004A30B001C0530","dev_addr":"2600ABCD"}`
	const payload = `"decoded_payload":{"a<b":"x&y", "big":1e+21, "n":42, "temperature":21.5}`
	const uplink = `"uplink_message":{"f_port":1,"frm_payload":"AQ==",` + payload +
		`,"settings":{"data_rate":{"lora":{"bandwidth":125000, "spreading_factor":7, "coding_rate":"4/5"}}, "frequency":"868100000"}}`
	const received = `"received_at":"2023-11-14T22:13:20.120Z"`
	const message = `{` + ids + `,"correlation_ids":["as:up:1"],` + received + `,` + uplink + `}`
	cases := []struct {
		paths string
		want  string
	}{
		{"up.uplink_message.decoded_payload", `{"uplink_message":{` + payload + `}}`},
		{"up", `{` + uplink + `}`},
		{"up.uplink_message", `{` + uplink + `}`},
		{"up.join_accept", `{}`},
		{"received_at", `{` + received + `}`},
		{"end_device_ids.device_id", `{"end_device_ids":{"device_id":"dev1"}}`},
		{"end_device_ids up.uplink_message.f_cnt up.uplink_message.f_port", `{` + ids + `,"uplink_message":{"f_port":1}}`},
		{"up.uplink_message.settings.data_rate.modulation.lora.spreading_factor",
			`{"uplink_message":{"settings":{"data_rate":{"lora":{"spreading_factor":7}}}}}`},
		{"up received_at up.uplink_message.f_port", `{` + received + `,` + uplink + `}`},
	}
	for _, c := range cases {
		m, err := CompileMask(strings.Fields(c.paths))
		if err != nil {
			t.Fatal(err)
		}
		if got := string(m.Append(nil, []byte(message))); got != c.want {
			t.Errorf("[%s]\ngot  %s\nwant %s", c.paths, got, c.want)
		}
	}
	if m, err := CompileMask(nil); m != nil || err != nil {
		t.Errorf("no paths: %v, %v", m, err)
	}
}

func TestPathsThatCannotBeApplied(t *testing.T) {
	cases := map[string]string{
		"up.uplink_message.rx_metadata.rssi":            "“up.uplink_message.rx_metadata” is kept or removed as a whole",
		"up.uplink_message.decoded_payload.temperature": "“up.uplink_message.decoded_payload” is kept or removed as a whole",
		"up.uplink_message.locations.user":              "is kept or removed as a whole",
		"received_at.seconds":                           "is kept or removed as a whole",
		"simulated.x":                                   "is kept or removed as a whole",
		"up.uplink_message.attributes.site":             "is kept or removed as a whole",
		"uplink_message.f_port":                         "needs “up.” before “uplink_message”",
		"up.nope":                                       "does not exist",
		"nope":                                          "does not exist",
		"up.":                                           "does not exist",
		"":                                              "does not exist",
		"up.uplink_message.":                            "does not exist",
		"up.uplink_message.settings.data_rate.lora": "needs “modulation.” before “lora”",
		"endDeviceIds": "does not exist",
		strings.Repeat("up.downlink_failed.", 20): "too long",
	}
	for path, want := range cases {
		_, err := CompileMask([]string{"received_at", path})
		if iot.CodeOf(err) != iot.Invalid || !strings.Contains(maskProblem(err), want) {
			t.Errorf("%q: %v", path, err)
		}
	}
	_, err := CompileMask(strings.Fields("a b c d e"))
	if text := maskProblem(err); !strings.Contains(text, "2 more") {
		t.Error(text)
	}
	if _, err := CompileMask(make([]string, MaxMaskPaths+1)); err == nil {
		t.Error("no bound")
	}
}

func maskProblem(err error) string {
	e, _ := errors.AsType[*iot.Error](err)
	if e == nil {
		return ""
	}
	return e.Fields["field_mask"]
}

func TestMaskKeepsWhatNobodyKnows(t *testing.T) {
	text := fixtures(t)["uplink_message_v3.34_attributes"]
	m, err := CompileMask([]string{"up.uplink_message"})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(m.Append(nil, text)); !strings.Contains(got, `"site": "bay-4"`) {
		t.Error(got)
	}
}

func FuzzMask(f *testing.F) {
	for _, text := range fixtures(f) {
		f.Add(text, "up.uplink_message.settings.data_rate.modulation.lora end_device_ids.device_id")
	}
	f.Fuzz(func(t *testing.T, text []byte, paths string) {
		m, err := CompileMask(strings.Fields(paths))
		if err != nil || m == nil {
			return
		}
		out := m.Append(nil, text)
		if !json.Valid(text) {
			return
		}
		if !json.Valid(out) {
			t.Fatalf("no JSON: %s", out)
		}
		if again := m.Append(nil, out); string(again) != string(out) {
			t.Fatalf("applied twice: %s, %s", out, again)
		}
	})
}

func BenchmarkMask(b *testing.B) {
	text := fixtures(b)["uplink_message"]
	var paths []string
	for _, path := range documented(b) {
		if strings.Count(path, ".") > 1 || strings.Count(path, ".") == 1 && !strings.HasPrefix(path, "up.") {
			paths = append(paths, path)
		}
	}
	m, err := CompileMask(paths)
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("%d paths", len(paths))
	buffer := make([]byte, 0, len(text))
	b.ReportAllocs()
	for b.Loop() {
		buffer = m.Append(buffer[:0], text)
	}
}

package ingest

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"thingpost/internal/iot"
)

func TestDecodeNamesEveryFault(t *testing.T) {
	long := strings.Repeat("ä", 255)
	for name, c := range map[string]struct {
		body   string
		fields []string // with a fault
		words  string   // in the message
	}{
		"empty":           {``, nil, "not valid JSON"},
		"cut":             {`{"payload":`, nil, "not valid JSON (byte 11, line 1"},
		"second line":     {"{\n\"payload\": x}", nil, "line 2"},
		"two values":      {`{"payload":1}{"payload":2}`, nil, "not valid JSON (byte 14"},
		"two marks":       {"\ufeff\ufeff{}", nil, "not valid JSON (byte 1,"},
		"Latin-1":         {"{\"payload\":\"\xe9\"}", nil, "not valid JSON (byte 13, line 1, column 13: the byte 0xe9 is not UTF-8)"},
		"array":           {`[1]`, nil, "JSON object"},
		"text":            {`"x"`, nil, "JSON object"},
		"null":            {`null`, nil, "JSON object"},
		"no payload":      {`{}`, []string{"payload"}, "payload: is missing."},
		"unknown key":     {`{"payload":1,"Channel":"a"}`, []string{"Channel"}, "unknown field"},
		"twice":           {`{"payload":1,"payload":2}`, []string{"payload"}, "once"},
		"twice, escaped":  {`{"payload":1,"p\u0061yload":2}`, []string{"payload"}, "once"},
		"number for text": {`{"payload":1,"channel":7}`, []string{"channel"}, "must be a text"},
		"null for text":   {`{"payload":1,"id":null}`, []string{"id"}, "must be a text"},
		"object for text": {`{"payload":1,"timestamp":{"$date":"x"}}`, []string{"timestamp"}, "must be a text"},
		"long channel":    {`{"payload":1,"channel":"` + long + `"}`, []string{"channel"}, "at most 254 characters"},
		"long id":         {`{"payload":1,"id":"` + long + `"}`, []string{"id"}, "at most 254 characters"},
		"long timestamp":  {`{"payload":1,"devicetimestamp":"` + long + `"}`, []string{"devicetimestamp"}, "at most 254"},
		"long number":     {`{"payload":1,"devicetimestamp":` + strings.Repeat("1", 255) + `}`, []string{"devicetimestamp"}, "at most 254"},
		"no number":       {`{"payload":1,"devicetimestamp":true}`, []string{"devicetimestamp"}, "must be a text or a number"},
		"unknown type":    {`{"payload":1,"type":"other"}`, []string{"type"}, "user or iottly"},
		"LoRaWAN's type":  {`{"payload":1,"type":"uplink_message"}`, []string{"type"}, "user or iottly"},
		"all at once":     {`{"type":1,"nope":2,"id":[]}`, []string{"id", "nope", "payload", "type"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := decode([]byte(c.body))
			e, ok := errors.AsType[*iot.Error](err)
			if !ok || e.Code != iot.Invalid || !strings.Contains(e.Message, c.words) {
				t.Fatalf("got %v, want %q", err, c.words)
			}
			var got []string
			for field := range e.Fields {
				got = append(got, field)
			}
			slices.Sort(got)
			if !slices.Equal(got, c.fields) {
				t.Errorf("faults of %q, want %q", got, c.fields)
			}
		})
	}
}

func TestDecodeKeepsTheBytes(t *testing.T) {
	uuid := "019aa5d2-8c41-7e9a-8000-0123456789ab"
	for name, c := range map[string]struct{ body, payload, fields, kind, id, from, channel string }{
		"payload alone": {body: ` {"payload": {"b":1.10, "a":1e400} } `, payload: `{"b":1.10, "a":1e400}`},
		"any value":     {body: `{"payload":null}`, payload: `null`},
		"large number":  {body: `{"payload":12345678901234567890.10}`, payload: `12345678901234567890.10`},
		"escapes":       {body: "{\n\t\"p\\u0061yload\" : \"\\u00e4\\/\" }", payload: `"\u00e4\/"`},
		"in order": {body: `{"to":"x","timestamp":"t\u0031","payload":[1 , 2],"devicetimestamp":"d"}`, payload: `[1 , 2]`,
			fields: `{"to":"x","timestamp":"t\u0031","devicetimestamp":"d"}`},
		"iottly's form": {body: `{"_id":{"$oid":"1"},"from":"` + uuid + `","to":"p","type":"iottlyagent","payload":1}`, payload: `1`,
			fields: `{"from":"` + uuid + `","to":"p","type":"iottlyagent"}`, kind: "iottly", from: uuid},
		"our type":     {body: `{"type":"iottly","payload":1}`, payload: `1`, kind: "iottly"},
		"userdefined":  {body: `{"type":"userdefined","payload":1}`, payload: `1`, fields: `{"type":"userdefined"}`},
		"slug in from": {body: `{"from":"probe-7","payload":1}`, payload: `1`, from: "probe-7"},
		"channel and id": {body: `{"id":"7","channel":"al\u0061rm","payload":1}`, payload: `1`, fields: `{"channel":"al\u0061rm"}`, id: "7",
			channel: "alarm"},
		"a mark": {body: "\ufeff{\"payload\": 1 }", payload: `1`},
		"times": {body: `{"payload":1,"devicetimestamp":1767225600.250,"timestamp":1767225600250}`, payload: `1`,
			fields: `{"devicetimestamp":1767225600.250,"timestamp":1767225600250}`},
		"254 characters": {body: `{"id":"` + strings.Repeat("ä", 254) + `","payload":1}`, payload: `1`, id: strings.Repeat("ä", 254)},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := decode([]byte(c.body))
			if err != nil {
				t.Fatal(err)
			}
			if c.kind == "" {
				c.kind = "user"
			}
			if string(m.payload) != c.payload || string(m.fields) != c.fields || string(m.kind) != c.kind || m.senderID != c.id ||
				m.from != c.from || m.channel != c.channel {
				t.Errorf("got payload %s, fields %s, %+v", m.payload, m.fields, m)
			}
		})
	}
}

func TestSplit(t *testing.T) {
	for name, c := range map[string]struct {
		body, media string
		want        []string
		bad         bool
	}{
		"object":          {body: `{"payload":1}`, media: "application/json", want: []string{`{"payload":1}`}},
		"no content type": {body: `{"payload":1}`, want: []string{`{"payload":1}`}},
		"array":           {body: " [ {\"a\":1} ,\n[2],3] ", want: []string{`{"a":1}`, `[2]`, `3`}},
		"empty array":     {body: `[]`},
		"broken array":    {body: `[1,`, bad: true},
		"lines":           {body: "{\"a\":1}\r\n\n  {\"b\":2}  \n", media: "application/x-ndjson", want: []string{`{"a":1}`, `{"b":2}`}},
		"one line":        {body: `{"a":1}`, media: "application/x-ndjson; charset=utf-8", want: []string{`{"a":1}`}},
		"upper case":      {body: "1\n2", media: "Application/X-NDJSON", want: []string{"1", "2"}},
		"another type":    {body: `{"a":1}`, media: "application/x-ndjson-seq", want: []string{`{"a":1}`}},
		"bad among good":  {body: "{\"a\":1}\nnonsense\n{}", media: NDJSON, want: []string{`{"a":1}`, "nonsense", "{}"}},
		"all bad":         {body: "nonsense\nmore", media: NDJSON, want: []string{"nonsense", "more"}},
		"ndjson":          {body: "1\n2", media: "application/ndjson", want: []string{"1", "2"}},
		"jsonlines":       {body: "1\n2", media: "application/jsonlines;charset=UTF-8", want: []string{"1", "2"}},
		"jsonl":           {body: "1\n2", media: " application/JSONL ", want: []string{"1", "2"}},
		"a mark":          {body: "\ufeff [1,2]", want: []string{"1", "2"}},
		"not UTF-8":       {body: "[1,\"\xff\"]", bad: true},
		"one too deep": {body: "[1," + strings.Repeat("[", 600) + strings.Repeat("]", 600) + "]",
			want: []string{"1", strings.Repeat("[", 600) + strings.Repeat("]", 600)}},
		"broken and deep": {body: "[1," + strings.Repeat("[", 600) + "]", bad: true},
		"no lines":        {body: "\n\n", media: NDJSON, bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := Split([]byte(c.body), c.media)
			if c.bad {
				if iot.CodeOf(err) != iot.Invalid {
					t.Fatalf("got %q, %v, want invalid", list, err)
				}
				return
			}
			var got []string
			for _, m := range list {
				got = append(got, string(m))
			}
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			}
		})
	}
}

// within fails the test unless part is a piece of whole's own memory.
func within(t *testing.T, whole, part []byte) {
	t.Helper()
	from, to := uintptr(unsafe.Pointer(unsafe.SliceData(whole))), uintptr(unsafe.Pointer(unsafe.SliceData(part)))
	if len(part) == 0 || to < from || to+uintptr(len(part)) > from+uintptr(len(whole)) {
		t.Fatalf("%q is not part of %q", part, whole)
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{`{"payload":{"a":[1,2]}}`, "\t {\"type\":\"iottly\" , \"p\\u0061yload\":\"x\",\"to\":\"y\"}\n",
		`{"payload":1,"id":"7","channel":"c","from":"d"}`, `[1]`, `{`, "{\"payload\":\"\xff\"}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := decode(body)
		if err != nil {
			if iot.CodeOf(err) != iot.Invalid {
				t.Fatal(err)
			}
			return
		}
		within(t, body, m.payload)
		var whole map[string]json.RawMessage
		if err := json.Unmarshal(iot.TrimMark(body), &whole); err != nil {
			t.Fatalf("accepted %q: %v", body, err)
		}
		if !bytes.Equal(whole["payload"], m.payload) {
			t.Errorf("the payload of %q is %q, want %q", body, m.payload, whole["payload"])
		}
		if len(m.fields) > 0 && !json.Valid(m.fields) {
			t.Errorf("the fields of %q are %q", body, m.fields)
		}
	})
}

func FuzzSplit(f *testing.F) {
	for _, seed := range []string{`[1,{"a":[2]}]`, "{}\n{}", ` [ ] `, "[\"\xff\"]", "1\n\n2"} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, body []byte, lines bool) {
		media := ""
		if lines {
			media = NDJSON
		}
		list, err := Split(body, media)
		if err != nil || !lines && !bytes.HasPrefix(bytes.TrimSpace(iot.TrimMark(body)), []byte("[")) {
			return
		}
		for _, m := range list {
			within(t, body, m)
		}
		if lines {
			return
		}
		var whole []json.RawMessage
		if err := json.Unmarshal(iot.TrimMark(body), &whole); err != nil || len(whole) != len(list) {
			t.Fatalf("%q has %d parts, want %d (%v)", body, len(list), len(whole), err)
		}
		for i, m := range list {
			if !bytes.Equal(m, whole[i]) {
				t.Errorf("part %d is %q, want %q", i, m, whole[i])
			}
		}
	})
}

// BenchmarkDecode reads a device's message, and one of 100 KiB.
func BenchmarkDecode(b *testing.B) {
	for name, payload := range map[string]string{
		"150 bytes": `{"moisture":31.5,"temperature":18.25,"battery":3.61,"site":"north","note":"the third row, beside the door"}`,
		"100 KiB":   `[` + strings.Repeat(`{"n":7919,"name":"probe in the greenhouse, row 7","unit":"°C"},`, 1600) + `0]`,
	} {
		body := []byte(`{"payload":` + payload + `,"channel":"climate"}`)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := decode(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

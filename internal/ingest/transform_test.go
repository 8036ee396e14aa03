package ingest

import (
	"strings"
	"testing"
	"time"

	"thingpost/internal/iot"
)

func TestTransformJSON(t *testing.T) {
	at := time.Date(2026, 11, 2, 8, 0, 0, 1, time.UTC)
	const created = `"Created":1793606400000000001`
	for name, c := range map[string]struct {
		o             iot.Transformer
		payload, want string
		time          string // RFC 3339; "" for none
	}{
		"nothing asked for": {iot.Transformer{TimeFormat: "unix"}, ` { "big" : 12345678901234567890, "h":"<&>é", "big": 1.10 } `,
			` { "big" : 12345678901234567890, "h":"<&>é", "big": 1.10 } `, ""},
		"a field": {iot.Transformer{DataField: "a.b"}, `{"a":{"b":{"n":12345678901234567890}}}`, `{"n":12345678901234567890}`,
			""},
		"a field that is a list": {iot.Transformer{DataField: "data", TimeField: "t"},
			`{"t":1700000000,"data":[{"v":1},{"v":2,"t":1700000001}]}`, `[{"v":1,"Created":1700000000000000000},{"v":2,"t":1700000001,` +
				`"Created":1700000001000000000}]`, ""},
		"a field in a list": {iot.Transformer{DataField: "d"}, `[{"d":{"v":1}},{"d":{"v":2}}]`, `[{"v":1},{"v":2}]`, ""},
		"filters": {iot.Transformer{DataFilters: []string{"b.c", "a"}}, `{"a": 1.10,"x":2,"b":{"c":"<&>","d":1},"a":7}`,
			`{"a":1.10,"b":{"c":"<&>"},"a":7}`, ""},
		"filters of lists": {iot.Transformer{DataFilters: []string{"l.v"}}, `[{"l":[{"v":1,"w":2},3,{"w":4}],"x":1},{"x":1}]`,
			`[{"l":[{"v":1},{}]},{}]`, ""},
		"filters by dots": {iot.Transformer{DataFilters: []string{"a"}}, `{"a.b":1,"a":2}`, `{"a":2}`, ""},
		"unix": {iot.Transformer{TimeField: "t", TimeFormat: "unix"}, `{"t":1700000000.5}`, `{"t":1700000000.5}`,
			"2023-11-14T22:13:20.5Z"},
		"unix as a text": {iot.Transformer{TimeField: "t", TimeFormat: "unix"}, `{"t":"1700000000,25"}`, `{"t":"1700000000,25"}`,
			"2023-11-14T22:13:20.25Z"},
		"unix_ms": {iot.Transformer{TimeField: "a.t", TimeFormat: "unix_ms"}, `{"a":{"t":1700000000123}}`,
			`{"a":{"t":1700000000123}}`, "2023-11-14T22:13:20.123Z"},
		"unix_us": {iot.Transformer{TimeField: "t", TimeFormat: "unix_us"}, `{"t":1700000000123456}`, `{"t":1700000000123456}`,
			"2023-11-14T22:13:20.123456Z"},
		"unix_ns": {iot.Transformer{TimeField: "t", TimeFormat: "unix_ns"}, `{"t":1700000000123456789}`,
			`{"t":1700000000123456789}`, "2023-11-14T22:13:20.123456789Z"},
		"rfc3339": {iot.Transformer{TimeField: "t", TimeFormat: "rfc3339"}, `{"t":"2026-01-31T08:00:00.5+02:00"}`,
			`{"t":"2026-01-31T08:00:00.5+02:00"}`, "2026-01-31T06:00:00.5Z"},
		"a zone": {iot.Transformer{TimeField: "t", TimeFormat: "2006-01-02 15:04", TimeLocation: "Europe/Rome"},
			`{"t":"2026-07-01 12:00"}`, `{"t":"2026-07-01 12:00"}`, "2026-07-01T10:00:00Z"},
		"no format, number": {iot.Transformer{TimeField: "t"}, `{"t":1700000000}`, `{"t":1700000000}`, "2023-11-14T22:13:20Z"},
		"no format, text": {iot.Transformer{TimeField: "t"}, `{"t":"2026-01-31T08:00:00Z"}`, `{"t":"2026-01-31T08:00:00Z"}`,
			"2026-01-31T08:00:00Z"},
		"time outside the field": {iot.Transformer{TimeField: "t", DataField: "d"}, `{"t":1700000000,"d":{"v":1}}`, `{"v":1}`,
			"2023-11-14T22:13:20Z"},
		"time that is filtered": {iot.Transformer{TimeField: "t", DataFilters: []string{"v"}}, `{"t":1700000000,"v":1}`, `{"v":1}`,
			"2023-11-14T22:13:20Z"},
		"no time there": {iot.Transformer{TimeField: "t"}, `{"v":1,"t":null}`, `{"v":1,"t":null}`, ""},
		"Created of each": {iot.Transformer{TimeField: "t"}, `[{"v":1},{"Created":5,"t":1700000000},{}]`,
			`[{"v":1,` + created + `},{"t":1700000000,"Created":1700000000000000000},{` + created + `}]`, ""},
		"Created only with a time": {iot.Transformer{DataFilters: []string{"v"}}, `[{"v":1,"w":1}]`, `[{"v":1}]`, ""},
		"an empty list":            {iot.Transformer{TimeField: "t"}, `[]`, `[]`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Transform(&iot.Profile{ContentType: iot.JSONObjects, Transformer: c.o}, []byte(c.payload), false, at)
			text := ""
			if !got.Time.IsZero() {
				text = got.Time.Format(time.RFC3339Nano)
			}
			if err != nil || string(got.Payload) != c.want || text != c.time {
				t.Errorf("%s at %q, %v; want %s at %q", got.Payload, text, err, c.want, c.time)
			}
		})
	}
}

func TestPayloadsThatAProfileRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		o       iot.Transformer
		payload string
	}{
		"a number":                     {iot.Transformer{}, `1`},
		"a text":                       {iot.Transformer{}, `"x"`},
		"a list of numbers":            {iot.Transformer{}, `[{},1]`},
		"no such field":                {iot.Transformer{DataField: "a.b"}, `{"a":1}`},
		"a field of another kind":      {iot.Transformer{DataField: "a"}, `{"a":1}`},
		"a list in an object's list":   {iot.Transformer{DataField: "a"}, `[{"a":[{}]}]`},
		"no time":                      {iot.Transformer{TimeField: "t", TimeFormat: "unix"}, `{"t":"noon"}`},
		"a time of another kind":       {iot.Transformer{TimeField: "t", TimeFormat: "rfc3339"}, `{"t":1}`},
		"a time that is too far":       {iot.Transformer{TimeField: "t", TimeFormat: "rfc3339"}, `{"t":"9999-01-01T00:00:00Z"}`},
		"a time with a large exponent": {iot.Transformer{TimeField: "t", TimeFormat: "unix"}, `[{"t":1e999999999}]`},
	} {
		_, err := Transform(&iot.Profile{ContentType: iot.JSONObjects, Transformer: c.o}, []byte(c.payload), false, now)
		if iot.CodeOf(err) != iot.Invalid || !strings.Contains(err.Error(), "payload") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A list that grows by Created stays within the bound of a message.
func TestTransformedListIsBounded(t *testing.T) {
	payload := "[" + strings.TrimSuffix(strings.Repeat("{},", 100_000), ",") + "]"
	_, err := Transform(&iot.Profile{ContentType: iot.JSONObjects, Transformer: iot.Transformer{TimeField: "t"}}, []byte(payload), false, now)
	if iot.CodeOf(err) != iot.TooLarge {
		t.Errorf("%v", err)
	}
}

func TestAnyJSONIsLeftAlone(t *testing.T) {
	for _, payload := range []string{` 1`, `"<&>"`, `[1,{"a":12345678901234567890}]`} {
		for _, p := range []*iot.Profile{nil, {}, {Transformer: iot.Transformer{DataField: "a"}}} {
			got, err := Transform(p, []byte(payload), false, now)
			if err != nil || string(got.Payload) != payload {
				t.Errorf("%s becomes %s, %v", payload, got.Payload, err)
			}
		}
	}
}

func TestDecimals(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{"0.1", "0.2", "0.3"}, {"1.10", "0", "1.1"}, {"-5", "5", "0"}, {"1e21", "0", "1e21"}, {"1e20", "1", "100000000000000000001"},
		{"12345678901234567890", "0.5", "12345678901234567890.5"}, {"1e-7", "0", "1e-7"}, {"-0.000001", "0", "-0.000001"}, {"1.5E+2", "0", "150"},
	} {
		a, okA := parseDecimal(c.a)
		b, okB := parseDecimal(c.b)
		if got := a.plus(b).String(); !okA || !okB || got != c.want {
			t.Errorf("%s + %s = %s, want %s", c.a, c.b, got, c.want)
		}
	}
	for _, text := range []string{"", "e5", "1e401", "1_0", "1.+5", "0x1", strings.Repeat("9", 401)} {
		if d, ok := parseDecimal(text); ok {
			t.Errorf("%q is %s", text, d)
		}
	}
}

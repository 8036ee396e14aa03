package iot_test

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"

	"thingpost/internal/iot"
)

func TestInstantJSON(t *testing.T) {
	berlin := time.FixedZone("", 3600)
	cases := map[string]struct {
		in   iot.Instant
		want string
	}{
		"zero":         {0, `null`},
		"zero time":    {iot.At(time.Time{}), `null`},
		"milliseconds": {1_800_000_000_007, `"2027-01-15T08:00:00.007Z"`},
		"whole second": {1_800_000_000_000, `"2027-01-15T08:00:00.000Z"`},
		"another zone": {iot.At(time.Date(2026, 1, 31, 9, 0, 0, 999_999, berlin)), `"2026-01-31T08:00:00.000Z"`},
		"before 1970":  {-1, `"1969-12-31T23:59:59.999Z"`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b, err := json.Marshal(c.in)
			if err != nil || string(b) != c.want {
				t.Fatalf("encoded as %s, %v, want %s", b, err, c.want)
			}
			var again iot.Instant
			if err := json.Unmarshal(b, &again); err != nil || again != c.in {
				t.Errorf("read back as %d, %v, want %d", again, err, c.in)
			}
			if text := c.in.String(); c.in != 0 && `"`+text+`"` != c.want || c.in == 0 && text != "" {
				t.Errorf("prints as %q", text)
			}
		})
	}
}

func TestInstantReadsAnyRFC3339(t *testing.T) {
	for text, want := range map[string]iot.Instant{
		`"2027-01-15T08:00:00Z"`:           1_800_000_000_000,
		`"2027-01-15T09:00:00.007+01:00"`:  1_800_000_000_007,
		`"2027-01-15T08:00:00.007999999Z"`: 1_800_000_000_007,
		`null`:                             0,
	} {
		got := iot.Instant(5)
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != want {
			t.Errorf("%s was read as %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{`"2027-01-15"`, `"2027-01-15 08:00:00"`, `""`, `1800000000000`, `"yesterday"`, `{}`} {
		var got iot.Instant
		if err := json.Unmarshal([]byte(text), &got); iot.CodeOf(err) != iot.Invalid {
			t.Errorf("%s was read as %d, %v, want an invalid error", text, got, err)
		}
	}
}

func TestInstantArithmetic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		i := iot.Instant(rapid.Int64Range(-1e12, 4e12).Draw(t, "instant"))
		d := time.Duration(rapid.Int64Range(-1e9, 1e9).Draw(t, "ms")) * time.Millisecond
		if got := i.Add(d).Sub(i); got != d {
			t.Fatalf("%d + %s - %[1]d = %s", i, d, got)
		}
		if i != 0 && iot.At(i.Time()) != i {
			t.Fatalf("%d became %d by way of a time", i, iot.At(i.Time()))
		}
	})
}

func TestStatusCodeJSON(t *testing.T) {
	for code, want := range map[iot.StatusCode]string{0: `null`, 200: `200`, 599: `599`} {
		b, err := json.Marshal(code)
		if err != nil || string(b) != want {
			t.Errorf("%d encoded as %s, %v, want %s", int(code), b, err, want)
		}
		var again iot.StatusCode
		if err := json.Unmarshal(b, &again); err != nil || again != code {
			t.Errorf("%s was read as %d, %v", b, again, err)
		}
	}
	for code, want := range map[iot.StatusCode]string{503: "503 Service Unavailable", 799: "799"} {
		if got := code.Text(); got != want {
			t.Errorf("%d is %q, want %q", int(code), got, want)
		}
	}
}

package ingest

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/tidwall/gjson"
	"pgregory.net/rapid"

	"thingpost/internal/iot"
)

// now is a time with visible nanoseconds.
var now = time.Unix(1_700_000_000, 123_456_789).UTC()

func senml(payload string) (string, error) {
	t, err := Transform(&iot.Profile{ContentType: iot.SenMLJSON}, []byte(payload), false, now)
	return string(t.Payload), err
}

// The examples of RFC 8428, section 5.1, and their meaning.
func TestExamplesOfRFC8428(t *testing.T) {
	const ow = "urn:dev:ow:10e2073a0108006"
	at := func(seconds string) string { return `"time":` + seconds }
	nowText := at("1700000000123456789")
	for name, c := range map[string]struct{ pack, want string }{
		"one datapoint": {`[{"n":"urn:dev:ow:10e2073a01080063","u":"Cel","v":23.1}]`,
			`[{"name":"urn:dev:ow:10e2073a01080063","unit":"Cel",` + nowText + `,"value":23.1}]`},
		"several datapoints": {`[{"bn":"urn:dev:ow:10e2073a01080063:","n":"voltage","u":"V","v":120.1},{"n":"current","u":"A","v":1.2}]`,
			`[{"name":"urn:dev:ow:10e2073a01080063:voltage","unit":"V",` + nowText +
				`,"value":120.1},{"name":"urn:dev:ow:10e2073a01080063:current","unit":"A",` + nowText + `,"value":1.2}]`},
		"each second before": {`[{"bn":"` + ow + `:","bt":1.276020076001e+09,"bu":"A","bver":5,"n":"voltage","u":"V","v":120.1},` +
			`{"n":"current","t":-5,"v":1.2},{"n":"current","t":-4,"v":1.3},{"n":"current","v":1.7}]`,
			`[{"name":"` + ow + `:current","unit":"A",` + at("1276020071001000000") + `,"value":1.2},{"name":"` + ow + `:current","unit":"A",` +
				at("1276020072001000000") + `,"value":1.3},` +
				`{"name":"` + ow + `:voltage","unit":"V",` + at("1276020076001000000") + `,"value":120.1},{"name":"` + ow + `:current","unit":"A",` +
				at("1276020076001000000") + `,"value":1.7}]`},
		"several measurements": {`[{"bn":"` + ow + `3","bt":1.320067464e+09,"bu":"%RH","v":20},{"u":"lon","v":24.30621},{"u":"lat",` +
			`"v":60.07965},{"t":60,"v":20.3},{"u":"lon","t":60,"v":24.30622},{"u":"%EL","t":150,"v":98}]`,
			`[{"name":"` + ow + `3","unit":"%RH",` + at("1320067464000000000") + `,"value":20},{"name":"` + ow + `3","unit":"lon",` +
				at("1320067464000000000") + `,"value":24.30621},` +
				`{"name":"` + ow + `3","unit":"lat",` + at("1320067464000000000") + `,"value":60.07965},{"name":"` + ow + `3","unit":"%RH",` +
				at("1320067524000000000") + `,"value":20.3},` +
				`{"name":"` + ow + `3","unit":"lon",` + at("1320067524000000000") + `,"value":24.30622},{"name":"` + ow + `3","unit":"%EL",` +
				at("1320067614000000000") + `,"value":98}]`},
		"several types": {`[{"bn":"urn:dev:ow:10e2073a01080063:","n":"temp","u":"Cel","v":23.1},{"n":"label","vs":"Machine Room"},{"n":"open",` +
			`"vb":false},{"n":"nfc-reader","vd":"aGkgCg"}]`,
			`[{"name":"urn:dev:ow:10e2073a01080063:temp","unit":"Cel",` + nowText + `,"value":23.1},{"name":"urn:dev:ow:10e2073a01080063:label",` +
				nowText + `,"string_value":"Machine Room"},` +
				`{"name":"urn:dev:ow:10e2073a01080063:open",` + nowText + `,"bool_value":false},{"name":"urn:dev:ow:10e2073a01080063:nfc-reader",` +
				nowText + `,"data_value":"aGkgCg"}]`},
		"a collection of resources": {`[{"bn":"2001:db8::2/","bt":1.320078429e+09,"n":"temperature","u":"Cel","v":25.2},{"n":"humidity",` +
			`"u":"%RH","v":30},{"bn":"2001:db8::1/","n":"temperature","u":"Cel","v":12.3},{"n":"humidity","u":"%RH","v":67}]`,
			`[{"name":"2001:db8::2/temperature","unit":"Cel",` + at("1320078429000000000") +
				`,"value":25.2},{"name":"2001:db8::2/humidity","unit":"%RH",` + at("1320078429000000000") + `,"value":30},` +
				`{"name":"2001:db8::1/temperature","unit":"Cel",` + at("1320078429000000000") +
				`,"value":12.3},{"name":"2001:db8::1/humidity","unit":"%RH",` + at("1320078429000000000") + `,"value":67}]`},
		"an actuator, from now on": {`[{"bt":1,"bn":"urn:dev:ow:10e2073a01080063:","n":"set","vb":true},{"n":"other","t":-1,"vb":false}]`,
			`[{"name":"urn:dev:ow:10e2073a01080063:other",` + nowText + `,"bool_value":false},{"name":"urn:dev:ow:10e2073a01080063:set",` +
				at("1700000001123456789") + `,"bool_value":true}]`},
		"base values and sums": {`[{"bn":"dev1:","bv":20,"bs":100,"n":"temp","v":1.5,"s":2},{"n":"hum","v":0.10},{"n":"energy","bs":5},` +
			`{"n":"x","vs":"y"}]`,
			`[{"name":"dev1:temp",` + nowText + `,"value":21.5,"sum":102},{"name":"dev1:hum",` + nowText +
				`,"value":20.1,"sum":100},{"name":"dev1:energy",` + nowText + `,"value":20,"sum":5},{"name":"dev1:x",` + nowText +
				`,"string_value":"y","sum":5}]`},
		"bases alone": {`[{"bn":"dev1:","bt":1700000000},{"n":"temp","u":"Cel","v":21.5}]`,
			`[{"name":"dev1:temp","unit":"Cel",` + at("1700000000000000000") + `,"value":21.5}]`},
		"digits, update time, unknown fields": {`[{"n":"a","v":12345678901234567890.10,"ut":3.50,"colour":"red"}]`,
			`[{"name":"a",` + nowText + `,"update_time":3.50,"value":12345678901234567890.10}]`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := senml(c.pack)
			if err != nil || got != c.want {
				t.Errorf("%v\n%s, want\n%s", err, got, c.want)
			}
			// The same in CBOR. Its doubles have no more than 17 digits.
			if strings.Contains(c.pack, "12345678901234567890") {
				return
			}
			binary, err := Transform(nil, packCBOR(t, c.pack), true, now)
			if err != nil || canonical(t, string(binary.Payload)) != canonical(t, c.want) {
				t.Errorf("of CBOR: %v\n%s, want\n%s", err, binary.Payload, c.want)
			}
		})
	}
}

// canonical is JSON with numbers as doubles.
func canonical(t testing.TB, s string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// packCBOR converts a pack from JSON to CBOR.
func packCBOR(t testing.TB, pack string) []byte {
	t.Helper()
	labels := map[string]int{"bver": -1, "bn": -2, "bt": -3, "bu": -4, "bv": -5, "bs": -6, "n": 0, "u": 1, "v": 2, "vs": 3, "vb": 4, "s": 5,
		"t": 6, "ut": 7, "vd": 8}
	var list []map[any]any
	gjson.Parse(pack).ForEach(func(_, e gjson.Result) bool {
		m := map[any]any{}
		e.ForEach(func(key, v gjson.Result) bool {
			label, ok := labels[key.Str]
			switch n, err := strconv.ParseInt(v.Raw, 10, 64); {
			case !ok:
				m[key.Str] = v.Value()
			case key.Str == "vd":
				m[label] = []byte("hi \n")
			case v.Type == gjson.Number && err == nil:
				m[label] = n
			default:
				m[label] = v.Value()
			}
			return true
		})
		list = append(list, m)
		return true
	})
	b, err := cbor.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The bytes of RFC 8428's own example in CBOR, section 6.
func TestCBORExampleOfRFC8428(t *testing.T) {
	binary := []byte("\x87\xa7\x21\x78\x1b\x75\x72\x6e\x3a\x64\x65\x76\x3a\x6f\x77\x3a" +
		"\x31\x30\x65\x32\x30\x37\x33\x61\x30\x31\x30\x38\x30\x30\x36\x3a" +
		"\x22\xfb\x41\xd3\x03\xa1\x5b\x00\x10\x62\x23\x61\x41\x20\x05\x00\x67\x76" +
		"\x6f\x6c\x74\x61\x67\x65\x01\x61\x56\x02\xfb\x40\x5e\x06\x66\x66\x66\x66\x66" +
		"\xa3\x00\x67\x63\x75\x72\x72\x65\x6e\x74\x06\x24\x02\xfb\x3f\xf3\x33\x33\x33\x33\x33\x33" +
		"\xa3\x00\x67\x63\x75\x72\x72\x65\x6e\x74\x06\x23\x02\xfb\x3f\xf4\xcc\xcc\xcc\xcc\xcc\xcd" +
		"\xa3\x00\x67\x63\x75\x72\x72\x65\x6e\x74\x06\x22\x02\xfb\x3f\xf6\x66\x66\x66\x66\x66\x66" +
		"\xa3\x00\x67\x63\x75\x72\x72\x65\x6e\x74\x06\x21\x02\xf9\x3e\x00" +
		"\xa3\x00\x67\x63\x75\x72\x72\x65\x6e\x74\x06\x20\x02\xfb\x3f\xf9\x99\x99\x99\x99\x99\x9a" +
		"\xa3\x00\x67\x63\x75\x72\x72\x65\x6e\x74\x06\x00\x02\xfb\x3f\xfb\x33\x33\x33\x33\x33\x33")
	got, err := Transform(nil, binary, true, now)
	if err != nil {
		t.Fatal(err)
	}
	var list []struct {
		Name, Unit string
		Time       int64
		Value      float64
	}
	if err := json.Unmarshal(got.Payload, &list); err != nil || len(list) != 7 {
		t.Fatalf("%v: %s", err, got.Payload)
	}
	const t0 = 1276020076001000000
	for i, v := range []float64{1.2, 1.3, 1.4, 1.5, 1.6} {
		if r := list[i]; r.Value != v || r.Name != "urn:dev:ow:10e2073a0108006:current" || r.Unit != "A" ||
			r.Time/1e6 != (t0-int64(5-i)*1e9)/1e6 {
			t.Errorf("record %d is %+v", i, r)
		}
	}
	if list[5].Name != "urn:dev:ow:10e2073a0108006:voltage" || list[5].Unit != "V" || list[5].Value != 120.1 || list[6].Value != 1.7 {
		t.Errorf("the last ones are %+v", list[5:])
	}
}

func TestCBORNumbers(t *testing.T) {
	huge, _ := new(big.Int).SetString("123456789012345678901234567890", 10)
	for name, c := range map[string]struct {
		value any
		want  string
	}{
		"decimal fraction":          {cbor.Tag{Number: 4, Content: []any{-2, 2315}}, "23.15"},
		"big number":                {*huge, "123456789012345678901234567890"},
		"negative":                  {-7, "-7"},
		"not a number":              {[]byte{1}, ""},
		"infinity":                  {1 / zero(), ""},
		"another tag":               {cbor.Tag{Number: 5, Content: []any{-2, 2315}}, ""},
		"an exponent out of bounds": {cbor.Tag{Number: 4, Content: []any{1_000_000_000, 1}}, ""},
	} {
		b, err := cbor.Marshal([]map[any]any{{0: "a", 2: c.value}})
		if err != nil {
			t.Fatal(err)
		}
		got, err := Transform(nil, b, true, now)
		if v := gjson.GetBytes(got.Payload, "0.value").Raw; v != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q, %v", name, v, err)
		}
	}
}

func zero() float64 { return 0 }

func TestBadSenML(t *testing.T) {
	for pack, says := range map[string]string{
		`{"n":"a","v":1}`:                         "list of records",
		`[]`:                                      "no records",
		`[1]`:                                     "record 1 must be an object",
		`[{"bn":"a"}]`:                            "no records",
		`[{"v":1}]`:                               "name",
		`[{"n":"-a","v":1}]`:                      "name",
		`[{"n":"a b","v":1}]`:                     "name",
		`[{"n":"a"}]`:                             "no value",
		`[{"n":"a","v":1,"vs":"x"}]`:              "more than one value",
		`[{"n":"a","v":"1"}]`:                     "number as v",
		`[{"n":"a","vs":1}]`:                      "text as vs",
		`[{"n":"a","vb":1}]`:                      "true or false",
		`[{"n":"a","vd":"%%"}]`:                   "base64url",
		`[{"n":"a","v":1,"v":2}]`:                 "twice",
		`[{"n":"a","v":1,"x_":2}]`:                "must be understood",
		`[{"n":"a","v":1,"bver":11}]`:             "version",
		`[{"n":"a","v":1},{"bver":5,"v":1}]`:      "another version",
		`[{"n":"a","v":1,"t":1e10}]`:              "too far",
		`[{"n":"a","v":1,"t":1e999999999}]`:       "number as t",
		`[{"n":"a","v":1,"t":1e-999999999}]`:      "number as t",
		`[{"n":"a","bv":1e-9999999,"v":1}]`:       "number as bv",
		`[{"n":"a","v":1},{"n":"b","v":1},"end"]`: "record 3",
	} {
		got, err := senml(pack)
		if iot.CodeOf(err) != iot.Invalid || !strings.Contains(err.Error(), says) || !errors.Is(err, ErrSenML) {
			t.Errorf("%s: %s, %v", pack, got, err)
		}
	}
	for name, b := range map[string][]byte{"JSON": []byte(`[{"n":"a","v":1}]`), "nothing": nil, "cut": packCBOR(t, `[{"n":"a","v":1}]`)[:5],
		"more behind": append(packCBOR(t, `[{"n":"a","v":1}]`), 0)} {
		if _, err := Transform(nil, b, true, now); !errors.Is(err, ErrSenML) {
			t.Errorf("%s as CBOR: %v", name, err)
		}
	}
}

// A short pack does not make a long message.
func TestSenMLIsBounded(t *testing.T) {
	pack := `[{"bn":"` + strings.Repeat("x", 1000) + `","n":"a","v":1}` + strings.Repeat(`,{"v":1}`, 10_000) + `]`
	if _, err := senml(pack); iot.CodeOf(err) != iot.TooLarge {
		t.Errorf("%d bytes: %v", len(pack), err)
	}
}

// plain is a record without bases.
type plain struct {
	Name string
	Unit string
	Time int64 // milliseconds
	Kind int   // of the value
	N    int64 // thousandths
	Text string
	Sum  int64
}

func (p plain) want() string {
	out := `{"name":"` + p.Name + `"`
	if p.Unit != "" {
		out += `,"unit":"` + p.Unit + `"`
	}
	out += `,"time":` + strconv.FormatInt(p.Time*1_000_000, 10)
	switch p.Kind {
	case 0:
		out += `,"value":` + thousandths(p.N)
	case 1:
		out += `,"string_value":"` + p.Text + `"`
	case 2:
		out += `,"bool_value":true`
	}
	if p.Kind == 3 {
		out += `,"sum":` + thousandths(p.Sum)
	}
	return out + "}"
}

func thousandths(n int64) string { return decimal{big.NewInt(n), -3}.String() }

// Moving parts of records into bases does not change the result.
func TestNormalisationUndoesBases(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		records := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) plain {
			return plain{
				Name: rapid.StringMatching(`[a-zA-Z0-9][a-z0-9:./_-]{0,8}`).Draw(t, "name"),
				Unit: rapid.SampledFrom([]string{"Cel", "V", "%RH"}).Draw(t, "unit"),
				Time: rapid.Int64Range(1_000_000_000_000, 4_000_000_000_000).Draw(t, "time"),
				Kind: rapid.IntRange(0, 3).Draw(t, "kind"),
				N:    rapid.Int64Range(-1<<40, 1<<40).Draw(t, "n"),
				Text: rapid.StringMatching(`[a-z<>&é ]{0,5}`).Draw(t, "text"),
				Sum:  rapid.Int64Range(-1<<40, 1<<40).Draw(t, "sum"),
			}
		}), 1, 8).Draw(t, "records")
		var pack, want []string
		var baseTime, baseValue int64
		baseName, baseUnit := "", ""
		for i, p := range records {
			var m []string
			add := func(label, value string) { m = append(m, `"`+label+`":`+value) }
			if rapid.Bool().Draw(t, fmt.Sprintf("new bases %d", i)) {
				cut := rapid.IntRange(0, len(p.Name)).Draw(t, "cut")
				baseName, baseUnit = p.Name[:cut], rapid.SampledFrom([]string{"Cel", "V"}).Draw(t, "base unit")
				baseTime, baseValue = rapid.Int64Range(0, 2_000_000_000_000).Draw(t, "base time"), rapid.Int64Range(-5000, 5000).Draw(t, "base value")
				add("bn", `"`+baseName+`"`)
				add("bu", `"`+baseUnit+`"`)
				add("bt", thousandths(baseTime))
				add("bv", thousandths(baseValue))
			}
			if !strings.HasPrefix(p.Name, baseName) {
				baseName = ""
				add("bn", `""`)
			}
			add("n", `"`+p.Name[len(baseName):]+`"`)
			if p.Unit != baseUnit {
				add("u", `"`+p.Unit+`"`)
			}
			add("t", thousandths(p.Time-baseTime))
			switch p.Kind {
			case 0:
				add("v", thousandths(p.N-baseValue))
			case 1:
				add("vs", `"`+p.Text+`"`)
			case 2:
				add("vb", "true")
			case 3:
				add("s", thousandths(p.Sum))
			}
			pack = append(pack, `{`+strings.Join(rapid.Permutation(m).Draw(t, "order"), ",")+`}`)
		}
		order := slices.Clone(records)
		slices.SortStableFunc(order, func(a, b plain) int { return int(a.Time/1000-b.Time/1000)*1000 + int(a.Time%1000-b.Time%1000) })
		for _, p := range order {
			want = append(want, p.want())
		}
		text := "[" + strings.Join(pack, ",") + "]"
		got, err := senml(text)
		if w := "[" + strings.Join(want, ",") + "]"; err != nil || got != w {
			t.Fatalf("%s\n%v\n%s, want\n%s", text, err, got, w)
		}
		for i, e := range gjson.Parse(got).Array() {
			if i > 0 && e.Get("time").Int() < gjson.Get(got, strconv.Itoa(i-1)+".time").Int() {
				t.Fatalf("not in order of time: %s", got)
			}
		}
	})
}

func FuzzTransform(f *testing.F) {
	f.Add(`[{"bn":"a","bt":1,"bv":1e3,"n":"b","v":1.5,"s":2,"u":"x"}]`, false)
	f.Add(`{"d":{"t":1700000000,"v":[1,{"a":2}]},"t":"2026-01-01T00:00:00Z"}`, false)
	f.Add("\x81\xa2\x00\x61a\x02\x01", true)
	profiles := []*iot.Profile{{ContentType: iot.SenMLJSON},
		{ContentType: iot.JSONObjects, Transformer: iot.Transformer{DataField: "d", DataFilters: []string{"v.a", "t"}, TimeField: "t"}}}
	f.Fuzz(func(t *testing.T, payload string, binary bool) {
		if !binary && !json.Valid([]byte(payload)) {
			return
		}
		for _, p := range profiles {
			got, err := Transform(p, []byte(payload), binary, now)
			if err == nil && !json.Valid(got.Payload) {
				t.Errorf("%q becomes %q", payload, got.Payload)
			}
		}
	})
}

// Base and value can each have few digits, and their sum many.
func TestSenMLSumsAreBounded(t *testing.T) {
	digits := strings.Repeat("7", 300)
	if v, err := senml(`[{"n":"a","bv":7e400,"v":1e-400}]`); err != nil || len(v) < 800 {
		t.Errorf("801 digits: %.80s, %v", v, err)
	}
	for _, pack := range []string{`[{"n":"a","bv":` + digits + `e400,"v":1e-400}]`, `[{"n":"a","bs":` + digits + `e400,"s":1e-400}]`} {
		if v, err := senml(pack); err == nil || !strings.Contains(err.Error(), "more than 1,000 digits") {
			t.Errorf("1,100 digits: %.80s, %v", v, err)
		}
	}
}

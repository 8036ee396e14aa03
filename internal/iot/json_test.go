package iot

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

func nested(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

func TestReadJSON(t *testing.T) {
	digits := func(n int) string { return strings.Repeat("7", n) }
	objects := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	for name, c := range map[string]struct{ text, want string }{ // part of the error; "" for none
		"a value":                {" {\"a\" : [1, -0.5e+3, true, false, null, \"\\u00e4\\n\"], \"b\":{}, \"c\":[ ]}\r\n", ""},
		"a mark":                 {"\ufeff{}", ""},
		"two marks":              {"\ufeff\ufeff{}", "byte 1, line 1, column 1: invalid character"},
		"a mark alone":           {"\ufeff", "unexpected end"},
		"nothing":                {"", "byte 0, line 1, column 1: unexpected end"},
		"a second line":          {"{\n \"a\": x}", "byte 9, line 2, column 7: invalid character 'x'"},
		"something behind":       {`{} 1`, "byte 4, line 1, column 4: invalid character '1' after top-level"},
		"cut off":                {`{"a":"b`, "byte 7, line 1, column 7: unexpected end"},
		"a lonely byte":          {"{\"a\":\"\xff\"}", "byte 7, line 1, column 7: the byte 0xff is not UTF-8"},
		"Latin-1":                {"{\n\"a\":\"gr\xfcn\"}", "byte 10, line 2, column 8: the byte 0xfc is not UTF-8"},
		"in a name":              {"{\"\xe4\":1}", "byte 3, line 1, column 3: the byte 0xe4 is not UTF-8"},
		"a character cut off":    {"\"\xe2\x82\"", "byte 2, line 1, column 2: the byte 0xe2"},
		"an encoded surrogate":   {"\"\xed\xa0\x80\"", "the byte 0xed is not UTF-8"},
		"too long a form":        {"\"\xc0\xaf\"", "the byte 0xc0 is not UTF-8"},
		"U+FFFD itself":          {`"` + "\ufffd" + `"`, ""},
		"outside strings":        {"\xff", "not valid JSON (byte 1"},
		"a pair":                 {`"\ud83d\uDE00"`, ""},
		"a first half":           {`["\ud83d"]`, `byte 3, line 1, column 3: \ud83d is half of a surrogate pair`},
		"a first half and more":  {`"\ud83dx\ude00"`, `\ud83d is half`},
		"a second half":          {`"\uDE00\ud83d"`, `\uDE00 is half`},
		"two first halves":       {`"\ud83d\ud83d\ude00"`, `byte 2, line 1, column 2: \ud83d is half`},
		"a half, then a bad one": {`"\ud83d\u12x4"`, "invalid character 'x'"},
		"512 lists":              {nested(512), ""},
		"513 lists":              {nested(513), "nested too deep (byte 513, line 1, column 513): at most 512"},
		"512 objects":            {objects(512), ""},
		"513 objects":            {objects(513), "nested too deep (byte 2561,"},
		"far too many":           {strings.Repeat("[", 1<<20), "nested too deep (byte 513,"},
		"many beside":            {"[" + strings.Repeat(nested(511)+",", 100) + nested(511) + "]", ""},
		"1,000 digits":           {digits(1000), ""},
		"1,001 digits":           {"[1," + digits(1001) + "]", "number in the body is too long (byte 4, line 1, column 4): at most 1,000"},
		"with all its parts":     {"-" + digits(500) + "." + digits(400) + "e-" + digits(100), ""},
		"one more in each part":  {"-" + digits(500) + "." + digits(400) + "E+" + digits(101), "number in the body is too long (byte 1,"},
		"digits in a text":       {`"` + digits(5000) + `"`, ""},
	} {
		got, err := ReadJSON([]byte(c.text))
		if c.want == "" {
			if err != nil || string(got) != strings.TrimPrefix(c.text, "\ufeff") {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if CodeOf(err) != Invalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if beyond := strings.Contains(c.want, "too"); errors.Is(err, ErrJSONBounds) != beyond {
			t.Errorf("%s: beyond bounds: %v", name, !beyond)
		}
	}
}

// bounds measures a valid text by another decoder.
func bounds(t *testing.T, text []byte) (depth, digits int) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	open := 0
	for {
		token, err := d.Token()
		if err != nil {
			return depth, digits
		}
		switch v := token.(type) {
		case json.Delim:
			if v == '[' || v == '{' {
				open++
				depth = max(depth, open)
			} else {
				open--
			}
		case json.Number:
			n := 0
			for _, c := range v.String() {
				if c >= '0' && c <= '9' {
					n++
				}
			}
			digits = max(digits, n)
		}
	}
}

func FuzzReadJSON(f *testing.F) {
	for _, seed := range []string{`{"a":[1,-0.5e+3,true,null,"\u00e4\n"],"b":{}}`, "\ufeff[ ]", "\"\xff\"", `"\ud83d"`, `"\ud83d\ude00"`,
		nested(512), nested(513),
		strings.Repeat("1", 1001), "01", "1.", "-", "1e", "\"\t\"", "{\"a\" 1}", "[1,]", "{,}", "truth", "nul", "\x00", "[1}", "\"\\x\"",
		"\"\\u12"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := ReadJSON(text)
		plain := bytes.TrimPrefix(text, []byte("\ufeff"))
		if err == nil {
			var v any
			d := json.NewDecoder(bytes.NewReader(plain))
			d.UseNumber()
			if !bytes.Equal(got, plain) || !json.Valid(plain) || !utf8.Valid(plain) || d.Decode(&v) != nil {
				t.Fatalf("%q was taken", text)
			}
			if depth, digits := bounds(t, plain); depth > MaxJSONDepth || digits > MaxJSONDigits {
				t.Fatalf("%q was taken with a depth of %d and %d digits", text, depth, digits)
			}
			// Reading lost no character: none is half.
			again, err := json.Marshal(v)
			if err != nil || bytes.Contains(again, []byte(`\ufffd`)) && !bytes.Contains(plain, []byte("\ufffd")) &&
				!bytes.Contains(bytes.ToLower(plain), []byte(`\ufffd`)) {
				t.Fatalf("%q was taken and reads %s", text, again)
			}
			return
		}
		if CodeOf(err) != Invalid {
			t.Fatal(err)
		}
		if !json.Valid(plain) || !utf8.Valid(plain) {
			return
		}
		if errors.Is(err, ErrJSONBounds) {
			if depth, digits := bounds(t, plain); depth <= MaxJSONDepth && digits <= MaxJSONDigits {
				t.Fatalf("%q was refused: %v", text, err)
			}
		} else if !bytes.Contains(bytes.ToLower(plain), []byte(`\ud`)) {
			t.Fatalf("%q was refused: %v", text, err)
		}
	})
}

func TestReadJSONAllocatesNothing(t *testing.T) {
	text := []byte(jsonOf(4 << 10))
	if n := testing.AllocsPerRun(100, func() { _, _ = ReadJSON(text) }); n > 0 {
		t.Errorf("%v pieces of memory", n)
	}
}

// jsonOf returns a message of about a size.
func jsonOf(size int) string {
	var b strings.Builder
	b.WriteString(`{"payload":{"temperature":21.5,"unit":"°C","ok":true,"list":[`)
	for i := 0; b.Len() < size-60; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"n":%d,"name":"probe in the greenhouse, row %d"}`, i*7919, i)
	}
	return b.String() + `]},"channel":"climate"}`
}

func BenchmarkReadJSON(b *testing.B) {
	for _, size := range []int{150, 100 << 10} {
		text := []byte(jsonOf(size))
		b.Run(fmt.Sprintf("%d/ReadJSON", size), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if _, err := ReadJSON(text); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("%d/json.Valid", size), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if !json.Valid(text) {
					b.Fatal("not valid")
				}
			}
		})
	}
}

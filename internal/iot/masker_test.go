package iot

import (
	"encoding/json"
	"html"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestMasker(t *testing.T) {
	for _, c := range []struct{ secret, text, want string }{
		{"longenough", "xlongenoughy", "x•••y"},
		{"abc", `no abc, "abc" (abc) key=abc&x abc_ _abc \nabc %20abc \u0022abc`,
			`no •••, "•••" (•••) key=•••&x •••_ _••• \n••• %20••• \u0022•••`},
		{"abc", "abcd xabc ABC abc1 1abc", "abcd xabc ABC abc1 1abc"},
		{"aba", "ababa aba", "ababa •••"},
		{"1", "1 of 10, 1", "••• of 10, •••"},
		{"#1", "a#1 #12 #1", "a••• #12 •••"},
		{"é", "café é", "caf••• •••"},
		{"Bearer abc", "Bearer abc, abc, Bearer", "•••, •••, Bearer"},
		{"correct horse battery", "horse battery", "horse •••"},
		{"Basic YWRhOnNlc2FtZS0x", `login ada:sesame-1, password sesame-1, "YWRhOnNlc2FtZS0x"`,
			`login •••, password •••, "•••"`},
		{`a/b"c<d&e f`, `{"x":"a/b\"c\u003cd\u0026e f","y":"a\/b\"c<d&e f"} a%2fb%22c%3cd%26e+f a%2Fb%22c%3Cd&e%20f <p>a/b&#34;c&lt;d&amp;e ` +
			`f</p> a/b&quot;c&lt;d&amp;e f`,
			`{"x":"•••","y":"•••"} ••• ••• <p>•••</p> •••`},
		{"", "nothing", "nothing"},
		{" ", "no thing", "no thing"},
	} {
		if got := NewMasker(Secret(c.secret)).Mask(c.text); got != c.want {
			t.Errorf("%q of\n%s is\n%s, want\n%s", c.secret, c.text, got, c.want)
		}
	}
	m := NewMasker("abc", "in", "abcdefghij", "cdefghijkl")
	if got := m.Mask("abcdefghij cdefghijkl abc"); got != "••• ••• •••" {
		t.Errorf("several: %s", got)
	}
	if got := m.MaskURL("https://in.example/abc/abcdefghij?in"); got != "https://in.example/abc/•••?in" {
		t.Errorf("an address: %s", got)
	}
	if got := (*Masker)(nil).Mask("x"); got != "x" {
		t.Errorf("nil: %s", got)
	}
}

// A quoted secret is masked in any surroundings. Texts without one stay.
func FuzzMasker(f *testing.F) {
	f.Add("s3cr3t-value", `{"error":"bad `, `"}`)
	f.Add("abc", "key=", "&x=1")
	f.Add("Bearer x", "", " ")
	f.Add(`a"<é`, "1", "%20")
	f.Add("1", "1 1", "11")
	f.Fuzz(func(t *testing.T, secret, before, after string) {
		if secret = strings.TrimSpace(secret); secret == "" || strings.Contains(secret, " ") || strings.Contains(Mask, secret) ||
			strings.Contains(secret, "•") || !utf8.ValidString(secret+before+after) {
			return
		}
		m := NewMasker(Secret(secret))
		around := before + "\n" + after
		if holds := func(form string) bool { return strings.Contains(around, form) }; !slices.ContainsFunc(m.forms, holds) &&
			m.Mask(around) != around {
			t.Errorf("%q changes %q, which does not hold it", secret, around)
		}
		quoted, err := json.Marshal(secret)
		if err != nil {
			t.Fatal(err)
		}
		for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), html.EscapeString(secret), string(quoted)} {
			text := before + " " + form + " " + after
			got := m.Mask(text)
			if strings.Contains(got, " "+secret+" ") || len(form) >= 8 && strings.Contains(got, form) || !strings.Contains(got, Mask) {
				t.Errorf("%q in %q is shown as %q", secret, text, got)
			}
		}
	})
}

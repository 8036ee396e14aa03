package db

import (
	"reflect"
	"strings"
	"testing"

	"thingpost/internal/iot"
)

func FuzzStoredRequest(f *testing.F) {
	f.Add("POST", "https://h/a b", "X-A", "1: 2", int64(5))
	f.Fuzz(func(t *testing.T, method, url, name, value string, us int64) {
		parseTimings(value)
		parseRequest(value)
		if strings.ContainsAny(method, " \n") || strings.Contains(url, "\n") || strings.ContainsAny(name, ":\n") ||
			strings.Contains(value, "\n") {
			return // no request has them
		}
		r := iot.Request{Method: method, URL: url, Headers: iot.HeaderLines{{Name: name, Value: value}, {Name: "Last", Value: ""}}}
		if got := parseRequest(requestText(r)); !reflect.DeepEqual(got, r) {
			t.Errorf("%+v comes back as %+v", r, got)
		}
		a := &iot.Attempt{Timings: iot.Timings{DNS: us, Total: -us, TLS: us / 2}, Resent: us%2 == 0}
		if got, again := parseTimings(timingsText(a)); got != a.Timings || again != a.Resent {
			t.Errorf("%+v comes back as %+v", a.Timings, got)
		}
	})
}

// Only secrets that this host encrypted are opened, and only links that it made.
func FuzzSealed(f *testing.F) {
	s, err := openSealer(f.TempDir(), "", true)
	if err != nil {
		f.Fatal(err)
	}
	id := iot.NewIDs(7, 0, nil).Of(12345)
	f.Add([]byte("a secret"), s.embedToken(id, 1_800_000_000_000).Reveal())
	f.Add([]byte{}, "AAAA")
	f.Fuzz(func(t *testing.T, b []byte, token string) {
		if plain, err := s.open(b); err == nil && len(b) > 0 {
			t.Errorf("%x is opened: %q", b, plain)
		}
		sealed := s.seal(b)
		if plain, err := s.open(sealed); err != nil || string(plain) != string(b) {
			t.Errorf("%x comes back as %x: %v", b, plain, err)
		}
		if len(sealed) > 0 {
			sealed[len(b)%len(sealed)] ^= 1
			if _, err := s.open(sealed); err == nil {
				t.Errorf("%x is opened though it was altered", sealed)
			}
		}
		if id, until, ok := s.readEmbedToken(token); ok && s.embedToken(id, until).Reveal() != token {
			t.Errorf("%q is another text for a link", token)
		}
	})
}

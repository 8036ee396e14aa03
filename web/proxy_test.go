package web_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"thingpost/web"
)

func TestProxiesAreBelievedOnlyIfTheyAreOurs(t *testing.T) {
	var got string
	s := web.New(web.Options{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")},
		API: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.RemoteAddr })})
	for _, c := range []struct {
		peer      string
		forwarded []string
		want      string
	}{
		{"203.0.113.7:4000", nil, "203.0.113.7:4000"},
		{"203.0.113.7:4000", []string{"198.51.100.1"}, "203.0.113.7:4000"}, // not a proxy of ours
		{"10.0.0.1:4000", nil, "10.0.0.1:0"},
		{"10.0.0.1:4000", []string{"198.51.100.1"}, "198.51.100.1:0"},
		{"10.0.0.1:4000", []string{"1.1.1.1, 198.51.100.1"}, "198.51.100.1:0"}, // the sender wrote the first one
		{"10.0.0.1:4000", []string{"1.1.1.1", "198.51.100.1 , 10.0.0.9"}, "198.51.100.1:0"},
		{"10.0.0.1:4000", []string{"198.51.100.1:55555"}, "198.51.100.1:0"},
		{"[fd00::1]:4000", []string{"[2001:db8::5]:443"}, "[2001:db8::5]:0"},
		{"[fd00::1]:4000", []string{"2001:db8::5"}, "[2001:db8::5]:0"},
		{"[::ffff:10.0.0.1]:4000", []string{"198.51.100.1"}, "198.51.100.1:0"},
		{"10.0.0.1:4000", []string{"198.51.100.1, unknown"}, "10.0.0.1:0"}, // the sender behind it is unknown
		{"10.0.0.1:4000", []string{""}, "10.0.0.1:0"},
		{"10.0.0.1:4000", []string{"10.0.0.2, 10.0.0.3"}, "10.0.0.2:0"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/api/v1/projects", nil)
		r.RemoteAddr = c.peer
		for _, f := range c.forwarded {
			r.Header.Add("X-Forwarded-For", f)
		}
		got = ""
		s.Handler().ServeHTTP(httptest.NewRecorder(), r)
		if got != c.want {
			t.Errorf("%s forwarded for %q is %s, want %s", c.peer, c.forwarded, got, c.want)
		}
	}
}

package iot

import "testing"

func TestSameHost(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"https://h.example/in", "https://h.example/other?x=1", true},
		{"https://h.example", " HTTPS://me:pass@H.example{/devID}", true},
		{"https://h.example:8443/a", "https://h.example:8443?b", true},
		{"https://h.example", "http://h.example", false},
		{"https://h.example", "https://h.example:8443", false},
		{"https://h.example/in", "https://evil.example/in", false},
		{"https://h.example/in", "https://h.example@evil.example/in", false},
		{"https://h.example/in", "https://evil.example/@h.example", false},
		{"https://h.example/in", "https://evil.example?@h.example", false},
		{"https://h.example/in", "https://h.example.evil.example/", false},
		{"h.example", "h.example", false},
		{"", "", false},
	} {
		if got := SameHost(c.a, c.b); got != c.same {
			t.Errorf("%s and %s: %v", c.a, c.b, got)
		}
		if got := SameHost(c.b, c.a); got != c.same {
			t.Errorf("%s and %s: %v", c.b, c.a, got)
		}
	}
}

package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Behind a trusted proxy, a person who guesses passwords locks out only themselves.
func TestTriesBehindAProxyAreCountedByWhoMakesThem(t *testing.T) {
	t.Parallel()
	p := serve(t, adminEnv(), "-data", filepath.Join(t.TempDir(), "data"), "-trust-proxies", "127.0.0.1")
	c := &apiClient{t: t, url: p.url}
	tries := 0
	try := func(from string) int {
		tries++
		status, _ := c.exchange(http.MethodPost, p.url+"/api/v1/tokens", fmt.Sprintf(`{"email":"nobody-%d@example.com","password":"not the `+
			`password"}`, tries),
			map[string]string{"X-Forwarded-For": from})
		return status
	}
	const guesser = "203.0.113.1, 198.51.100.1" // anybody can write the entries before them
	for try(guesser) != http.StatusTooManyRequests {
		if tries > 200 {
			t.Fatal("nobody bounds the tries of an address")
		}
	}
	for _, from := range []string{"198.51.100.2", "203.0.113.1"} {
		if got := try(from); got != http.StatusUnauthorized {
			t.Errorf("from %s: %d, want 401", from, got)
		}
	}
}

// TestKnownSourcesOutliveARestart guesses from many addresses until a new one has to
// wait. An address and a browser from which the owner signed in before need not wait,
// also after a restart.
func TestKnownSourcesOutliveARestart(t *testing.T) {
	t.Parallel()
	const password = "correct horse battery"
	data := filepath.Join(t.TempDir(), "data")
	start := func() *process { return serve(t, adminEnv(), "-data", data, "-trust-proxies", "127.0.0.1") }
	p := start()
	in := visitor(t, p.url).tries("POST", "/sign-in", asks("ada@example.org", password), "X-Forwarded-For", "198.51.100.7")
	var browser string
	for _, c := range (&http.Response{Header: in.header}).Cookies() {
		if strings.HasPrefix(c.Name, "thingpost-known-") {
			browser = c.Name + "=" + c.Value
		}
	}
	if in.sessionCookie() == nil || browser == "" {
		t.Fatalf("signing in: %d, the browser is known by %q", in.status, browser)
	}
	p.end(t, syscall.SIGTERM)
	p = start()
	defer p.end(t, syscall.SIGTERM)
	c := &apiClient{t: t, url: p.url}
	token := func(from, password string) int {
		status, _ := c.exchange(http.MethodPost, p.url+"/api/v1/tokens", `{"email":"ada@example.org","password":"`+password+`"}`,
			map[string]string{"X-Forwarded-For": from})
		return status
	}
	guesses := 0
	for ; token(fmt.Sprintf("2001:db8:0:%x::1", guesses), "not the password") == http.StatusUnauthorized; guesses++ {
		if guesses > 200 {
			t.Fatal("nobody bounds the guesses at an account")
		}
	}
	if got := token("203.0.113.5", password); got != http.StatusTooManyRequests {
		t.Errorf("a new address gets %d, want 429 at the ceiling", got)
	}
	if got := token("198.51.100.7", password); got != http.StatusCreated {
		t.Errorf("the address that she used gets %d, want 201", got)
	}
	if s := visitor(t, p.url).tries("POST", "/sign-in", asks("ada@example.org", password), "X-Forwarded-For", "203.0.113.6", "Cookie",
		browser); s.sessionCookie() == nil {
		t.Errorf("the browser that she used gets %d, want a session", s.status)
	}
}

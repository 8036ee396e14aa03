package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
)

// Behind a proxy that the operator trusts, whoever guesses passwords shuts out
// nobody but themselves.
func TestTriesBehindAProxyAreCountedByWhoMakesThem(t *testing.T) {
	t.Parallel()
	p := serve(t, adminEnv(), "-data", filepath.Join(t.TempDir(), "data"), "-trust-proxies", "127.0.0.1")
	c := &apiClient{t: t, url: p.url}
	tries := 0
	try := func(from string) int {
		tries++
		status, _ := c.exchange(http.MethodPost, p.url+"/api/v1/tokens", fmt.Sprintf(`{"email":"nobody-%d@example.com","password":"not the password"}`, tries),
			map[string]string{"X-Forwarded-For": from})
		return status
	}
	const guesser = "203.0.113.1, 198.51.100.1" // who writes what stands before them
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

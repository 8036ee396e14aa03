package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// adminEnv creates the first account of a server under test.
func adminEnv() []string {
	return []string{"THINGPOST_ADMIN_EMAIL=ada@example.org", "THINGPOST_ADMIN_PASSWORD=correct horse battery"}
}

// apiClient calls the native API of a server.
type apiClient struct {
	t          *testing.T
	url, token string
}

// signIn returns a client with the first account's token.
func signIn(t *testing.T, url string) *apiClient {
	t.Helper()
	c := &apiClient{t: t, url: url}
	var answer struct{ Token string }
	c.call(http.MethodPost, "/tokens", map[string]string{"email": "ada@example.org", "password": "correct horse battery"}, 201, &answer)
	c.token = answer.Token
	return c
}

// call sends a JSON body (nil for none) and decodes the answer, which must have the
// status.
func (c *apiClient) call(method, path string, body any, want int, into any) {
	c.t.Helper()
	var text []byte
	switch b := body.(type) {
	case nil:
	case []byte:
		text = b
	default:
		var err error
		text, err = json.Marshal(b)
		must(c.t, err)
	}
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.url+"/api/v1"+path, bytes.NewReader(text))
	must(c.t, err)
	r.Header.Set("Content-Type", "application/json")
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := http.DefaultClient.Do(r)
	must(c.t, err)
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	must(c.t, err)
	if resp.StatusCode != want {
		c.t.Fatalf("%s %s answers %d, want %d: %s", method, path, resp.StatusCode, want, answer)
	}
	if into != nil {
		must(c.t, json.Unmarshal(answer, into))
	}
}

// exchange sends a request and returns the answer.
func (c *apiClient) exchange(method, url, body string, headers map[string]string) (status int, answer string) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, url, strings.NewReader(body))
	must(c.t, err)
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(r)
	must(c.t, err)
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	must(c.t, err)
	return resp.StatusCode, string(b)
}

// text gets a path with a token.
func (c *apiClient) text(path, token string) string {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, c.url+path, http.NoBody)
	must(c.t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	return answered(c.t, http.DefaultClient, req)
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(60 * time.Second)
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatal("waited in vain until ", what)
		case <-look.C:
		}
	}
}

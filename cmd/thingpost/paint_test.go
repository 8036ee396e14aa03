package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	neturl "net/url"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// firstPaint is how much a page may bring over the wire until it is there: HTML,
// stylesheet, scripts and icons together, compressed.
const firstPaint = 60 << 10

// TestFirstPaintIsSmall counts what the first visit of a page fetches, and that
// the second visit fetches the page alone.
func TestFirstPaintIsSmall(t *testing.T) {
	p := serve(t, adminEnv(), "-data", t.TempDir(), "-allow-networks", "127.0.0.0/8,::1/128")
	defer p.end(t, syscall.SIGTERM)
	fillProject(t, signIn(t, p.url))
	reader := newReader(t, p.url)
	reader.signIn("ada@example.org", "correct horse battery")
	hashed := regexp.MustCompile(`^/static/.*\.[0-9a-f]{8,}\.[a-z]+$`)
	links := regexp.MustCompile(`(?:href|src)="(/static/[^"#]+)`)
	most := 0
	for _, page := range []string{"/projects/long-words", "/projects/long-words/deliveries"} {
		html, total := reader.wire(page)
		seen := map[string]bool{}
		for _, m := range links.FindAllStringSubmatch(html, -1) {
			path := m[1]
			if seen[path] {
				continue
			}
			seen[path] = true
			if !hashed.MatchString(path) {
				t.Errorf("%s fetches %s, whose name has no hash", page, path)
			}
			_, n := reader.wire(path)
			total += n
			if cache := reader.header.Get("Cache-Control"); !strings.Contains(cache, "max-age=31536000") || !strings.Contains(cache, "immutable") {
				t.Errorf("%s is kept as %q", path, cache)
			}
		}
		most = max(most, total)
		if total > firstPaint || len(seen) < 4 {
			t.Errorf("%s brings %d bytes in %d files, more than %d or too few files", page, total, len(seen)+1, firstPaint)
		}
	}
	t.Attr("figure", fmt.Sprintf("%.1f KB", float64(most)/1024))
}

// reader asks for pages as a browser does, without one.
type reader struct {
	t      *testing.T
	url    string
	client *http.Client
	header http.Header // of the last answer
}

func newReader(t *testing.T, url string) *reader {
	t.Helper()
	jar, err := cookiejar.New(nil)
	must(t, err)
	return &reader{t: t, url: url, client: &http.Client{Jar: jar}}
}

func (r *reader) signIn(email, password string) {
	r.t.Helper()
	r.post("/sign-in", neturl.Values{"email": {email}, "password": {password}})
}

// post sends a form, and returns the page that it leads to.
func (r *reader) post(path string, form neturl.Values) string {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.url+path, strings.NewReader(form.Encode()))
	must(r.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return answered(r.t, r.client, req)
}

// answered returns what is answered to a request, which must be well.
func answered(t *testing.T, client *http.Client, req *http.Request) string {
	t.Helper()
	resp, err := client.Do(req)
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	must(t, err)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s answers %s: %s", req.Method, req.URL.Path, resp.Status, text)
	}
	return string(text)
}

// wire gets a path compressed, and returns its text and how many bytes came.
func (r *reader) wire(path string) (text string, size int) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.url+path, http.NoBody)
	must(r.t, err)
	req.Header.Set("Accept-Encoding", "gzip")
	resp, err := r.client.Do(req)
	must(r.t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	must(r.t, err)
	if r.header = resp.Header; resp.StatusCode != http.StatusOK {
		r.t.Fatalf("GET %s answers %s", path, resp.Status)
	}
	if resp.Header.Get("Content-Encoding") != "gzip" {
		return string(body), len(body)
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	must(r.t, err)
	plain, err := io.ReadAll(z)
	must(r.t, err)
	return string(plain), len(body)
}

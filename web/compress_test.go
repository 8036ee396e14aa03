package web

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestCompressTakesHTMLAlone(t *testing.T) {
	const page = "<p>one page, one page, one page</p>"
	for name, c := range map[string]struct {
		method, accept, kind string
		status               int
		zipped               bool
	}{
		"a page":               {"GET", "gzip, br", "text/html; charset=utf-8", 200, true},
		"a problem's page":     {"GET", "gzip", "text/html; charset=utf-8", 404, true},
		"a redirect":           {"GET", "gzip", "text/html; charset=utf-8", 303, false},
		"who cannot unpack it": {"GET", "", "text/html; charset=utf-8", 200, false},
		"live events":          {"GET", "gzip", "text/event-stream", 200, false},
		"an export":            {"GET", "gzip", "application/x-ndjson", 200, false},
		"a head":               {"HEAD", "gzip", "text/html; charset=utf-8", 200, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := compress(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", c.kind)
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, page)
				if err := http.NewResponseController(w).Flush(); err != nil {
					t.Error(err)
				}
			}))
			r := httptest.NewRequestWithContext(t.Context(), c.method, "/", http.NoBody)
			r.Header.Set("Accept-Encoding", c.accept)
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			if got := rec.Header().Get("Content-Encoding") == "gzip"; got != c.zipped || rec.Code != c.status {
				t.Fatalf("%d, compressed: %v, want %d, %v", rec.Code, got, c.status, c.zipped)
			}
			body := io.Reader(rec.Body)
			if c.zipped {
				z, err := gzip.NewReader(rec.Body)
				if err != nil {
					t.Fatal(err)
				}
				body = z
			}
			if text, err := io.ReadAll(body); err != nil || string(text) != page {
				t.Errorf("got %q, %v", text, err)
			}
		})
	}
	rec := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/", http.NoBody)
	r.Header.Set("Accept-Encoding", "gzip")
	compress(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(strings.Repeat("x", 9))) })).ServeHTTP(rec,
		r)
	if rec.Body.Len() != 9 {
		t.Errorf("without a type it answers %q", rec.Body)
	}
}

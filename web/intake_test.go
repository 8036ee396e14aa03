package web

import (
	"bytes"
	"compress/gzip"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"thingpost/handlers"
	"thingpost/internal/budget"
	"thingpost/internal/iot"
)

func TestABodyWaitsForMemory(t *testing.T) {
	part := budget.NewPart("intake", 1000)
	project := int64(1)
	s := New(Options{Intake: part, API: handlers.JSON(func(w http.ResponseWriter, r *http.Request) error {
		handlers.Share(r, &iot.Project{Key: project})
		body, err := handlers.ReadBody(r, 10_000)
		if err != nil {
			return err
		}
		if used := part.Stats().Used; used < 2*int64(len(body)) {
			t.Errorf("a body of %d has taken %d", len(body), used)
		}
		return handlers.WriteJSON(w, http.StatusOK, len(body))
	}, slog.New(slog.DiscardHandler))})
	post := func(size int, chunked bool) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/x", strings.NewReader(strings.Repeat("x", size)))
		if chunked {
			r.ContentLength = -1
		}
		rec := httptest.NewRecorder()
		s.Handler().ServeHTTP(rec, r)
		return rec
	}
	refused := func(what string, rec *httptest.ResponseRecorder, status int, words string) {
		t.Helper()
		if rec.Code != status || rec.Header().Get("Retry-After") != "1" || !strings.Contains(rec.Body.String(), words) {
			t.Errorf("%s: %d, %v, %s", what, rec.Code, rec.Header(), rec.Body)
		}
	}
	for _, chunked := range []bool{false, true} {
		if rec := post(400, chunked); rec.Code != http.StatusOK {
			t.Errorf("a body that fits is answered %d: %s", rec.Code, rec.Body)
		}
		if used := part.Stats().Used; used != 0 {
			t.Errorf("%d are left", used)
		}
	}
	part.Force(project, 400)
	refused("its share", post(250, false), http.StatusTooManyRequests, "of this sender are being stored at once")
	project = 2
	if rec := post(250, false); rec.Code != http.StatusOK {
		t.Errorf("another project is answered %d: %s", rec.Code, rec.Body)
	}
	part.Force(3, 500)
	refused("full", post(250, false), http.StatusServiceUnavailable, "Too many messages are being stored at once")
	refused("full, chunked", post(250, true), http.StatusServiceUnavailable, "Too many messages are being stored at once")
}

// Unpacked bytes take memory as they arrive, whatever the packed length was.
func TestAPackedBodyTakesMemory(t *testing.T) {
	const size = 200_000
	part := budget.NewPart("intake", 1<<20)
	s := New(Options{Intake: part, API: handlers.JSON(func(w http.ResponseWriter, r *http.Request) error {
		body, err := handlers.ReadBody(r, size)
		if err != nil {
			return err
		}
		if used := part.Stats().Used; used < 2*int64(len(body)) {
			t.Errorf("a body of %d has taken %d", len(body), used)
		}
		return handlers.WriteJSON(w, http.StatusOK, len(body))
	}, slog.New(slog.DiscardHandler))})
	post := func() *httptest.ResponseRecorder {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := z.Write(bytes.Repeat([]byte("x"), size)); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/x", &b)
		r.Header.Set("Content-Encoding", "gzip")
		rec := httptest.NewRecorder()
		s.Handler().ServeHTTP(rec, r)
		return rec
	}
	if rec := post(); rec.Code != http.StatusOK {
		t.Errorf("a body that fits is answered %d: %s", rec.Code, rec.Body)
	}
	part.Force(3, 900_000)
	if rec := post(); rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") != "1" {
		t.Errorf("a body without room is answered %d: %s", rec.Code, rec.Body)
	}
	if used := part.Stats().Used; used != 900_000 {
		t.Errorf("%d are taken in the end", used)
	}
}

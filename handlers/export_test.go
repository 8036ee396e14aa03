package handlers

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestCellsAreNoFormulas(t *testing.T) {
	for cell, want := range map[string]string{
		"": "", "plain": "plain", "=1+1": "'=1+1", "+31": "'+31", "-5": "-5", "-5.25e3": "-5.25e3", "-5+cmd": "'-5+cmd", "@SUM(A1)": "'@SUM(A1)",
		"\t=1": "'\t=1", "\r=1": "'\r=1", "|x": "'|x", "2026-11-21": "2026-11-21",
	} {
		if got := guardCell(cell); got != want {
			t.Errorf("%q becomes %q, want %q", cell, got, want)
		}
	}
}

// numbers is a list of n items in pages of ten; read counts the pages.
func numbers(n int, read *int, err error) Export[int] {
	at := 0
	return Export[int]{Name: "numbers", Format: CSV, Columns: []string{"number"},
		Cells: func(v *int) []string { return []string{strconv.Itoa(*v)} }, Clock: time.Now,
		Next: func(context.Context) (page []int, more bool, _ error) {
			*read++
			for range 10 {
				page = append(page, at)
				at++
			}
			if err != nil && *read == 3 {
				return nil, false, err
			}
			return page, at < n, nil
		}}
}

func TestAnExportEndsWithItsReader(t *testing.T) {
	read := 0
	ended := make(chan error, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := numbers(1<<40, &read, nil)
		ended <- e.Stream(w, r)
	}))
	defer s.Close()
	r, err := http.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, r.Body, 100); err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	if err := <-ended; err != nil {
		t.Errorf("it ends with %v", err)
	}
}

func TestHalfAnExportIsNoWholeOne(t *testing.T) {
	for failure, want := range map[error]bool{nil: true, errors.New("disk"): false} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			read := 0
			e := numbers(100, &read, failure)
			_ = e.Stream(w, r)
		}))
		r, err := http.Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		_ = r.Body.Close()
		s.Close()
		if (err == nil) != want || want && strings.Count(string(body), "\r\n") != 101 {
			t.Errorf("%v: %v after %d bytes", failure, err, len(body))
		}
	}
}

func TestTheFormatOfAnExport(t *testing.T) {
	for _, c := range []struct{ query, accept, want string }{
		{"", "", "ndjson"}, {"", "*/*", "ndjson"}, {"", "text/csv;q=0.9", "csv"}, {"", "TEXT/CSV", "csv"},
		{"?format=csv", "application/x-ndjson", "csv"},
		{"?format=ndjson", "text/csv", "ndjson"}, {"?format=xlsx", "", ""},
	} {
		r := httptest.NewRequest(http.MethodGet, "/"+c.query, nil)
		r.Header.Set("Accept", c.accept)
		if got, err := ParseExportFormat(r); string(got) != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%s %s: %q, %v", c.query, c.accept, got, err)
		}
	}
}

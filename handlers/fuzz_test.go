package handlers

import (
	"encoding/csv"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// No cell is a formula, and a line reads back as written.
func FuzzCells(f *testing.F) {
	f.Add("=1+1", "a\"b,c\r\nd")
	f.Add("-1.5e3", "\t|x")
	f.Fuzz(func(t *testing.T, a, b string) {
		cells := []string{guardCell(a), guardCell(b), "end"}
		var text strings.Builder
		w := csv.NewWriter(&text)
		if err := w.Write(cells); err != nil {
			t.Fatal(err)
		}
		w.Flush()
		rows, err := csv.NewReader(strings.NewReader(text.String())).ReadAll()
		if err != nil || len(rows) != 1 || len(rows[0]) != len(cells) {
			t.Fatalf("%q becomes %q: %v", cells, rows, err)
		}
		for i, cell := range rows[0] {
			if cell != strings.ReplaceAll(cells[i], "\r\n", "\n") { // as the format does
				t.Errorf("%q becomes %q", cells[i], cell)
			}
			if cell != "" && strings.ContainsRune("=+@\t\r\n|", rune(cell[0])) || strings.HasPrefix(cell, "-") && !plainNumber.MatchString(cell) {
				t.Errorf("%q is taken for a formula", cell)
			}
		}
	})
}

// A list's parameters are within their bounds, and unknown ones are refused.
func FuzzQuery(f *testing.F) {
	f.Add("limit=5&cursor=0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b&status=failed")
	f.Add("limit=5&limit=6;%zz")
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.RawQuery = query
		values, page, err := Query(r, "status")
		if err != nil {
			return
		}
		if page.Limit < 1 || page.Limit > MaxLimit {
			t.Errorf("%q asks for %d", query, page.Limit)
		}
		for name, v := range values {
			if len(v) != 1 || name != "limit" && name != "cursor" && name != "status" {
				t.Errorf("%q has %s = %q", query, name, v)
			}
		}
		if id, err := page.ID(); err == nil && page.Cursor != "" && !strings.EqualFold(id.String(), page.Cursor) && !id.IsZero() {
			t.Errorf("%q goes on at %s", query, id)
		}
	})
}

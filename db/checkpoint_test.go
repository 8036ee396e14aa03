package db_test

import (
	"strings"
	"testing"
	"time"
)

// The log is copied beside the writer, even if there is always something to write.
func TestTheLogStaysSmallWithoutRest(t *testing.T) {
	w, c := openAt(t)
	payload := `"` + strings.Repeat("x", 20_000) + `"`
	for range 120 { // some 120 MiB of log
		w.store(t, 50, payload, true, w.webhook)
		c.forward(time.Second)
	}
	size, err := w.Size(t.Context())
	must(t, err)
	if size.WAL > 80<<20 {
		t.Errorf("the log has %d bytes", size.WAL)
	}
	if size.File < 100<<20 {
		t.Errorf("the database has %d bytes: what was stored is not in it", size.File)
	}
	w.holds(t)
}

// After a long read of another process, which pinned many pages, the log is copied as
// soon as before it.
func TestTheLogStaysSmallAfterALongRead(t *testing.T) {
	w, c := openAt(t)
	payload := `"` + strings.Repeat("x", 20_000) + `"`
	fill := func(times int) {
		t.Helper()
		for range times {
			w.store(t, 50, payload, true, w.webhook)
			c.forward(time.Second)
		}
	}
	fill(5)
	_, end := holder(t, w.Path())
	fill(130)
	end()
	var busy, pages, copied int
	must(t, w.raw(t).QueryRowContext(t.Context(), `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &pages, &copied))
	fill(120)
	size, err := w.Size(t.Context())
	must(t, err)
	if size.WAL > 80<<20 {
		t.Errorf("the log has %d bytes", size.WAL)
	}
	w.holds(t)
}

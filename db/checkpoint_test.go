package db_test

import "testing"

// The log is copied beside the writer, even if there is always something to write.
func TestTheLogStaysSmallWithoutRest(t *testing.T) {
	w, c := openAt(t)
	w.fill(t, c, 120) // some 120 MiB of log
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
	w.fill(t, c, 5)
	_, end := holder(t, w.Path())
	w.fill(t, c, 130)
	end()
	var busy, pages, copied int
	must(t, w.raw(t).QueryRowContext(t.Context(), `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &pages, &copied))
	w.fill(t, c, 120)
	size, err := w.Size(t.Context())
	must(t, err)
	if size.WAL > 80<<20 {
		t.Errorf("the log has %d bytes", size.WAL)
	}
	w.holds(t)
}

package db_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"thingpost/db"
	"thingpost/internal/iot"
)

// killed returns a store on a copy of the files as they are now, like one that starts after
// the process was killed.
func (w *world) killed(t *testing.T) *world {
	t.Helper()
	folder := t.TempDir()
	for _, name := range []string{db.FileName, db.FileName + "-wal", db.KeyFileName} {
		content, err := os.ReadFile(filepath.Join(filepath.Dir(w.Path()), name))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(folder, name), content, 0o600))
	}
	d, err := db.Open(t.Context(), db.Options{Folder: folder})
	must(t, err)
	t.Cleanup(func() { must(t, d.Close()) })
	after := *w
	after.DB, after.beside = d, nil
	return &after
}

func (w *world) rows(t *testing.T, query string) int64 {
	t.Helper()
	n, err := w.CountAsIs(t.Context(), query)
	must(t, err)
	return n
}

const journalRows, messageRows = `SELECT count(*) FROM journal`, `SELECT count(*) FROM messages`

func TestAcceptedIsInTheJournalUntilSomebodyReads(t *testing.T) {
	w := open(t)
	a := w.store(t, 3, `1`, false, w.webhook)
	if n, in := w.rows(t, messageRows), w.rows(t, journalRows); n != 0 || in == 0 {
		t.Errorf("%d messages are in the tables, and the journal has %d rows", n, in)
	}
	// A kill now loses nothing.
	after := w.killed(t)
	for _, v := range a {
		if _, err := after.Message(t.Context(), w.project.Key, v.Message.ID); err != nil {
			t.Errorf("after a kill: %v", err)
		}
	}
	if c := after.counters(t, w.webhook); c.Made != 3 || c.Pending != 3 {
		t.Errorf("after a kill the counters are %+v", c)
	}
	if n := after.rows(t, journalRows); n != 0 {
		t.Errorf("after a start the journal has %d rows", n)
	}
	after.holds(t)
	// Nor is anything missing for who reads.
	if page, err := w.Messages(t.Context(), db.MessageFilter{ProjectKey: w.project.Key, Limit: 10}); err != nil || len(page.Items) != 3 {
		t.Errorf("a list has %d messages (%v)", len(page.Items), err)
	}
	if n, in := w.rows(t, messageRows), w.rows(t, journalRows); n != 3 || in != 0 {
		t.Errorf("after a read %d messages are in the tables, and the journal has %d rows", n, in)
	}
	w.holds(t)
}

func TestAnOutcomeGoesAlongWithTheNextMessage(t *testing.T) {
	w := open(t)
	first := w.store(t, 1, `1`, true, w.webhook)[0].Deliveries[0]
	w.store(t, 1, `2`, false, w.webhook)
	after := w.killed(t)
	if got := after.status(t, first.ID); got != iot.Delivered {
		t.Errorf("after a kill the first delivery is %s", got)
	}
	if c := after.counters(t, w.webhook); c.Made != 2 || c.Delivered != 1 || c.Pending != 1 {
		t.Errorf("after a kill the counters are %+v", c)
	}
	after.holds(t)
}

func TestAnOutcomeIsSoonOnDiskWithoutAMessage(t *testing.T) {
	w := open(t)
	v := w.store(t, 1, `1`, true, w.webhook)[0].Deliveries[0]
	deadline := time.After(20 * time.Second)
	for {
		if after := w.killed(t); after.status(t, v.ID) == iot.Delivered {
			after.holds(t)
			return
		}
		select {
		case <-deadline:
			t.Fatal("the outcome is only in memory")
		default:
		}
	}
}

// TestReplayChangesNothingTwice has a journal whose entries are in the tables already, as a
// kill leaves it before the journal is cut.
func TestReplayChangesNothingTwice(t *testing.T) {
	w := open(t)
	list := w.store(t, 2, `1`, false, w.webhook)
	w.finish(t, failed(list[0].Deliveries[0], iot.Pending))
	w.finish(t, delivered(iot.Queued{Delivery: list[1].Deliveries[0]}))
	w.store(t, 1, `2`, false, w.webhook)
	rows, err := w.Journal(t.Context())
	must(t, err)
	must(t, w.MoveJournal(t.Context()))
	want := w.counters(t, w.webhook)
	must(t, w.PutBack(rows))
	if n := w.rows(t, journalRows); n == 0 {
		t.Fatal("the journal is empty")
	}
	after := w.killed(t)
	if got := after.counters(t, w.webhook); got != want {
		t.Errorf("the counters are %+v, want %+v", got, want)
	}
	if n := after.rows(t, journalRows); n != 0 {
		t.Errorf("after a start the journal has %d rows", n)
	}
	after.holds(t)
}

func TestAnEntryThatTheTablesRefuseKeepsNoOther(t *testing.T) {
	w := open(t)
	must(t, w.PutInJournal(t.Context(), 1001, -2001, 3001))
	after := w.killed(t)
	if n := after.rows(t, messageRows); n != 2 {
		t.Errorf("%d messages were moved, want 2", n)
	}
	for range 2 {
		findings, err := after.Check(t.Context())
		must(t, err)
		var text []string
		for _, f := range findings {
			if !f.OK() {
				text = append(text, f.String())
			}
		}
		const want = "row -1 of the journal is a message or an outcome that the tables refuse"
		if all := strings.Join(text, " "); len(text) != 1 || !strings.Contains(all, want) {
			t.Errorf("check says %v", text)
		}
		after = after.killed(t) // the next start keeps it
	}
}

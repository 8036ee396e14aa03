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

func (w *world) journal(t *testing.T) int {
	t.Helper()
	n, _, err := w.JournalBytes(t.Context())
	must(t, err)
	return n
}

const messageRows = `SELECT count(*) FROM messages`

func TestAcceptedIsInTheJournalUntilSomebodyReads(t *testing.T) {
	w := open(t)
	a := w.store(t, 3, `1`, false, w.webhook)
	if n, in := w.rows(t, messageRows), w.journal(t); n != 0 || in == 0 {
		t.Errorf("%d messages are in the tables, and the journal has %d bytes", n, in)
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
	if n := after.journal(t); n != 0 {
		t.Errorf("after a start the journal has %d bytes", n)
	}
	after.holds(t)
	// Nor is anything missing for who reads.
	if page, err := w.Messages(t.Context(), db.MessageFilter{ProjectKey: w.project.Key, Limit: 10}); err != nil || len(page.Items) != 3 {
		t.Errorf("a list has %d messages (%v)", len(page.Items), err)
	}
	if n, in := w.rows(t, messageRows), w.journal(t); n != 3 || in != 0 {
		t.Errorf("after a read %d messages are in the tables, and the journal has %d bytes", n, in)
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
	_, from, err := w.JournalBytes(t.Context())
	must(t, err)
	must(t, w.MoveJournal(t.Context()))
	want := w.counters(t, w.webhook)
	must(t, w.NeedJournal(from))
	if n := w.journal(t); n == 0 {
		t.Fatal("the journal is empty")
	}
	after := w.killed(t)
	if got := after.counters(t, w.webhook); got != want {
		t.Errorf("the counters are %+v, want %+v", got, want)
	}
	if n := after.journal(t); n != 0 {
		t.Errorf("after a start the journal has %d bytes", n)
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

// TestTheJournalUsesItsRowsAgain stores far more than the journal has at once, in records
// that are shorter and longer than a chunk.
func TestTheJournalUsesItsRowsAgain(t *testing.T) {
	w := open(t)
	long := `"` + strings.Repeat("x", 9000) + `"`
	version := w.version(t)
	rows := int64(0)
	for round := range 4 {
		var list []*db.Accept
		for range 20 {
			list = append(list, w.accepted(version, `1`, w.webhook), w.accepted(version, long, w.webhook))
		}
		for _, a := range list {
			must(t, w.Accept(a))
		}
		after := w.killed(t)
		for _, a := range list {
			m, err := after.Message(t.Context(), w.project.Key, a.Message.ID)
			must(t, err)
			if string(m.Payload) != string(a.Message.Payload) {
				t.Fatal("after a kill a payload is another one")
			}
		}
		after.holds(t)
		must(t, w.MoveJournal(t.Context()))
		n := w.rows(t, `SELECT count(*) FROM journal`)
		if round > 0 && n > rows+1 {
			t.Errorf("the journal grew from %d to %d rows", rows, n)
		}
		rows = n
	}
	w.holds(t)
}

func TestTheJournalIsBoundedWhateverComesAtOnce(t *testing.T) {
	w := open(t)
	const batch = 1000
	version := w.version(t)
	for range 12 {
		list := make([]*db.Accept, batch)
		for n := range list {
			list[n] = w.accepted(version, `1`, w.webhook)
		}
		must(t, w.Accept(list...))
		if n := w.Unmoved(); n > db.MostUnmoved(batch) {
			t.Fatalf("%d entries wait", n)
		}
	}
}

// TestACommandBesideTheServerLeavesTheJournalAlone changes an account as a command beside
// the running server does.
func TestACommandBesideTheServerLeavesTheJournalAlone(t *testing.T) {
	w := open(t)
	a := w.store(t, 3, `1`, true, w.webhook)
	before := w.journal(t)
	beside, err := db.Open(t.Context(), db.Options{Folder: filepath.Dir(w.Path()), AsItIs: true})
	must(t, err)
	must(t, beside.NoteSignIn(w.account.Key, ""))
	if err := beside.Accept(w.accepted(w.version(t), `2`, w.webhook)); iot.CodeOf(err) != iot.Unavailable {
		t.Errorf("a message beside the server: %v", err)
	}
	must(t, beside.Close())
	if n := w.journal(t); n != before || w.rows(t, messageRows) != 0 {
		t.Errorf("the journal has %d bytes instead of %d", n, before)
	}
	w.store(t, 1, `3`, false, w.webhook)
	if c := w.killed(t).counters(t, w.webhook); c.Made != 4 || c.Delivered != 3 {
		t.Errorf("after a kill the counters are %+v", c)
	}
	if c := w.counters(t, w.webhook); c.Made != 4 || c.Delivered != 3 {
		t.Errorf("the counters are %+v", c)
	}
	if got := w.status(t, a[0].Deliveries[0].ID); got != iot.Delivered {
		t.Errorf("the first delivery is %s", got)
	}
	w.holds(t)
}

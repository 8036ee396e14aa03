package db_test

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"thingpost/db"
	"thingpost/internal/iot"
)

func TestACleanStopLeavesOneFile(t *testing.T) {
	w := open(t)
	w.store(t, 40, `1`, true, w.webhook)
	if _, err := os.Stat(w.Path() + "-wal"); err != nil {
		t.Fatalf("there is no WAL to be removed: %v", err)
	}
	must(t, w.Close())
	must(t, w.Close()) // the second time does nothing
	for _, end := range []string{"-wal", "-shm", "-journal"} {
		if _, err := os.Stat(w.Path() + end); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left (%v)", end, err)
		}
	}
	if err := w.Accept(w.accepted(1, `1`)); iot.CodeOf(err) != iot.Unavailable {
		t.Errorf("a closed store accepts: %v", err)
	}
	if err := w.NoteSignIn(1, ""); iot.CodeOf(err) != iot.Unavailable {
		t.Errorf("a closed store writes: %v", err)
	}
}

func TestAStoreOpensAgainAsItWas(t *testing.T) {
	w := open(t)
	a := w.store(t, 3, `{"n":1}`, false, w.webhook)[2]
	last := w.NewID()
	must(t, w.Close())
	d, err := db.Open(t.Context(), db.Options{Folder: filepath.Dir(w.Path())})
	must(t, err)
	again := &world{DB: d, project: w.project, device: w.device, webhook: w.webhook}
	defer func() { must(t, d.Close()) }()
	m, err := again.Message(t.Context(), w.project.Key, a.Message.ID)
	must(t, err)
	if string(m.Payload) != `{"n":1}` || m.ID != a.Message.ID {
		t.Errorf("the message is %+v", m)
	}
	if id := again.NewID(); id.Key() <= a.Deliveries[0].ID.Key() || id.String()[25:] != last.String()[25:] {
		t.Errorf("new ids (%s) do not go on from %s", id, last)
	}
	if b := again.accepted(again.version(t), `2`, w.webhook); again.Accept(b) != nil || b.Stale {
		t.Error("it does not know its projects' versions")
	}
}

func TestANewerOrDamagedStoreIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		harm func(t *testing.T, w *world)
		want string
	}{
		"newer": {func(t *testing.T, w *world) {
			t.Helper()
			_, err := w.raw(t).ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`)
			must(t, err)
		}, "newer version of Thingpost (schema 9999"},
		"damaged": {func(t *testing.T, w *world) {
			t.Helper()
			must(t, w.Close())
			must(t, os.WriteFile(w.Path(), []byte(strings.Repeat("no database ", 1000)), 0o600))
		}, "is damaged. Restore a backup"},
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			c.harm(t, w)
			must(t, w.Close())
			_, err := db.Open(t.Context(), db.Options{Folder: filepath.Dir(w.Path())})
			if iot.CodeOf(err) != iot.Unavailable || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// unfinished leaves a database file in the folder as a power cut leaves it when a transaction
// without a WAL has written a part of its pages: with a rollback journal.
func unfinished(t *testing.T, file string) {
	t.Helper()
	other := filepath.Join(t.TempDir(), "other.db")
	d, err := sql.Open("sqlite", other)
	must(t, err)
	d.SetMaxOpenConns(1)
	defer func() { must(t, d.Close()) }()
	for _, query := range []string{`PRAGMA cache_size = 1`, `CREATE TABLE a (b)`, `BEGIN`, `CREATE TABLE c (d)`,
		`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) INSERT INTO c SELECT zeroblob(4000) FROM n`} {
		_, err := d.ExecContext(t.Context(), query)
		must(t, err)
	}
	for _, end := range []string{"", "-journal"} {
		content, err := os.ReadFile(other + end)
		must(t, err)
		must(t, os.WriteFile(file+end, content, 0o600))
	}
}

func TestAFileThatAPowerCutLeftUnfinishedIsOpened(t *testing.T) {
	w := open(t)
	must(t, w.Close())
	folder := filepath.Dir(w.Path()) // it has a key
	unfinished(t, w.Path())
	d, err := db.Open(t.Context(), db.Options{Folder: folder})
	must(t, err)
	must(t, d.Close())
	raw, err := sql.Open("sqlite", w.Path())
	must(t, err)
	defer func() { must(t, raw.Close()) }()
	var found int
	must(t, raw.QueryRowContext(t.Context(), `SELECT count(*) FROM sqlite_master WHERE name IN ('a', 'c')`).Scan(&found))
	if found != 1 {
		t.Errorf("%d tables, want the one that was committed", found)
	}
}

func TestAnUnfinishedFileIsNoBackup(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.db")
	unfinished(t, file)
	err := db.Restore(t.Context(), t.TempDir(), file, false)
	if err == nil || !strings.Contains(err.Error(), "a.db-journal, beside it") {
		t.Errorf("got %v", err)
	}
}

func TestAFolderThatCannotBeMadeIsNamed(t *testing.T) {
	file := write(t, []byte("a file"))
	_, err := db.Open(t.Context(), db.Options{Folder: filepath.Join(file, "data")})
	if iot.CodeOf(err) != iot.Unavailable || !strings.Contains(err.Error(), file) {
		t.Errorf("got %v", err)
	}
	if _, err := db.Open(t.Context(), db.Options{Folder: t.TempDir(), ReadOnly: true}); iot.CodeOf(err) != iot.Unavailable ||
		!strings.Contains(err.Error(), "There is no database") {
		t.Errorf("reading where nothing is: %v", err)
	}
}

func TestAReadOnlyStoreReadsAndChangesNothing(t *testing.T) {
	w := open(t)
	a := w.store(t, 1, `1`, false, w.webhook)[0]
	must(t, w.MoveJournal(t.Context()))
	ro, err := db.Open(t.Context(), db.Options{Folder: filepath.Dir(w.Path()), ReadOnly: true})
	must(t, err)
	defer func() { must(t, ro.Close()) }()
	if m, err := ro.Message(t.Context(), w.project.Key, a.Message.ID); err != nil || m.ID != a.Message.ID {
		t.Errorf("reading: %v", err)
	}
	finished := make(chan error, 1)
	ro.Finish(delivered(iot.Queued{Delivery: a.Deliveries[0]}), func(err error) { finished <- err })
	for what, err := range map[string]error{
		"accept": ro.Accept(a), "finish": <-finished, "change": ro.DeleteDevice(w.device, actor),
		"create": ro.CreateProject(&iot.Project{Name: "New one"}, actor),
	} {
		if iot.CodeOf(err) != iot.Unavailable {
			t.Errorf("%s: %v, want unavailable", what, err)
		}
	}
	ro.NoteKeyUsed("none", 1) // is lost, without another effect
}

func TestWhatAKillLeftUnfinishedIsRemoved(t *testing.T) {
	w := open(t)
	data := filepath.Dir(w.Path())
	folder := filepath.Join(data, db.BackupsFolder)
	must(t, os.Mkdir(folder, 0o700))
	left := []string{filepath.Join(folder, ".thingpost-20261121-120000.db.partial-123"), filepath.Join(data, "."+db.FileName+".partial-1"),
		filepath.Join(data, "."+db.KeyFileName+".partial-1"), filepath.Join(data, ".probe.partial-1")}
	stay := []string{filepath.Join(folder, "thingpost-20261121-120000.db"), filepath.Join(data, db.KeyFileName),
		filepath.Join(folder, "notes.partial-1")}
	for _, file := range append(left, stay[0], stay[2]) {
		must(t, os.WriteFile(file, []byte("x"), 0o600))
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	must(t, w.NewBackups().Run(ctx))
	for _, file := range left {
		if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left (%v)", file, err)
		}
	}
	for _, file := range stay {
		if _, err := os.Stat(file); err != nil {
			t.Error(err)
		}
	}
}

package db_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"thingpost/db"
	"thingpost/internal/iot"
)

// clock is a time that a test sets.
type clock struct{ ms atomic.Int64 }

func (c *clock) now() time.Time          { return time.UnixMilli(c.ms.Load()) }
func (c *clock) forward(d time.Duration) { c.ms.Add(d.Milliseconds()) }

func openAt(t *testing.T, options ...func(*db.Options)) (*world, *clock) {
	t.Helper()
	c := &clock{}
	c.ms.Store(1_800_000_000_000)
	return open(t, append(options, func(o *db.Options) { o.Now = c.now })...), c
}

// store accepts messages with a delivery to each webhook, and ends those of the
// first webhook if end is set.
func (w *world) store(t *testing.T, n int, payload string, end bool, hooks ...*iot.Webhook) []*db.Accept {
	t.Helper()
	version := w.version(t)
	list := make([]*db.Accept, n)
	for i := range list {
		list[i] = w.accepted(version, payload, hooks...)
	}
	must(t, w.Accept(list...))
	if !end {
		return list
	}
	done := make(chan error, n)
	for _, a := range list {
		w.Finish(delivered(iot.Queued{Delivery: a.Deliveries[0]}), func(err error) { done <- err })
	}
	for range list {
		must(t, <-done)
	}
	return list
}

// raw opens the file beside the store, to read and to damage it. The journal is moved before.
func (w *world) raw(t *testing.T) *sql.DB {
	t.Helper()
	if w.beside == nil {
		d, err := sql.Open("sqlite", "file:"+w.Path()+"?_pragma=busy_timeout(5000)")
		must(t, err)
		t.Cleanup(func() { _ = d.Close() })
		w.beside = d
	}
	must(t, w.MoveJournal(t.Context()))
	return w.beside
}

func (w *world) number(t *testing.T, query string) (n int64) {
	t.Helper()
	must(t, w.raw(t).QueryRowContext(t.Context(), query).Scan(&n))
	return n
}

// holds fails the test unless every check of the store holds.
func (w *world) holds(t *testing.T) {
	t.Helper()
	must(t, w.MoveJournal(t.Context()))
	findings, err := w.Check(t.Context())
	must(t, err)
	for _, f := range findings {
		if !f.OK() {
			t.Error(f)
		}
	}
}

func TestPruneRemovesWhatIsOldAndEnded(t *testing.T) {
	w, c := openAt(t)
	slow := w.newWebhook(t, "Slow one")
	w.store(t, 700, `{"old":"ended"}`, true, w.webhook)
	half := w.store(t, 5, `{"old":"half"}`, true, w.webhook, slow)
	w.store(t, 3, `{"old":"pending"}`, false, slow)
	w.store(t, 2, `{"old":"unwanted"}`, false)
	before, err := w.WebhookStats(t.Context(), w.project.Key)
	must(t, err)
	c.forward(31 * 24 * time.Hour)
	w.store(t, 4, `{"new":"ended"}`, true, w.webhook)

	got, err := w.Prune(t.Context(), db.PruneOptions{OlderThan: 30 * 24 * time.Hour})
	must(t, err)
	if want := (db.PruneResult{Messages: 702, Deliveries: 705, Attempts: 705}); got != want {
		t.Errorf("pruned %+v, want %+v", got, want)
	}
	if n := w.number(t, `SELECT count(*) FROM deliveries WHERE status = 'pending'`); n != 8 {
		t.Errorf("%d pending deliveries are left, want 8", n)
	}
	if _, err := w.Message(t.Context(), w.project.Key, half[0].Message.ID); err != nil {
		t.Errorf("the message of a pending delivery is gone: %v", err)
	}
	after, err := w.WebhookStats(t.Context(), w.project.Key)
	must(t, err)
	want := before[w.webhook.Key].Counters
	want.Made, want.Delivered = want.Made+4, want.Delivered+4
	if after[w.webhook.Key].Counters != want {
		t.Errorf("counters became %+v, want %+v", after[w.webhook.Key].Counters, want)
	}
	w.holds(t)

	again, err := w.Prune(t.Context(), db.PruneOptions{OlderThan: 30 * 24 * time.Hour})
	must(t, err)
	if again != (db.PruneResult{}) {
		t.Errorf("pruned again %+v", again)
	}
}

func TestPruneKeepsAMessageForItsYoungerDelivery(t *testing.T) {
	w, c := openAt(t)
	old := w.store(t, 1, `{"n":1}`, true, w.webhook)[0]
	c.forward(29 * 24 * time.Hour)
	again, err := w.Retry(t.Context(), w.project.Key, old.Deliveries[0].ID, actor)
	must(t, err)
	done := make(chan error, 1)
	w.Finish(delivered(iot.Queued{Delivery: again}), func(err error) { done <- err })
	must(t, <-done)
	c.forward(2 * 24 * time.Hour)

	got, err := w.Prune(t.Context(), db.PruneOptions{OlderThan: 30 * 24 * time.Hour})
	must(t, err)
	if want := (db.PruneResult{Deliveries: 1, Attempts: 1}); got != want {
		t.Errorf("pruned %+v, want %+v", got, want)
	}
	if _, err := w.Message(t.Context(), w.project.Key, old.Message.ID); err != nil {
		t.Error(err)
	}
}

func TestPruneBySizeTakesTheOldestAndShrinksTheFile(t *testing.T) {
	w, c := openAt(t)
	payload := `"` + strings.Repeat("x", 20_000) + `"`
	pending := w.store(t, 1, payload, false, w.webhook)[0]
	var newest *db.Accept
	for range 20 {
		list := w.store(t, 50, payload, true, w.webhook)
		newest = list[len(list)-1]
		c.forward(time.Second) // what has just ended is removed too, or a busy hour would have no bound
	}
	before, err := w.Size(t.Context())
	must(t, err)
	most := before.File/2 + before.WAL
	got, err := w.Prune(t.Context(), db.PruneOptions{MaxBytes: most})
	must(t, err)
	after, err := w.Size(t.Context())
	must(t, err)
	if got.Messages < 100 || got.Messages > 900 {
		t.Errorf("%d of 1,000 messages were pruned, want about half", got.Messages)
	}
	if most := most - min(before.WAL, most/2); after.File > most {
		t.Errorf("the file went from %d to %d bytes, and not below %d", before.File, after.File, most)
	}
	for _, m := range []*db.Accept{pending, newest} {
		if _, err := w.Message(t.Context(), w.project.Key, m.Message.ID); err != nil {
			t.Error(err)
		}
	}
	w.holds(t)
}

func TestPruneRemovesDeletedThingsWhenNothingNamesThem(t *testing.T) {
	w, c := openAt(t)
	other := w.newWebhook(t, "Stays")
	w.store(t, 3, `1`, true, w.webhook)
	w.store(t, 3, `2`, false, w.webhook, other)
	must(t, w.DeleteWebhook(w.webhook, actor))
	must(t, w.DeleteDevice(w.device, actor))
	c.forward(2 * time.Hour)
	_, err := w.Prune(t.Context(), db.PruneOptions{OlderThan: 30 * 24 * time.Hour})
	must(t, err)
	if n := w.number(t, `SELECT (SELECT count(*) FROM webhooks) * 10 + (SELECT count(*) FROM devices)`); n != 21 {
		t.Errorf("%d: a webhook or device that the log names was removed", n)
	}
	must(t, w.DeleteProject(w.project, actor))
	c.forward(2 * time.Hour)
	_, err = w.Prune(t.Context(), db.PruneOptions{OlderThan: 30 * 24 * time.Hour})
	must(t, err)
	for _, table := range []string{"projects", "profiles", "devices", "webhooks", "webhook_counters", "webhook_hours", "project_hours",
		"messages", "deliveries", "attempts"} {
		if n := w.number(t, `SELECT count(*) FROM `+table); n != 0 {
			t.Errorf("%s has %d rows of a deleted project", table, n)
		}
	}
	w.holds(t)
}

func TestPruneRemovesWhatHasExpired(t *testing.T) {
	w, c := openAt(t)
	must(t, w.SaveSession("old", db.Session{AccountKey: w.account.Key, ExpiresAt: iot.At(c.now()).Add(time.Hour)}))
	must(t, w.SaveSession("new", db.Session{AccountKey: w.account.Key, ExpiresAt: iot.At(c.now()).Add(900 * 24 * time.Hour)}))
	_, err := w.CreateToken("token", w.account.Key, time.Hour)
	must(t, err)
	w.store(t, 3, `1`, true, w.webhook)
	c.forward(400 * 24 * time.Hour)
	_, err = w.Prune(t.Context(), db.PruneOptions{})
	must(t, err)
	for table, want := range map[string]int64{"sessions": 1, "tokens": 0, "webhook_hours": 0, "webhook_durations": 0, "project_hours": 0,
		"audit": 0, "messages": 3} {
		if n := w.number(t, `SELECT count(*) FROM `+table); n != want {
			t.Errorf("%s has %d rows, want %d", table, n, want)
		}
	}
}

func TestMaintainCancelsWhatDeletedWebhooksOwe(t *testing.T) {
	w, _ := openAt(t)
	w.store(t, 1500, `1`, false, w.webhook)
	must(t, w.DeleteWebhook(w.webhook, actor)) // cancels a step itself
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Maintain(ctx, db.PruneOptions{OlderThan: time.Hour, MaxBytes: 1 << 40}) }()
	for deadline := time.Now().Add(20 * time.Second); ; {
		if w.number(t, `SELECT count(*) FROM deliveries WHERE status = 'pending'`) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("deliveries of a deleted webhook are still pending")
		}
	}
	cancel()
	must(t, <-ended)
	w.holds(t)
}

func TestBackupOfARunningStoreCanBeRestored(t *testing.T) {
	w := open(t)
	w.store(t, 50, `{"n":1}`, true, w.webhook)
	w.store(t, 7, `{"n":2}`, false, w.webhook)
	file := filepath.Join(t.TempDir(), "copy.db")
	must(t, db.Backup(t.Context(), filepath.Dir(w.Path()), file))
	w.store(t, 9, `{"n":3}`, false, w.webhook) // not in the copy

	if err := db.Backup(t.Context(), filepath.Dir(w.Path()), file); iot.CodeOf(err) != iot.Conflict {
		t.Errorf("a backup over another: %v", err)
	}
	folder := filepath.Join(t.TempDir(), "restored")
	must(t, db.Restore(t.Context(), folder, file, false))
	if _, err := db.Open(t.Context(), db.Options{Folder: folder}); iot.CodeOf(err) != iot.Unavailable ||
		!strings.Contains(err.Error(), "key file") {
		t.Errorf("opened without its key: %v", err)
	}
	again := &world{project: w.project}
	var err error
	again.DB, err = db.Open(t.Context(), db.Options{Folder: folder, KeyFile: filepath.Join(filepath.Dir(w.Path()), db.KeyFileName)})
	must(t, err)
	defer func() { must(t, again.Close()) }()
	again.holds(t)
	if n := again.number(t, `SELECT count(*) FROM messages`); n != 57 {
		t.Errorf("%d messages were restored, want 57", n)
	}
	if err := db.Restore(t.Context(), folder, file, false); iot.CodeOf(err) != iot.Conflict {
		t.Errorf("restored over a database: %v", err)
	}
}

func TestRestoreReplacesADatabaseWithItsLog(t *testing.T) {
	w := open(t)
	w.store(t, 1, `{"n":1}`, false, w.webhook)
	folder := filepath.Dir(w.Path())
	file := filepath.Join(t.TempDir(), "copy.db")
	must(t, db.Backup(t.Context(), folder, file))
	must(t, w.Close())
	// A crash left a WAL: a connection that is never closed keeps one.
	crashed, err := sql.Open("sqlite", "file:"+w.Path())
	must(t, err)
	_, err = crashed.ExecContext(t.Context(), `DELETE FROM messages`)
	must(t, err)
	must(t, db.Restore(t.Context(), folder, file, true))
	must(t, crashed.Close())
	d, err := db.Open(t.Context(), db.Options{Folder: folder})
	must(t, err)
	again := &world{DB: d}
	defer func() { must(t, d.Close()) }()
	if n := again.number(t, `SELECT count(*) FROM messages`); n != 1 {
		t.Errorf("%d messages, want the backup's 1", n)
	}
}

func TestRestoreRefusesWhatIsNoBackup(t *testing.T) {
	w := open(t)
	w.store(t, 100, `{"n":1}`, true, w.webhook)
	good := filepath.Join(t.TempDir(), "good.db")
	must(t, db.Backup(t.Context(), filepath.Dir(w.Path()), good))
	b := read(t, good)
	damaged := bytes.Clone(b)
	for i := range 5 * 4096 {
		damaged[20*4096+i] = byte(i)
	}
	newer := write(t, b)
	d, err := sql.Open("sqlite", "file:"+newer)
	must(t, err)
	_, err = d.ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`)
	must(t, err)
	must(t, d.Close())
	inUse := write(t, b)
	must(t, os.WriteFile(inUse+"-wal", []byte("changes"), 0o600))
	for name, file := range map[string]string{
		"absent":    filepath.Join(t.TempDir(), "none"),
		"in use":    inUse,
		"text":      write(t, []byte("not a database")),
		"empty":     write(t, nil),
		"truncated": write(t, b[:len(b)/2]),
		"last page": write(t, b[:len(b)-4096]),
		"last byte": write(t, b[:len(b)-1]),
		"head":      write(t, b[:100]),
		"damaged":   write(t, damaged),
		"newer":     newer,
	} {
		t.Run(name, func(t *testing.T) {
			folder := filepath.Join(t.TempDir(), "new")
			err := db.Restore(t.Context(), folder, file, false)
			if iot.CodeOf(err) != iot.Invalid {
				t.Fatalf("got %v, want invalid", err)
			}
			if matches, _ := filepath.Glob(filepath.Join(folder, "*")); len(matches) > 0 {
				t.Errorf("it left %v", matches)
			}
		})
	}
}

func TestCheckFindsWhatDoesNotAgree(t *testing.T) {
	t.Run("nothing", func(t *testing.T) {
		w := open(t)
		w.store(t, 4, `1`, true, w.webhook)
		w.store(t, 2, `2`, false, w.webhook)
		w.holds(t)
	})
	cases := map[string]struct{ harm, want string }{
		"law":     {`UPDATE webhook_counters SET delivered = delivered + 1`, "made is 6, but the others sum to 7"},
		"pending": {`UPDATE webhook_counters SET pending = 5, delivered = 1`, "pending is counted as 5, but there are 2 rows"},
		"message": {`DELETE FROM messages WHERE id = (SELECT min(message_id) FROM deliveries WHERE status = 'pending')`, "is not kept"},
		"secret": {`UPDATE devices SET key_sealed = x'00112233445566778899aabbccddeeff00112233445566778899'`,
			"soil-probe-07: a secret cannot be decrypted"},
		"parent": {`UPDATE devices SET profile_id = 99`, "refers to a missing row of profiles"},
		"queue": {`INSERT INTO downlinks (id, project_id, device_id, position, status, body, confirmed, created_at, changed_at) VALUES (1, 1,` +
			` 99, 1, 'queued', '{}', 0, 1, 1)`, "device 99: 1 downlinks are queued for it, but it does not exist"},
		"owner": {`DELETE FROM webhook_counters`, "2 pending deliveries belong to no webhook"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			w.store(t, 4, `1`, true, w.webhook)
			w.store(t, 2, `2`, false, w.webhook)
			_, err := w.raw(t).ExecContext(t.Context(), c.harm)
			must(t, err)
			findings, err := w.Check(t.Context())
			must(t, err)
			if text := fmt.Sprint(findings); !strings.Contains(text, c.want) {
				t.Errorf("the findings do not say %q:\n%s", c.want, text)
			}
		})
	}
}

func TestReadySaysWhetherTheStoreCanBeWritten(t *testing.T) {
	w := open(t)
	must(t, w.Ready(t.Context()))
	ro, err := db.Open(t.Context(), db.Options{Folder: filepath.Dir(w.Path()), ReadOnly: true})
	must(t, err)
	defer func() { must(t, ro.Close()) }()
	if err := ro.Ready(t.Context()); iot.CodeOf(err) != iot.Unavailable {
		t.Errorf("a store that is open for reading is ready: %v", err)
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	must(t, err)
	return b
}

func write(t *testing.T, content []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, content, 0o600))
	return file
}

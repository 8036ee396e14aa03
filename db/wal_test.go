package db_test

import (
	"bufio"
	"bytes"
	"database/sql"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"thingpost/db"
)

// holdsOpen names a database that the test binary, as another program, reads in a transaction
// until its standard input ends.
const holdsOpen = "THINGPOST_TEST_HOLDS_OPEN"

func TestHelperHoldsATransactionOpen(t *testing.T) {
	path := os.Getenv(holdsOpen)
	if path == "" {
		return // only the tests below run it, as another program
	}
	d, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)")
	must(t, err)
	conn, err := d.Conn(t.Context())
	must(t, err)
	_, err = conn.ExecContext(t.Context(), "BEGIN")
	must(t, err)
	var n int
	must(t, conn.QueryRowContext(t.Context(), "SELECT count(*) FROM messages").Scan(&n))
	_, _ = os.Stdout.WriteString("holds\n")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// holder starts another process that holds a transaction open. It returns a function that
// ends it.
func holder(t *testing.T, path string) (pid int, end func()) {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHelperHoldsATransactionOpen$", "-test.v")
	c.Env = append(os.Environ(), holdsOpen+"="+path)
	in, err := c.StdinPipe()
	must(t, err)
	out, err := c.StdoutPipe()
	must(t, err)
	must(t, c.Start())
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if lines.Text() == "holds" {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return c.Process.Pid, func() { _ = in.Close(); _ = c.Wait() }
		}
	}
	t.Fatal("the other process does not read")
	return 0, nil
}

// largePayload is of 20 KB.
var largePayload = `"` + strings.Repeat("x", 20_000) + `"`

// fill stores so many times 50 large messages: each time takes about a MiB of the log.
func (w *world) fill(t *testing.T, c *clock, times int) {
	t.Helper()
	for range times {
		w.store(t, 50, largePayload, true, w.webhook)
		c.forward(time.Second)
	}
}

// TestALogThatAnotherProcessHoldsRemovesNoHistory starts another process that reads in a
// transaction while much is stored. The log grows beyond any bound, and the report names the
// process.
func TestALogThatAnotherProcessHoldsRemovesNoHistory(t *testing.T) {
	var log bytes.Buffer
	w, c := openAt(t, func(o *db.Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	w.fill(t, c, 20)
	var busy, frames, moved int
	must(t, w.raw(t).QueryRowContext(t.Context(), `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &frames, &moved))
	pid, end := holder(t, w.Path())
	w.fill(t, c, 20)
	size, err := w.Size(t.Context())
	must(t, err)
	if size.WAL < 16<<20 {
		t.Fatalf("the log has %d bytes", size.WAL)
	}
	most := size.File + 1<<20
	prune := func() db.PruneResult {
		t.Helper()
		got, err := w.Prune(t.Context(), db.PruneOptions{MaxBytes: most})
		must(t, err)
		return got
	}
	if got := prune(); got != (db.PruneResult{}) {
		t.Errorf("while a reader keeps the log, %+v were removed", got)
	}
	look := func() *db.WALHold {
		t.Helper()
		must(t, w.WatchWAL(t.Context()))
		return w.WALHold()
	}
	if look() != nil {
		t.Error("reported at the first look")
	}
	began := c.now()
	h := look()
	if h == nil || h.Bytes < 16<<20 || !h.Since.Time().Equal(began.Truncate(time.Millisecond)) {
		t.Fatalf("a reader keeps the log, and it says %+v", h)
	}
	if want := "(process " + strconv.Itoa(pid) + ")"; runtime.GOOS == "linux" && !strings.Contains(h.By, want) {
		t.Errorf("the reader is %q, want %s", h.By, want)
	}
	said := func(text string, want int) {
		t.Helper()
		if got := strings.Count(log.String(), text); got != want {
			t.Errorf("%q is said %d times, want %d: %s", text, got, want, &log)
		}
	}
	look()
	c.forward(59 * time.Minute)
	look()
	said("which grows until that ends", 1)
	c.forward(time.Minute)
	look()
	said("which grows until that ends", 2)

	// The bound itself still applies to what is stored.
	most = size.File - 10<<20
	if got := prune(); got.Messages == 0 {
		t.Error("beyond the bound nothing was removed")
	}
	after, err := w.Size(t.Context())
	must(t, err)
	if used := after.File - after.Free; used > most || used < most-1<<20 {
		t.Errorf("%d bytes are used, want just below %d", used, most)
	}

	end()
	if look() != nil {
		t.Error("there is still a hold")
	}
	said("can shrink again", 1)
	w.store(t, 1, largePayload, true, w.webhook) // begins the log anew, and truncates it
	if size, err = w.Size(t.Context()); err != nil || size.WAL > 64<<20 {
		t.Errorf("the log has %d bytes: %v", size.WAL, err)
	}
	w.holds(t)
}

// TestALogThatWasHeldRemovesLittleHistory ends a long read of another process: the log's
// file is still large, and counts no more than it does without such a reader.
func TestALogThatWasHeldRemovesLittleHistory(t *testing.T) {
	w, c := openAt(t)
	w.fill(t, c, 20)
	_, end := holder(t, w.Path())
	w.fill(t, c, 50)
	end()
	var busy, frames, moved int
	must(t, w.raw(t).QueryRowContext(t.Context(), `PRAGMA wal_checkpoint(PASSIVE)`).Scan(&busy, &frames, &moved))
	before, err := w.Size(t.Context())
	must(t, err)
	if before.WAL < 40<<20 {
		t.Fatalf("the log has %d bytes", before.WAL)
	}
	got, err := w.Prune(t.Context(), db.PruneOptions{MaxBytes: before.File + 1<<20})
	must(t, err)
	if got.Messages > 900 { // some 16 MiB
		t.Errorf("%d messages were removed", got.Messages)
	}
	w.store(t, 1, largePayload, true, w.webhook) // begins the log anew, and truncates it
	if size, err := w.Size(t.Context()); err != nil || size.WAL > 33<<20 {
		t.Errorf("the log has %d bytes: %v", size.WAL, err)
	}
	w.holds(t)
}

// TestABackupOfOurOwnIsNamed makes this process hold the log.
func TestABackupOfOurOwnIsNamed(t *testing.T) {
	w, _ := openAt(t)
	tx, err := w.raw(t).BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true})
	must(t, err)
	var n int
	must(t, tx.QueryRowContext(t.Context(), `SELECT count(*) FROM messages`).Scan(&n))
	for range 12 {
		w.store(t, 50, `"`+strings.Repeat("x", 20_000)+`"`, true, w.webhook)
	}
	w.Backing()
	for range 2 {
		must(t, w.WatchWAL(t.Context()))
	}
	if h := w.WALHold(); h == nil || !strings.HasPrefix(h.By, "this server's own backup, begun ") {
		t.Errorf("%+v", h)
	}
	must(t, tx.Rollback())
	must(t, w.WatchWAL(t.Context()))
	if h := w.WALHold(); h != nil {
		t.Errorf("%+v", h)
	}
}

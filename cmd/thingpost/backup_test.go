package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tidwall/gjson"

	"thingpost/db"
)

// TestBackupUnderLoadIsOfOneMoment makes backups while senders are at work, restores
// each elsewhere, and compares. All messages acknowledged before the backup began are
// in it, byte for byte, with no others than those sent, and it is consistent. Only the
// server's key opens its secrets.
func TestBackupUnderLoadIsOfOneMoment(t *testing.T) {
	t.Parallel()
	const secret = "canary-in-a-backup"
	w := newCrashWorld(t)
	w.hooks[0].settings["headers"] = []map[string]any{{"name": "X-Secret", "value": secret, "secret": true}}
	w.process = w.started()
	c := w.setUp(w.process)
	var over atomic.Bool
	ended := w.load(over.Load)
	var messages, pending int64
	backups := lighter(3)
	file := ""
	for i := range backups {
		enough := w.acked.size() + int64(lighter(1000))
		w.wait("enough was acknowledged", func() bool { return w.acked.size() >= enough })
		file = filepath.Join(t.TempDir(), fmt.Sprintf("copy-%d.db", i))
		before := w.acked.copied()
		mustRun(t, 0, "is a copy of the database", "backup", "-data", w.data, file)
		folder := filepath.Join(t.TempDir(), "restored")
		mustRun(t, 0, "was restored from", "restore", "-data", folder, file)
		copyKey(t, w.data, folder)
		mustRun(t, 0, "No faults found.", "check", "-data", folder)
		n, p := w.compareRestored(folder, before)
		messages, pending = messages+n, pending+p
	}
	over.Store(true)
	ended()
	w.drain(c)
	w.secretsStay(file, secret)
	w.refusesParts(file)
	if !t.Failed() {
		t.Attr("figure", fmt.Sprintf("%d backups under load restored: %d messages and %d pending deliveries in them, 0 that was acknowledged "+
			"before is missing, 0 bytes changed, secrets open with their key alone", backups, messages, pending))
	}
}

// mustRun runs a command that must end with a status and an output.
func mustRun(t *testing.T, status int, want string, args ...string) string {
	t.Helper()
	got, out, complaints := run(t, "", nil, args...)
	if got != status || !strings.Contains(out+complaints, want) {
		t.Errorf("%v: exit status %d: %s%s; want %d: %s", args, got, out, complaints, status, want)
	}
	return out + complaints
}

func copyKey(t *testing.T, from, to string) {
	t.Helper()
	key, err := os.ReadFile(filepath.Join(from, db.KeyFileName))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(to, db.KeyFileName), key, 0o600))
}

// compareRestored compares a restored database with what was acknowledged before its
// backup. It returns how many messages and pending deliveries it has.
func (w *crashWorld) compareRestored(folder string, before []uint64) (messages, pending int64) {
	t := w.t
	t.Helper()
	d := rawDatabase(t, folder)
	defer func() { must(t, d.Close()) }()
	rows, err := d.QueryContext(t.Context(), `SELECT payload FROM messages`)
	must(t, err)
	defer func() { must(t, rows.Close()) }()
	var restored numberSet
	for rows.Next() {
		var payload []byte
		must(t, rows.Scan(&payload))
		n := gjson.GetBytes(payload, "n").Uint()
		if !bytes.Equal(payload, crashPayload(n)) || !w.sent.has(n) {
			t.Fatalf("it holds %q, which nobody has sent", payload)
		}
		restored.add(n)
	}
	must(t, rows.Err())
	have := restored.copied()
	for i, word := range before {
		if i < len(have) {
			word &^= have[i]
		}
		if word != 0 {
			t.Errorf("messages of %d to %d that had been acknowledged are not in it", i*64, i*64+63)
		}
	}
	// Each message is there with all of its deliveries, or absent.
	var made, wanted int64
	must(t, d.QueryRowContext(t.Context(), `SELECT sum(made), sum(pending) FROM webhook_counters`).Scan(&made, &pending))
	for i, word := range have {
		for n := uint64(i * 64); word != 0; n, word = n+1, word>>1 {
			if word&1 == 0 {
				continue
			}
			for _, h := range w.hooks {
				if h.wants(n) {
					wanted++
				}
			}
		}
	}
	if made != wanted {
		t.Errorf("its messages are wanted %d times, but it counts %d deliveries", wanted, made)
	}
	return restored.size(), pending
}

// secretsStay checks whether a backup shows a secret to a person who reads its bytes,
// or who has another key.
func (w *crashWorld) secretsStay(file, secret string) {
	t := w.t
	t.Helper()
	key, err := os.ReadFile(filepath.Join(w.data, db.KeyFileName))
	must(t, err)
	b, err := os.ReadFile(file)
	must(t, err)
	hidden := slices.Concat([]string{secret, strings.TrimSpace(string(key)), w.projectKey}, w.deviceKeys[:])
	for _, text := range hidden {
		if bytes.Contains(b, []byte(text)) {
			t.Errorf("the backup holds %.12s… in clear", text)
		}
	}
	folder := filepath.Join(t.TempDir(), "elsewhere")
	said := mustRun(t, 0, "The key file is missing.", "restore", "-data", folder, file)
	said += mustRun(t, 1, "is missing", "serve", "-listen", "127.0.0.1:0", "-data", folder)
	said += mustRun(t, 1, "cannot be read", "check", "-data", folder)
	must(t, os.WriteFile(filepath.Join(folder, db.KeyFileName), []byte(strings.Repeat("7", 64)), 0o600))
	said += mustRun(t, 1, "the key file is not the one", "serve", "-listen", "127.0.0.1:0", "-data", folder)
	said += mustRun(t, 1, "cannot be decrypted with this key file", "check", "-data", folder)
	said += mustRun(t, 1, "the key file is not the one", "user", "list", "-data", folder)
	for _, text := range hidden {
		if strings.Contains(said, text) {
			t.Errorf("a command shows %.12s…", text)
		}
	}
	copyKey(t, w.data, folder)
	mustRun(t, 0, "No faults found.", "check", "-data", folder)
	mustRun(t, 1, "There is a database", "restore", "-data", folder, file)
}

// refusesParts truncates a backup at several places: none is restored.
func (w *crashWorld) refusesParts(file string) {
	t := w.t
	t.Helper()
	b, err := os.ReadFile(file)
	must(t, err)
	for _, size := range []int{0, 99, 4096, len(b) / 2, len(b) - 4096, len(b) - 1} {
		folder, part := t.TempDir(), filepath.Join(t.TempDir(), "part.db")
		must(t, os.WriteFile(part, b[:size], 0o600))
		mustRun(t, 1, "or it is damaged. Nothing was changed.", "restore", "-data", folder, part)
		if _, err := os.Stat(filepath.Join(folder, db.FileName)); err == nil {
			t.Errorf("of %d bytes it restored %d", len(b), size)
		}
	}
}

package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/tidwall/gjson"

	"thingpost/db"
)

// oldPending is how many deliveries of an old database are pending.
const oldPending = 50

// oldMessages is how many messages it has.
func oldMessages() int { return lighter(20_000) }

// oldRows fill a database of the first schema: %[1]d is the first message's key, %[2]d
// an instant, %[3]s the webhook's URL.
const oldRows = `
INSERT INTO accounts (id, email, name, password_hash, created_at) VALUES (1, 'ada@example.org', 'Ada', 'x', %[2]d);
INSERT INTO organizations (id, slug, uuid, name, created_at) VALUES (1, 'works', '00000000-0000-4000-8000-000000000001', 'Works', %[2]d);
INSERT INTO members VALUES (1, 1, 'owner', %[2]d);
INSERT INTO projects (id, organization_id, slug, uuid, name, created_at, updated_at) VALUES (1, 1, 'old', ` +
	`'00000000-0000-4000-8000-000000000002', 'Old', %[2]d, %[2]d);
INSERT INTO profiles (id, project_id, slug, uuid, name, created_at, updated_at) VALUES (1, 1, 'default', ` +
	`'00000000-0000-4000-8000-000000000003', 'Default', %[2]d, %[2]d);
INSERT INTO webhooks (id, project_id, slug, uuid, description, url, message_types, channel, payload_only, headers, format, field_mask, ` +
	`downlink_key, signed, signing_secrets, settings, created_at, updated_at)
	VALUES (1, 1, 'erp', '00000000-0000-4000-8000-000000000007', 'ERP', '%[3]s', '{"user":{"path":""}}', '', 1, x'', 'envelope', '[]', x'',` +
	` 0, x'', '{"timeout_ms":10000,"give_up_after_ms":86400000,"retry_on":[]}', %[2]d, %[2]d);
INSERT INTO webhook_counters (webhook_id, made, delivered, pending) VALUES (1, %[4]d, %[4]d - %[5]d, %[5]d);
CREATE TEMP TABLE n AS WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %[4]d - 1) SELECT i FROM n;
INSERT INTO devices (id, project_id, profile_id, slug, uuid, name, key_hash, key_sealed, created_at, updated_at)
	SELECT i + 1, 1, 1, 'probe-' || i, printf('00000000-0000-4000-8000-1%%011d', i), 'Probe', CAST(i AS BLOB), x'', %[2]d, %[2]d FROM n ` +
	`WHERE i < %[4]d / 10;
INSERT INTO messages (id, project_id, device_id, type, channel, payload, received_at, transient)
	SELECT %[1]d + 2 * i, 1, i %% (%[4]d / 10) + 1, 'user', '', CAST('{"n":' || i || '}' AS BLOB), %[2]d, 0 FROM n;
INSERT INTO deliveries (project_id, id, message_id, webhook_id, device_id, type, channel, status, trigger, in_order, size_bytes, due_at,` +
	` created_at, attempt_count, ended_at)
	SELECT 1, %[1]d + 2 * i + 1, %[1]d + 2 * i, 1, i %% (%[4]d / 10) + 1, 'user', '', iif(i < %[5]d, 'pending', 'delivered'), 'message', 0,` +
	` 9, %[2]d, %[2]d, iif(i < %[5]d, 0, 1), iif(i < %[5]d, 0, %[2]d) FROM n;
INSERT INTO audit (id, project_id, actor, action, subject, detail) SELECT %[1]d - 1 - i, 1, 'ada@example.org', 'webhook.update', 'erp', ` +
	`'' FROM n;
`

// oldFolder is a data folder with a large database of the first schema, whose pending
// deliveries are for url.
func oldFolder(t *testing.T, url string) (folder string, versions []int64) {
	t.Helper()
	folder = t.TempDir()
	path := filepath.Join(folder, db.FileName)
	must(t, os.WriteFile(filepath.Join(folder, db.KeyFileName), []byte(strings.Repeat("5", 64)), 0o600))
	d, err := sql.Open("sqlite", "file:"+path+"?_pragma=auto_vacuum(2)&_pragma=journal_mode(WAL)")
	must(t, err)
	defer func() { must(t, d.Close()) }()
	d.SetMaxOpenConns(1)
	p, err := goose.NewProvider(goose.DialectSQLite3, d, os.DirFS("../../db/migrations"))
	must(t, err)
	_, err = p.UpTo(t.Context(), 1)
	must(t, err)
	at := time.Now().Add(-time.Hour).UnixMilli()
	_, err = d.ExecContext(t.Context(), fmt.Sprintf(oldRows, at<<21, at, url, oldMessages(), oldPending))
	must(t, err)
	for _, s := range p.ListSources() {
		versions = append(versions, s.Version)
	}
	return folder, versions
}

// numberReceiver is a receiver of payloads such as {"n":1}.
func numberReceiver(t *testing.T) (*httptest.Server, *numberSet) {
	t.Helper()
	got := &numberSet{}
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err == nil {
			got.add(gjson.GetBytes(body, "n").Uint())
		}
	}))
	t.Cleanup(s.Close)
	return s, got
}

// schemaIn returns a database's schema, 0 while it cannot be read.
func schemaIn(ctx context.Context, d *sql.DB) (version int64) {
	_ = d.QueryRowContext(ctx, `SELECT max(version_id) FROM goose_db_version`).Scan(&version)
	return version
}

// TestKilledWhileMigratingTheNextStartGoesOn kills the program during each
// migration of a large database of the first schema, then lets it finish.
func TestKilledWhileMigratingTheNextStartGoesOn(t *testing.T) {
	t.Parallel()
	receiver, got := numberReceiver(t)
	folder, versions := oldFolder(t, receiver.URL)
	beside := rawDatabase(t, folder)
	defer func() { must(t, beside.Close()) }()
	args := []string{"serve", "-listen", "127.0.0.1:0", "-data", folder, "-allow-networks", "127.0.0.0/8,::1/128"}
	kills := 0
	for _, version := range versions[:len(versions)-1] {
		p := newProcess(t, nil, args...)
		begin(t, p)
		began := time.Now()
		until(t, "it has come to migrate "+strconv.FormatInt(version, 10), func() bool {
			return schemaIn(t.Context(), beside) >= version &&
				lockedBy(folder, p)
		})
		<-time.After(rand.N(time.Since(began)/4 + time.Millisecond))
		p.end(t, syscall.SIGKILL)
		kills++
		if at := schemaIn(t.Context(), beside); at < version {
			t.Errorf("the schema went from %d back to %d", version, at)
		}
	}
	p := serve(t, nil, args[3:]...)
	until(t, "what was pending is sent", func() bool { return got.size() == oldPending })
	if status := p.end(t, syscall.SIGTERM); status != 0 {
		t.Errorf("it stopped with status %d: %s", status, p.stderr.String())
	}
	mustRun(t, 0, "No faults found.", "check", "-data", folder)
	for query, want := range map[string]int{
		`SELECT count(*) FROM messages`:                                        oldMessages(),
		`SELECT count(*) FROM deliveries WHERE status = 'delivered'`:           oldMessages(),
		`SELECT device_count FROM projects`:                                    oldMessages() / 10,
		`SELECT count(*) FROM audit WHERE organization_id = 1`:                 oldMessages(),
		`SELECT max(version_id) FROM goose_db_version`:                         int(versions[len(versions)-1]),
		`SELECT count(*) - count(DISTINCT version_id) FROM goose_db_version`:   0,
		`SELECT count(*) FROM sqlite_master WHERE name = 'deliveries_pending'`: 1,
	} {
		var n int
		must(t, beside.QueryRowContext(t.Context(), query).Scan(&n))
		if n != want {
			t.Errorf("%s is %d, want %d", query, n, want)
		}
	}
	if !t.Failed() {
		t.Attr("figure", fmt.Sprintf("%d kills while %d migrations changed %d messages and as many deliveries; the next start finished, 0 "+
			"rows lost", kills, len(versions)-1, oldMessages()))
	}
}

// lockedBy reports whether a process has locked a data folder.
func lockedBy(folder string, p *process) bool {
	text, err := os.ReadFile(filepath.Join(folder, lockName))
	return err == nil && strings.TrimSpace(string(text)) == strconv.Itoa(p.Process.Pid)
}

// TestStoppedWhileStarting sends SIGTERM while a large database of the first schema is
// migrated, and while its backlog is read. The program ends with exit status 0 without
// finishing that, and the next start continues. The disk is slow for half of the stops,
// so that they arrive in time.
func TestStoppedWhileStarting(t *testing.T) {
	t.Parallel()
	receiver, got := numberReceiver(t)
	folder, versions := oldFolder(t, receiver.URL)
	beside := rawDatabase(t, folder)
	defer func() { must(t, beside.Close()) }()
	m, env := newMachine(t)
	m.delay.Store(int64(200 * time.Millisecond))
	stops := lighter(8) + 2
	during := 0
	for i := range stops {
		if i == stops/2 {
			m.heal()
		}
		p := newProcess(t, env, "serve", "-listen", "127.0.0.1:0", "-data", folder, "-allow-networks", "127.0.0.0/8,::1/128")
		begin(t, p)
		until(t, "it has begun", func() bool { return lockedBy(folder, p) })
		before := schemaIn(t.Context(), beside)
		<-time.After(rand.N(time.Duration(i+1) * 30 * time.Millisecond))
		if status := p.end(t, syscall.SIGTERM); status != 0 {
			t.Fatalf("it stopped with status %d: %s", status, p.stderr.String())
		}
		if after := schemaIn(t.Context(), beside); after < before {
			t.Errorf("the schema went from %d back to %d", before, after)
		} else if after < versions[len(versions)-1] {
			during++
		}
	}
	if during == 0 {
		t.Error("it never ended before the schema was up to date")
	}
	p := serve(t, nil, "-data", folder, "-allow-networks", "127.0.0.0/8,::1/128")
	until(t, "what was pending is sent", func() bool { return got.size() == oldPending })
	if status := p.end(t, syscall.SIGTERM); status != 0 {
		t.Errorf("it stopped with status %d: %s", status, p.stderr.String())
	}
	mustRun(t, 0, "No faults found.", "check", "-data", folder)
	if !t.Failed() {
		t.Attr("figure", fmt.Sprintf("%d stops while starting, %d of them during migrations: each with exit status 0, 0 lost", stops, during))
	}
}

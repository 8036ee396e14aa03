package db_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"thingpost/db"
	"thingpost/internal/iot"
)

// firstRows are a project of the first version, with a pending delivery.
const firstRows = `
INSERT INTO accounts (id, email, name, password_hash, created_at) VALUES (1, 'ada@example.org', 'Ada', 'x', 1);
INSERT INTO organizations (id, slug, uuid, name, created_at) VALUES (1, 'works', '00000000-0000-4000-8000-000000000001', 'Works', 1);
INSERT INTO members VALUES (1, 1, 'owner', 1);
INSERT INTO projects (id, organization_id, slug, uuid, name, created_at, updated_at) VALUES (1, 1, 'greenhouse', ` +
	`'00000000-0000-4000-8000-000000000002', 'Greenhouse', 1, 1);
INSERT INTO profiles (id, project_id, slug, uuid, name, created_at, updated_at) VALUES (1, 1, 'default', ` +
	`'00000000-0000-4000-8000-000000000003', 'Default', 1, 1);
INSERT INTO devices (id, project_id, profile_id, slug, uuid, name, key_hash, key_sealed, created_at, updated_at, deleted_at) VALUES
	(1, 1, 1, 'probe-1', '00000000-0000-4000-8000-000000000004', 'Probe 1', x'01', x'', 1, 1, 0),
	(2, 1, 1, 'probe-2', '00000000-0000-4000-8000-000000000005', 'Probe 2', x'02', x'', 1, 1, 0),
	(3, 1, 1, 'gone', '00000000-0000-4000-8000-000000000006', 'Gone', x'03', x'', 1, 1, 2);
INSERT INTO webhooks (id, project_id, slug, uuid, description, url, message_types, channel, payload_only, headers, format, field_mask, ` +
	`downlink_key, signed, signing_secrets, settings, created_at, updated_at)
	VALUES (1, 1, 'erp', '00000000-0000-4000-8000-000000000007', 'ERP', 'https://erp.example/hook', '{"user":{"path":""}}', '', 0, x'', ` +
	`'envelope', '[]', x'', 0, x'', '{"timeout_ms":10000,"give_up_after_ms":86400000,"retry_on":[]}', 1, 1);
INSERT INTO webhook_counters (webhook_id, made, pending) VALUES (1, 1, 1);
INSERT INTO messages (id, project_id, device_id, type, channel, payload, received_at, transient) VALUES (1000, 1, 1, 'user', '', ` +
	`x'7b226e223a317d', 1, 0);
INSERT INTO deliveries (project_id, id, message_id, webhook_id, device_id, type, channel, status, trigger, in_order, size_bytes, due_at,` +
	` created_at)
	VALUES (1, 1001, 1000, 1, 1, 'user', '', 'pending', 'message', 0, 7, 1, 1);
INSERT INTO audit (id, project_id, actor, action, subject, detail) VALUES (1002, 1, 'ada@example.org', 'webhook.create', 'erp', '');
`

// TestADatabaseOfTheFirstVersionGoesOn opens a database that the first version has written,
// after upgrades that stopped at each later version.
func TestADatabaseOfTheFirstVersionGoesOn(t *testing.T) {
	versions, err := db.Schemas()
	must(t, err)
	for _, version := range versions {
		t.Run(fmt.Sprint(version), func(t *testing.T) { goesOn(t, version) })
	}
	if !t.Failed() {
		t.Attr("figure", fmt.Sprintf("opened from each of %d schemas; what was pending was sent, and all rows were there", len(versions)))
	}
}

func goesOn(t *testing.T, version int64) {
	t.Helper()
	folder := t.TempDir()
	files, err := blank()
	must(t, err)
	must(t, os.WriteFile(filepath.Join(folder, db.KeyFileName), files[db.KeyFileName], 0o600))
	must(t, db.MakeOld(t.Context(), filepath.Join(folder, db.FileName), firstRows, version))
	d, err := db.Open(t.Context(), db.Options{Folder: folder})
	must(t, err)
	t.Cleanup(func() { must(t, d.Close()) })
	w := &world{DB: d}
	if w.device, err = d.Device(t.Context(), 1, "probe-1"); err != nil || w.device.Kind != "" || w.device.SilentAt != 0 {
		t.Fatalf("the device is %+v, %v", w.device, err)
	}
	if v, err := d.Device(t.Context(), 1, "PROBE-2"); err != nil || v.ID != "probe-2" || v.LastSeenAt != 0 {
		t.Errorf("in another case it is %+v, %v", v, err)
	}
	if err := d.CreateDevice(&iot.Device{ProjectKey: 1, ID: "Probe-1"}, iot.NewDeviceKey(), actor); iot.CodeOf(err) != iot.Conflict {
		t.Errorf("an id that is there in another case: %v", err)
	}
	if w.webhook, err = d.Webhook(t.Context(), 1, "erp"); err != nil || w.webhook.Kind != iot.KindWebhook ||
		len(w.webhook.Hidden)+len(w.webhook.TemplateFields) != 0 {
		t.Fatalf("the webhook is %+v, %v", w.webhook, err)
	}
	if w.project, err = d.OwnedProject(t.Context(), 1, "00000000-0000-4000-8000-000000000002"); err != nil || w.project.Metadata != "" {
		t.Fatalf("the project is %+v, %v", w.project, err)
	}
	due, _, err := d.Due(t.Context(), w.webhook.Key, 0, iot.At(time.Now()), 10, 0, func(iot.ID) bool { return false })
	if err != nil || len(due) != 1 || string(due[0].Message.Payload) != `{"n":1}` {
		t.Fatalf("due are %+v, %v", due, err)
	}
	w.finish(t, delivered(due[0]))
	w.store(t, 1, `{"n":2}`, false, w.webhook)
	must(t, d.CreateDevice(&iot.Device{ProjectKey: 1, ID: "probe-3"}, iot.NewDeviceKey(), actor))
	if n := w.number(t, `SELECT device_count FROM projects`); n != 3 {
		t.Errorf("it counts %d devices", n)
	}
	if n := w.number(t, `SELECT count(*) FROM audit WHERE organization_id = 1`); n != 2 {
		t.Errorf("%d entries are the organization's", n)
	}
	w.holds(t)
	findings, err := d.Check(t.Context())
	must(t, err)
	for _, f := range findings {
		if !f.OK() {
			t.Error(f)
		}
	}
}

// TestAnotherSchemaIsRefusedAndLeftAsItIs compares the bytes of a database's files before and
// after it was refused.
func TestAnotherSchemaIsRefusedAndLeftAsItIs(t *testing.T) {
	versions, err := db.Schemas()
	must(t, err)
	last := versions[len(versions)-1]
	for name, c := range map[string]struct {
		version int64
		journal string
		open    db.Options
		want    string
	}{
		"newer":                        {9999, "WAL", db.Options{}, "newer version of Thingpost (schema 9999, this version knows"},
		"newer, from a backup":         {9999, "DELETE", db.Options{}, "newer version of Thingpost (schema 9999, this version knows"},
		"newer, to be checked":         {9999, "WAL", db.Options{ReadOnly: true}, "newer version of Thingpost"},
		"older, to be checked":         {1, "WAL", db.Options{ReadOnly: true}, "older version of Thingpost (schema 1, this version knows"},
		"older, beside its own server": {last - 1, "WAL", db.Options{AsItIs: true}, "Start the server of this version once"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			path := filepath.Join(folder, db.FileName)
			files, err := blank()
			must(t, err)
			must(t, os.WriteFile(filepath.Join(folder, db.KeyFileName), files[db.KeyFileName], 0o600))
			must(t, db.MakeOld(t.Context(), path, firstRows, min(c.version, last)))
			file, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode("+c.journal+")")
			must(t, err)
			if c.version > last {
				_, err = file.ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`)
				must(t, err)
			}
			must(t, file.PingContext(t.Context()))
			must(t, file.Close())
			before := read(t, path)
			o := c.open
			o.Folder = folder
			_, err = db.Open(t.Context(), o)
			if iot.CodeOf(err) != iot.Unavailable || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if !bytes.Equal(before, read(t, path)) {
				t.Error("the file has changed")
			}
		})
	}
}

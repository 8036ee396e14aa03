package dashboard

import (
	"context"
	"database/sql"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"thingpost/db"
	"thingpost/internal/iot"
	"thingpost/views/pages"
)

// lastChange is the newest entry of the audit log of the whole instance.
func (w *world) lastChange() iot.AuditEntry {
	w.t.Helper()
	p, err := w.db.Audit(w.t.Context(), db.AuditFilter{Limit: 1})
	w.must(err)
	return p.Items[0]
}

func withHost(o *Options) {
	o.Backups = o.DB.NewBackups()
	o.Host = Host{StartedAt: iot.At(o.Now().Add(-26 * time.Hour)), Retention: 30 * 24 * time.Hour, RetentionBytes: 4 << 30,
		LivePages: func() int { return 3 },
		Options: []pages.HostOption{{Heading: "Where", Name: "-listen", Value: ":8080", Custom: true},
			{Heading: "Watching it", Name: "THINGPOST_METRICS_TOKEN", Value: "set", Custom: true}}}
}

func TestPagesOfTheInstanceAreForItsAdministrator(t *testing.T) {
	w := openWorld(t, withHost)
	admin := w.as(w.member("carla@veldhuis.example", iot.Owner))
	n := 0
	for _, rt := range routesOf(w) {
		if rt.access != administrator {
			continue
		}
		n++
		path := strings.ReplaceAll(rt.pattern, "{backup}", "thingpost-20261121-100400.db")
		if p := admin.do(httptest.NewRequest(rt.method, path, nil), nil); p.status != 403 {
			t.Errorf("%s %s answers %d to an owner who does not run the host", rt.method, path, p.status)
		}
	}
	if n < 9 {
		t.Errorf("%d routes", n)
	}
	admin.get("/").lacks(`.rail a[href^="/settings/storage"]`)
	w.as(w.owner).get("/settings").has(".rail", "Storage").has(".rail", "System")
	w.as(w.owner).get("/projects/greenhouse-north").has(`.rail a[href="/settings/storage?project=greenhouse-north"]`, "Storage")
	w.as(w.owner).get("/settings/storage?project=greenhouse-north").is(200).has(".rail",
		"Configure webhooks").has(`.rail a[aria-current="page"]`, "Storage")
}

func TestStorage(t *testing.T) {
	w := openWorld(t, withHost)
	p := w.as(w.owner).get("/settings/storage").is(200)
	p.has(".stats", "Database").has(".stats", "Free on the disk").has(".stats", "not known yet")
	p.has(".rows", "30 days").has(".rows", "4 GiB").has("main", "When the disk is low").has("#backups", "No backups yet")
	p.lacks("#backups[hx-trigger]")
}

func TestGrowth(t *testing.T) {
	const gib = 1 << 30
	now := iot.Instant(1_800_000_000_000)
	hour := func(ago time.Duration, used int64) db.StorageHour {
		return db.StorageHour{At: now.Add(-ago), Used: used}
	}
	size := db.Size{File: 3 * gib, Free: gib} // 2 GiB used
	for name, c := range map[string]struct {
		hours []db.StorageHour
		want  int64
		known bool
	}{
		"nothing known":         {nil, 0, false},
		"too short":             {[]db.StorageHour{hour(2*time.Hour, gib)}, 0, false},
		"a day":                 {[]db.StorageHour{hour(25*time.Hour, gib)}, gib, true},
		"half a day":            {[]db.StorageHour{hour(13*time.Hour, gib), hour(time.Hour, 2*gib)}, 2 * gib, true},
		"shrinks":               {[]db.StorageHour{hour(25*time.Hour, 3*gib)}, -gib, true},
		"older than a week not": {[]db.StorageHour{hour(9*24*time.Hour, 0), hour(25*time.Hour, gib)}, gib, true},
	} {
		if got, known := growth(c.hours, size, now); got != c.want || known != c.known {
			t.Errorf("%s: %d %v, want %d %v", name, got, known, c.want, c.known)
		}
	}
	page := pages.StoragePage{File: 3 * gib, FreeInside: gib, DiskFree: 9 * gib, DiskKnown: true, GrowthKnown: true, PerDay: gib}
	for name, c := range map[string]struct {
		change func(*pages.StoragePage)
		days   int64
		limit  bool
	}{
		"disk":            {func(*pages.StoragePage) {}, 10, false},
		"limit first":     {func(p *pages.StoragePage) { p.RetentionBytes = 6 * gib }, 4, true},
		"disk first":      {func(p *pages.StoragePage) { p.RetentionBytes = 60 * gib }, 10, false},
		"at the limit":    {func(p *pages.StoragePage) { p.RetentionBytes = gib }, 0, true},
		"not growing":     {func(p *pages.StoragePage) { p.PerDay = 0 }, -1, false},
		"nothing is told": {func(p *pages.StoragePage) { p.DiskKnown = false }, -1, false},
	} {
		p := page
		c.change(&p)
		if days, limit := daysLeft(p); days != c.days || limit != c.limit {
			t.Errorf("%s: %d %v, want %d %v", name, days, limit, c.days, c.limit)
		}
	}
}

func TestBackupByPage(t *testing.T) {
	var backups *db.Backups
	w := openWorld(t, withHost, func(o *Options) { backups = o.Backups })
	c := w.as(w.owner)
	c.post("/settings/storage/backups").leadsTo("/settings/storage")
	c.post("/settings/storage/backups").is(409)
	c.get("/settings/storage").has("#backups", "A backup is running.").has(`#backups[hx-trigger="every 1s"]`, "").has("button[disabled]",
		"Back up now")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- backups.Run(ctx) }()
	for backups.State().Since != 0 {
		if t.Context().Err() != nil {
			t.Fatal("the backup never ends")
		}
	}
	stop()
	w.must(<-ended)
	if e := w.lastChange(); e.Action != "backup.create" || e.Actor != w.owner.Email {
		t.Errorf("audit says %+v", e)
	}
	const name = "thingpost-20261121-100400.db"
	p := c.fragment("/settings/storage", "backups").is(200).has("#backups", name).lacks("#backups[hx-trigger]").lacks("h1")
	href := p.Find(`a[aria-label="Download `+name+`"]`).AttrOr("href", "")
	got := c.get(href).is(200)
	if !strings.HasPrefix(got.body, "SQLite format 3") || !strings.Contains(got.header.Get("Content-Disposition"), name) ||
		got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("downloaded %d bytes as %q", len(got.body), got.header.Get("Content-Disposition"))
	}
	for _, secret := range []string{deviceSecret, "very-secret-header", password} {
		if strings.Contains(got.body, secret) {
			t.Errorf("the backup holds %q in clear", secret)
		}
	}
	if e := w.lastChange(); e.Action != "backup.download" {
		t.Errorf("audit says %+v", e)
	}
	for _, bad := range []string{"thingpost.db", "secret.key", "..%2Fsecret.key", "thingpost-20261121-100400.db.txt",
		"thingpost-20990101-000000.db"} {
		c.get("/settings/storage/backups/" + bad).is(404)
		c.post("/settings/storage/backups/" + bad + "/delete").is(404)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(w.db.Path()), db.KeyFileName)); err != nil {
		t.Fatalf("the key is gone: %v", err)
	}
	c.get("/settings/storage/backups/"+name+"/delete").is(200).has("h1", "Delete "+name+"?")
	c.post("/settings/storage/backups/" + name + "/delete").leadsTo("/settings/storage")
	c.get("/settings/storage").has("#backups", "No backups yet")
}

func TestPruneByPage(t *testing.T) {
	w := openWorld(t, withHost)
	c := w.as(w.owner)
	c.get("/settings/storage/prune").is(200).has("main", "older than 30 days or beyond 4 GiB")
	c.post("/settings/storage/prune").leadsTo("/settings/storage")
	if e := w.lastChange(); e.Action != "storage.prune" {
		t.Errorf("audit says %+v", e)
	}
}

func TestSystem(t *testing.T) {
	w := openWorld(t, withHost)
	p := w.as(w.owner).get("/settings/system").is(200)
	p.has(".stats", "Accepting").has(".stats", "26h").has(".rows", "1.2.3").has(".rows", "go1.").has(".checks",
		"A test row was on disk").has(".checks", "People reach Thingpost at https://hooks.veldhuis.example")
	p.has("tbody", ":8080").has("tbody", "THINGPOST_METRICS_TOKEN").has("main", "/readyz").has(`main a[href^="/static/LICENSES"]`, "Licences")
	insecure := openWorld(t, withHost, func(o *Options) { o.PublicURL = "http://hooks.veldhuis.example" })
	insecure.as(insecure.owner).get("/settings/system").has(".checks [data-no]", "without TLS")
}

func TestOwnName(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	c.get("/settings").is(200).has(`#own-name[value="Marit Veldhuis"]`, "")
	c.post("/settings/name", "name", " ").faulty("name", "Must have 1 to 254 characters")
	c.post("/settings/name", "name", "Marit V.").leadsTo("/settings")
	c.get("/settings").has(".rail", "Marit V.").has("#toasts", "Your name is now Marit V.")
	if e := w.lastChange(); e.Action != "account.update" || e.Subject != w.owner.Email {
		t.Errorf("audit says %+v", e)
	}
}

func TestRevealedKeyIsAudited(t *testing.T) {
	w := openWorld(t)
	w.as(w.owner).post("/projects/greenhouse-north/devices/soil-probe-07/key", "do",
		pages.RevealKey).leadsTo("/projects/greenhouse-north/devices/soil-probe-07")
	if e := w.lastChange(); e.Action != "device.reveal_key" || e.Subject != "soil-probe-07" || e.Actor != w.owner.Email {
		t.Errorf("audit says %+v", e)
	}
}

func TestUsedSetUpLinkSpeaksToWhoeverIsSignedIn(t *testing.T) {
	w := openWorld(t)
	w.anonymous().get("/setup?token="+setUpToken).is(403).has("main", "Sign in instead")
	p := w.as(w.owner).get("/setup?token="+setUpToken).is(403).has("main", "you are signed in")
	if strings.Contains(p.Find("main").Text(), "Sign in instead") {
		t.Error("a signed-in person is told to sign in")
	}
}

func TestFaultsOfASlugAreTold(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	const path = "/projects/greenhouse-north/devices/new"
	c.post(path, "id", "x y").faulty("id", "Must be 1 to 64")
	c.post(path, "id", "new").faulty("id", "the dashboard's own pages have this name")
	c.post(path, "id", "0d9b4c1e-0000-4000-8000-000000000000").faulty("id", "Must not have the form of a UUID")
}

func TestSecretBoxesHaveNamesOfTheirOwn(t *testing.T) {
	w := openWorld(t)
	p := w.as(w.owner).get("/projects/greenhouse-north/webhooks/erp-goods-in").is(200)
	p.has(`label:has([name="headers.0.secret"])`, "Secret, header 1")
}

func TestStylePageOnlyWhereItWasAskedFor(t *testing.T) {
	w := openWorld(t)
	w.as(w.owner).get(pages.StylePath).is(404)
	w = openWorld(t, func(o *Options) { o.StylePage = true })
	w.as(w.owner).get(pages.StylePath).is(200).has("h1", "Style").has(".sheet[data-theme=dark]", "Primary")
	w.anonymous().get(pages.StylePath).leadsTo("/sign-in?next=%2Fsettings%2Fstyle")
}

// TestStorageNamesWhoHoldsTheLog reads the database in one go while much is stored.
func TestStorageNamesWhoHoldsTheLog(t *testing.T) {
	w := openWorld(t, withHost)
	c := w.as(w.owner)
	beside, err := sql.Open("sqlite", "file:"+w.db.Path())
	w.must(err)
	defer func() { _ = beside.Close() }()
	tx, err := beside.BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true})
	w.must(err)
	var n int
	w.must(tx.QueryRowContext(t.Context(), `SELECT count(*) FROM messages`).Scan(&n))
	for range 12 {
		w.send(`{"payload":"` + strings.Repeat("x", 900_000) + `"}`)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.db.Maintain(ctx, db.PruneOptions{}) }()
	defer func() { stop(); w.must(<-ended) }()
	held := func(want bool) {
		t.Helper()
		for (w.db.WALHold() != nil) != want {
			w.must(w.db.PruneSoon(w.owner.Email, 0)) // one more look
			if ctx.Err() != nil {
				t.Fatal("waited in vain")
			}
		}
	}
	c.get("/settings/storage").is(200).lacks(".alert")
	held(true)
	c.get("/settings/storage").is(200).has(".alert", "The write-ahead log cannot shrink.").has(".alert",
		"Wait if it is a backup. Stop the program if it is another one.").has(".stats", "cannot shrink, see above")
	w.must(tx.Rollback())
	held(false)
	c.get("/settings/storage").is(200).lacks(".alert")
}

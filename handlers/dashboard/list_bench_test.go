package dashboard

import (
	"database/sql"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"thingpost/db"
)

// listRows is how many deliveries the pages are measured with; another number can
// be given by THINGPOST_BENCH_ROWS.
const listRows = 1_000_000

// mostP95 is how long a page may take, but for one in twenty.
const mostP95 = 100 * time.Millisecond

// BenchmarkListPages asks for every page with a list, with each filter, of a
// project with a million deliveries of a day, through the real router:
//
//	go test ./handlers/dashboard -run '^$' -bench ListPages -benchtime 40x
//
// It fails if the 95th percentile of a page is over 100 ms.
func BenchmarkListPages(b *testing.B) {
	rows := listRows
	if n, err := strconv.Atoi(os.Getenv("THINGPOST_BENCH_ROWS")); err == nil {
		rows = n
	}
	w := openWorld(b)
	began := w.clock.Now()
	ended := began.Add(24 * time.Hour)
	w.clock.advance(24*time.Hour + time.Minute)
	w.fill(b, rows, benchDevices, began, ended)
	c := w.as(w.owner)
	for _, p := range w.listPages(b, 200*50) {
		b.Run(p.name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				start := time.Now()
				c.get(p.path).is(200)
				took = append(took, time.Since(start))
			}
			slices.Sort(took)
			p95 := took[len(took)*95/100]
			b.ReportMetric(float64(p95.Microseconds())/1000, "p95-ms")
			if p95 > mostP95 && len(took) > 10 {
				b.Errorf("%s takes %v, but for one in twenty", p.path, p95)
			}
		})
	}
}

// listPage is a page with a list. One that looks at rows no index chooses, which
// LookBack bounds, is marked as searching.
type listPage struct {
	name, path string
	searching  bool
}

// listPages are all pages with a list, with each filter; one of each log is so many
// deliveries down.
func (w *world) listPages(b *testing.B, down int) []listPage {
	b.Helper()
	const base = "/projects/greenhouse-north"
	before := "before=" + w.before(b, down)
	list := []listPage{
		{name: "overview", path: base},
		{name: "webhooks", path: base + "/webhooks"},
		{name: "webhook form", path: base + "/webhooks/erp-goods-in"},
		{name: "devices", path: base + "/devices"},
		{name: "devices, silent", path: base + "/devices?silent=1"},
		{name: "devices, page 200", path: base + "/devices?after=bench-009950"},
		{name: "devices, search", path: base + "/devices?q=nothing-like-this"},
		{name: "device", path: base + "/devices/bench-000007"},
		{name: "messages", path: base + "/messages"},
		{name: "messages, page 200", path: base + "/messages?" + before},
		{name: "messages, device", path: base + "/messages?device=bench-000007"},
		{name: "messages, rare type", path: base + "/messages?type=service_data"},
		{name: "messages, rare channel", path: base + "/messages?channel=none"},
		{name: "audit", path: base + "/audit"},
		{name: "deliveries", path: base + "/deliveries"},
		{name: "deliveries, page 200", path: base + "/deliveries?" + before},
		{name: "deliveries, time", path: base + "/deliveries?time=1h"},
		{name: "deliveries, webhook", path: base + "/deliveries?webhook=erp-goods-in"},
		{name: "deliveries, old webhook", path: base + "/deliveries?webhook=early-bird"},
		{name: "deliveries, device", path: base + "/deliveries?device=bench-000007"},
		{name: "deliveries, silent device", path: base + "/deliveries?device=soil-probe-07"},
		{name: "deliveries, webhook and device", path: base + "/deliveries?webhook=early-bird&device=bench-000007"},
		{name: "deliveries, failed", path: base + "/deliveries?status=failed"},
		{name: "deliveries, pending", path: base + "/deliveries?status=pending"},
		{name: "deliveries, retrying", path: base + "/deliveries?status=retrying"},
		{name: "deliveries, pending of a webhook", path: base + "/deliveries?status=pending&webhook=webhook-3"},
		{name: "deliveries, skipped", path: base + "/deliveries?status=skipped"},
		{name: "deliveries, cancelled", path: base + "/deliveries?status=cancelled"},
		{name: "deliveries, code", path: base + "/deliveries?code=404"},
		{name: "deliveries, error", path: base + "/deliveries?error=dns"},
		{name: "deliveries, attempt", path: base + "/deliveries?attempt=9"},
		{name: "deliveries, all at once", path: base + "/deliveries?status=failed&code=500-599&error=http_5xx&attempt=2&webhook=erp-goods-in"},
	}
	for i := range list {
		for _, filter := range []string{"type=service", "channel=none", "=skipped", "=cancelled", "code=", "error=dns", "attempt=9",
			"webhook=early-bird&device", "webhook=webhook-3"} {
			list[i].searching = list[i].searching || strings.Contains(list[i].path, filter)
		}
	}
	return list
}

// before is the id of the delivery so far down the log.
func (w *world) before(b *testing.B, down int) string {
	b.Helper()
	page, err := w.db.Deliveries(b.Context(), db.DeliveryFilter{ProjectKey: w.project.Key, Limit: down})
	w.must(err)
	return page.Next.String()
}

// benchDevices is how many devices a filled store has.
const benchDevices = 20_000

// fillStep is how many rows one transaction of fill writes, so that the log does
// not grow to their size.
const fillStep = 500_000

// fill writes deliveries of the time between two instants past the store, from so
// many of its devices, one of which sends a tenth: of 2 % that failed, of some that wait, most of them for one
// webhook, and of one webhook that had nothing but the first ones.
func (w *world) fill(b *testing.B, rows, senders int, from, to time.Time) {
	b.Helper()
	keys := []int64{w.webhook.Key}
	for _, name := range []string{"Webhook 2", "Webhook 3", "Webhook 4", "Early bird"} {
		h := w.webhook.Clone()
		h.ID, h.UUID, h.Description = "", "", name
		w.must(w.db.CreateWebhook(h, w.owner.Email))
		keys = append(keys, h.Key)
	}
	raw, err := sql.Open("sqlite", "file:"+w.db.Path()+"?_pragma=busy_timeout(10000)&_pragma=synchronous(0)")
	w.must(err)
	defer func() { _ = raw.Close() }()
	exec := func(query string) {
		b.Helper()
		if _, err := raw.ExecContext(b.Context(), query); err != nil {
			b.Fatal(err, query)
		}
	}
	exec(fmt.Sprintf(`WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d - 1)
		INSERT INTO devices (project_id, profile_id, slug, uuid, name, key_hash, key_sealed, created_at, updated_at)
		SELECT %d, d.profile_id, printf('bench-%%06d', i), printf('00000000-0000-4000-8000-%%012d', i), 'Bench', randomblob(32), x'00', 1, 1 `+
		`FROM n, devices d WHERE d.id = %d`,
		benchDevices, w.project.Key, w.device.Key))
	exec(fmt.Sprintf(`INSERT OR REPLACE INTO device_seen SELECT id, %d FROM devices`, to.UnixMilli()))
	indexes := w.dropIndexes(b, raw)
	step := to.Sub(from).Milliseconds() / int64(rows)
	for first := 0; first < rows; first += fillStep {
		series := fmt.Sprintf(`WITH RECURSIVE n (i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i < %d - 1), r AS (SELECT i,
			(%d + i * %d) AS at, ((%d + i * %d) << 21) AS key, %d + CASE WHEN i %% 10 = 9 THEN 7 ELSE i %% %d END AS device,
			CASE WHEN i < 2000 THEN %d WHEN i %% 100 = 7 THEN %d WHEN i %% 3 = 0 THEN %d WHEN i %% 3 = 1 THEN %d ELSE %d END AS hook FROM n) `,
			first, min(first+fillStep, rows), from.UnixMilli(), step, from.UnixMilli(), step, w.device.Key+1, senders, keys[4], keys[2], keys[0],
			keys[1], keys[3])
		exec(series + fmt.Sprintf(`INSERT INTO messages (id, project_id, device_id, type, channel, payload, received_at, transient)
			SELECT key + 1, %d, device, 'user', '', CAST('{"n":' || i || '}' AS BLOB), at, 0 FROM r`, w.project.Key))
		exec(series + fmt.Sprintf(`INSERT INTO deliveries (project_id, id, message_id, webhook_id, device_id, type, channel, status, trigger, `+
			`in_order, size_bytes, due_at, created_at,
				attempt_count, code, error, error_detail, duration_ms, ended_at)
			SELECT %d, key + 2, key + 1, hook, device, 'user', '', CASE WHEN i %% 100 = 7 THEN 'pending' WHEN i %% 50 = 3 THEN 'failed' ELSE `+
			`'delivered' END, 'message', 0, 12,
				CASE WHEN i %% 100 = 7 THEN %d ELSE at END, at, CASE WHEN i %% 200 = 7 THEN 0 ELSE 1 END, CASE WHEN i %% 200 = 7 THEN 0 WHEN i %% `+
			`50 IN (3, 7) THEN 503 ELSE 200 END,
				CASE WHEN i %% 200 = 7 THEN NULL WHEN i %% 50 IN (3, 7) THEN 'http_5xx' END, CASE WHEN i %% 50 = 3 THEN 'It answered 503.' END, 61,
				CASE WHEN i %% 100 = 7 THEN 0 ELSE at + 61 END FROM r`, w.project.Key, to.UnixMilli()))
		exec(`PRAGMA wal_checkpoint(TRUNCATE)`)
	}
	for _, query := range indexes {
		exec(query)
		exec(`PRAGMA wal_checkpoint(TRUNCATE)`)
	}
	for _, query := range []string{
		`INSERT INTO webhook_counters (webhook_id, made, pending, delivered, failed) SELECT webhook_id, count(*), sum(status = 'pending'), ` +
			`sum(status = 'delivered'), sum(status = 'failed')
			FROM deliveries GROUP BY webhook_id ON CONFLICT DO UPDATE SET made = excluded.made, pending = excluded.pending, delivered = ` +
			`excluded.delivered, failed = excluded.failed`,
		`INSERT INTO webhook_hours (webhook_id, hour_at, delivered, failed, retried) SELECT webhook_id, created_at / 3600000 * 3600000, ` +
			`sum(status = 'delivered'), sum(status = 'failed'), 0 FROM deliveries GROUP BY 1, 2`,
		`INSERT INTO webhook_durations (webhook_id, hour_at, bucket, count) SELECT webhook_id, hour_at, 24 + webhook_id % 4, delivered FROM ` +
			`webhook_hours WHERE true`,
		fmt.Sprintf(`INSERT INTO project_hours (project_id, hour_at, messages) SELECT %d, received_at / 3600000 * 3600000, count(*) FROM `+
			`messages GROUP BY 2`, w.project.Key),
		`INSERT INTO device_days (day_at, device_id, messages) SELECT received_at / 86400000 * 86400000, device_id, count(*) FROM messages ` +
			`GROUP BY 1, 2`,
		fmt.Sprintf(`WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 50000) INSERT INTO audit (id, project_id, `+
			`actor, action, subject, detail)
			SELECT ((%d + i * 1000) << 21), %d, 'marit@veldhuis.example', 'device.update', 'bench', '' FROM n`, from.UnixMilli(), w.project.Key),
		`PRAGMA wal_checkpoint(TRUNCATE)`, // as the writer does when it is idle
	} {
		exec(query)
	}
}

// dropIndexes drops the indexes of messages and deliveries, and returns how to make
// them again: sorted at once, they take a fraction of the time.
func (w *world) dropIndexes(b *testing.B, raw *sql.DB) (again []string) {
	b.Helper()
	rows, err := raw.QueryContext(b.Context(), `SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name IN ('messages', `+
		`'deliveries') AND sql IS NOT NULL`)
	w.must(err)
	defer func() { _ = rows.Close() }()
	var drop []string
	for rows.Next() {
		var name, query string
		w.must(rows.Scan(&name, &query))
		drop, again = append(drop, `DROP INDEX `+name), append(again, query)
	}
	w.must(rows.Err())
	w.must(rows.Close())
	for _, query := range drop {
		_, err := raw.ExecContext(b.Context(), query)
		w.must(err)
	}
	return again
}

package db

import (
	"context"
	"time"

	"thingpost/internal/iot"
)

// Counters are sums over all deliveries that a webhook ever had, including those that
// retention has removed. Made is the sum of the others.
type Counters struct {
	Made, Pending, Delivered, Failed, Skipped, Cancelled int64
}

// Hour is what happened in one hour.
type Hour struct {
	At                         iot.Instant
	Messages                   int64 // of a project only
	Delivered, Failed, Retried int64
	// Grown is the change of the number of pending deliveries in the hour.
	Grown int64
}

// Stats are figures of a webhook, or of all webhooks of a project together.
type Stats struct {
	Counters Counters
	Hours    []Hour // 24, the running one last
	// P50MS and P95MS are percentiles of delivered attempts of the last 24 hours
	// in milliseconds, right within 19 %; 0 if there were none.
	P50MS, P95MS float64
	// OldestPendingAt is when the oldest pending delivery was made, NextDueAt when the next
	// one is due. Both are 0 if nothing is pending.
	OldestPendingAt, NextDueAt iot.Instant
}

// pendingColumns are of a webhook w: when its next delivery is due, and the key of its
// oldest pending one. Each reads the first entry of an index.
const (
	nextDueColumn = `coalesce((SELECT due_at FROM deliveries INDEXED BY deliveries_due WHERE webhook_id = w.id AND status = 'pending' ` +
		`ORDER BY due_at LIMIT 1), 0) AS due`
	oldestColumn = `coalesce((SELECT id FROM deliveries INDEXED BY deliveries_pending WHERE webhook_id = w.id AND status = 'pending' ` +
		`ORDER BY id LIMIT 1), 0) AS oldest`
	pendingColumns = nextDueColumn + `, ` + oldestColumn
)

// WebhookStats returns the figures of each webhook of a project, by its key.
func (d *DB) WebhookStats(ctx context.Context, projectKey int64) (map[int64]*Stats, error) {
	stats := map[int64]*Stats{}
	from := d.firstHour()
	rows, err := d.tables(ctx).QueryContext(ctx, `SELECT w.id, c.made, c.pending, c.delivered, c.failed, c.skipped,
		c.cancelled, `+pendingColumns+`
		FROM webhooks w JOIN webhook_counters c ON c.webhook_id = w.id WHERE w.project_id = $1 AND w.deleted_at = 0 AND w.kind = 'webhook'`,
		projectKey)
	if err != nil {
		return nil, translate("read webhook figures", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id, oldest int64
		s := &Stats{Hours: emptyHours(from)}
		c := &s.Counters
		if err := rows.Scan(&id, &c.Made, &c.Pending, &c.Delivered, &c.Failed, &c.Skipped, &c.Cancelled, &s.NextDueAt, &oldest); err != nil {
			return nil, translate("read webhook figures", err)
		}
		s.OldestPendingAt = iot.KeyTime(oldest)
		stats[id] = s
	}
	if err := rows.Err(); err != nil {
		return nil, translate("read webhook figures", err)
	}
	for id, s := range stats {
		if err := d.fillStats(ctx, s, `webhook_id = $1`, id, from); err != nil {
			return nil, err
		}
	}
	return stats, nil
}

// ProjectStats returns the figures of a project, of its deleted webhooks too.
func (d *DB) ProjectStats(ctx context.Context, projectKey int64) (*Stats, error) {
	from := d.firstHour()
	s := &Stats{Hours: emptyHours(from)}
	c := &s.Counters
	const ofProject = `webhook_id IN (SELECT id FROM webhooks WHERE project_id = $1)`
	if err := d.tables(ctx).QueryRowContext(ctx, `SELECT coalesce(sum(made), 0), coalesce(sum(pending), 0), coalesce(sum(delivered), 0),
		coalesce(sum(failed), 0),
		coalesce(sum(skipped), 0), coalesce(sum(cancelled), 0) FROM webhook_counters WHERE `+ofProject, projectKey).
		Scan(&c.Made, &c.Pending, &c.Delivered, &c.Failed, &c.Skipped, &c.Cancelled); err != nil {
		return nil, translate("read project figures", err)
	}
	var oldest int64
	if err := d.tables(ctx).QueryRowContext(ctx, `SELECT coalesce(min(nullif(due, 0)), 0), coalesce(min(nullif(oldest, 0)), 0) FROM (
		SELECT `+pendingColumns+` FROM webhooks w WHERE w.project_id = $1 AND w.deleted_at = 0)`, projectKey).Scan(
		&s.NextDueAt, &oldest); err != nil {
		return nil, translate("read project figures", err)
	}
	s.OldestPendingAt = iot.KeyTime(oldest)
	if err := d.fillStats(ctx, s, ofProject, projectKey, from); err != nil {
		return nil, err
	}
	rows, err := d.tables(ctx).QueryContext(ctx,
		`SELECT hour_at, messages FROM project_hours WHERE project_id = $1 AND hour_at >= $2`, projectKey, int64(from))
	if err != nil {
		return nil, translate("read project figures", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var at iot.Instant
		var n int64
		if err := rows.Scan(&at, &n); err != nil {
			return nil, translate("read project figures", err)
		}
		if h := hourIn(s.Hours, at); h != nil {
			h.Messages = n
		}
	}
	return s, translate("read project figures", rows.Err())
}

// fillStats adds hours and percentiles of the webhooks that a condition selects.
func (d *DB) fillStats(ctx context.Context, s *Stats, which string, id int64, from iot.Instant) error {
	rows, err := d.tables(ctx).QueryContext(ctx, `SELECT hour_at, sum(delivered), sum(failed), sum(retried), sum(grown) FROM webhook_hours
	WHERE `+which+` AND hour_at >= $2 GROUP BY hour_at`, id, int64(from))
	if err != nil {
		return translate("read hours", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var h Hour
		if err := rows.Scan(&h.At, &h.Delivered, &h.Failed, &h.Retried, &h.Grown); err != nil {
			return translate("read hours", err)
		}
		if to := hourIn(s.Hours, h.At); to != nil {
			*to = h
		}
	}
	if err := rows.Err(); err != nil {
		return translate("read hours", err)
	}
	buckets, err := d.tables(ctx).QueryContext(ctx,
		`SELECT bucket, sum(count) FROM webhook_durations WHERE `+which+` AND hour_at >= $2 GROUP BY bucket ORDER BY bucket`, id, int64(from))
	if err != nil {
		return translate("read durations", err)
	}
	defer func() { _ = buckets.Close() }()
	var list []bucketCount
	var total int64
	for buckets.Next() {
		var b bucketCount
		if err := buckets.Scan(&b.bucket, &b.count); err != nil {
			return translate("read durations", err)
		}
		list = append(list, b)
		total += b.count
	}
	s.P50MS, s.P95MS = percentile(list, total, 0.5), percentile(list, total, 0.95)
	return translate("read durations", buckets.Err())
}

type bucketCount struct {
	bucket int
	count  int64
}

// percentile returns the middle of the bucket up to which a share of all counts reaches.
func percentile(list []bucketCount, total int64, share float64) float64 {
	var below int64
	for _, b := range list {
		if below += b.count; float64(below) >= share*float64(total) {
			return BucketMS(b.bucket)
		}
	}
	return 0
}

func (d *DB) firstHour() iot.Instant {
	return iot.Instant(hourOf(0, iot.At(d.now())).at).Add(-23 * time.Hour)
}

func emptyHours(from iot.Instant) []Hour {
	hours := make([]Hour, 24)
	for i := range hours {
		hours[i].At = from.Add(time.Duration(i) * time.Hour)
	}
	return hours
}

func hourIn(hours []Hour, at iot.Instant) *Hour {
	for i := range hours {
		if hours[i].At == at {
			return &hours[i]
		}
	}
	return nil
}

package db

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"thingpost/internal/iot"
)

// Retention works in steps, so that nobody waits long for the writer. A step removes
// messages of pruneWeight together (a row weighs one, and so does a page of payload), or
// returns vacuumPages to the file system.
const (
	pruneWeight = 400
	vacuumPages = 256
	pageBytes   = 4096
)

// How long things are kept whatever the options are.
const (
	// deletedGrace is how long deleted and cancelled rows stay: an attempt that was in
	// flight must find them. Rows that ended otherwise have no attempt in flight and are
	// removed when needed: if they were kept for a time, no size would be bounded.
	deletedGrace = time.Hour
	hoursKept    = 31 * 24 * time.Hour
	daysKept     = 31 * 24 * time.Hour
	auditKept    = 365 * 24 * time.Hour
)

// PruneOptions say what is too old and what is too much.
type PruneOptions struct {
	OlderThan time.Duration // messages and ended deliveries; 0 keeps them for ever
	MaxBytes  int64         // of the database file and of its WAL, unless a reader keeps that; 0 is no bound
	// Doubtful says that the clock may be wrong: nothing is removed because of its
	// age, not even what has expired.
	Doubtful bool
}

// PruneResult is what was removed.
type PruneResult struct{ Messages, Deliveries, Attempts int64 }

func (r *PruneResult) add(o PruneResult) {
	r.Messages += o.Messages
	r.Deliveries += o.Deliveries
	r.Attempts += o.Attempts
}

// Prune removes what is too old, then the oldest until the database is small enough, then
// deleted rows to which nothing refers, and returns free space. It never removes a pending
// delivery and its message, nor a message with a younger delivery that is kept. Counters
// stay unchanged. It works in small steps and ends after one when ctx does; in any case it
// returns what was removed.
func (d *DB) Prune(ctx context.Context, o PruneOptions) (PruneResult, error) {
	var sum PruneResult
	now := iot.At(d.now())
	if o.Doubtful {
		if err := d.pruneBytes(ctx, &sum, o.MaxBytes); err != nil {
			return sum, err
		}
		return sum, d.vacuum(ctx, o.MaxBytes)
	}
	if o.OlderThan > 0 {
		err := d.pruneMessages(ctx, &sum, messagePage{top: iot.KeyAt(now.Add(-o.OlderThan))}, nil)
		if err != nil {
			return sum, err
		}
	}
	if err := d.pruneDeleted(ctx, &sum, now.Add(-deletedGrace)); err != nil {
		return sum, err
	}
	if err := d.pruneBytes(ctx, &sum, o.MaxBytes); err != nil {
		return sum, err
	}
	if err := d.pruneExpired(ctx, now, o.OlderThan); err != nil {
		return sum, err
	}
	return sum, d.vacuum(ctx, o.MaxBytes)
}

// pruneBytes removes the oldest ended deliveries until the rest is small enough.
func (d *DB) pruneBytes(ctx context.Context, sum *PruneResult, most int64) error {
	if most == 0 {
		return nil
	}
	size, err := d.Size(ctx)
	if err != nil {
		return err
	}
	// The WAL counts with its size before: pruning itself makes it grow. It counts for at
	// most half of the bound.
	wal, err := d.walCounts(ctx, size, most)
	if err != nil {
		return err
	}
	target := most - wal
	if size.File-size.Free <= target {
		return nil
	}
	return d.pruneMessages(ctx, sum, messagePage{top: 1<<63 - 1}, func() (bool, error) {
		size, err := d.Size(ctx)
		return size.File-size.Free <= target, err
	})
}

// messagePage is the position of a walk over messages, oldest first: keys above after and
// below top, of one project if it is not 0.
type messagePage struct{ project, after, top int64 }

// pruneMessages removes everything that has ended of a walk's messages, until enough
// returns true.
func (d *DB) pruneMessages(ctx context.Context, sum *PruneResult, at messagePage, enough func() (bool, error)) error {
	for {
		ids, err := d.nextMessages(ctx, &at)
		if err != nil || len(ids) == 0 {
			return err
		}
		removed, err := d.removeMessages(ids, at.top)
		sum.add(removed)
		if err != nil {
			return err
		}
		if enough != nil {
			if done, err := enough(); err != nil || done {
				return err
			}
		}
	}
}

// nextMessages returns the keys of the messages of one step, at least one, and moves the
// walk after them.
func (d *DB) nextMessages(ctx context.Context, at *messagePage) ([]int64, error) {
	query := `SELECT m.id,
		1 + length(m.payload) / $1 + coalesce((SELECT sum(1 + 2 * attempt_count) FROM deliveries WHERE message_id = m.id), 0)
		FROM messages m WHERE m.id > $2 AND m.id < $3`
	args := []any{pageBytes, at.after, at.top, pruneWeight}
	if at.project != 0 {
		query += ` AND m.project_id = $5`
		args = append(args, at.project)
	}
	rows, err := d.tables(ctx).QueryContext(ctx, query+` ORDER BY m.id LIMIT $4`, args...)
	if err != nil {
		return nil, translate("look for old messages", err)
	}
	defer func() { _ = rows.Close() }()
	var ids []int64
	for weight := int64(0); weight < pruneWeight && rows.Next(); {
		var id, w int64
		if err := rows.Scan(&id, &w); err != nil {
			return nil, translate("look for old messages", err)
		}
		ids, weight = append(ids, id), weight+w
		at.after = id
	}
	return ids, translate("look for old messages", rows.Err())
}

// removeMessages removes deliveries of messages that have ended (cancelled ones only after
// deletedGrace) and have keys below top. It removes the messages that then have none.
func (d *DB) removeMessages(ids []int64, top int64) (removed PruneResult, err error) {
	list, err := json.Marshal(ids)
	if err != nil {
		return removed, err
	}
	const (
		of    = `message_id IN (SELECT value FROM json_each($1))`
		ended = of + ` AND id < $2 AND status <> 'pending' AND (status <> 'cancelled' OR ended_at < $3)`
	)
	err = d.writeMany("remove old messages", pruneWeight, func(t *Tx) error {
		removed = PruneResult{}
		before := int64(iot.At(d.now()).Add(-deletedGrace))
		count := func(n *int64, query string, args ...any) error {
			r, err := t.exec(query, args...)
			if err != nil {
				return err
			}
			*n, err = r.RowsAffected()
			return err
		}
		if err := count(&removed.Attempts, `DELETE FROM attempts WHERE delivery_id IN (SELECT id FROM deliveries INDEXED BY `+
			`deliveries_message WHERE `+ended+`)`,
			string(list), top, before); err != nil {
			return err
		}
		if err := count(&removed.Deliveries, `DELETE FROM deliveries INDEXED BY deliveries_message WHERE `+ended, string(list), top,
			before); err != nil {
			return err
		}
		if err := count(&removed.Messages, `DELETE FROM messages WHERE id IN (SELECT value FROM json_each($1))
			AND NOT EXISTS (SELECT 1 FROM deliveries WHERE message_id = messages.id)`, string(list)); err != nil {
			return err
		}
		// A queue's old downlinks are removed with the messages about them.
		_, err := t.exec(pruneDownlinksQuery, int64(min(iot.KeyTime(slices.Max(ids)), iot.Instant(before))), pruneWeight)
		return err
	})
	return removed, err
}

// pruneDownlinksQuery removes a step of downlinks that are no longer queued.
const pruneDownlinksQuery = `DELETE FROM downlinks WHERE id IN (SELECT id FROM downlinks INDEXED BY downlinks_ended WHERE status <> ` +
	`'queued' AND changed_at < $1 ORDER BY changed_at LIMIT $2)`

// pruneDeleted removes rows that were deleted before an instant and to which nothing refers,
// with everything that deleted projects have.
func (d *DB) pruneDeleted(ctx context.Context, sum *PruneResult, before iot.Instant) error {
	projects, err := d.keys(ctx, `SELECT id FROM projects WHERE deleted_at > 0 AND deleted_at < $1`, int64(before))
	if err != nil {
		return err
	}
	for _, id := range projects {
		if err := d.pruneMessages(ctx, sum, messagePage{project: id, top: 1<<63 - 1}, nil); err != nil {
			return err
		}
	}
	const unnamed = `NOT EXISTS (SELECT 1 FROM deliveries WHERE `
	if err := d.removeEach(ctx, before, `SELECT id FROM webhooks w WHERE deleted_at > 0 AND deleted_at < $1 AND `+unnamed+`webhook_id = w.id)`,
		`DELETE FROM webhook_durations WHERE webhook_id = $1`, `DELETE FROM webhook_hours WHERE webhook_id = $1`,
		`DELETE FROM webhook_counters WHERE webhook_id = $1`, `DELETE FROM webhooks WHERE id = $1`); err != nil {
		return err
	}
	if err := d.removeEach(ctx, before, `SELECT id FROM devices d WHERE deleted_at > 0 AND deleted_at < $1 AND `+unnamed+`device_id = d.id)
		AND NOT EXISTS (SELECT 1 FROM messages WHERE device_id = d.id) AND NOT EXISTS (SELECT 1 FROM webhooks WHERE device_id = d.id AND `+
		`device_id > 0)`,
		`DELETE FROM downlinks WHERE device_id = $1`,
		`DELETE FROM device_seen WHERE device_id = $1`, `DELETE FROM devices WHERE id = $1`); err != nil {
		return err
	}
	return d.removeEach(ctx, before, `SELECT id FROM projects p WHERE deleted_at > 0 AND deleted_at < $1 AND `+unnamed+`project_id = p.id)
		AND NOT EXISTS (SELECT 1 FROM messages WHERE project_id = p.id)
		AND NOT EXISTS (SELECT 1 FROM profiles f JOIN devices d ON d.profile_id = f.id WHERE f.project_id = p.id)
		AND NOT EXISTS (SELECT 1 FROM webhooks WHERE project_id = p.id)`,
		`DELETE FROM inspections WHERE project_id = $1`, `DELETE FROM inspectors WHERE project_id = $1`,
		`DELETE FROM project_hours WHERE project_id = $1`, `DELETE FROM api_keys WHERE project_id = $1`,
		`DELETE FROM replays WHERE project_id = $1`, `DELETE FROM commands WHERE project_id = $1`, `DELETE FROM embeds WHERE project_id = $1`,
		`DELETE FROM profiles WHERE project_id = $1`, `DELETE FROM projects WHERE id = $1`)
}

// removeEach runs statements for each key that a query finds.
func (d *DB) removeEach(ctx context.Context, before iot.Instant, find string, statements ...string) error {
	keys, err := d.keys(ctx, find, int64(before))
	if err != nil {
		return err
	}
	for len(keys) > 0 {
		n := min(len(keys), pruneWeight/4)
		if err := d.writeMany("remove what was deleted", pruneWeight, func(t *Tx) error {
			for _, key := range keys[:n] {
				for _, s := range statements {
					if _, err := t.exec(s, key); err != nil {
						return err
					}
				}
			}
			return nil
		}); err != nil {
			return err
		}
		keys = keys[n:]
		if err := ctx.Err(); err != nil {
			return translate("remove what was deleted", err)
		}
	}
	return nil
}

func (d *DB) keys(ctx context.Context, query string, args ...any) ([]int64, error) {
	rows, err := d.reader.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, translate("look for what was deleted", err)
	}
	defer func() { _ = rows.Close() }()
	var list []int64
	for rows.Next() {
		var key int64
		if err := rows.Scan(&key); err != nil {
			return nil, translate("look for what was deleted", err)
		}
		list = append(list, key)
	}
	return list, translate("look for what was deleted", rows.Err())
}

// pruneExpired removes what expires by itself: sessions, tokens, deleted keys, figures of
// past hours and the audit log. It also removes inspectors' requests and downlinks that are
// no longer queued if they are older than olderThan (0 keeps them).
func (d *DB) pruneExpired(ctx context.Context, now iot.Instant, olderThan time.Duration) error {
	hours := int64(now.Add(-hoursKept))
	downlinks, inspected := int64(0), int64(0)
	if olderThan > 0 {
		downlinks, inspected = int64(now.Add(-olderThan)), iot.KeyAt(now.Add(-olderThan))
	}
	for _, p := range []struct {
		table, key, where string
		before            int64
	}{
		{"sessions", "hash", "expires_at <= $1", int64(now)},
		{"tokens", "hash", "expires_at <= $1", int64(now)},
		{"invitations", "id", "expires_at <= $1", int64(now)},
		{"known_addresses", "account_id, hash", "used_at < $1", int64(now.Add(-addressKept))},
		{"api_keys", "id", "deleted_at > 0 AND deleted_at < $1", int64(now.Add(-deletedGrace))},
		{"webhook_hours", "webhook_id, hour_at", "hour_at < $1", hours},
		{"webhook_durations", "webhook_id, hour_at, bucket", "hour_at < $1", hours},
		{"project_hours", "project_id, hour_at", "hour_at < $1", hours},
		{"downlinks", "id", "status <> 'queued' AND changed_at < $1", downlinks},
		{"storage_hours", "hour_at", "hour_at < $1", hours},
		{"inspections", "id", "id < $1", inspected},
		{"device_days", "day_at, device_id", "day_at < $1", int64(now.Add(-daysKept))},
		{"audit", "id", "id < $1", iot.KeyAt(now.Add(-auditKept))},
	} {
		// The readers look; the writer is asked only if there is something to remove.
		for {
			var some bool
			if err := d.reader.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM `+p.table+
				` WHERE `+p.where+`)`, p.before).Scan(&some); err != nil {
				return translate("look for what has expired", err)
			}
			if !some {
				break
			}
			if err := d.writeMany("remove what has expired", pruneWeight, func(t *Tx) error {
				_, err := t.exec(`DELETE FROM `+p.table+` WHERE (`+p.key+`) IN (SELECT `+p.key+` FROM `+p.table+` WHERE `+p.where+
					` LIMIT $2)`, p.before, pruneWeight)
				return err
			}); err != nil {
				return err
			}
		}
	}
	return nil
}

// vacuum returns free pages to the file system if they are more than a sixteenth of the
// file, or the file is too large with them, or the disk is full. Fewer free pages are kept
// for new rows.
func (d *DB) vacuum(ctx context.Context, most int64) error {
	for {
		size, err := d.Size(ctx)
		if err != nil {
			return err
		}
		wal, err := d.walCounts(ctx, size, most)
		if err != nil {
			return err
		}
		tooLarge := most > 0 && size.File > most-wal || d.Outage() != nil
		if size.Free == 0 || !tooLarge && size.Free <= size.File/16 {
			return nil
		}
		if err := d.writeMany("give free space back", pruneWeight, func(t *Tx) error {
			_, err := t.exec(`PRAGMA incremental_vacuum(` + strconv.Itoa(vacuumPages) + `)`)
			return err
		}); err != nil {
			return err
		}
		after, err := d.Size(ctx)
		if err != nil || after.File >= size.File {
			return err
		}
	}
}

// How often Maintain checks the size and prunes.
const (
	sizeEvery  = 10 * time.Second
	pruneEvery = 5 * time.Minute
)

// Maintain keeps the store as the options say until ctx ends. It prunes at once and every
// five minutes, or sooner if the database becomes too large, and cancels pending deliveries
// of deleted webhooks. An error is logged, and the work is retried later.
//
// For an hour nothing is removed because of its age after the clock was set forwards, and
// after a start at which the clock is more than a day later than anything stored. A wrong
// clock is mostly corrected by then, and what was removed would be lost.
func (d *DB) Maintain(ctx context.Context, o PruneOptions) error {
	tick := time.NewTicker(sizeEvery)
	defer tick.Stop()
	doubt := d.newDoubt()
	for n, once := 0, o; ; n++ {
		once.Doubtful = doubt.look(d.now()) && once.OlderThan == o.OlderThan // a person who chose another age has seen the clock
		err := d.cancelAllDeleted(ctx)
		if err == nil && n%int(pruneEvery/sizeEvery) == 0 {
			err = d.noted(ctx, true, d.Prune, once)
			once = o
		} else if err == nil {
			err = d.noted(ctx, false, d.keepSmall, o)
		}
		err = errors.Join(err, d.watchWAL(ctx))
		if err != nil && ctx.Err() == nil {
			d.log.Error("retention", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return nil
		case older := <-d.pruneNow:
			n = -1 // the next turn prunes
			if older > 0 && (o.OlderThan == 0 || older < o.OlderThan) {
				once.OlderThan = older
			}
		case <-tick.C:
		}
	}
}

// keepSmall is the urgent part of Prune.
func (d *DB) keepSmall(ctx context.Context, o PruneOptions) (sum PruneResult, err error) {
	if o.MaxBytes == 0 {
		return sum, nil
	}
	if err := d.pruneBytes(ctx, &sum, o.MaxBytes); err != nil || sum == (PruneResult{}) {
		return sum, err
	}
	return sum, d.vacuum(ctx, o.MaxBytes)
}

// cancelAllDeleted cancels the pending deliveries of deleted webhooks, a step at a time.
func (d *DB) cancelAllDeleted(ctx context.Context) error {
	owing := true
	for owing && ctx.Err() == nil {
		// The writer is asked only if there is something to cancel. What is only in the
		// journal is found a little later.
		if err := d.reader.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM webhooks w JOIN webhook_counters c ON c.webhook_id = w.id
			WHERE w.deleted_at > 0 AND c.pending > 0)`).Scan(&owing); err != nil {
			return translate("look for deleted webhooks", err)
		}
		if owing {
			if n, err := d.CancelDeleted(); err != nil || n == 0 {
				return err
			}
		}
	}
	return nil
}

// noted prunes, and stores what was removed. With always it stores the size even if nothing
// was removed.
func (d *DB) noted(ctx context.Context, always bool, prune func(context.Context, PruneOptions) (PruneResult, error), o PruneOptions) error {
	r, err := prune(ctx, o)
	if r != (PruneResult{}) {
		d.log.Info("pruned", slog.Int64("messages", r.Messages), slog.Int64("deliveries", r.Deliveries), slog.Int64("attempts", r.Attempts))
	}
	if always || r != (PruneResult{}) {
		err = errors.Join(err, d.noteStorage(ctx, r))
	}
	return err
}

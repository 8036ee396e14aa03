package db

import (
	"context"
	"encoding/json"
	"time"

	"thingpost/internal/iot"
)

// Behind returns how far the clock is behind the newest id. If that is far, the clock was
// set back since that id was made.
func (d *DB) Behind() time.Duration {
	return d.ids.Last().Sub(iot.At(d.now()))
}

// bringInStep is how many deliveries one step of BringIn examines.
const bringInStep = 1000

const bringInQuery = `SELECT project_id, id, due_at, attempt_count FROM deliveries INDEXED BY deliveries_due
	WHERE webhook_id = $1 AND status = 'pending' AND (due_at, project_id, id) > ($2, $3, $4) ORDER BY due_at, project_id, id LIMIT $5`

// waits is a pending delivery and when it is due.
type waits struct {
	project, id int64
	due         iot.Instant
	attempts    int
}

// BringIn makes pending deliveries of a webhook due sooner if they would wait longer than
// longest returns for their number of attempts: their due time is from before the clock
// was set back. They then wait as long as wait returns. BringIn works in steps and returns
// how many deliveries it changed.
func (d *DB) BringIn(ctx context.Context, webhookKey int64, longest, wait func(attempts int) time.Duration) (n int, err error) {
	now := iot.At(d.now())
	after := waits{due: now}
	for {
		list, err := d.waiting(ctx, webhookKey, after)
		if err != nil {
			return n, translate("look for deliveries due too late", err)
		}
		var values [][3]int64
		for _, v := range list {
			after = v
			if v.due.Sub(now) > longest(v.attempts) {
				values = append(values, [3]int64{v.project, v.id, int64(now.Add(wait(v.attempts)))})
			}
		}
		if err := d.setDue(webhookKey, values); err != nil {
			return n, err
		}
		n += len(values)
		if len(list) < bringInStep {
			return n, nil
		}
	}
}

// waiting returns a step of a webhook's pending deliveries that are due after a certain
// one, in the order of their due times.
func (d *DB) waiting(ctx context.Context, webhookKey int64, after waits) ([]waits, error) {
	if err := d.MoveJournal(ctx); err != nil {
		return nil, err
	}
	rows, err := d.reader.QueryContext(ctx, bringInQuery, webhookKey, int64(after.due), after.project, after.id, bringInStep)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var list []waits
	for rows.Next() {
		var v waits
		if err := rows.Scan(&v.project, &v.id, &v.due, &v.attempts); err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, rows.Err()
}

// setDue changes when pending deliveries of a webhook are due. Each value is a project, a
// key and an instant.
func (d *DB) setDue(webhookKey int64, values [][3]int64) error {
	if len(values) == 0 {
		return nil
	}
	text, err := json.Marshal(values)
	if err != nil {
		return err
	}
	return d.write("make deliveries due sooner", func(t *Tx) error {
		t.reload(webhookKey)
		_, err := t.exec(`UPDATE deliveries SET due_at = x.value ->> 2 FROM json_each($1) x
			WHERE project_id = x.value ->> 0 AND deliveries.id = x.value ->> 1 AND status = 'pending'`, string(text))
		return err
	})
}

// doubtFor is how long nothing is removed because of its age after the clock was set
// forwards. doubtApart is how far after the newest id a start may be without doubt.
const (
	doubtFor   = time.Hour
	doubtApart = 24 * time.Hour
)

// doubt records whether the clock may be wrong.
type doubt struct {
	watch iot.ClockWatch
	since time.Time // zero: no doubt
}

func (d *DB) newDoubt() *doubt {
	v := &doubt{}
	now := d.now()
	v.watch.Look(now)
	if last := d.ids.Last(); last != 0 && iot.At(now).Sub(last) > doubtApart {
		v.since = now
	}
	return v
}

// look reports whether the clock is in doubt.
func (v *doubt) look(now time.Time) bool {
	if by := v.watch.Look(now); by > 0 {
		v.since = now
	}
	if !v.since.IsZero() && now.Sub(v.since) >= doubtFor {
		v.since = time.Time{}
	}
	return !v.since.IsZero()
}

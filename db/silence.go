package db

import (
	"context"

	"thingpost/internal/iot"
)

// Silence marks a message that reports its device's silence or return. The message is stored
// together with the device's state, and only if that changes: so there is one message for
// each silence and one for its end, however often it is reported. Such a message does not
// count as a sign of life.
type Silence struct {
	// Back: the device sends again. Otherwise it is silent.
	Back bool
	// LastSeenAt is when the device was last seen, as far as the caller knows; ignored for
	// Back.
	LastSeenAt iot.Instant

	// Old is set if the device is in this state already, or was seen after LastSeenAt:
	// nothing was stored.
	Old bool
	// Gone is set if the device is deleted or no longer expected: nothing was stored.
	Gone bool
}

const turnQuery = `SELECT ` + lastSeen + `, d.silent_at, d.expected_interval_ms + f.expected_interval_ms
	FROM devices d JOIN profiles f ON f.id = d.profile_id WHERE d.id = $1 AND d.deleted_at = 0`

// turn changes a device's state for a message that reports it, if the state is new.
func (w *writer) turn(t *Tx, a *Accept) error {
	s, m := a.Silence, a.Message
	s.Old, s.Gone = false, false
	var seen, silent iot.Instant
	var interval int64
	if err := t.row(turnQuery, m.DeviceKey).Scan(&seen, &silent, &interval); isNoRow(err) {
		s.Gone = true
		return nil
	} else if err != nil {
		return err
	}
	at := m.ReceivedAt
	if s.Back {
		s.Old, at = silent == 0, 0
	} else {
		s.Gone = interval == 0
		if last := w.putOff.seen[m.DeviceKey]; last != 0 && last.After(seen) {
			seen = last
		}
		s.Old = silent != 0 || seen > s.LastSeenAt
	}
	if s.Old || s.Gone {
		return nil
	}
	t.changed(m.ProjectKey, iot.DevicesChanged)
	_, err := t.exec(`UPDATE devices SET silent_at = $1 WHERE id = $2`, int64(at), m.DeviceKey)
	return err
}

// expectDevice applies a change of a device's interval or profile. A device that is not
// expected is not silent.
func (t *Tx) expectDevice(v *iot.Device) error {
	t.commit.Intervals = append(t.commit.Intervals, v.ProjectKey)
	return t.row(`UPDATE devices SET silent_at = CASE WHEN expected_interval_ms > 0 OR (SELECT expected_interval_ms FROM profiles WHERE id `+
		`= profile_id) > 0 THEN silent_at ELSE 0 END
		WHERE id = $1 RETURNING silent_at`, v.Key).Scan(&v.SilentAt)
}

// expectProfile stores a profile's changed interval.
func (t *Tx) expectProfile(p *iot.Profile) error {
	t.commit.Intervals = append(t.commit.Intervals, p.ProjectKey)
	if _, err := t.exec(`UPDATE profiles SET expected_interval_ms = $1 WHERE id = $2`, p.ExpectedIntervalMS, p.Key); err != nil ||
		p.ExpectedIntervalMS > 0 {
		return err
	}
	t.changed(p.ProjectKey, iot.DevicesChanged)
	_, err := t.exec(`UPDATE devices SET silent_at = 0 WHERE project_id = $1 AND profile_id = $2 AND silent_at > 0 AND deleted_at = 0 AND `+
		`expected_interval_ms = 0`, p.ProjectKey, p.Key)
	return err
}

// Watched is a device that is expected at an interval and has sent at least once.
type Watched struct {
	Key, ProjectKey      int64
	ExpectedIntervalMS   int64 // its own, or its profile's
	LastSeenAt, SilentAt iot.Instant
}

// watchedStep bounds the devices of one read of Watched, so that no read is long.
const watchedStep = 5000

const (
	watchedOwnQuery = `SELECT d.id, d.project_id, d.expected_interval_ms, ` + lastSeen +
		`, d.silent_at FROM devices d INDEXED BY devices_interval
		WHERE d.project_id = $1 AND d.id > $2 AND d.expected_interval_ms > 0 AND d.deleted_at = 0 ORDER BY d.id LIMIT $3`
	watchedProfileQuery = `SELECT d.id, d.project_id, f.expected_interval_ms, ` + lastSeen +
		`, d.silent_at FROM profiles f CROSS JOIN devices d INDEXED BY devices_profile
		WHERE f.id = $1 AND d.profile_id = $1 AND d.id > $2 AND d.deleted_at = 0 AND d.expected_interval_ms = 0 ORDER BY d.id LIMIT $3`
)

// Watched calls each with every device to watch of a project (0: of all projects). It reads
// in steps; a device that changes meanwhile may be passed in its old or its new state.
func (d *DB) Watched(ctx context.Context, projectKey int64, each func(Watched)) error {
	projects, err := d.keys(ctx, `SELECT id FROM projects WHERE deleted_at = 0 AND ($1 = 0 OR id = $1)`, projectKey)
	if err != nil {
		return err
	}
	profiles, err := d.keys(ctx, `SELECT id FROM profiles WHERE expected_interval_ms > 0 AND ($1 = 0 OR project_id = $1)`, projectKey)
	if err != nil {
		return err
	}
	for _, p := range []struct {
		query string
		of    []int64
	}{{watchedOwnQuery, projects}, {watchedProfileQuery, profiles}} {
		for _, key := range p.of {
			if err := d.watched(ctx, p.query, key, each); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *DB) watched(ctx context.Context, query string, of int64, each func(Watched)) error {
	for after := int64(0); ; {
		list, err := d.watchedPage(ctx, query, of, after)
		if err != nil {
			return translate("read watched devices", err)
		}
		for _, v := range list {
			after = v.Key
			if v.LastSeenAt != 0 {
				each(v)
			}
		}
		if len(list) < watchedStep {
			return nil
		}
	}
}

func (d *DB) watchedPage(ctx context.Context, query string, of, after int64) (list []Watched, err error) {
	rows, err := d.reader.QueryContext(ctx, query, of, after, watchedStep)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var v Watched
		if err := rows.Scan(&v.Key, &v.ProjectKey, &v.ExpectedIntervalMS, &v.LastSeenAt, &v.SilentAt); err != nil {
			return nil, err
		}
		v.LastSeenAt = d.lastSeen(v.Key, v.LastSeenAt)
		list = append(list, v)
	}
	return list, rows.Err()
}

// DeviceOfKey returns a device by its integer key; not_found.
func (d *DB) DeviceOfKey(ctx context.Context, key int64) (*iot.Device, error) {
	return d.oneDevice(ctx, d.lookUps.ofKey, key)
}

// CountSilent returns how many of a project's devices are silent, up to a limit.
func (d *DB) CountSilent(ctx context.Context, projectKey int64, limit int) (n int, err error) {
	err = d.reader.QueryRowContext(ctx, `SELECT count(*) FROM (SELECT 1 FROM devices WHERE project_id = $1 AND silent_at > 0 AND `+
		`deleted_at = 0 LIMIT $2)`, projectKey, limit).Scan(&n)
	return n, translate("count silent devices", err)
}

// NoteWatched records that devices were watched until now; see WatchedUntil.
func (d *DB) NoteWatched(now iot.Instant) error {
	return d.write("note watch", func(t *Tx) error {
		_, err := t.exec(`INSERT INTO meta (name, value) VALUES ('watched_until', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
			int64(now))
		return err
	})
}

// WatchedUntil returns until when devices were last watched, 0 if never. A silence after that
// was not watched and does not count.
func (d *DB) WatchedUntil(ctx context.Context) (at iot.Instant, err error) {
	err = d.reader.QueryRowContext(ctx, `SELECT coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'watched_until'), 0)`).Scan(&at)
	return at, translate("read watch", err)
}

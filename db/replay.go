package db

import (
	"context"
	"database/sql"
	"encoding/json"
	"strconv"
	"strings"

	"thingpost/internal/iot"
)

// MaxReplays bounds the replays of a project that run at the same time.
const MaxReplays = 10

// ReplaySpec is what a replay sends. Exactly one of its filters is set.
type ReplaySpec struct {
	// Deliveries selects among ended deliveries; each goes to its own webhook.
	Deliveries *DeliveryFilter `json:"deliveries,omitempty"`
	// Messages go to WebhookKey.
	Messages   *MessageFilter `json:"messages,omitempty"`
	WebhookKey int64          `json:"webhook,omitempty"`
	// Missing leaves out messages that already have a delivery to the webhook.
	Missing bool `json:"missing,omitempty"`
	// Wanted leaves out messages that the webhook's rules do not want.
	Wanted bool `json:"wanted,omitempty"`
}

// Wants reports whether a webhook's present rules want a message. The message has no
// payload; of the profile only Webhook is set.
type Wants func(*iot.Message, *iot.Profile) bool

// ReplayWindow bounds the rows that one read of a replay examines.
const ReplayWindow = 20_000

// replayRows returns ReplayWindow; tests that bound what a page examines have fewer.
func (d *DB) replayRows() int { return min(ReplayWindow, d.lookBack) }

// project returns the project of the replay's filter.
func (s ReplaySpec) project() int64 {
	if s.Deliveries != nil {
		return s.Deliveries.ProjectKey
	}
	return s.Messages.ProjectKey
}

// source says which filter is set.
func (s ReplaySpec) source() iot.ReplaySource {
	if s.Deliveries != nil {
		return iot.FromDeliveries
	}
	return iot.FromMessages
}

// hook returns the one webhook that gets everything; 0 if each delivery goes to its own.
func (s ReplaySpec) hook() int64 {
	if s.Deliveries != nil {
		return s.Deliveries.WebhookKey
	}
	return s.WebhookKey
}

// Until bounds the selection to what is older than an id, unless it is bounded already: so
// what is counted is what is sent.
func (s ReplaySpec) Until(id iot.ID) ReplaySpec {
	if s.Deliveries != nil && s.Deliveries.Before.IsZero() {
		f := *s.Deliveries
		f.Before = id
		s.Deliveries = &f
	}
	if s.Messages != nil && s.Messages.Before.IsZero() {
		f := *s.Messages
		f.Before = id
		s.Messages = &f
	}
	return s
}

// edgeQuery finds the last row of the window of so many rows that begins after a key. There
// is none if fewer rows are left.
func (s ReplaySpec) edgeQuery(after int64, rows int) (query string, args []any) {
	if s.Deliveries != nil {
		f := s.Deliveries.ended()
		f.within.low = after + 1
		from, where, args, _ := f.base()
		return `SELECT v.id FROM ` + from + ` WHERE ` + strings.Join(where, " AND ") + ` ORDER BY v.id LIMIT 1 OFFSET ` + strconv.Itoa(rows-1),
			args
	}
	f := *s.Messages
	f.within.low = after + 1
	from, where, args := f.base()
	return `SELECT m.id FROM ` + from + ` WHERE ` + where + ` ORDER BY m.id LIMIT 1 OFFSET ` + strconv.Itoa(rows-1), args
}

// windowQuery reads what is selected after a key, up to the edge (0: to the end), the oldest
// first, so that each device's messages are sent in the order in which they were received.
// It selects only what can be sent.
func (s ReplaySpec) windowQuery(after, edge int64, limit int) (query string, args []any) {
	within := bounds{low: after + 1}
	if edge != 0 {
		within.high = edge + 1
	}
	if s.Deliveries != nil {
		f := s.Deliveries.ended()
		f.within = within
		from, where, args, _ := f.base()
		condition, args := f.all(where, args)
		return `SELECT v.id, v.message_id, v.webhook_id, v.device_id, v.type, v.channel, 1 FROM ` + from + ` WHERE ` + condition + `
			AND EXISTS (SELECT 1 FROM messages m WHERE m.id = v.message_id AND m.transient <> 2)
			AND EXISTS (SELECT 1 FROM webhooks w WHERE w.id = v.webhook_id AND w.deleted_at = 0)
			ORDER BY v.id LIMIT ` + strconv.Itoa(limit), args
	}
	f := *s.Messages
	f.within = within
	from, where, args := f.base()
	arg := func(v any) string { args = append(args, v); return "$" + strconv.Itoa(len(args)) }
	where += f.rest(arg)
	hook := arg(s.WebhookKey)
	if s.Missing {
		where += ` AND NOT EXISTS (SELECT 1 FROM deliveries v INDEXED BY deliveries_message WHERE v.message_id = m.id AND v.webhook_id = ` +
			hook + `)`
	}
	return `SELECT m.id, m.id, w.id, m.device_id, m.type, m.channel, coalesce(p.webhook, 1) FROM ` + from + `
		CROSS JOIN webhooks w LEFT JOIN devices d ON d.id = m.device_id LEFT JOIN profiles p ON p.id = d.profile_id
		WHERE ` + where + ` AND w.id = ` + hook + ` AND w.deleted_at = 0 ORDER BY m.id LIMIT ` + strconv.Itoa(limit), args
}

// replayWindow is one part of what a replay sends.
type replayWindow struct {
	list   []iot.Delivery // with the keys of message, webhook and device
	cursor int64          // where the next window begins
	end    bool           // nothing follows it
}

// window reads the window after a cursor in one short transaction.
func (d *DB) window(ctx context.Context, s ReplaySpec, wants Wants, after int64, rows, limit int) (win replayWindow, err error) {
	err = d.inTables(ctx, func(tx *sql.Tx) error {
		var edge int64
		query, args := s.edgeQuery(after, rows)
		if err := tx.QueryRowContext(ctx, query, args...).Scan(&edge); err != nil && !isNoRow(err) {
			return err
		}
		query, args = s.windowQuery(after, edge, limit)
		list, err := tx.QueryContext(ctx, query, args...)
		if err != nil {
			return err
		}
		defer func() { _ = list.Close() }()
		n := 0
		for list.Next() {
			v := iot.Delivery{ProjectKey: s.project()}
			var key, message int64
			var profile iot.Profile
			if err := list.Scan(&key, &message, &v.WebhookKey, &v.DeviceKey, &v.Type, &v.Channel, &profile.Webhook); err != nil {
				return err
			}
			n++
			win.cursor = key
			v.MessageID = d.ids.Of(message)
			if s.Wanted && s.Messages != nil &&
				!wants(&iot.Message{ID: v.MessageID, ProjectKey: v.ProjectKey, DeviceKey: v.DeviceKey, Type: v.Type, Channel: v.Channel}, &profile) {
				continue
			}
			win.list = append(win.list, v)
		}
		if n < limit {
			win.cursor, win.end = edge, edge == 0
		}
		return list.Err()
	})
	return win, translate("look for what to send again", err)
}

// CountReplay returns how many deliveries a replay would create. With atMost set it stops
// there, or after about LookBack rows, and more says that there are or may be more. 0 counts
// all, one window at a time.
func (d *DB) CountReplay(ctx context.Context, s ReplaySpec, wants Wants, atMost int) (n int, more bool, err error) {
	after := int64(0)
	for looked := 0; ; looked += d.replayRows() {
		win, err := d.window(ctx, s, wants, after, d.replayRows(), d.replayRows())
		if err != nil {
			return n, false, err
		}
		n += len(win.list)
		switch {
		case win.end:
			if atMost > 0 && n > atMost {
				return atMost, true, nil
			}
			return n, false, nil
		case atMost > 0 && (n > atMost || looked >= d.lookBack):
			return min(n, atMost), true, nil
		}
		after = win.cursor
	}
}

const replayColumns = `r.id, r.project_id, r.webhook_id, coalesce(w.slug, ''), r.source, r.about, r.state, r.rate, r.count, r.counted,
	r.done, r.passed_over, r.error,
	r.created_by, r.created_at, r.changed_at, r.ended_at`

const fromReplays = ` FROM replays r LEFT JOIN webhooks w ON w.id = r.webhook_id`

func (d *DB) replayInto(r *iot.Replay, id *int64) []any {
	return []any{id, &r.ProjectKey, &r.WebhookKey, &r.Webhook, &r.Source, &r.About, &r.State, &r.Rate, &r.Count, &r.Counted, &r.Done,
		&r.PassedOver, &r.Error,
		&r.CreatedBy, &r.CreatedAt, &r.ChangedAt, &r.EndedAt}
}

// keptReplays bounds the replays of a project that are kept.
const keptReplays = 200

// CreateReplay begins a replay of what exists now; the reader of RunningReplays continues
// it. It reads Rate, Count and Counted of r and sets the other fields. Invalid for a bad
// rate (field "rate"), not_found for a webhook that does not exist, limit_reached if ten are
// running already.
func (d *DB) CreateReplay(ctx context.Context, r *iot.Replay, s ReplaySpec, actor string) error {
	if r.Rate < 0 || r.Rate > iot.MaxReplayRate {
		return iot.FieldError("rate", "must be a whole number, at most 10,000 a second; empty or 0 for no limit.")
	}
	about, err := d.aboutReplay(ctx, s)
	if err != nil {
		return err
	}
	id := d.NewID()
	s = s.Until(id)
	chosen, err := json.Marshal(s)
	if err != nil {
		return err
	}
	now := iot.At(d.now())
	*r = iot.Replay{Job: iot.Job{ID: id, ProjectKey: s.project(), About: about, State: iot.JobRunning, Count: r.Count, CreatedBy: actor,
		CreatedAt: now, ChangedAt: now}, WebhookKey: s.hook(), Source: s.source(), Rate: r.Rate, Counted: r.Counted}
	err = d.write("begin a replay", func(t *Tx) error {
		var running int
		if err := t.row(`SELECT count(*) FROM replays WHERE state = 'running' AND project_id = $1`, r.ProjectKey).Scan(&running); err != nil {
			return err
		}
		if running >= MaxReplays {
			return iot.NewError(iot.LimitReached, "Ten replays of this project are running already. Wait for one, or stop one.")
		}
		if _, err := t.exec(`DELETE FROM replays WHERE project_id = $1 AND state <> 'running' AND id <= (SELECT id FROM replays WHERE `+
			`project_id = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)`,
			r.ProjectKey, keptReplays-1); err != nil {
			return err
		}
		if _, err := t.exec(`INSERT INTO replays (id, project_id, webhook_id, source, chosen, about, state, rate, count, counted, created_by,
			created_at, changed_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)`, id.Key(), r.ProjectKey, r.WebhookKey, string(r.Source), string(chosen),
			about,
			string(r.State), r.Rate, r.Count, r.Counted, actor, int64(now)); err != nil {
			return err
		}
		t.replayChanged(r.ProjectKey, id)
		return t.audit(r.ProjectKey, actor, "delivery.replay", id.String(), about)
	})
	if err != nil {
		return err
	}
	if r.WebhookKey != 0 {
		err = d.reader.QueryRowContext(ctx, `SELECT slug FROM webhooks WHERE id = $1`, r.WebhookKey).Scan(&r.Webhook)
	}
	return translate("begin a replay", err)
}

// replayChanged announces a change to open pages, and to the goroutine that continues
// replays.
func (t *Tx) replayChanged(projectKey int64, id iot.ID) {
	t.commit.Replays = append(t.commit.Replays, id.Key())
	t.changed(projectKey, iot.ReplaysChanged)
}

// Replay returns a replay of a project; not_found.
func (d *DB) Replay(ctx context.Context, projectKey int64, id iot.ID) (*iot.Replay, error) {
	var r iot.Replay
	var key int64
	err := d.reader.QueryRowContext(ctx, `SELECT `+replayColumns+fromReplays+` WHERE r.id = $1 AND r.project_id = $2`, id.Key(),
		projectKey).Scan(d.replayInto(&r, &key)...)
	if r.ID = d.ids.Of(key); err == nil && r.ID != id {
		return nil, notFound("replay")
	}
	return &r, orNotFound("replay", err)
}

// Replays returns a project's replays, newest first: at most limit, made before the id
// (zero: from the newest).
func (d *DB) Replays(ctx context.Context, projectKey int64, before iot.ID, limit int) ([]iot.Replay, error) {
	return d.replays(ctx, `SELECT `+replayColumns+fromReplays+` WHERE r.project_id = $1 AND r.id < $2 ORDER BY r.id DESC LIMIT $3`, projectKey,
		keyBefore(before), limit)
}

const runningQuery = fromReplays + ` WHERE r.state = 'running'`

// Running returns a project's running replays, the oldest first.
func (d *DB) Running(ctx context.Context, projectKey int64) ([]iot.Replay, error) {
	return d.replays(ctx, `SELECT `+replayColumns+runningQuery+` AND r.project_id = $1 ORDER BY r.id`, projectKey)
}

func (d *DB) replays(ctx context.Context, query string, args ...any) ([]iot.Replay, error) {
	rows, err := d.reader.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, translate("list replays", err)
	}
	defer func() { _ = rows.Close() }()
	list := []iot.Replay{}
	for rows.Next() {
		var r iot.Replay
		var key int64
		if err := rows.Scan(d.replayInto(&r, &key)...); err != nil {
			return nil, translate("list replays", err)
		}
		r.ID = d.ids.Of(key)
		list = append(list, r)
	}
	return list, translate("list replays", rows.Err())
}

// StopReplay ends a replay before it is done; the deliveries that it has created stay.
// Conflict if it has ended already.
func (d *DB) StopReplay(ctx context.Context, projectKey int64, id iot.ID, actor string) (*iot.Replay, error) {
	if _, err := d.Replay(ctx, projectKey, id); err != nil {
		return nil, err
	}
	err := d.write("stop a replay", func(t *Tx) error {
		ended, err := t.endReplay(id, iot.JobStopped, "")
		if err != nil {
			return err
		}
		if !ended {
			return iot.NewError(iot.Conflict, "It has ended already.")
		}
		t.replayChanged(projectKey, id)
		return t.audit(projectKey, actor, "replay.stop", id.String(), "")
	})
	if err != nil {
		return nil, err
	}
	return d.Replay(ctx, projectKey, id)
}

func (t *Tx) endReplay(id iot.ID, state iot.JobState, why string) (bool, error) {
	now := int64(iot.At(t.db.now()))
	r, err := t.exec(`UPDATE replays SET state = $1, error = $2, ended_at = $3, changed_at = $3 WHERE id = $4 AND state = 'running'`,
		string(state), why, now, id.Key())
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n > 0, err
}

package db

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"

	"thingpost/internal/iot"
)

// RunningReplay is a replay with everything needed to continue it.
type RunningReplay struct {
	iot.Replay
	Spec   ReplaySpec
	cursor int64
}

// RunningReplays returns the running replays of all projects, the oldest first. A replay
// whose filter cannot be read is ended as failed.
func (d *DB) RunningReplays(ctx context.Context) ([]RunningReplay, error) {
	rows, err := d.reader.QueryContext(ctx, `SELECT `+replayColumns+`, r.chosen, r.cursor`+runningQuery+` ORDER BY r.id`)
	if err != nil {
		return nil, translate("read running replays", err)
	}
	defer func() { _ = rows.Close() }()
	var list []RunningReplay
	var broken []iot.ID
	for rows.Next() {
		var r RunningReplay
		var key int64
		var chosen []byte
		if err := rows.Scan(append(d.replayInto(&r.Replay, &key), &chosen, &r.cursor)...); err != nil {
			return nil, translate("read running replays", err)
		}
		r.ID = d.ids.Of(key)
		if err := json.Unmarshal(chosen, &r.Spec); err != nil || (r.Spec.Deliveries == nil) == (r.Spec.Messages == nil) {
			broken = append(broken, r.ID)
			continue
		}
		list = append(list, r)
	}
	if err := rows.Err(); err != nil {
		return nil, translate("read running replays", err)
	}
	for _, id := range broken {
		if err := d.FailReplay(id, "The selection of this replay cannot be read."); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// FailReplay ends a replay that cannot continue. One that has ended stays unchanged.
func (d *DB) FailReplay(id iot.ID, why string) error {
	return d.write("end a replay", func(t *Tx) error {
		ended, err := t.endReplay(id, iot.JobFailed, why)
		if err != nil || !ended {
			return err
		}
		return t.replayMoved(id)
	})
}

// replayMoved announces a change to open pages of a replay's project.
func (t *Tx) replayMoved(id iot.ID) error {
	var project int64
	if err := t.row(`SELECT project_id FROM replays WHERE id = $1`, id.Key()).Scan(&project); err != nil {
		return err
	}
	t.changed(project, iot.ReplaysChanged)
	return nil
}

// Counted stores the number of deliveries of a running replay.
func (d *DB) Counted(id iot.ID, n int64) error {
	return d.write("count a replay", func(t *Tx) error {
		if _, err := t.exec(`UPDATE replays SET count = $1, counted = 1 WHERE id = $2 AND state = 'running'`, n, id.Key()); err != nil {
			return err
		}
		return t.replayMoved(id)
	})
}

// ReplayStep creates the next deliveries of a replay, at most so many, and ends it after the
// last one. The cursor is stored in the same transaction, so that a step is done once or not
// at all. ended says that nothing is left to do, also because the replay was stopped.
func (d *DB) ReplayStep(ctx context.Context, r *RunningReplay, wants Wants, most int) (made int, ended bool, err error) {
	win, err := d.window(ctx, r.Spec, wants, r.cursor, d.replayRows(), most)
	if err != nil {
		return 0, false, err
	}
	err = d.writeMany("replay", 2*len(win.list), func(t *Tx) error {
		made, ended = 0, win.end
		for i := range win.list {
			ok, err := t.sendAgain(&win.list[i], iot.TriggerReplay)
			if err != nil {
				return err
			}
			if ok {
				made++
			}
		}
		now := int64(iot.At(t.db.now()))
		q, err := t.exec(`UPDATE replays SET cursor = $1, done = done + $2, passed_over = passed_over + $3,
			changed_at = $4 WHERE id = $5 AND state = 'running' AND cursor = $6`,
			max(win.cursor, r.cursor), made, len(win.list)-made, now, r.ID.Key(), r.cursor)
		if err != nil {
			return err
		}
		if n, err := q.RowsAffected(); err != nil || n == 0 {
			ended = true
			return orStopped(err)
		}
		if win.end {
			if _, err := t.endReplay(r.ID, iot.JobDone, ""); err != nil {
				return err
			}
		}
		t.changed(r.ProjectKey, iot.ReplaysChanged)
		return nil
	})
	if iot.CodeOf(err) == iot.Conflict {
		return 0, true, nil
	}
	if err == nil {
		r.cursor = max(win.cursor, r.cursor)
		r.Done += int64(made)
	}
	return made, ended, err
}

// orStopped returns the error that rolls back a step whose replay has ended meanwhile.
func orStopped(err error) error {
	if err != nil {
		return err
	}
	return iot.NewError(iot.Conflict, "The replay has ended.")
}

// ReplayBacklog returns the largest number of pending deliveries of a replay's webhooks,
// without those that are paused or failing: a replay need not create more than these can
// send.
func (d *DB) ReplayBacklog(ctx context.Context, r *RunningReplay) (pending int64, err error) {
	err = d.tables(ctx).QueryRowContext(ctx, `SELECT coalesce(max(c.pending), 0) FROM webhooks w JOIN webhook_counters c ON c.webhook_id = w.id
		WHERE w.project_id = $1 AND w.deleted_at = 0 AND w.paused = 0 AND (w.health <> 'failing' OR w.consecutive_failures = 0) AND ($2 = 0 `+
		`OR w.id = $2)`, r.ProjectKey, r.WebhookKey).Scan(&pending)
	return pending, translate("count pending deliveries", err)
}

// aboutReplay describes in words what a replay sends, with slugs for keys.
func (d *DB) aboutReplay(ctx context.Context, s ReplaySpec) (string, error) {
	w := aboutWords{d: d, ctx: ctx}
	if f := s.Deliveries; f != nil {
		w.list("status", texts(f.Statuses))
		w.slug("webhook", "webhooks", f.WebhookKey)
		w.slug("device", "devices", f.DeviceKey)
		w.add("message", f.MessageID.String())
		w.list("type", texts(f.Types))
		var codes []string
		for _, c := range f.Codes {
			text := strconv.Itoa(c.From)
			if c.To != c.From {
				text += "–" + strconv.Itoa(c.To)
			}
			codes = append(codes, text)
		}
		w.list("code", codes)
		w.list("error", texts(f.Errors))
		if f.MinAttempt > 0 {
			w.add("attempts", strconv.Itoa(f.MinAttempt)+" or more")
		}
		if f.MinMS > 0 {
			w.add("duration", strconv.FormatInt(f.MinMS, 10)+" ms or more")
		}
		w.span(f.Since, f.Until)
		return w.text("all deliveries that have ended"), w.err
	}
	f := s.Messages
	w.slug("device", "devices", f.DeviceKey)
	w.add("type", string(f.Type))
	w.add("channel", f.Channel)
	if f.Nobody {
		w.parts = append(w.parts, "no webhook got it")
	}
	w.span(f.Since, f.Until)
	if s.Missing {
		w.parts = append(w.parts, "not sent to this webhook before")
	}
	if s.Wanted {
		w.parts = append(w.parts, "wanted by its rules")
	}
	return w.text("all messages"), w.err
}

// aboutWords collects the conditions of a selection in words.
type aboutWords struct {
	d     *DB
	ctx   context.Context //nolint:containedctx // lives as long as one call
	parts []string
	err   error
}

func (w *aboutWords) add(name, value string) {
	if value != "" {
		w.parts = append(w.parts, name+" "+value)
	}
}

func (w *aboutWords) list(name string, values []string) { w.add(name, strings.Join(values, ", ")) }

func (w *aboutWords) slug(name, table string, key int64) {
	if key == 0 || w.err != nil {
		return
	}
	var slug string
	if err := w.d.reader.QueryRowContext(w.ctx, `SELECT slug FROM `+table+` WHERE id = $1`, key).Scan(&slug); err != nil {
		w.err = orNotFound(name, err)
		return
	}
	w.add(name, slug)
}

func (w *aboutWords) span(since, until iot.Instant) {
	const layout = "2006-01-02 15:04 UTC"
	if since != 0 {
		w.add("since", since.Time().Format(layout))
	}
	if until != 0 {
		w.add("until", until.Time().Format(layout))
	}
}

func (w *aboutWords) text(all string) string {
	if len(w.parts) == 0 {
		return all
	}
	return strings.Join(w.parts, "; ")
}

func texts[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return out
}

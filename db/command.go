package db

import (
	"context"

	"thingpost/internal/iot"
)

// MaxCommands bounds the commands of a project that run at the same time. keptCommands
// bounds those that are kept.
const (
	MaxCommands  = 10
	keptCommands = 200
)

// RunningCommand is a command with everything needed to continue it.
type RunningCommand struct {
	iot.Command
	Chosen []byte // the argument of CreateCommand
	Cursor string // slug of the last device that was examined
	Last   int64  // devices with greater keys are newer than the command
}

// CommandStep is one device's part of a step: its downlink, and the cause of its messages.
type CommandStep struct {
	Cause    Cause
	Downlink *iot.Downlink
}

const commandColumns = `c.id, c.project_id, c.about, c.state, c.count, c.done, c.passed_over, c.error, c.created_by, c.created_at,
	c.changed_at, c.ended_at,
	c.chosen, c.cursor, c.last_device FROM commands c `

func (d *DB) scanCommand(row interface{ Scan(...any) error }) (RunningCommand, error) {
	var c RunningCommand
	var key int64
	err := row.Scan(&key, &c.ProjectKey, &c.About, &c.State, &c.Count, &c.Done, &c.PassedOver, &c.Error, &c.CreatedBy, &c.CreatedAt,
		&c.ChangedAt, &c.EndedAt,
		&c.Chosen, &c.Cursor, &c.Last)
	c.ID = d.ids.Of(key)
	return c, err
}

// CreateCommand begins a command to the devices that a project has now; the reader of
// RunningCommands continues it. chosen is what to queue, which the store only keeps; about
// describes it in words. limit_reached if ten are running already; not_found.
func (d *DB) CreateCommand(p *iot.Project, chosen []byte, about, actor string) (*RunningCommand, error) {
	now := iot.At(d.now())
	c := &RunningCommand{Chosen: chosen, Command: iot.Command{Job: iot.Job{ID: d.NewID(), ProjectKey: p.Key, About: about,
		State: iot.JobRunning, CreatedBy: actor, CreatedAt: now, ChangedAt: now}}}
	err := d.write("begin a command", func(t *Tx) error {
		if err := t.row(`SELECT device_count FROM projects WHERE id = $1 AND deleted_at = 0`, p.Key).Scan(&c.Count); err != nil {
			return orNotFound("project", err)
		}
		if err := t.row(`SELECT coalesce(max(id), 0) FROM devices`).Scan(&c.Last); err != nil {
			return err
		}
		var running int
		if err := t.row(`SELECT count(*) FROM commands WHERE state = 'running' AND project_id = $1`, p.Key).Scan(&running); err != nil {
			return err
		}
		if running >= MaxCommands {
			return iot.NewError(iot.LimitReached, "Ten commands to this project's devices are running already. Wait for one, or stop one.")
		}
		if _, err := t.exec(`DELETE FROM commands WHERE project_id = $1 AND state <> 'running' AND id <= (SELECT id FROM commands WHERE `+
			`project_id = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)`,
			p.Key, keptCommands-1); err != nil {
			return err
		}
		if _, err := t.exec(`INSERT INTO commands (id, project_id, chosen, about, state, count, last_device, created_by, created_at, changed_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)`, c.ID.Key(), p.Key, string(chosen), about, string(c.State), c.Count, c.Last, actor,
			int64(now)); err != nil {
			return err
		}
		t.commandChanged(c)
		return t.audit(p.Key, actor, "command.create", c.ID.String(), about)
	})
	return c, err
}

// commandChanged announces a change to open pages, and to the goroutine that continues
// commands.
func (t *Tx) commandChanged(c *RunningCommand) {
	t.commit.Commands = append(t.commit.Commands, c.ID.Key())
	t.changed(c.ProjectKey, iot.DownlinksChanged)
}

const runningCommandsQuery = `SELECT ` + commandColumns + `WHERE c.state = 'running' AND c.id > 0 ORDER BY c.id`

// RunningCommands returns the running commands of all projects, the oldest first.
func (d *DB) RunningCommands(ctx context.Context) ([]RunningCommand, error) {
	return d.commands(ctx, runningCommandsQuery)
}

// Commands returns a project's commands, newest first: at most limit, made before the id
// (zero: from the newest).
func (d *DB) Commands(ctx context.Context, projectKey int64, before iot.ID, limit int) ([]iot.Command, error) {
	found, err := d.commands(ctx, `SELECT `+commandColumns+`WHERE c.project_id = $1 AND c.id < $2 ORDER BY c.id DESC LIMIT $3`, projectKey,
		keyBefore(before), limit)
	list := make([]iot.Command, len(found))
	for i := range found {
		list[i] = found[i].Command
	}
	return list, err
}

func (d *DB) commands(ctx context.Context, query string, args ...any) (list []RunningCommand, err error) {
	rows, err := d.reader.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, translate("list commands", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		c, err := d.scanCommand(rows)
		if err != nil {
			return nil, translate("list commands", err)
		}
		list = append(list, c)
	}
	return list, translate("list commands", rows.Err())
}

// Command returns a command of a project; not_found.
func (d *DB) Command(ctx context.Context, projectKey int64, id iot.ID) (*iot.Command, error) {
	c, err := d.scanCommand(d.reader.QueryRowContext(ctx, `SELECT `+commandColumns+`WHERE c.id = $1 AND c.project_id = $2`, id.Key(),
		projectKey))
	if err == nil && c.ID != id {
		return nil, notFound("command")
	}
	return &c.Command, orNotFound("command", err)
}

// StepCommand queues the next downlinks of a command and moves its cursor to a slug, in
// one transaction, so that a step is done once or not at all. end marks the last step. A
// device whose queue is full is passed over. stale: the project's settings are no longer
// those of the version, or a device has changed; nothing was done. moved is false if the
// command has ended, or if this step was done already.
func (d *DB) StepCommand(c *RunningCommand, p *iot.Project, version int64, steps []CommandStep, cursor string, end bool) (moved, stale bool,
	err error) {
	changed := false
	stale, err = d.changeQueue("command devices", 3*len(steps), &Cause{Project: p, Version: version}, func(t *Tx) error {
		for i := range steps {
			if changed = d.writer.deviceStale(t.whole, steps[i].Cause.Device); changed {
				return nil
			}
		}
		state, ended, now := iot.JobRunning, int64(0), int64(iot.At(d.now()))
		if end {
			state, ended = iot.JobDone, now
		}
		r, err := t.exec(`UPDATE commands SET cursor = $1, state = $2, ended_at = $3,
			changed_at = $4 WHERE id = $5 AND state = 'running' AND cursor = $6`,
			cursor, string(state), ended, now, c.ID.Key(), c.Cursor)
		if err != nil {
			return err
		}
		n, err := r.RowsAffected()
		if moved = n > 0; err != nil || !moved {
			return err
		}
		done := 0
		for i := range steps {
			err := t.pushDownlinks([]*iot.Downlink{steps[i].Downlink}, &steps[i].Cause)
			if iot.CodeOf(err) == iot.LimitReached {
				continue // nothing was written for this device
			}
			if err != nil {
				return err
			}
			done++
		}
		_, err = t.exec(`UPDATE commands SET done = done + $1, passed_over = passed_over + $2 WHERE id = $3`, done, len(steps)-done, c.ID.Key())
		return err
	})
	return moved && err == nil, stale || changed, err
}

// FailCommand ends a command that cannot continue. One that has ended stays unchanged.
func (d *DB) FailCommand(c *RunningCommand, why string) error {
	return d.write("end a command", func(t *Tx) error {
		_, err := t.endCommand(c, iot.JobFailed, why)
		return err
	})
}

// StopCommand ends a command before it is done; what it has queued stays. Conflict if it
// has ended already; not_found.
func (d *DB) StopCommand(ctx context.Context, projectKey int64, id iot.ID, actor string) (*iot.Command, error) {
	c, err := d.Command(ctx, projectKey, id)
	if err != nil {
		return nil, err
	}
	err = d.write("stop a command", func(t *Tx) error {
		ended, err := t.endCommand(&RunningCommand{Command: *c}, iot.JobStopped, "")
		if err == nil && !ended {
			err = iot.NewError(iot.Conflict, "It has ended already.")
		}
		if err != nil {
			return err
		}
		return t.audit(projectKey, actor, "command.stop", id.String(), "")
	})
	if err != nil {
		return nil, err
	}
	return d.Command(ctx, projectKey, id)
}

func (t *Tx) endCommand(c *RunningCommand, state iot.JobState, why string) (ended bool, err error) {
	r, err := t.exec(`UPDATE commands SET state = $1, error = $2, ended_at = $3, changed_at = $3 WHERE id = $4 AND state = 'running'`,
		string(state), why, int64(iot.At(t.db.now())), c.ID.Key())
	if err != nil {
		return false, err
	}
	t.commandChanged(c)
	n, err := r.RowsAffected()
	return n > 0, err
}

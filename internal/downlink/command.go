package downlink

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"thingpost/db"
	"thingpost/internal/iot"
)

const (
	// commandStep is how many devices of a command get their downlink in one
	// transaction. Other writers get their turn in between.
	commandStep = 100
	// commandAgain is the wait after a failure of the store.
	commandAgain = time.Second
	// aboutLength is how many characters of a command are shown.
	aboutLength = 100
)

// Command starts to queue a downlink for each device that a project has now. The first
// hundred have it when it returns. Run continues with the others, also after a restart,
// and each gets it once. A device deleted meanwhile gets none; one with a full queue is
// passed over. Errors: invalid for orders that our own queue would refuse;
// limit_reached if ten are running; not_found.
func (q *Queue) Command(ctx context.Context, p *iot.Project, o Order, actor string) (*iot.Command, error) {
	if err := Check([]Order{o}); err != nil {
		return nil, err
	}
	chosen, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("encode a command: %w", err)
	}
	about := []rune(string(o.Payload))
	if len(about) > aboutLength {
		about = append(about[:aboutLength], '…')
	}
	c, err := q.o.DB.CreateCommand(p, chosen, string(about), actor)
	if err != nil {
		return nil, err
	}
	if err := q.step(ctx, c); err != nil && ctx.Err() == nil {
		q.o.Log.Error("command", slog.String("command", c.ID.String()), slog.Any("error", err)) // it has started: Run continues
	}
	return q.o.DB.Command(context.WithoutCancel(ctx), p.Key, c.ID)
}

// Run continues commands in turn, a step at a time, until ctx ends.
func (q *Queue) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-q.kick:
		case <-timer.C:
		}
		began := q.o.Now()
		list, err := q.o.DB.RunningCommands(ctx)
		for i := range list {
			if err == nil {
				err = q.step(ctx, &list[i])
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		timer.Stop()
		switch {
		case err != nil:
			q.o.Log.Error("commands", slog.Any("error", err))
			timer.Reset(commandAgain)
		case len(list) > 0:
			timer.Reset(min(max(q.o.Now().Sub(began), 0), commandAgain)) // half of the writer's time is for others
		}
	}
}

// step continues a command: the next devices get their downlinks, matched with the
// present settings.
func (q *Queue) step(ctx context.Context, c *db.RunningCommand) error {
	var o Order
	if err := json.Unmarshal(c.Chosen, &o); err != nil {
		return q.o.DB.FailCommand(c, "Its downlink cannot be read.")
	}
	for {
		s, err := q.o.Ingest.Snapshot(ctx, c.ProjectKey)
		if iot.CodeOf(err) == iot.NotFound {
			return q.o.DB.FailCommand(c, "Its project was deleted.")
		}
		if err != nil {
			return err
		}
		// Read after the settings: a later change makes the step stale.
		devices, err := q.o.DB.Devices(ctx, db.DeviceFilter{ProjectKey: c.ProjectKey, After: c.Cursor, Limit: commandStep})
		if err != nil {
			return err
		}
		cursor := c.Cursor
		var steps []db.CommandStep
		for i := range devices {
			d := &devices[i]
			if cursor = d.ID; d.Key > c.Last {
				continue
			}
			v, err := o.downlink(q.o.DB.NewID())
			if err != nil {
				return err
			}
			m := composer{now: q.o.Now, snapshot: s, device: d, upstream: s.Upstream(d)}
			steps = append(steps, db.CommandStep{Downlink: v, Cause: db.Cause{Project: s.Project(), Device: d, Version: s.Version(),
				Forward: m.upstream != nil, Messages: m.messages}})
		}
		_, stale, err := q.o.DB.StepCommand(c, s.Project(), s.Version(), steps, cursor, len(devices) < commandStep)
		if err != nil || !stale {
			return err
		}
		q.o.Ingest.Forget(s)
	}
}

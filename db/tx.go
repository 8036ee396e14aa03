package db

import (
	"context"
	"database/sql"
	"slices"

	"thingpost/internal/iot"
)

// Tx is one item's view of the writer's transaction. What it collects is dropped if the item
// fails.
type Tx struct {
	ctx      context.Context
	db       *DB
	conn     *sql.Conn
	commit   iot.Commit
	counts   map[int64]*counts
	hours    map[hourKey]*hour
	messages map[hourKey]int64
	days     map[hourKey]int64 // devices' messages of a day, counted once they are on disk
	raised   map[int64]int64   // projects whose version rises, and the new version
	devices  map[int64]bool    // devices that have changed, in the whole transaction
	forget   []int64           // webhooks whose cached health is stale
	erase    []int64           // transient messages that may have been delivered to all
	whole    *Tx               // the view of the whole transaction, for an item's view
	dues     map[[2]int64]int  // places in commit.Due, by webhook and device
}

func (t *Tx) exec(query string, args ...any) (sql.Result, error) {
	return t.conn.ExecContext(t.ctx, query, args...)
}

func (t *Tx) row(query string, args ...any) *sql.Row {
	return t.conn.QueryRowContext(t.ctx, query, args...)
}

// execOne runs a statement that must change a row; not_found of what is named if it changes
// none.
func (t *Tx) execOne(what, query string, args ...any) error {
	r, err := t.exec(query, args...)
	if err != nil {
		return err
	}
	if n, _ := r.RowsAffected(); n == 0 {
		return notFound(what)
	}
	return nil
}

// raise raises a project's version, so that its messages are matched again.
func (t *Tx) raise(projectKey int64) {
	if t.raised == nil {
		t.raised = map[int64]int64{}
	}
	t.raised[projectKey] = 0
}

// changed records a changed section of a project's pages.
func (t *Tx) changed(projectKey int64, name iot.EventName) {
	e := iot.Event{ProjectKey: projectKey, Name: name}
	if !slices.Contains(t.commit.Events, e) {
		t.commit.Events = append(t.commit.Events, e)
	}
}

// reload makes the dispatcher read a webhook and its pending deliveries again.
func (t *Tx) reload(webhookKey int64) {
	t.commit.Webhooks = append(t.commit.Webhooks, webhookKey)
	t.forget = append(t.forget, webhookKey)
}

// due announces new pending deliveries of a webhook to the dispatcher.
func (t *Tx) due(v iot.Due) {
	key := [2]int64{v.WebhookKey, v.DeviceKey}
	if i, known := t.dues[key]; known {
		t.commit.Due[i].At = min(t.commit.Due[i].At, v.At)
		return
	}
	if t.dues == nil {
		t.dues = map[[2]int64]int{}
	}
	t.dues[key] = len(t.commit.Due)
	t.commit.Due = append(t.commit.Due, v)
}

func (t *Tx) merge(o *Tx) {
	t.commit.Queued = append(t.commit.Queued, o.commit.Queued...)
	t.commit.Webhooks = append(t.commit.Webhooks, o.commit.Webhooks...)
	t.commit.Downlinks = append(t.commit.Downlinks, o.commit.Downlinks...)
	t.commit.Intervals = append(t.commit.Intervals, o.commit.Intervals...)
	t.commit.Replays = append(t.commit.Replays, o.commit.Replays...)
	for _, c := range o.commit.Devices {
		if t.devices == nil {
			t.devices = map[int64]bool{}
		}
		if c.Key != 0 {
			t.devices[c.Key] = true
		}
	}
	t.commit.Devices = append(t.commit.Devices, o.commit.Devices...)
	t.commit.Commands = append(t.commit.Commands, o.commit.Commands...)
	for _, due := range o.commit.Due {
		t.due(due)
	}
	for _, e := range o.commit.Events {
		t.changed(e.ProjectKey, e.Name)
	}
	t.forget = append(t.forget, o.forget...)
	for id := range o.raised {
		t.raise(id)
	}
	for id, c := range o.counts {
		t.count(id).add(c)
	}
	for k, h := range o.hours {
		t.hour(k).add(h)
	}
	for k, n := range o.messages {
		t.addMessages(k, n)
	}
}

package db

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"thingpost/internal/iot"
)

// Cause makes the messages that a change of a device's queue causes.
type Cause struct {
	Project *iot.Project
	Device  *iot.Device
	// Version is that of the project's settings on which the messages are matched.
	Version int64
	// Forward: pushed downlinks do not wait for the device; their messages carry them
	// to another system.
	Forward bool
	// More downlinks follow in further calls: there must be room for them too.
	More int
	// Messages returns the messages about what has happened to downlinks, each with its
	// deliveries. The writer calls it, perhaps more than once: it must be quick, and of
	// the store it may use only NewID.
	Messages func(kind iot.MessageType, about []*iot.Downlink) []*Accept
}

// The statements of queues. A device's queue is (device, 'queued') ordered by position.
const (
	downlinkColumns = `q.id, q.project_id, q.device_id, q.position, q.status, q.body, q.payload, q.confirmed, q.attempt, q.max_attempts,
		q.error,
		q.created_at, q.sent_at, q.changed_at`
	nextDownlinkQuery = `SELECT ` + downlinkColumns + ` FROM downlinks q WHERE q.device_id = $1 AND q.status = 'queued' ORDER BY ` +
		`q.position LIMIT 1`
	queueQuery = `SELECT ` + downlinkColumns + ` FROM downlinks q WHERE q.device_id = $1 AND q.status = $2 AND q.position > $3 ` +
		`ORDER BY q.position LIMIT $4`
	pastDownlinksQuery = `SELECT ` + downlinkColumns + ` FROM downlinks q WHERE q.device_id = $1 AND q.status = $2 AND q.position < $3 ` +
		`ORDER BY q.position DESC LIMIT $4`
	oneDownlinkQuery    = `SELECT ` + downlinkColumns + ` FROM downlinks q WHERE q.id = $1 AND q.device_id = $2`
	countDownlinksQuery = `SELECT count(*) FROM downlinks WHERE device_id = $1 AND status = 'queued'`
)

func (d *DB) scanDownlink(row interface{ Scan(...any) error }) (*iot.Downlink, error) {
	var v iot.Downlink
	var id int64
	var body string
	var payload []byte
	err := row.Scan(&id, &v.ProjectKey, &v.DeviceKey, &v.Position, &v.Status, &body, &payload, &v.Confirmed, &v.Attempt, &v.MaxAttempts,
		&v.Error,
		&v.CreatedAt, &v.SentAt, &v.ChangedAt)
	v.ID, v.Body, v.Payload = d.ids.Of(id), iot.MendText([]byte(body)), iot.MendText(payload)
	return &v, err
}

// changeQueue runs a change of a device's queue in the writer, after the changes of
// settings of the same transaction. stale: the settings are no longer those of the cause's
// version, or the device has changed; nothing was changed.
func (d *DB) changeQueue(doing string, rows int, c *Cause, fn func(*Tx) error) (stale bool, err error) {
	done := make(chan error, 1)
	d.submit(item{done: func(err error) { done <- err }, project: c.Project.Key, load: load{rows: fewRows + rows}, queue: func(t *Tx) error {
		_, raised := t.whole.raised[c.Project.Key]
		if stale = raised || d.writer.versions[c.Project.Key] != c.Version || d.writer.deviceStale(t.whole, c.Device); stale {
			return nil
		}
		t.changed(c.Project.Key, iot.DownlinksChanged)
		return fn(t)
	}})
	return stale, translate(doing, <-done)
}

// cause stores the messages about a change, with their deliveries.
func (t *Tx) cause(c *Cause, kind iot.MessageType, about ...*iot.Downlink) error {
	var rows []*accepted
	for _, a := range c.Messages(kind, about) {
		rows = append(rows, t.queued(a, true))
	}
	return t.db.writer.putAccepted(t, rows)
}

// PushDownlinks puts downlinks (ID, Body, Payload, Confirmed, MaxAttempts) at the end of a
// device's queue; with replace they replace what is queued. The other fields are set.
// limit_reached: the queue would have more than iot.MaxDownlinks; nothing was changed.
// stale: match again.
func (d *DB) PushDownlinks(list []*iot.Downlink, replace bool, c Cause) (stale bool, err error) {
	return d.changeQueue("push downlinks", 2*len(list), &c, func(t *Tx) error {
		if replace {
			if err := t.clearQueue(&c); err != nil {
				return err
			}
		}
		return t.pushDownlinks(list, &c)
	})
}

// pushDownlinks puts downlinks at the end of the queue of a cause's device. If the queue is
// full, nothing is written.
func (t *Tx) pushDownlinks(list []*iot.Downlink, c *Cause) error {
	if len(list) == 0 {
		return nil
	}
	if !c.Forward {
		var n int
		if err := t.row(countDownlinksQuery, c.Device.Key).Scan(&n); err != nil {
			return err
		}
		if n+len(list)+c.More > iot.MaxDownlinks {
			return iot.NewError(iot.LimitReached, fmt.Sprintf("The queue of a device has at most %d downlinks; there are %d in it. Clear it, "+
				"or let the device take some first.", iot.MaxDownlinks, n))
		}
		t.commit.Downlinks = append(t.commit.Downlinks, c.Device.Key)
	}
	line := &t.db.writer.stmts.downlinks
	line.drop()
	now := iot.At(t.db.now())
	for _, v := range list {
		v.ProjectKey, v.DeviceKey, v.Device = c.Project.Key, c.Device.Key, c.Device.ID
		v.Status, v.Position, v.CreatedAt, v.ChangedAt = iot.DownlinkIsQueued, t.db.NewID().Key(), now, now
		if c.Forward {
			v.Status = iot.DownlinkIsForwarded
		}
		line.add(v.ID.Key(), v.ProjectKey, v.DeviceKey, v.Position, string(v.Status), string(v.Body), blob(v.Payload), flag(v.Confirmed),
			int64(v.MaxAttempts), int64(now), int64(now))
	}
	if err := line.flush(t.ctx); err != nil {
		return err
	}
	return t.cause(c, iot.DownlinkQueued, list...)
}

func blob(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// clearQueue cancels what is queued. Another system's queue always gets the message: only
// that system knows whether its queue is empty.
func (t *Tx) clearQueue(c *Cause) error {
	var dropped []*iot.Downlink
	rows, err := t.conn.QueryContext(t.ctx, queueQuery, c.Device.Key, string(iot.DownlinkIsQueued), 0, -1)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	now := iot.At(t.db.now())
	for rows.Next() {
		v, err := t.db.scanDownlink(rows)
		if err != nil {
			return err
		}
		v.Device, v.Status, v.ChangedAt = c.Device.ID, iot.DownlinkIsCancelled, now
		dropped = append(dropped, v)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if len(dropped) == 0 && !c.Forward {
		return nil
	}
	if _, err := t.exec(`UPDATE downlinks SET status = 'cancelled', changed_at = $1 WHERE device_id = $2 AND status = 'queued'`, int64(now),
		c.Device.Key); err != nil {
		return err
	}
	return t.cause(c, iot.DownlinkQueueInvalided, dropped...)
}

// TakeDownlink marks the oldest queued downlink of a device as sent and returns
// it; nil if there is none.
func (d *DB) TakeDownlink(c Cause) (v *iot.Downlink, stale bool, err error) {
	stale, err = d.changeQueue("take downlink", 0, &c, func(t *Tx) error {
		v, err = d.scanDownlink(t.row(nextDownlinkQuery, c.Device.Key))
		if isNoRow(err) {
			v = nil
			return nil
		}
		if err != nil {
			return err
		}
		now := iot.At(d.now())
		v.Device, v.Status, v.SentAt, v.ChangedAt = c.Device.ID, iot.DownlinkIsSent, now, now
		if _, err := t.exec(`UPDATE downlinks SET status = 'sent', sent_at = $1, changed_at = $1 WHERE id = $2`, int64(now),
			v.ID.Key()); err != nil {
			return err
		}
		t.db.writer.putOff.saw(c.Device.Key, now)
		return t.cause(&c, iot.DownlinkSent, v)
	})
	if err != nil {
		v = nil
	}
	return v, stale, err
}

// RemoveDownlink removes one downlink from a device's queue; not_found, conflict if it is
// no longer queued.
func (d *DB) RemoveDownlink(id iot.ID, c Cause) (stale bool, err error) {
	return d.changeQueue("remove downlink", 0, &c, func(t *Tx) error {
		v, err := t.downlink(id, &c)
		if err != nil {
			return err
		}
		if v.Status != iot.DownlinkIsQueued {
			return iot.NewError(iot.Conflict, "This downlink is no longer queued: it is "+string(v.Status)+".")
		}
		v.Status, v.ChangedAt = iot.DownlinkIsCancelled, iot.At(d.now())
		if _, err := t.exec(`UPDATE downlinks SET status = 'cancelled', changed_at = $1 WHERE id = $2`, int64(v.ChangedAt),
			id.Key()); err != nil {
			return err
		}
		return t.cause(&c, iot.DownlinkQueueInvalided, v)
	})
}

// downlink reads a downlink of a cause's device; not_found.
func (t *Tx) downlink(id iot.ID, c *Cause) (*iot.Downlink, error) {
	v, err := t.db.scanDownlink(t.row(oneDownlinkQuery, id.Key(), c.Device.Key))
	if err == nil && v.ID != id {
		return nil, notFound("downlink")
	}
	v.Device = c.Device.ID
	return v, orNotFound("downlink", err)
}

// AnswerDownlink stores a device's answer to a downlink that it has taken: iot.DownlinkAck,
// iot.DownlinkNack or iot.DownlinkFailed, with a reason in words. It returns the changed
// downlink. A refused downlink that must be confirmed returns to the end of the queue until
// its last attempt, and then has failed. Repeating that it was received or has failed
// changes nothing. Errors: not_found, conflict if it was not taken or has ended otherwise.
func (d *DB) AnswerDownlink(id iot.ID, answer iot.MessageType, reason string, c Cause) (v *iot.Downlink, stale bool, err error) {
	stale, err = d.changeQueue("answer downlink", 0, &c, func(t *Tx) error {
		if v, err = t.downlink(id, &c); err != nil {
			return err
		}
		t.db.writer.putOff.saw(c.Device.Key, iot.At(d.now()))
		if v.Status == iot.DownlinkIsAcked && answer == iot.DownlinkAck || v.Status == iot.DownlinkIsFailed && answer == iot.DownlinkFailed {
			return nil
		}
		if v.Status != iot.DownlinkIsSent {
			return iot.NewError(iot.Conflict, "This downlink is "+string(v.Status)+". Only one that was taken and has not ended can be answered.")
		}
		return t.answered(&c, v, answer, reason)
	})
	if err != nil {
		v = nil
	}
	return v, stale, err
}

// TooManyAttempts is the Downlink.Error of a downlink that its device has refused too often.
const TooManyAttempts = "The device has refused it as often as it may."

// answered moves a downlink to its next state after a device's answer.
func (t *Tx) answered(c *Cause, v *iot.Downlink, answer iot.MessageType, reason string) error {
	said := *v // the downlink as the answer means it: before it is queued again
	switch {
	case answer == iot.DownlinkAck:
		v.Status = iot.DownlinkIsAcked
	case answer == iot.DownlinkFailed || !v.Confirmed:
		v.Status, v.Error = iot.DownlinkIsFailed, reason
		said.Error = reason
	case v.LastAttempt():
		v.Status, v.Error = iot.DownlinkIsFailed, TooManyAttempts
		v.Attempt++
		said.Attempt = v.Attempt
	default:
		v.Status, v.Position = iot.DownlinkIsQueued, t.db.NewID().Key()
		v.Attempt++
		said.Attempt = v.Attempt
	}
	v.ChangedAt = iot.At(t.db.now())
	if _, err := t.exec(`UPDATE downlinks SET status = $1, position = $2, attempt = $3, error = $4, changed_at = $5 WHERE id = $6`,
		string(v.Status), v.Position, v.Attempt, v.Error, int64(v.ChangedAt), v.ID.Key()); err != nil {
		return err
	}
	if v.Status == iot.DownlinkIsQueued {
		t.commit.Downlinks = append(t.commit.Downlinks, c.Device.Key)
	}
	if err := t.cause(c, answer, &said); err != nil {
		return err
	}
	if answer == iot.DownlinkNack && v.Confirmed && v.Status == iot.DownlinkIsFailed {
		return t.cause(c, iot.DownlinkFailed, v)
	}
	return nil
}

// dropQueue cancels what is queued for deleted devices, without messages.
func (t *Tx) dropQueue(devices string, args ...any) error {
	_, err := t.exec(`UPDATE downlinks SET status = 'cancelled', changed_at = $`+strconv.Itoa(len(args)+1)+`
		WHERE status = 'queued' AND device_id IN (`+devices+`)`, append(slices.Clone(args), int64(iot.At(t.db.now())))...)
	return err
}

// DownlinkFilter selects downlinks of a device: queued ones oldest first, those of another
// state newest first.
type DownlinkFilter struct {
	DeviceKey int64
	Status    iot.DownlinkStatus
	After     iot.ID // the Next of the previous page
	Limit     int
}

// DownlinkPage is a page of a list.
type DownlinkPage struct {
	Items []*iot.Downlink
	Next  iot.ID // zero if there are no more
}

// Downlinks returns a page of a device's downlinks.
func (d *DB) Downlinks(ctx context.Context, v *iot.Device, f DownlinkFilter) (DownlinkPage, error) {
	page := DownlinkPage{Items: []*iot.Downlink{}}
	query, from := queueQuery, f.After.Key()
	if f.Status != iot.DownlinkIsQueued {
		query, from = pastDownlinksQuery, keyBefore(f.After)
	}
	rows, err := d.reader.QueryContext(ctx, query, v.Key, string(f.Status), from, f.Limit+1)
	if err != nil {
		return page, translate("list downlinks", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		q, err := d.scanDownlink(rows)
		if err != nil {
			return page, translate("list downlinks", err)
		}
		q.Device = v.ID
		page.Items = append(page.Items, q)
	}
	if len(page.Items) > f.Limit {
		page.Items = page.Items[:f.Limit]
		page.Next = d.ids.Of(page.Items[f.Limit-1].Position)
	}
	return page, translate("list downlinks", rows.Err())
}

// CountDownlinks returns how many downlinks are queued for a device, at most
// iot.MaxDownlinks.
func (d *DB) CountDownlinks(ctx context.Context, device int64) (n int, err error) {
	err = d.reader.QueryRowContext(ctx, countDownlinksQuery, device).Scan(&n)
	return n, translate("count downlinks", err)
}

// HasDownlink reports whether a downlink is queued for a device.
func (d *DB) HasDownlink(ctx context.Context, device int64) (some bool, err error) {
	err = d.reader.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM downlinks WHERE device_id = $1 AND status = 'queued')`,
		device).Scan(&some)
	return some, translate("look for downlinks", err)
}

// Downlink returns a downlink of a device; not_found.
func (d *DB) Downlink(ctx context.Context, v *iot.Device, id iot.ID) (*iot.Downlink, error) {
	q, err := d.scanDownlink(d.reader.QueryRowContext(ctx, oneDownlinkQuery, id.Key(), v.Key))
	if err == nil && q.ID != id {
		return nil, notFound("downlink")
	}
	q.Device = v.ID
	return q, orNotFound("downlink", err)
}

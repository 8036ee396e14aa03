package db

import (
	"context"
	"encoding/json"

	"thingpost/internal/iot"
)

// step bounds the deliveries that one write of a long change takes: other items get their
// turn between writes.
const step = 256

// Retry sends a delivery again: a pending one now, an ended one as a new
// delivery, which is returned. Conflict if its webhook was deleted or its
// message is no longer kept; not_found.
func (d *DB) Retry(ctx context.Context, projectKey int64, id iot.ID, actor string) (*iot.Delivery, error) {
	v, err := d.Delivery(ctx, projectKey, id)
	if err != nil {
		return nil, err
	}
	again := *v
	err = d.write("retry", func(t *Tx) error {
		r, err := t.exec(`UPDATE deliveries SET due_at = $1 WHERE project_id = $2 AND id = $3 AND status = 'pending'`, int64(iot.At(d.now())),
			projectKey, id.Key())
		if err != nil {
			return err
		}
		n, err := r.RowsAffected()
		if err != nil {
			return err
		}
		if n > 0 {
			t.reload(v.WebhookKey)
			t.changed(projectKey, iot.DeliveriesChanged)
			return t.audit(projectKey, actor, "delivery.retry", id.String(), "now")
		}
		return t.sendOne(&again, iot.TriggerRetry, actor)
	})
	if err != nil {
		return nil, err
	}
	return d.Delivery(ctx, projectKey, again.ID)
}

// Send creates a delivery of a message to a webhook of its project, whether or not the
// webhook wants it. Conflict if the webhook was deleted or the message is no longer kept.
func (d *DB) Send(ctx context.Context, projectKey int64, message iot.ID, webhookKey int64, actor string) (*iot.Delivery, error) {
	v := iot.Delivery{ProjectKey: projectKey, MessageID: message, WebhookKey: webhookKey}
	if err := d.write("send", func(t *Tx) error { return t.sendOne(&v, iot.TriggerReplay, actor) }); err != nil {
		return nil, err
	}
	return d.Delivery(ctx, projectKey, v.ID)
}

func (t *Tx) sendOne(v *iot.Delivery, trigger iot.Trigger, actor string) error {
	made, err := t.sendAgain(v, trigger)
	if err != nil {
		return err
	}
	if !made {
		return iot.NewError(iot.Conflict, "It cannot be sent again: its message is no longer kept, or the webhook was deleted.")
	}
	return t.audit(v.ProjectKey, actor, "delivery."+string(trigger), v.ID.String(), "")
}

// sendAgain creates a new pending delivery like v, and sets v's ID. made is false if the
// webhook is deleted or the message is no longer kept.
func (t *Tx) sendAgain(v *iot.Delivery, trigger iot.Trigger) (made bool, err error) {
	v.ID = t.db.NewID()
	now := int64(iot.At(t.db.now()))
	err = t.row(`INSERT INTO deliveries (project_id, id, message_id, webhook_id, device_id, type, channel, status, trigger, in_order,
		size_bytes, due_at, created_at)
		SELECT $1, $2, m.id, w.id, m.device_id, m.type, m.channel, 'pending', $3, max($7, coalesce(json_extract(w.settings, '$.in_order'), 0)),
		length(m.payload), $4, $4
		FROM messages m,
		webhooks w WHERE m.id = $5 AND m.project_id = $1 AND m.transient <> 2 AND w.id = $6 AND w.project_id = $1 AND w.deleted_at = 0
		RETURNING device_id`,
		v.ProjectKey, v.ID.Key(), string(trigger), now, v.MessageID.Key(), v.WebhookKey, t.db.ordering.marks(v.WebhookKey)).Scan(&v.DeviceKey)
	if isNoRow(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	c := t.count(v.WebhookKey)
	c.made++
	c.pending++
	t.due(iot.Due{WebhookKey: v.WebhookKey, DeviceKey: v.DeviceKey, At: iot.Instant(now)})
	t.changed(v.ProjectKey, iot.DeliveriesChanged)
	return true, nil
}

// ended narrows a filter to deliveries that have ended: pending ones will be sent anyway.
func (f DeliveryFilter) ended() DeliveryFilter {
	all := f.Statuses
	if len(all) == 0 {
		all = iot.Statuses()
	}
	var ended []iot.Status
	for _, s := range all {
		if s.Ended() {
			ended = append(ended, s)
		}
	}
	if len(ended) == 0 {
		f.Until = 1 // the filter asks only for pending ones: select none
	}
	f.Statuses = ended
	return f
}

// Cancel ends the pending deliveries that a filter selects, and returns how many. Those in
// flight are cancelled too; their attempts are stored.
func (d *DB) Cancel(ctx context.Context, f DeliveryFilter, actor string) (cancelled int, err error) {
	f.Statuses, f.Limit = []iot.Status{iot.Pending}, step
	why := "Cancelled by " + actor + "."
	for {
		page, err := d.Deliveries(ctx, f)
		if err != nil {
			return cancelled, err
		}
		n := 0
		err = d.writeMany("cancel", 2*len(page.Items), func(t *Tx) error {
			n = 0
			for i := range page.Items {
				ok, err := t.cancel(&page.Items[i], why)
				if err != nil {
					return err
				}
				if ok {
					n++
				}
			}
			return nil
		})
		if err != nil {
			return cancelled, err
		}
		cancelled += n
		if page.Next.IsZero() {
			break
		}
		f.Before = page.Next
	}
	return cancelled, d.write("cancel", func(t *Tx) error {
		return t.audit(f.ProjectKey, actor, "delivery.cancel", plural(cancelled, "delivery", "deliveries"), "")
	})
}

// CancelOne ends a pending delivery; conflict if it has ended already.
func (d *DB) CancelOne(ctx context.Context, projectKey int64, id iot.ID, actor string) error {
	v, err := d.Delivery(ctx, projectKey, id)
	if err != nil {
		return err
	}
	return d.write("cancel", func(t *Tx) error {
		ok, err := t.cancel(v, "Cancelled by "+actor+".")
		if err != nil {
			return err
		}
		if !ok {
			return iot.NewError(iot.Conflict, "It has ended already.")
		}
		return t.audit(projectKey, actor, "delivery.cancel", id.String(), "")
	})
}

func (t *Tx) cancel(v *iot.Delivery, why string) (bool, error) {
	now := iot.At(t.db.now())
	r, err := t.exec(`UPDATE deliveries SET status = 'cancelled', due_at = 0, ended_at = $1, error = NULL, error_detail = $2
		WHERE project_id = $3 AND id = $4 AND status = 'pending'`, int64(now), why, v.ProjectKey, v.ID.Key())
	if err != nil {
		return false, err
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		return false, err
	}
	if _, err := t.exec(eraseWhere+`id = $1`, v.MessageID.Key()); err != nil {
		return false, err
	}
	c := t.count(v.WebhookKey)
	c.pending--
	c.cancelled++
	t.reload(v.WebhookKey)
	t.changed(v.ProjectKey, iot.DeliveriesChanged)
	return true, nil
}

// CancelDeleted cancels one step of the pending deliveries of deleted webhooks and returns
// how many. Call it until that is 0.
func (d *DB) CancelDeleted() (n int, err error) {
	err = d.writeMany("cancel deliveries of deleted webhooks", step, func(t *Tx) error {
		n = 0
		rows, err := t.conn.QueryContext(t.ctx, `SELECT w.project_id,
			w.id FROM webhooks w JOIN webhook_counters c ON c.webhook_id = w.id WHERE w.deleted_at > 0 AND c.pending > 0`)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		var owing []deliveryKey
		for rows.Next() {
			var k deliveryKey
			if err := rows.Scan(&k.project, &k.id); err != nil {
				return err
			}
			owing = append(owing, k)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		for _, k := range owing {
			if n >= step {
				break
			}
			some, err := t.cancelPending(k.project, k.id, "The webhook was deleted.")
			if err != nil {
				return err
			}
			n += some
		}
		return nil
	})
	return n, err
}

// cancelPending cancels a step of a webhook's pending deliveries.
func (t *Tx) cancelPending(projectKey, webhookKey int64, why string) (int, error) {
	rows, err := t.conn.QueryContext(t.ctx, `UPDATE deliveries SET status = 'cancelled', due_at = 0, ended_at = $1, error = NULL,
		error_detail = $2 WHERE project_id = $3 AND id IN (
		SELECT id FROM deliveries WHERE webhook_id = $4 AND status = 'pending' ORDER BY due_at LIMIT $5) RETURNING message_id`,
		int64(iot.At(t.db.now())), why, projectKey, webhookKey, step)
	if err != nil {
		return 0, err
	}
	defer func() { _ = rows.Close() }()
	messages := []int64{}
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return 0, err
		}
		messages = append(messages, id)
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	list, err := json.Marshal(messages)
	if err != nil {
		return 0, err
	}
	if _, err := t.exec(eraseWhere+`id IN (SELECT value FROM json_each($1))`, string(list)); err != nil {
		return 0, err
	}
	n := int64(len(messages))
	c := t.count(webhookKey)
	c.pending -= n
	c.cancelled += n
	t.changed(projectKey, iot.DeliveriesChanged)
	return int(n), nil
}

package db

import (
	"sync"

	"thingpost/internal/iot"
)

// The column in_order marks the pending deliveries in which a device's first one is looked
// for. A webhook that is to send in order per device may have many without the mark, so they
// get it in steps, before the webhook changes. A mark means nothing while a webhook is not in
// order, so it stays when that ends.

// ordering are the webhooks whose pending deliveries are being marked. It is safe for
// concurrent use.
type ordering struct {
	mu       sync.Mutex
	webhooks map[int64]int // how many changes of each are in progress
}

func (o *ordering) add(webhook int64, n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.webhooks == nil {
		o.webhooks = map[int64]int{}
	}
	if o.webhooks[webhook] += n; o.webhooks[webhook] == 0 {
		delete(o.webhooks, webhook)
	}
}

// marks reports whether a webhook's new deliveries get the mark although it is not in order.
func (o *ordering) marks(webhook int64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.webhooks[webhook] > 0
}

// markStep is how many deliveries one transaction marks.
const markStep = 1024

const markStepQuery = `UPDATE deliveries SET in_order = 1 WHERE project_id = $1 AND id IN (SELECT id FROM deliveries INDEXED BY
	deliveries_pending WHERE webhook_id = $2 AND status = 'pending' AND id > $3 ORDER BY id LIMIT $4) RETURNING id`

// orderPending marks all pending deliveries of a webhook, unless it is in order already. New
// ones get the mark until release is called.
func (d *DB) orderPending(w *iot.Webhook) (release func(), err error) {
	d.ordering.add(w.Key, 1)
	release = func() { d.ordering.add(w.Key, -1) }
	// The first step moves what is in the journal. What comes into it later has the mark.
	write := d.writeMany
	for last, n := int64(0), markStep; n == markStep; write = d.writeApart {
		after := last
		err := write("order deliveries", markStep, func(t *Tx) error {
			last, n = after, 0 // it may run again
			var already bool
			err := t.row(`SELECT coalesce(json_extract(settings, '$.in_order'), 0) FROM webhooks WHERE id = $1`, w.Key).Scan(&already)
			if already || isNoRow(err) {
				return nil
			}
			if err != nil {
				return err
			}
			rows, err := t.conn.QueryContext(t.ctx, markStepQuery, w.ProjectKey, w.Key, after, markStep)
			if err != nil {
				return err
			}
			defer func() { _ = rows.Close() }()
			for rows.Next() {
				var id int64
				if err := rows.Scan(&id); err != nil {
					return err
				}
				last, n = max(last, id), n+1
			}
			return rows.Err()
		})
		if err != nil {
			return release, err
		}
	}
	return release, nil
}

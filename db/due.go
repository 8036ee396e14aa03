package db

import (
	"context"
	"database/sql"
	"slices"
	"strconv"

	"thingpost/internal/iot"
)

const deliveryColumns = `v.id, v.message_id, v.project_id, v.webhook_id, v.device_id, v.type, v.channel, v.status, v.trigger,
	v.attempt_count, v.code,
	coalesce(v.error, ''), coalesce(v.error_detail, ''), v.duration_ms, v.size_bytes, v.due_at, v.created_at, v.ended_at`

func (d *DB) deliveryInto(v *iot.Delivery, id, message *int64) []any {
	return []any{id, message, &v.ProjectKey, &v.WebhookKey, &v.DeviceKey, &v.Type, &v.Channel, &v.Status, &v.Trigger, &v.AttemptCount, &v.Code,
		&v.Error, &v.ErrorDetail, &v.DurationMS, &v.SizeBytes, &v.DueAt, &v.CreatedAt, &v.EndedAt}
}

const messageColumns = `m.id, m.project_id, m.device_id, m.type, m.channel, coalesce(m.sender_id, ''), m.fields, m.payload,
	m.received_at, m.transient`

func messageInto(m *iot.Message, id *int64, transient *int64) []any {
	return []any{id, &m.ProjectKey, &m.DeviceKey, &m.Type, &m.Channel, &m.SenderID, (*[]byte)(&m.Fields), (*[]byte)(&m.Payload), &m.ReceivedAt,
		transient}
}

// Due returns up to limit pending deliveries of a webhook that became due at from or
// later, the longest due first, with everything needed to send them. It leaves out those
// for which skip returns true (they are in memory), at the cost of a look-up each. It ends
// when the messages that it has read have so many bytes.
//
// next is when the first delivery after those becomes due, 0 if there is none. It is not
// after now if more are due than were returned.
func (d *DB) Due(ctx context.Context, webhookKey int64, from, now iot.Instant, limit int, bytes int64,
	skip func(iot.ID) bool) (list []iot.Queued, next iot.Instant, err error) {
	if err := d.MoveJournal(ctx); err != nil {
		return nil, 0, err
	}
	err = d.inTx(ctx, func(tx *sql.Tx) error {
		keys, after, err := d.dueKeys(ctx, tx, webhookKey, from, now, limit, skip)
		if err != nil {
			return err
		}
		next = after
		if list, err = d.loadQueued(ctx, tx, keys, bytes); err != nil || len(list) == 0 {
			return err
		}
		last := list[len(list)-1].Delivery.ID.Key()
		if i := slices.IndexFunc(keys, func(k deliveryKey) bool { return k.id == last }); i+1 < len(keys) && bytes > 0 && sizeOf(list) >= bytes {
			next = keys[i+1].at
		}
		return nil
	})
	return list, next, translate("read due deliveries", err)
}

// sizeOf returns how many bytes messages have.
func sizeOf(list []iot.Queued) (n int64) {
	for i := range list {
		n += int64(len(list[i].Message.Payload))
	}
	return n
}

type deliveryKey struct {
	project, id int64
	at          iot.Instant // due
}

func (d *DB) dueKeys(ctx context.Context, tx *sql.Tx, webhookKey int64, from, now iot.Instant, limit int,
	skip func(iot.ID) bool) ([]deliveryKey, iot.Instant, error) {
	rows, err := tx.QueryContext(ctx, dueQuery, webhookKey, int64(from))
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = rows.Close() }()
	var keys []deliveryKey
	for rows.Next() {
		var k deliveryKey
		if err := rows.Scan(&k.project, &k.id, &k.at); err != nil {
			return nil, 0, err
		}
		if skip(d.ids.Of(k.id)) {
			continue
		}
		if k.at > now || len(keys) == limit {
			return keys, k.at, nil
		}
		keys = append(keys, k)
	}
	return keys, 0, rows.Err()
}

// dueQuery reads only the index deliveries_due, and only as far as the reader needs.
const dueQuery = `SELECT project_id, id,
	due_at FROM deliveries WHERE webhook_id = $1 AND due_at >= $2 AND status = 'pending' ORDER BY due_at`

// Head returns a device's first pending delivery to a webhook in order per device, whenever
// it is due; nil if there is none. It does not see what is only in the journal: the caller
// moves it before, once for many devices.
func (d *DB) Head(ctx context.Context, webhookKey, deviceKey int64) (*iot.Queued, error) {
	var head *iot.Queued
	err := d.inTx(ctx, func(tx *sql.Tx) error {
		var k deliveryKey
		err := tx.QueryRowContext(ctx, headQuery, webhookKey, deviceKey).Scan(&k.project, &k.id)
		if isNoRow(err) {
			return nil
		}
		if err != nil {
			return err
		}
		list, err := d.loadQueued(ctx, tx, []deliveryKey{k}, 0)
		if err == nil && len(list) == 1 {
			head = &list[0]
		}
		return err
	})
	return head, translate("read a device's first delivery", err)
}

const headQuery = `SELECT project_id,
	id FROM deliveries WHERE webhook_id = $1 AND device_id = $2 AND status = 'pending' AND in_order = 1 ORDER BY id LIMIT 1`

// PendingDevices returns up to limit devices above a key with pending deliveries to a
// webhook in order per device, ordered by key. Like Head it does not see the journal.
func (d *DB) PendingDevices(ctx context.Context, webhookKey, after int64, limit int) ([]int64, error) {
	var list []int64
	err := d.inTx(ctx, func(tx *sql.Tx) error {
		for len(list) < limit {
			err := tx.QueryRowContext(ctx, pendingDevicesQuery, webhookKey, after).Scan(&after)
			if isNoRow(err) {
				return nil
			}
			if err != nil {
				return err
			}
			list = append(list, after)
		}
		return nil
	})
	return list, translate("read devices with pending deliveries", err)
}

const pendingDevicesQuery = `SELECT device_id FROM deliveries WHERE webhook_id = $1 AND device_id > $2 AND status = 'pending' AND ` +
	`in_order = 1 ORDER BY device_id LIMIT 1`

// loadQueued reads deliveries of one webhook with their messages, devices and project, in
// the order of the keys, until they have so many bytes (0: all). It leaves out those that
// have ended meanwhile.
func (d *DB) loadQueued(ctx context.Context, tx *sql.Tx, keys []deliveryKey, bytes int64) ([]iot.Queued, error) {
	list := make([]iot.Queued, 0, len(keys))
	if len(keys) == 0 {
		return list, nil
	}
	ids := []byte("[")
	for _, k := range keys {
		ids = append(strconv.AppendInt(ids, k.id, 10), ',')
	}
	ids[len(ids)-1] = ']'
	rows, err := tx.QueryContext(ctx, queuedQuery, keys[0].project, string(ids))
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	size := int64(0)
	for rows.Next() {
		q, err := d.scanQueued(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, q)
		if size += int64(len(q.Message.Payload)); bytes > 0 && size >= bytes {
			break
		}
	}
	_ = rows.Close() // may not be read to the end
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return list, nameQueued(ctx, tx, list)
}

// queuedQuery reads many deliveries at once: a statement for each would take twice as long.
// CROSS JOIN keeps the order of the ids.
const queuedQuery = `SELECT ` + deliveryColumns + `, ` + messageColumns + ` FROM json_each($2) AS k
	CROSS JOIN deliveries v ON v.project_id = $1 AND v.id = k.value AND v.status = 'pending' JOIN messages m ON m.id = v.message_id`

// nameQueued adds devices and projects, each read once.
func nameQueued(ctx context.Context, tx *sql.Tx, list []iot.Queued) error {
	devices, projects := map[int64]*iot.Device{}, map[int64]*iot.Project{}
	for i := range list {
		q := &list[i]
		var err error
		if q.Device, err = remember(devices, q.Delivery.DeviceKey, func(id int64) (*iot.Device, error) {
			if id == 0 {
				return iot.TestDevice(q.Delivery.ProjectKey), nil
			}
			return scanDevice(tx.QueryRowContext(ctx, `SELECT `+deviceColumns+fromDevices+` WHERE d.id = $1`, id))
		}); err != nil {
			return err
		}
		if q.Project, err = remember(projects, q.Delivery.ProjectKey, func(id int64) (*iot.Project, error) {
			return scanProject(tx.QueryRowContext(ctx, `SELECT `+projectColumns+fromProjects+` WHERE p.id = $1`, id))
		}); err != nil {
			return err
		}
		q.Delivery.Device, q.Message.Device = q.Device.ID, q.Device.ID
	}
	return nil
}

func (d *DB) scanQueued(row *sql.Rows) (iot.Queued, error) {
	q := iot.Queued{Delivery: &iot.Delivery{}, Message: &iot.Message{}}
	var id, message, messageKey int64
	var transient int64
	if err := row.Scan(append(d.deliveryInto(q.Delivery, &id, &message), messageInto(q.Message, &messageKey, &transient)...)...); err != nil {
		return q, err
	}
	q.Delivery.ID, q.Delivery.MessageID = d.ids.Of(id), d.ids.Of(message)
	q.Message.ID, q.Message.Transient = d.ids.Of(messageKey), transient != kept
	q.Message.Mend()
	return q, nil
}

// remember reads a value once for each key.
func remember[T any](known map[int64]*T, key int64, read func(int64) (*T, error)) (*T, error) {
	if v, ok := known[key]; ok {
		return v, nil
	}
	v, err := read(key)
	if err == nil {
		known[key] = v
	}
	return v, err
}

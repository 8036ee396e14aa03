package db

import (
	"context"
	"database/sql"
	"strconv"
	"strings"

	"thingpost/internal/iot"
)

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// MessageFilter selects messages of a project, newest first.
type MessageFilter struct {
	ProjectKey int64           `json:"project"`
	DeviceKey  int64           `json:"device,omitempty"`
	Type       iot.MessageType `json:"type,omitempty"`
	Channel    string          `json:"channel,omitempty"`
	Nobody     bool            `json:"nobody,omitempty"` // no webhook has a delivery of it
	Since      iot.Instant     `json:"since,omitzero"`
	Until      iot.Instant     `json:"until,omitzero"`
	Before     iot.ID          `json:"before,omitzero"`
	After      iot.ID          `json:"after,omitzero"` // newer than this one
	Limit      int             `json:"-"`

	within bounds
}

// pagePayloads bounds the bytes of payloads on a page. A page has at least one message.
const pagePayloads = 1 << 20

// MessagePage is a page of a list; its fields are as in DeliveryPage.
type MessagePage struct {
	Items        []iot.Message
	Next         iot.ID
	LookedBackTo iot.Instant
}

// base returns the part of the filter that an index answers in order.
func (f MessageFilter) base() (from, where string, args []any) {
	from, where, args = `messages m INDEXED BY messages_project`, `m.project_id = $1`, []any{f.ProjectKey}
	where, args = where+` AND m.id < $2 AND m.id >= $3`, append(args, f.within.top(f.Before, f.Until), f.within.bottom(f.After, f.Since))
	if f.DeviceKey != 0 {
		from, where, args = `messages m INDEXED BY messages_device`, where+` AND m.device_id = $4`, append(args, f.DeviceKey)
	}
	return from, where, args
}

// floorQuery finds the row that a page must stay above. For a device it reads only the
// index, which does not have the project.
func (f MessageFilter) floorQuery(lookBack int) (query string, args []any) {
	from, where, args := f.base()
	if f.DeviceKey != 0 {
		where = strings.Replace(where, `m.project_id = $1`, `$1 > 0`, 1)
	}
	return `SELECT m.id FROM ` + from + ` WHERE ` + where + ` ORDER BY m.id DESC LIMIT 1 OFFSET ` + strconv.Itoa(lookBack/scattered), args
}

// all returns the whole condition; floor is 0 if there is none.
func (f MessageFilter) all(floor int64) (from, where string, args []any) {
	f.within.low = floor + 1
	from, where, args = f.base()
	arg := func(v any) string { args = append(args, v); return "$" + strconv.Itoa(len(args)) }
	return from, where + f.rest(arg), args
}

// pageQuery reads a page and one more row; floor is 0 if there is none.
func (f MessageFilter) pageQuery(floor int64) (query string, args []any) {
	from, where, args := f.all(floor)
	return `SELECT ` + messageColumns + `, coalesce(d.slug, '') FROM ` + from + ` LEFT JOIN devices d ON d.id = m.device_id
		WHERE ` + where + ` ORDER BY m.id DESC LIMIT ` + strconv.Itoa(f.Limit+1), args
}

// rest returns the conditions that must be checked on each row.
func (f MessageFilter) rest(arg func(any) string) string {
	where := ` AND m.transient <> 2`
	if f.Type != "" {
		where += ` AND m.type = ` + arg(string(f.Type))
	}
	if f.Channel != "" {
		where += ` AND m.channel = ` + arg(f.Channel)
	}
	if f.Nobody {
		where += ` AND NOT EXISTS (SELECT 1 FROM deliveries v INDEXED BY deliveries_message WHERE v.message_id = m.id)`
	}
	return where
}

// Messages returns a page of a project's messages, newest first, without those that were
// kept only until their delivery.
func (d *DB) Messages(ctx context.Context, f MessageFilter) (MessagePage, error) {
	page := MessagePage{Items: []iot.Message{}}
	err := d.inTables(ctx, func(tx *sql.Tx) error {
		var floor int64
		query, args := f.floorQuery(d.lookBack)
		if err := tx.QueryRowContext(ctx, query, args...).Scan(&floor); err != nil && !isNoRow(err) {
			return err
		}
		query, args = f.pageQuery(floor)
		rows, err := tx.QueryContext(ctx, query, args...)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		size := 0
		for rows.Next() {
			m, err := d.scanMessage(rows)
			if err != nil {
				return err
			}
			page.Items = append(page.Items, *m)
			size += len(m.Payload)
			if size >= pagePayloads && len(page.Items) < f.Limit {
				// Others follow, or the next page is empty.
				page.Next = m.ID
				return rows.Close()
			}
		}
		switch {
		case len(page.Items) > f.Limit:
			page.Items = page.Items[:f.Limit]
			page.Next = page.Items[f.Limit-1].ID
		case floor != 0:
			page.Next, page.LookedBackTo = d.ids.Of(floor+1), iot.KeyTime(floor)
		}
		return rows.Err()
	})
	return page, translate("list messages", err)
}

// CountMessages counts what a filter selects, up to a limit and among the newest LookBack
// messages; capped says that there are or may be more.
func (d *DB) CountMessages(ctx context.Context, f MessageFilter, limit int) (n int, capped bool, err error) {
	err = d.inTables(ctx, func(tx *sql.Tx) error {
		var floor int64
		query, args := f.floorQuery(d.lookBack)
		if err := tx.QueryRowContext(ctx, query, args...).Scan(&floor); err != nil && !isNoRow(err) {
			return err
		}
		from, where, args := f.all(floor)
		capped = floor != 0
		return tx.QueryRowContext(ctx, `SELECT count(*) FROM (SELECT 1 FROM `+from+` WHERE `+where+` LIMIT `+strconv.Itoa(limit)+`)`,
			args...).Scan(&n)
	})
	return n, capped || n == limit, translate("count messages", err)
}

// MessagesAfter returns up to limit messages of a project that are newer than one, the
// oldest first; for the zero id, from the oldest kept message on.
func (d *DB) MessagesAfter(ctx context.Context, projectKey int64, after iot.ID, limit int) ([]iot.Message, error) {
	rows, err := d.tables(ctx).QueryContext(ctx, messagesAfterQuery, projectKey, after.Key(), limit)
	if err != nil {
		return nil, translate("read new messages", err)
	}
	defer func() { _ = rows.Close() }()
	list := []iot.Message{}
	size := 0
	for rows.Next() && size < pagePayloads {
		m, err := d.scanMessage(rows)
		if err != nil {
			return nil, translate("read new messages", err)
		}
		list = append(list, *m)
		size += len(m.Payload)
	}
	return list, translate("read new messages", rows.Err())
}

const messagesAfterQuery = `SELECT ` + messageColumns + `, coalesce(d.slug, '') FROM messages m LEFT JOIN devices d ON d.id = m.device_id
	WHERE m.project_id = $1 AND m.id > $2 AND m.transient <> 2 ORDER BY m.id LIMIT $3`

// Message returns a message of a project; not_found, also for one that was kept only until
// its delivery.
func (d *DB) Message(ctx context.Context, projectKey int64, id iot.ID) (*iot.Message, error) {
	m, err := d.scanMessage(d.tables(ctx).QueryRowContext(ctx, `SELECT `+messageColumns+`, coalesce(d.slug,
		'') FROM messages m LEFT JOIN devices d ON d.id = m.device_id
		WHERE m.id = $1 AND m.project_id = $2 AND m.transient <> 2`, id.Key(), projectKey))
	if err == nil && m.ID != id {
		return nil, notFound("message")
	}
	return m, orNotFound("message", err)
}

func (d *DB) scanMessage(row interface{ Scan(...any) error }) (*iot.Message, error) {
	var m iot.Message
	var id int64
	var transient int64
	if err := row.Scan(append(messageInto(&m, &id, &transient), &m.Device)...); err != nil {
		return nil, err
	}
	m.ID, m.Transient = d.ids.Of(id), transient != kept
	m.Mend()
	return &m, nil
}

package db

import (
	"context"
	"database/sql"
	"slices"
	"strconv"
	"strings"

	"thingpost/internal/iot"
)

// DeliveryFilter chooses deliveries of a project, newest first. Empty fields
// choose all.
type DeliveryFilter struct {
	ProjectID  int64             `json:"project"`
	Statuses   []iot.Status      `json:"statuses,omitempty"`
	Retrying   bool              `json:"retrying,omitempty"` // pending after a failed attempt
	WebhookID  int64             `json:"webhook,omitempty"`
	DeviceID   int64             `json:"device,omitempty"`
	MessageID  iot.ID            `json:"message,omitzero"`
	Types      []iot.MessageType `json:"types,omitempty"`
	Codes      []CodeRange       `json:"codes,omitempty"`
	Errors     []iot.ErrorClass  `json:"errors,omitempty"`
	Since      iot.Instant       `json:"since,omitzero"` // made at or after
	Until      iot.Instant       `json:"until,omitzero"` // made before
	MinAttempt int               `json:"min_attempt,omitempty"`
	MinMS      int64             `json:"min_ms,omitempty"` // last attempt took at least
	Before     iot.ID            `json:"before,omitzero"`  // the page's cursor: made before this one
	After      iot.ID            `json:"after,omitzero"`   // made after this one
	Limit      int               `json:"-"`
}

// CodeRange is a range of HTTP statuses, both ends in it.
type CodeRange struct{ From, To int }

// DeliveryPage is a page of a list.
type DeliveryPage struct {
	Items []iot.Delivery
	// Next is the cursor of the page after this one; zero if there is none.
	Next iot.ID
	// LookedBackTo is set where a rare filter ended after LookBack rows: older
	// ones were not looked at; Next goes on from there.
	LookedBackTo iot.Instant
}

// LookBack is how many deliveries a filter without an index looks at for a page.
const LookBack = 50_000

// base returns the part of the filter that an index answers in order, and
// whether there is more for the rows to be looked at.
func (f DeliveryFilter) base() (from string, where []string, args []any, rare bool) {
	arg := func(v any) string { args = append(args, v); return "$" + strconv.Itoa(len(args)) }
	where = []string{"v.project_id = " + arg(f.ProjectID)}
	failed := len(f.Errors) > 0 || f.Retrying || len(f.Statuses) == 1 && f.Statuses[0] == iot.Failed
	switch {
	case !f.MessageID.IsZero():
		from = "deliveries v INDEXED BY deliveries_message"
		where = append(where, "v.message_id = "+arg(f.MessageID.Key()))
	case f.WebhookID != 0:
		from = "deliveries v INDEXED BY deliveries_webhook"
		where = append(where, "v.webhook_id = "+arg(f.WebhookID))
	case f.DeviceID != 0:
		from = "deliveries v INDEXED BY deliveries_device"
		where = append(where, "v.device_id = "+arg(f.DeviceID))
	case failed:
		from = "deliveries v INDEXED BY deliveries_error"
		where = append(where, "v.error IS NOT NULL")
	default:
		from = "deliveries v NOT INDEXED"
	}
	if f.Since != 0 {
		where = append(where, "v.id >= "+arg(iot.KeyAt(f.Since)))
	}
	if !f.After.IsZero() {
		where = append(where, "v.id > "+arg(f.After.Key()))
	}
	top := keyBefore(f.Before)
	if f.Until != 0 {
		top = min(top, iot.KeyAt(f.Until))
	}
	where = append(where, "v.id < "+arg(top))
	rare = failed || len(f.Statuses) > 0 || len(f.Types) > 0 || len(f.Codes) > 0 || f.MinAttempt > 0 || f.MinMS > 0 ||
		f.WebhookID != 0 && (f.DeviceID != 0 || !f.MessageID.IsZero()) || f.DeviceID != 0 && !f.MessageID.IsZero()
	return from, where, args, rare
}

// all returns the whole condition; args follow those of base.
func (f DeliveryFilter) all(where []string, args []any) (string, []any) {
	arg := func(v any) string { args = append(args, v); return "$" + strconv.Itoa(len(args)) }
	among := func(column string, n int, value func(int) any) {
		if n == 0 {
			return
		}
		list := make([]string, n)
		for i := range n {
			list[i] = arg(value(i))
		}
		where = append(where, column+" IN ("+strings.Join(list, ", ")+")")
	}
	among("v.status", len(f.Statuses), func(i int) any { return string(f.Statuses[i]) })
	among("v.type", len(f.Types), func(i int) any { return string(f.Types[i]) })
	among("v.error", len(f.Errors), func(i int) any { return string(f.Errors[i]) })
	if f.Retrying {
		where = append(where, "v.status = 'pending' AND v.attempt_count > 0")
	}
	if f.WebhookID != 0 {
		where = append(where, "v.webhook_id = "+arg(f.WebhookID))
	}
	if f.DeviceID != 0 {
		where = append(where, "v.device_id = "+arg(f.DeviceID))
	}
	var codes []string
	for _, c := range f.Codes {
		codes = append(codes, "v.code BETWEEN "+arg(c.From)+" AND "+arg(c.To))
	}
	if len(codes) > 0 {
		where = append(where, "("+strings.Join(codes, " OR ")+")")
	}
	if f.MinAttempt > 0 {
		where = append(where, "v.attempt_count >= "+arg(f.MinAttempt))
	}
	if f.MinMS > 0 {
		where = append(where, "v.duration_ms >= "+arg(f.MinMS))
	}
	return strings.Join(where, " AND "), args
}

// floorQuery finds the row that a page of a rare filter must stay above.
func (f DeliveryFilter) floorQuery(lookBack int) (query string, args []any, rare bool) {
	from, where, args, rare := f.base()
	return `SELECT v.id FROM ` + from + ` WHERE ` + strings.Join(where, " AND ") + ` ORDER BY v.id DESC LIMIT 1 OFFSET ` + strconv.Itoa(lookBack), args, rare
}

// pageQuery reads a page, and one row more; floor is 0 if there is none.
func (f DeliveryFilter) pageQuery(floor int64) (query string, args []any) {
	from, where, args, _ := f.base()
	if floor != 0 {
		args = append(args, floor)
		where = append(where, "v.id > $"+strconv.Itoa(len(args)))
	}
	condition, args := f.all(where, args)
	return `SELECT ` + deliveryColumns + `, coalesce(w.slug, ''), coalesce(d.slug, '') FROM ` + from + `
		LEFT JOIN webhooks w ON w.id = v.webhook_id LEFT JOIN devices d ON d.id = v.device_id
		WHERE ` + condition + ` ORDER BY v.id DESC LIMIT ` + strconv.Itoa(f.Limit+1), args
}

// Deliveries returns a page of a project's deliveries, newest first.
func (d *DB) Deliveries(ctx context.Context, f DeliveryFilter) (DeliveryPage, error) {
	page := DeliveryPage{Items: []iot.Delivery{}}
	err := d.inTx(ctx, func(tx *sql.Tx) error {
		var floor int64
		if query, args, rare := f.floorQuery(d.lookBack); rare {
			if err := tx.QueryRowContext(ctx, query, args...).Scan(&floor); err != nil && !isNoRow(err) {
				return err
			}
		}
		query, args := f.pageQuery(floor)
		rows, err := tx.QueryContext(ctx, query, args...)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			v, err := d.scanDelivery(rows)
			if err != nil {
				return err
			}
			page.Items = append(page.Items, *v)
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
	return page, translate("list deliveries", err)
}

// CountDeliveries counts what a filter chooses, up to a limit, looking back at
// no more than LookBack rows for a rare filter; capped says that there are or
// may be more.
func (d *DB) CountDeliveries(ctx context.Context, f DeliveryFilter, limit int) (n int, capped bool, err error) {
	from, where, args, rare := f.base()
	looked := limit
	if rare {
		looked = max(limit, d.lookBack)
	}
	base := strings.Join(where, " AND ")
	condition, args := f.all(nil, args)
	if condition == "" {
		condition = "1"
	}
	query := `SELECT count(*), (SELECT count(*) FROM (SELECT 1 FROM ` + from + ` WHERE ` + base + ` LIMIT ` + strconv.Itoa(looked+1) + `)) FROM (SELECT 1 FROM (
		SELECT v.* FROM ` + from + ` WHERE ` + base + ` ORDER BY v.id DESC LIMIT ` + strconv.Itoa(looked) + `) v WHERE ` + condition + ` LIMIT ` + strconv.Itoa(limit) + `)`
	var seen int
	if err := d.reader.QueryRowContext(ctx, query, args...).Scan(&n, &seen); err != nil {
		return 0, false, translate("count deliveries", err)
	}
	return n, n == limit || seen > looked, nil
}

func (d *DB) scanDelivery(row interface{ Scan(...any) error }) (*iot.Delivery, error) {
	var v iot.Delivery
	var id, message int64
	if err := row.Scan(append(d.deliveryInto(&v, &id, &message), &v.Webhook, &v.Device)...); err != nil {
		return nil, err
	}
	v.ID, v.MessageID = d.ids.Of(id), d.ids.Of(message)
	return &v, nil
}

const deliveryNames = `, coalesce(w.slug, ''), coalesce(d.slug, '') FROM deliveries v
	LEFT JOIN webhooks w ON w.id = v.webhook_id LEFT JOIN devices d ON d.id = v.device_id`

// Delivery returns a delivery of a project; not_found.
func (d *DB) Delivery(ctx context.Context, projectID int64, id iot.ID) (*iot.Delivery, error) {
	v, err := d.scanDelivery(d.reader.QueryRowContext(ctx, `SELECT `+deliveryColumns+deliveryNames+` WHERE v.project_id = $1 AND v.id = $2`, projectID, id.Key()))
	if err == nil && v.ID != id {
		return nil, notFound("delivery")
	}
	return v, orNotFound("delivery", err)
}

// DeliveriesOf returns a message's deliveries, the oldest first.
func (d *DB) DeliveriesOf(ctx context.Context, projectID int64, message iot.ID) ([]iot.Delivery, error) {
	rows, err := d.reader.QueryContext(ctx, `SELECT `+deliveryColumns+deliveryNames+` WHERE v.message_id = $1 AND v.project_id = $2 ORDER BY v.id LIMIT 1000`, message.Key(), projectID)
	if err != nil {
		return nil, translate("list deliveries", err)
	}
	defer func() { _ = rows.Close() }()
	list := []iot.Delivery{}
	for rows.Next() {
		v, err := d.scanDelivery(rows)
		if err != nil {
			return nil, translate("list deliveries", err)
		}
		list = append(list, *v)
	}
	return list, translate("list deliveries", rows.Err())
}

// Attempts returns a delivery's last attempts, at most so many, the earliest of
// them first.
func (d *DB) Attempts(ctx context.Context, delivery iot.ID, last int) ([]iot.Attempt, error) {
	rows, err := d.reader.QueryContext(ctx, `SELECT number, at, duration_ms, timings, request, code, response_headers, response_body, truncated,
		coalesce(error, ''), coalesce(error_detail, '') FROM attempts WHERE delivery_id = $1 ORDER BY number DESC LIMIT $2`, delivery.Key(), last)
	if err != nil {
		return nil, translate("list attempts", err)
	}
	defer func() { _ = rows.Close() }()
	list := []iot.Attempt{}
	for rows.Next() {
		a := iot.Attempt{DeliveryID: delivery}
		var timings, request, headers string
		var body []byte
		var r iot.Response
		var e iot.FailedError
		if err := rows.Scan(&a.Number, &a.At, &a.DurationMS, &timings, &request, &r.Status, &headers, &body, &r.Truncated, &e.Class, &e.Detail); err != nil {
			return nil, translate("list attempts", err)
		}
		a.Timings, a.Request = parseTimings(timings), parseRequest(request)
		if r.Status != 0 {
			r.Headers, r.Body = parseHeaders(headers), string(body)
			a.Response = &r
		}
		if e.Class != "" {
			a.Error = &e
		}
		list = append(list, a)
	}
	slices.Reverse(list)
	return list, translate("list attempts", rows.Err())
}

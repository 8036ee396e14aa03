package db

import (
	"context"
	"database/sql"
	"slices"
	"strconv"
	"strings"

	"thingpost/internal/iot"
)

// DeliveryFilter selects deliveries of a project, newest first. Empty fields select all.
type DeliveryFilter struct {
	ProjectKey int64             `json:"project"`
	Statuses   []iot.Status      `json:"statuses,omitempty"`
	Retrying   bool              `json:"retrying,omitempty"` // pending after a failed attempt
	WebhookKey int64             `json:"webhook,omitempty"`
	DeviceKey  int64             `json:"device,omitempty"`
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

	within bounds
}

// CodeRange is a range of HTTP statuses, including both ends.
type CodeRange struct{ From, To int }

// DeliveryPage is a page of a list.
type DeliveryPage struct {
	Items []iot.Delivery
	// Next is the cursor of the page after this one; zero if there is none.
	Next iot.ID
	// LookedBackTo is set if a rare filter ended after LookBack rows: older rows were
	// not examined, and Next continues from there.
	LookedBackTo iot.Instant
}

// LookBack is how many deliveries a filter without an index examines for a page. It is a
// fifth of that if an index only says where the rows are.
const LookBack = 50_000

// scattered divides the number of rows to examine if each must be looked up in the table
// by an index.
const scattered = 5

// partial is an index of a webhook's deliveries in one state.
type partial struct{ index, condition string }

// partial returns the index that contains exactly what a filter by state selects.
func (f DeliveryFilter) partial() (p partial, ok bool) {
	if !f.MessageID.IsZero() || f.DeviceKey != 0 || len(f.Types)+len(f.Codes)+len(f.Errors) > 0 || f.MinAttempt > 0 || f.MinMS > 0 {
		return p, false
	}
	switch {
	case f.Retrying && len(f.Statuses) == 0:
		return partial{"deliveries_retrying", "status = 'pending' AND attempt_count > 0"}, true
	case f.Retrying || len(f.Statuses) != 1:
	case f.Statuses[0] == iot.Pending:
		return partial{"deliveries_pending", "status = 'pending'"}, true
	case f.Statuses[0] == iot.Failed:
		return partial{"deliveries_failed", "status = 'failed'"}, true
	}
	return p, false
}

// base returns the part of the filter that an index answers in order, and share. The rest
// of the filter is examined for lookBack/share rows; 0 if there is no rest.
func (f DeliveryFilter) base() (from string, where []string, args []any, share int) {
	arg := func(v any) string { args = append(args, v); return "$" + strconv.Itoa(len(args)) }
	where = []string{"v.project_id = " + arg(f.ProjectKey)}
	rest := len(f.Statuses)+len(f.Types)+len(f.Codes)+len(f.Errors) > 0 || f.Retrying || f.MinAttempt > 0 || f.MinMS > 0
	share = scattered
	p, exact := f.partial()
	switch {
	case !f.MessageID.IsZero():
		from = "deliveries v INDEXED BY deliveries_message"
		where = append(where, "v.message_id = "+arg(f.MessageID.Key()))
		rest = rest || f.WebhookKey != 0 || f.DeviceKey != 0
	case f.WebhookKey != 0 && exact:
		from = "deliveries v INDEXED BY " + p.index
		where = append(where, "v.webhook_id = "+arg(f.WebhookKey), p.condition)
		rest = false
	case f.WebhookKey != 0:
		from = "deliveries v INDEXED BY deliveries_webhook"
		where = append(where, "v.webhook_id = "+arg(f.WebhookKey))
		rest = rest || f.DeviceKey != 0
	case f.DeviceKey != 0:
		from = "deliveries v INDEXED BY deliveries_device"
		where = append(where, "v.device_id = "+arg(f.DeviceKey))
	case len(f.Errors) > 0 || f.Retrying || len(f.Statuses) == 1 && f.Statuses[0] == iot.Failed:
		from = "deliveries v INDEXED BY deliveries_error"
		where = append(where, "v.error IS NOT NULL")
	default:
		from, share = "deliveries v NOT INDEXED", 1
	}
	if !rest {
		share = 0
	}
	if bottom := f.bottom(); bottom > 0 {
		where = append(where, "v.id >= "+arg(bottom))
	}
	return from, append(where, "v.id < "+arg(f.top())), args, share
}

// bounds are the keys, from low to below high (0: no bound), that a query stays within in
// addition to the filter. A query gets one lower and one upper bound: of two, SQLite may
// choose the wrong one to end its search.
type bounds struct{ low, high int64 }

// top is the key that a page stays below; bottom is the smallest key that it may have.
func (f DeliveryFilter) top() int64 { return f.within.top(f.Before, f.Until) }

func (f DeliveryFilter) bottom() int64 { return f.within.bottom(f.After, f.Since) }

func (b bounds) top(before iot.ID, until iot.Instant) int64 {
	top := keyBefore(before)
	if until != 0 {
		top = min(top, iot.KeyAt(until))
	}
	if b.high != 0 {
		top = min(top, b.high)
	}
	return top
}

func (b bounds) bottom(after iot.ID, since iot.Instant) int64 {
	bottom := max(iot.KeyAt(since), b.low)
	if !after.IsZero() {
		bottom = max(bottom, after.Key()+1)
	}
	return bottom
}

// all returns the whole condition; args continue those of base.
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
	// Conditions that base has already are left out: repeated, they would read each row
	// of the table where the index alone suffices.
	if _, exact := f.partial(); f.WebhookKey != 0 && exact && f.MessageID.IsZero() {
		return strings.Join(where, " AND "), args
	}
	among("v.status", len(f.Statuses), func(i int) any { return string(f.Statuses[i]) })
	among("v.type", len(f.Types), func(i int) any { return string(f.Types[i]) })
	among("v.error", len(f.Errors), func(i int) any { return string(f.Errors[i]) })
	if f.Retrying {
		where = append(where, "v.status = 'pending' AND v.attempt_count > 0")
	}
	if f.WebhookKey != 0 {
		where = append(where, "v.webhook_id = "+arg(f.WebhookKey))
	}
	if f.DeviceKey != 0 {
		where = append(where, "v.device_id = "+arg(f.DeviceKey))
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

// floorQuery finds the key above which rows are examined.
func (f DeliveryFilter) floorQuery(lookBack int) (query string, args []any, rare bool) {
	from, where, args, share := f.base()
	return `SELECT v.id FROM ` + from + ` WHERE ` + strings.Join(where, " AND ") + ` ORDER BY v.id DESC LIMIT 1 OFFSET ` +
		strconv.Itoa(lookBack/max(share, 1)), args, share > 0
}

// chosen returns the source and the condition of what the filter selects above a floor; 0
// if there is none.
func (f DeliveryFilter) chosen(floor int64) (text string, args []any) {
	f.within.low = floor + 1
	from, where, args, _ := f.base()
	condition, args := f.all(where, args)
	return from + ` WHERE ` + condition, args
}

// ofWebhooks returns a query for what a filter by state selects of several webhooks: the
// newest ids of each by its partial index.
func (f DeliveryFilter) ofWebhooks(p partial, hooks []int64, limit int) (ids string, args []any) {
	parts := make([]string, len(hooks))
	for i, id := range hooks {
		parts[i] = `SELECT id FROM (SELECT id FROM deliveries INDEXED BY ` + p.index + ` WHERE webhook_id = ` + strconv.FormatInt(id, 10) +
			` AND ` + p.condition +
			` AND id < $1 AND id >= $2 ORDER BY id DESC LIMIT ` + strconv.Itoa(limit) + `)`
	}
	return strings.Join(parts, ` UNION ALL `), []any{f.top(), f.bottom()}
}

// pageQuery reads a page and one more row; floor is 0 if there is none.
func (f DeliveryFilter) pageQuery(floor int64) (query string, args []any) {
	text, args := f.chosen(floor)
	from, where, _ := strings.Cut(text, ` WHERE `)
	return `SELECT ` + deliveryColumns + `, coalesce(w.slug, ''), coalesce(d.slug, '') FROM ` + from + `
		LEFT JOIN webhooks w ON w.id = v.webhook_id LEFT JOIN devices d ON d.id = v.device_id
		WHERE ` + where + ` ORDER BY v.id DESC LIMIT ` + strconv.Itoa(f.Limit+1), args
}

// pageOfWebhooks is pageQuery for a filter by state.
func (f DeliveryFilter) pageOfWebhooks(p partial, hooks []int64) (query string, args []any) {
	ids, args := f.ofWebhooks(p, hooks, f.Limit+1)
	return `SELECT ` + deliveryColumns + `, coalesce(w.slug, ''), coalesce(d.slug, '') FROM deliveries v
		LEFT JOIN webhooks w ON w.id = v.webhook_id LEFT JOIN devices d ON d.id = v.device_id
		WHERE v.project_id = $3 AND v.id IN (SELECT id FROM (` + ids + `) ORDER BY id DESC LIMIT ` + strconv.Itoa(f.Limit+1) +
			`) ORDER BY v.id DESC LIMIT ` + strconv.Itoa(f.Limit+1),
		append(args, f.ProjectKey)
}

// maxUnited bounds the webhooks, including deleted ones, whose partial indexes one query
// reads.
const maxUnited = 50

// webhooksOf returns the webhooks of a project that a filter by state must query, nil if
// the filter is not by state alone or there are too many webhooks.
func (f DeliveryFilter) webhooksOf(ctx context.Context, tx *sql.Tx) (p partial, hooks []int64, err error) {
	p, ok := f.partial()
	if !ok || f.WebhookKey != 0 {
		return p, nil, nil
	}
	rows, err := tx.QueryContext(ctx, `SELECT id FROM webhooks WHERE project_id = $1 LIMIT $2`, f.ProjectKey, maxUnited+1)
	if err != nil {
		return p, nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return p, nil, err
		}
		hooks = append(hooks, id)
	}
	if len(hooks) > maxUnited {
		hooks = nil
	}
	return p, hooks, rows.Err()
}

// floor returns the key above which a rare filter examines rows; 0 if the filter is not
// rare or there are fewer rows.
func (d *DB) floor(ctx context.Context, tx *sql.Tx, f DeliveryFilter, lookBack int) (floor int64, err error) {
	query, args, rare := f.floorQuery(lookBack)
	if !rare {
		return 0, nil
	}
	if err := tx.QueryRowContext(ctx, query, args...).Scan(&floor); err != nil && !isNoRow(err) {
		return 0, err
	}
	return floor, nil
}

// Deliveries returns a page of a project's deliveries, newest first.
func (d *DB) Deliveries(ctx context.Context, f DeliveryFilter) (DeliveryPage, error) {
	page := DeliveryPage{Items: []iot.Delivery{}}
	err := d.inTables(ctx, func(tx *sql.Tx) error {
		part, hooks, err := f.webhooksOf(ctx, tx)
		if err != nil {
			return err
		}
		var floor int64
		var query string
		var args []any
		if hooks != nil {
			query, args = f.pageOfWebhooks(part, hooks)
		} else {
			if floor, err = d.floor(ctx, tx, f, d.lookBack); err != nil {
				return err
			}
			query, args = f.pageQuery(floor)
		}
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

// CountDeliveries counts what a filter selects, up to a limit. For a rare filter it looks
// back as far as Deliveries. capped says that there are or may be more.
func (d *DB) CountDeliveries(ctx context.Context, f DeliveryFilter, limit int) (n int, capped bool, err error) {
	return d.count(ctx, f, limit, d.lookBack)
}

// CountRoughly is CountDeliveries that looks back a tenth as far, for secondary figures of
// a page.
func (d *DB) CountRoughly(ctx context.Context, f DeliveryFilter, limit int) (n int, capped bool, err error) {
	return d.count(ctx, f, limit, d.lookBack/10)
}

func (d *DB) count(ctx context.Context, f DeliveryFilter, limit, lookBack int) (n int, capped bool, err error) {
	var floor int64
	err = d.inTables(ctx, func(tx *sql.Tx) error {
		part, hooks, err := f.webhooksOf(ctx, tx)
		if err != nil {
			return err
		}
		var query string
		var args []any
		if hooks != nil {
			query, args = f.ofWebhooks(part, hooks, limit)
		} else {
			if floor, err = d.floor(ctx, tx, f, lookBack); err != nil {
				return err
			}
			query, args = f.chosen(floor)
			query = `SELECT 1 FROM ` + query
		}
		return tx.QueryRowContext(ctx, `SELECT count(*) FROM (SELECT 1 FROM (`+query+`) LIMIT `+strconv.Itoa(limit)+`)`, args...).Scan(&n)
	})
	return n, n == limit || floor != 0, translate("count deliveries", err)
}

// Rare reports whether the filter must examine rows, so that its pages and counts may not
// reach far back.
func (f DeliveryFilter) Rare() bool {
	_, exact := f.partial()
	_, _, _, share := f.base()
	return share > 0 && !exact
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
func (d *DB) Delivery(ctx context.Context, projectKey int64, id iot.ID) (*iot.Delivery, error) {
	v, err := d.scanDelivery(d.tables(ctx).QueryRowContext(ctx, `SELECT `+deliveryColumns+deliveryNames+
		` WHERE v.project_id = $1 AND v.id = $2`, projectKey, id.Key()))
	if err == nil && v.ID != id {
		return nil, notFound("delivery")
	}
	return v, orNotFound("delivery", err)
}

// DeliveriesOf returns a message's deliveries, the oldest first.
func (d *DB) DeliveriesOf(ctx context.Context, projectKey int64, message iot.ID) ([]iot.Delivery, error) {
	rows, err := d.tables(ctx).QueryContext(ctx, `SELECT `+deliveryColumns+deliveryNames+
		` WHERE v.message_id = $1 AND v.project_id = $2 ORDER BY v.id LIMIT 1000`, message.Key(), projectKey)
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

// Attempts returns a delivery's last attempts, at most so many, ordered by number.
func (d *DB) Attempts(ctx context.Context, delivery iot.ID, last int) ([]iot.Attempt, error) {
	rows, err := d.tables(ctx).QueryContext(ctx, `SELECT number, at, duration_ms, timings, request, code, response_headers, response_body,
		truncated,
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
		var class iot.ErrorClass
		var outcome string
		if err := rows.Scan(&a.Number, &a.At, &a.DurationMS, &timings, &request, &r.Status, &headers, &body, &r.Truncated, &class,
			&outcome); err != nil {
			return nil, translate("list attempts", err)
		}
		a.Timings, a.Resent = parseTimings(timings)
		a.Request = parseRequest(request)
		if r.Status != 0 {
			r.Headers, r.Body = parseHeaders(headers), string(body)
			a.Response = &r
		}
		a.Error, a.Note = parseOutcome(class, outcome)
		list = append(list, a)
	}
	slices.Reverse(list)
	return list, translate("list attempts", rows.Err())
}

package db_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"thingpost/db"
	"thingpost/internal/iot"
)

// log is a store with deliveries, an hour apart each, that differ in every field of a filter.
func openLog(t *testing.T) (w *world, byName map[string]*iot.Delivery, other *iot.Webhook, probe *iot.Device) {
	t.Helper()
	w, c := openAt(t)
	other = w.newWebhook(t, "Other one")
	probe = &iot.Device{ProjectKey: w.project.Key, ID: "other-probe"}
	must(t, w.CreateDevice(probe, "another-key", actor))
	byName = map[string]*iot.Delivery{}
	add := func(name string, h *iot.Webhook, change func(a *db.Accept), end func(v *iot.Delivery) *iot.Outcome) {
		a := w.accepted(w.version(t), `1`, h)
		if change != nil {
			change(a)
		}
		must(t, w.Accept(a))
		if end != nil {
			w.finish(t, end(a.Deliveries[0]))
		}
		byName[name] = a.Deliveries[0]
		c.forward(time.Hour)
	}
	good := func(v *iot.Delivery) *iot.Outcome { return delivered(iot.Queued{Delivery: v}) }
	add("good", w.webhook, nil, good)
	add("failed", w.webhook, nil, func(v *iot.Delivery) *iot.Outcome { return failed(v, iot.Failed) })
	add("retried", w.webhook, nil, func(v *iot.Delivery) *iot.Outcome { return failed(v, iot.Pending) })
	add("pending", w.webhook, nil, nil)
	add("skipped", w.webhook, nil, func(v *iot.Delivery) *iot.Outcome { return &iot.Outcome{Delivery: v, Status: iot.Skipped} })
	add("other", other, nil, good)
	add("iottly", w.webhook, func(a *db.Accept) { a.Message.Type, a.Deliveries[0].Type = iot.Iottly, iot.Iottly }, good)
	add("probe", w.webhook, func(a *db.Accept) { a.Message.DeviceKey, a.Deliveries[0].DeviceKey = probe.Key, probe.Key }, good)
	add("slow", w.webhook, nil, func(v *iot.Delivery) *iot.Outcome {
		o := failed(v, iot.Failed)
		o.Attempt.Response, o.Attempt.Error.Class, o.Attempt.DurationMS, o.Attempt.Number = nil, iot.ErrTimeout, 10_000, 7
		return o
	})
	return w, byName, other, probe
}

func TestDeliveryFilters(t *testing.T) {
	w, byName, other, probe := openLog(t)
	hour := func(n int) iot.Instant { return iot.Instant(1_800_000_000_000).Add(time.Duration(n) * time.Hour) }
	all := []string{"slow", "probe", "iottly", "other", "skipped", "pending", "retried", "failed", "good"}
	for name, c := range map[string]struct {
		filter db.DeliveryFilter
		want   []string // the newest first
	}{
		"all":          {db.DeliveryFilter{}, all},
		"a status":     {db.DeliveryFilter{Statuses: []iot.Status{iot.Failed}}, []string{"slow", "failed"}},
		"two statuses": {db.DeliveryFilter{Statuses: []iot.Status{iot.Skipped, iot.Pending}}, []string{"skipped", "pending", "retried"}},
		"retrying":     {db.DeliveryFilter{Retrying: true}, []string{"retried"}},
		"webhook":      {db.DeliveryFilter{WebhookKey: other.Key}, []string{"other"}},
		"webhook, status": {db.DeliveryFilter{WebhookKey: w.webhook.Key, Statuses: []iot.Status{iot.Delivered}},
			[]string{"probe", "iottly", "good"}},
		"device":           {db.DeliveryFilter{DeviceKey: probe.Key}, []string{"probe"}},
		"device, webhook":  {db.DeliveryFilter{DeviceKey: probe.Key, WebhookKey: other.Key}, nil},
		"message":          {db.DeliveryFilter{MessageID: byName["iottly"].MessageID}, []string{"iottly"}},
		"message, webhook": {db.DeliveryFilter{MessageID: byName["iottly"].MessageID, WebhookKey: other.Key}, nil},
		"message, device":  {db.DeliveryFilter{MessageID: byName["iottly"].MessageID, DeviceKey: probe.Key}, nil},
		"type":             {db.DeliveryFilter{Types: []iot.MessageType{iot.Iottly}}, []string{"iottly"}},
		"two types":        {db.DeliveryFilter{Types: []iot.MessageType{iot.Iottly, iot.User}}, all},
		"code":             {db.DeliveryFilter{Codes: []db.CodeRange{{From: 500, To: 599}}}, []string{"retried", "failed"}},
		"codes": {db.DeliveryFilter{Codes: []db.CodeRange{{From: 503, To: 503}, {From: 200, To: 200}}},
			[]string{"probe", "iottly", "other", "retried", "failed", "good"}},
		"error": {db.DeliveryFilter{Errors: []iot.ErrorClass{iot.ErrTimeout}}, []string{"slow"}},
		"two errors": {db.DeliveryFilter{Errors: []iot.ErrorClass{iot.ErrTimeout, iot.ErrHTTP5xx}},
			[]string{"slow", "retried", "failed"}},
		"error, status": {db.DeliveryFilter{Errors: []iot.ErrorClass{iot.ErrHTTP5xx}, Statuses: []iot.Status{iot.Failed}},
			[]string{"failed"}},
		"since":             {db.DeliveryFilter{Since: hour(7)}, []string{"slow", "probe"}},
		"until":             {db.DeliveryFilter{Until: hour(2)}, []string{"failed", "good"}},
		"since, until":      {db.DeliveryFilter{Since: hour(1), Until: hour(3)}, []string{"retried", "failed"}},
		"until the far end": {db.DeliveryFilter{Until: iot.At(time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC))}, all},
		"since the far end": {db.DeliveryFilter{Since: iot.At(time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC))}, nil},
		"attempts":          {db.DeliveryFilter{MinAttempt: 2}, []string{"slow"}},
		"duration":          {db.DeliveryFilter{MinMS: 1000}, []string{"slow"}},
		"before":            {db.DeliveryFilter{Before: byName["failed"].ID}, []string{"good"}},
		"before, webhook":   {db.DeliveryFilter{Before: byName["pending"].ID, WebhookKey: w.webhook.Key}, []string{"retried", "failed", "good"}},
		"everything at once": {db.DeliveryFilter{Statuses: []iot.Status{iot.Failed}, WebhookKey: w.webhook.Key, DeviceKey: w.device.Key,
			Types: []iot.MessageType{iot.User}, Codes: []db.CodeRange{{From: 0, To: 0}}, Errors: []iot.ErrorClass{iot.ErrTimeout}, Since: hour(8),
			Until: hour(9), MinAttempt: 7, MinMS: 10_000, MessageID: byName["slow"].MessageID}, []string{"slow"}},
		"another project": {db.DeliveryFilter{ProjectKey: w.project.Key + 1}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := c.filter
			f.Limit = 50
			if f.ProjectKey == 0 {
				f.ProjectKey = w.project.Key
			}
			page, err := w.Deliveries(t.Context(), f)
			must(t, err)
			var got []string
			for _, v := range page.Items {
				for name, known := range byName {
					if known.ID == v.ID {
						got = append(got, name)
					}
				}
			}
			if !slices.Equal(got, c.want) || !page.Next.IsZero() || page.LookedBackTo != 0 {
				t.Errorf("got %v, next %q, looked back to %d; want %v", got, page.Next, page.LookedBackTo, c.want)
			}
			n, capped, err := w.CountDeliveries(t.Context(), f, 100)
			if err != nil || n != len(c.want) || capped {
				t.Errorf("counted %d, %v, %v; want %d", n, capped, err, len(c.want))
			}
		})
	}
}

func TestCountIsCapped(t *testing.T) {
	w := open(t)
	w.store(t, 6, `1`, false, w.webhook)
	f := db.DeliveryFilter{ProjectKey: w.project.Key}
	for limit, capped := range map[int]bool{5: true, 7: false} {
		n, got, err := w.CountDeliveries(t.Context(), f, limit)
		if err != nil || got != capped || n != min(limit, 6) {
			t.Errorf("up to %d: %d, %v, %v", limit, n, got, err)
		}
	}
}

func TestPagesStayWhileNewRowsCome(t *testing.T) {
	w := open(t)
	w.store(t, 25, `1`, false, w.webhook)
	deliveries := func(before iot.ID) (ids []iot.ID, next iot.ID) {
		page, err := w.Deliveries(t.Context(), db.DeliveryFilter{ProjectKey: w.project.Key, WebhookKey: w.webhook.Key, Before: before, Limit: 10})
		must(t, err)
		for _, v := range page.Items {
			ids = append(ids, v.ID)
		}
		return ids, page.Next
	}
	messages := func(before iot.ID) (ids []iot.ID, next iot.ID) {
		page, err := w.Messages(t.Context(), db.MessageFilter{ProjectKey: w.project.Key, Before: before, Limit: 10})
		must(t, err)
		for _, m := range page.Items {
			ids = append(ids, m.ID)
		}
		return ids, page.Next
	}
	for name, list := range map[string]func(iot.ID) ([]iot.ID, iot.ID){"deliveries": deliveries, "messages": messages} {
		t.Run(name, func(t *testing.T) {
			var all []iot.ID
			var next iot.ID
			start := w.NewID()
			for pages := 1; ; pages++ {
				var ids []iot.ID
				if pages == 1 {
					next = start
				}
				ids, next = list(next)
				all = append(all, ids...)
				w.store(t, 3, `"new"`, false, w.webhook)
				if next.IsZero() {
					break
				}
				if pages > 10 {
					t.Fatal("the pages do not end")
				}
			}
			for _, id := range all {
				if id.Key() >= start.Key() {
					t.Error("a new row slipped in")
				}
			}
			if !slices.IsSortedFunc(all, func(a, b iot.ID) int { return int(b.Key() - a.Key()) }) ||
				len(slices.Compact(slices.Clone(all))) != len(all) || len(all) < 25 {
				t.Errorf("%d rows, some twice or out of order", len(all))
			}
			whole, _ := w.CountOn(t.Context(), `SELECT count(*) FROM messages WHERE id < $1`, start.Key())
			if int64(len(all)) != whole {
				t.Errorf("%d of %d rows were listed", len(all), whole)
			}
		})
	}
}

func TestARareFilterSaysHowFarItLookedBack(t *testing.T) {
	w := open(t)
	rare := w.accepted(w.version(t), `1`, w.webhook)
	rare.Message.Type, rare.Deliveries[0].Type = iot.Iottly, iot.Iottly
	must(t, w.Accept(rare))
	const lookBack = 500
	const more = lookBack + 100
	w.SetLookBack(lookBack)
	first := rare.Deliveries[0].ID.Key()
	tx, err := w.raw(t).BeginTx(t.Context(), nil)
	must(t, err)
	for _, statement := range []string{
		`INSERT INTO deliveries (project_id, id, message_id, webhook_id, device_id, type, channel, status, trigger, in_order, size_bytes, ` +
			`due_at, created_at)
			SELECT $1, $2 + value * 2097152, $2, $3, $4, 'user', '', 'delivered', 'message', 0, 1, 0, 0 FROM generate_series(1, $5)`,
		`INSERT INTO messages (id, project_id, device_id, type, channel, payload, received_at, transient)
			SELECT $2 + value * 2097152, $1, $4, 'user', '', x'31', $3, 0 FROM generate_series(1, $5)`,
	} {
		_, err := tx.ExecContext(t.Context(), withoutSeries(statement), w.project.Key, first, w.webhook.Key, w.device.Key, more)
		must(t, err)
	}
	must(t, tx.Commit())
	lookDeliveries := func(ctx context.Context, before iot.ID) (int, iot.ID, iot.Instant) {
		page, err := w.Deliveries(ctx, db.DeliveryFilter{ProjectKey: w.project.Key, Types: []iot.MessageType{iot.Iottly}, Before: before,
			Limit: 50})
		must(t, err)
		return len(page.Items), page.Next, page.LookedBackTo
	}
	lookMessages := func(ctx context.Context, before iot.ID) (int, iot.ID, iot.Instant) {
		page, err := w.Messages(ctx, db.MessageFilter{ProjectKey: w.project.Key, Type: iot.Iottly, Before: before, Limit: 50})
		must(t, err)
		return len(page.Items), page.Next, page.LookedBackTo
	}
	for name, look := range map[string]func(context.Context, iot.ID) (int, iot.ID, iot.Instant){"deliveries": lookDeliveries,
		"messages": lookMessages} {
		t.Run(name, func(t *testing.T) {
			w.SetLookBack(lookBack)
			if name == "messages" { // found by an index alone: a fifth is examined
				w.SetLookBack(lookBack * db.Scattered)
			}
			n, next, back := look(t.Context(), iot.ID{})
			if n != 0 || next.IsZero() || back == 0 {
				t.Fatalf("found %d, next %q, looked back to %d: it did not stop", n, next, back)
			}
			if want := iot.KeyTime(first).Add(100 * time.Millisecond); back != want {
				t.Errorf("looked back to %s, want %s", back, want)
			}
			if n, next, back = look(t.Context(), next); n != 1 || !next.IsZero() || back != 0 {
				t.Errorf("then it found %d, next %q, looked back to %d; want the one and the end", n, next, back)
			}
		})
	}
	w.SetLookBack(lookBack)
	n, capped, err := w.CountDeliveries(t.Context(), db.DeliveryFilter{ProjectKey: w.project.Key, Types: []iot.MessageType{iot.Iottly}}, 10)
	if err != nil || n != 0 || !capped {
		t.Errorf("counted %d, %v, %v; want none so far", n, capped, err)
	}
}

// withoutSeries replaces generate_series, which this SQLite does not have.
func withoutSeries(statement string) string {
	const series = `(WITH RECURSIVE s (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM s WHERE value < $5) SELECT value FROM s)`
	return statement[:len(statement)-len(`generate_series(1, $5)`)] + series
}

func TestMessageFilters(t *testing.T) {
	w, byName, _, probe := openLog(t)
	channelled := w.accepted(w.version(t), `1`)
	channelled.Message.Channel = "alarm"
	must(t, w.Accept(channelled))
	for name, c := range map[string]struct {
		filter db.MessageFilter
		want   iot.ID
		n      int
	}{
		"all":     {db.MessageFilter{}, channelled.Message.ID, 10},
		"device":  {db.MessageFilter{DeviceKey: probe.Key}, byName["probe"].MessageID, 1},
		"type":    {db.MessageFilter{Type: iot.Iottly}, byName["iottly"].MessageID, 1},
		"channel": {db.MessageFilter{Channel: "alarm"}, channelled.Message.ID, 1},
		"since":   {db.MessageFilter{Since: iot.Instant(1_800_000_000_000).Add(8 * time.Hour)}, channelled.Message.ID, 2},
		"until":   {db.MessageFilter{Until: iot.Instant(1_800_000_000_000).Add(time.Hour)}, byName["good"].MessageID, 1},
		"before":  {db.MessageFilter{Before: byName["failed"].MessageID}, byName["good"].MessageID, 1},
	} {
		t.Run(name, func(t *testing.T) {
			c.filter.ProjectKey, c.filter.Limit = w.project.Key, 50
			page, err := w.Messages(t.Context(), c.filter)
			must(t, err)
			if len(page.Items) != c.n || page.Items[0].ID != c.want {
				t.Errorf("%d messages, want %d", len(page.Items), c.n)
			}
		})
	}
}

func TestDueWorkIsFoundByItsTime(t *testing.T) {
	w := open(t)
	ordered := w.newWebhook(t, "In order")
	list := w.store(t, 4, `1`, false, w.webhook)
	later := failed(list[1].Deliveries[0], iot.Pending)
	w.finish(t, delivered(iot.Queued{Delivery: list[0].Deliveries[0]}), later)
	now := iot.Instant(1_800_000_000_000)
	due, next, err := w.Due(t.Context(), w.webhook.Key, 0, now, 10, 0, func(iot.ID) bool { return false })
	must(t, err)
	if len(due) != 2 || next != later.DueAt || due[0].Message == nil || due[0].Device.ID != w.device.ID || due[0].Project.ID != w.project.ID {
		t.Errorf("%d are due, next at %d, want 2 and %d", len(due), next, later.DueAt)
	}
	due, next, err = w.Due(t.Context(), w.webhook.Key, 0, later.DueAt, 1, 0, func(id iot.ID) bool { return id == due[0].Delivery.ID })
	must(t, err)
	if len(due) != 1 || next > later.DueAt {
		t.Errorf("%d of one are due, next at %d", len(due), next)
	}
	a := w.accepted(w.version(t), `1`, ordered)
	b := w.accepted(w.version(t), `2`, ordered)
	a.InOrder, b.InOrder = []bool{true}, []bool{true}
	must(t, w.Accept(a, b))
	must(t, w.MoveJournal(t.Context()))
	head, err := w.Head(t.Context(), ordered.Key, w.device.Key)
	if err != nil || head == nil || head.Delivery.ID != a.Deliveries[0].ID {
		t.Errorf("the first of the device is %+v, %v", head, err)
	}
	devices, err := w.PendingDevices(t.Context(), ordered.Key, 0, 10)
	if err != nil || !slices.Equal(devices, []int64{w.device.Key}) {
		t.Errorf("devices %v, %v", devices, err)
	}
	if head, err = w.Head(t.Context(), ordered.Key, w.device.Key+1); err != nil || head != nil {
		t.Errorf("another device has %+v, %v", head, err)
	}
}

// TestDeviceIDsAreComparedWithoutCase: in lists, filters and as names, as first written.
func TestDeviceIDsAreComparedWithoutCase(t *testing.T) {
	w := open(t)
	for _, id := range []string{"b", "A", "C:1", "c.2", "24E124136B502217"} {
		must(t, w.CreateDevice(&iot.Device{ProjectKey: w.project.Key, ID: id}, iot.NewDeviceKey(), actor))
	}
	if err := w.CreateDevice(&iot.Device{ProjectKey: w.project.Key, ID: "B"}, iot.NewDeviceKey(), actor); iot.CodeOf(err) != iot.Conflict {
		t.Errorf("an id in another case: %v", err)
	}
	var got []string
	for after := ""; ; {
		page, err := w.Devices(t.Context(), db.DeviceFilter{ProjectKey: w.project.Key, After: after, Limit: 2})
		must(t, err)
		for _, d := range page {
			got = append(got, d.ID)
			after = strings.ToUpper(d.ID)
		}
		if len(page) < 2 {
			break
		}
	}
	if want := []string{"24E124136B502217", "A", "b", "c.2", "C:1", "soil-probe-07"}; !slices.Equal(got, want) {
		t.Errorf("the list is %v, want %v", got, want)
	}
	found, err := w.Devices(t.Context(), db.DeviceFilter{ProjectKey: w.project.Key, Search: "c:", Until: "c:2", Limit: 9})
	if err != nil || len(found) != 1 || found[0].ID != "C:1" {
		t.Errorf("found %v, %v", found, err)
	}
	h := w.webhook.Clone()
	h.ID, h.Device = "of-one-device", "c:1"
	must(t, w.CreateWebhook(h, actor))
	if h.Device != "C:1" {
		t.Errorf("the webhook is of %s", h.Device)
	}
}

package db

import (
	"cmp"
	"fmt"
	"sync/atomic"
	"time"

	"thingpost/internal/iot"
)

// Accept is a message with the deliveries that it causes. All are stored together, or
// nothing is.
type Accept struct {
	Message *iot.Message
	Device  *iot.Device // as this store's look-up has returned it
	Project *iot.Project
	// Deliveries are pending or skipped; each has its webhook's key.
	Deliveries []*iot.Delivery
	// InOrder says for each delivery whether its webhook wants deliveries in order per
	// device.
	InOrder []bool
	// Version is that of the project's settings on which the deliveries were matched.
	Version int64
	// Silence is set if the message reports that the device is silent or back.
	Silence *Silence

	// Stale is set if the settings or the device have changed since: nothing was
	// stored, and the message must be matched again.
	Stale bool
	// Repeated is set if the device sent this sender id within RepeatWindow: the id of
	// that earlier message. Nothing was stored.
	Repeated iot.ID
}

// RepeatWindow is how long a device's sender id is accepted only once.
const RepeatWindow = 24 * time.Hour

// Accept stores messages with their deliveries in one transaction and returns when they
// are on disk; see Accept.Stale and Accept.Repeated. They should be of one project. A
// caller with many should hand over a piece at a time, see PieceRows. An error concerns
// all messages of the call. With storage_full or unavailable nothing was stored. The
// exception is unavailable after AcceptWait, when the disk does not answer or too much is
// queued: the messages may still be stored, so the caller must no longer use the list.
func (d *DB) Accept(list ...*Accept) error {
	if len(list) == 0 {
		return nil
	}
	if d.writer == nil || d.asItIs {
		return errReadOnly
	}
	it := item{accept: list, project: list[0].Message.ProjectKey}
	for _, a := range list {
		it.load.add(load{rows: a.Rows(), bytes: a.Bytes()})
	}
	return translate("store messages", d.writer.await(it, d.acceptWait))
}

// await submits an item and returns when it is on disk, or after a while with an error
// that says whether the disk does not answer or other items are queued before it. The
// item may still be written then, if the writer has claimed it: the sender, who knows
// nothing of that, sends it again.
func (w *writer) await(it item, wait time.Duration) error {
	done := make(chan error, 1)
	it.claimed, it.done = new(atomic.Bool), func(err error) { done <- err }
	w.submit(it)
	timer := time.NewTimer(wait / 2)
	defer timer.Stop()
	for late := false; ; late = true {
		wrote := w.wrote.Load()
		select {
		case err := <-done:
			return err
		case <-timer.C:
		}
		if !late {
			timer.Reset(wait / 2)
			continue
		}
		it.claimed.Store(true)
		if w.wrote.Load() == wrote {
			return errTooSlow
		}
		return errBusy
	}
}

// Rows returns how many rows the message and its deliveries are.
func (a *Accept) Rows() int { return 1 + len(a.Deliveries) }

// Bytes returns about how many bytes the message takes on disk.
func (a *Accept) Bytes() int64 { return int64(len(a.Message.Payload) + len(a.Message.Fields)) }

type sent struct {
	device int64
	id     string
}

// accept checks the messages of a batch, and stages those that are to be stored.
func (w *writer) accept(t *Tx, batch []item) error {
	inBatch := map[sent]int64{}
	for _, it := range batch {
		for _, a := range it.accept {
			if err := w.acceptOne(t, a, inBatch); err != nil {
				return err
			}
		}
	}
	return nil
}

// acceptOne stages a message and its deliveries. inBatch has the sender ids of this batch so
// far.
func (w *writer) acceptOne(t *Tx, a *Accept, inBatch map[sent]int64) error {
	m := a.Message
	a.Stale, a.Repeated = false, iot.ID{}
	if _, raised := t.raised[m.ProjectKey]; raised || w.versions[m.ProjectKey] != a.Version {
		a.Stale = true
		return nil
	}
	if w.deviceStale(t, a.Device) {
		if a.Silence != nil {
			var there bool
			if err := t.row(`SELECT EXISTS (SELECT 1 FROM devices WHERE id = $1 AND deleted_at = 0)`, m.DeviceKey).Scan(&there); err != nil {
				return err
			}
			if a.Silence.Old, a.Silence.Gone = false, !there; !there {
				return nil
			}
		}
		a.Stale = true
		return nil
	}
	if m.SenderID != "" {
		k := sent{m.DeviceKey, m.SenderID}
		// Measured by the id's time, not by the clock: ids continue to grow when the
		// clock is set back, and so does the window.
		first, err := w.repeated(t, k, inBatch[k], iot.KeyTime(m.ID.Key()))
		if err != nil {
			return err
		}
		if !first.IsZero() {
			a.Repeated = first
			w.putOff.saw(m.DeviceKey, m.ReceivedAt) // the device was seen, even if it sent nothing new
			return nil
		}
		inBatch[k] = m.ID.Key()
	}
	if a.Silence != nil {
		if err := w.turn(t, a); err != nil || a.Silence.Old || a.Silence.Gone {
			return err
		}
	}
	if err := checkNew(a.Deliveries); err != nil {
		return err
	}
	// Not every message comes from a device.
	fromDevice := m.DeviceKey != 0 && a.Silence == nil
	w.staged = append(w.staged, t.queued(a, fromDevice))
	if !fromDevice {
		return nil
	}
	w.putOff.saw(m.DeviceKey, m.ReceivedAt)
	if t.days == nil {
		t.days = map[hourKey]int64{}
	}
	t.days[dayOf(m.DeviceKey, m.ReceivedAt)]++
	return nil
}

// Values of the column transient.
const (
	kept           int64 = 0
	untilDelivered int64 = 1
	erased         int64 = 2
)

// checkNew reports what the tables would refuse. The journal takes everything, so nothing
// else may be in it.
func checkNew(list []*iot.Delivery) error {
	for _, v := range list {
		switch v.Status {
		case iot.Pending, iot.Delivered, iot.Failed, iot.Skipped, iot.Cancelled:
		default:
			return fmt.Errorf("a delivery has the unknown status %q", v.Status)
		}
		switch v.Trigger {
		case iot.TriggerMessage, iot.TriggerRetry, iot.TriggerReplay, iot.TriggerTest:
		default:
			return fmt.Errorf("a delivery has the unknown trigger %q", v.Trigger)
		}
	}
	return nil
}

// queued announces a message and its pending deliveries, and returns their rows.
func (t *Tx) queued(a *Accept, fromDevice bool) *accepted {
	m := a.Message
	t.changed(m.ProjectKey, iot.MessagesChanged)
	rows := &accepted{Message: messageRow(a), FromDevice: fromDevice}
	for i, d := range a.Deliveries {
		rows.Deliveries = append(rows.Deliveries, deliveryRow(d, a.InOrder[i] || t.db.ordering.marks(d.WebhookKey)))
		if d.Status == iot.Pending {
			t.commit.Queued = append(t.commit.Queued, iot.Queued{Delivery: d, Message: m, Device: a.Device, Project: a.Project})
		}
	}
	if len(a.Deliveries) > 0 {
		t.changed(m.ProjectKey, iot.DeliveriesChanged)
	}
	return rows
}

// messageRow returns a message's row, see acceptedColumns.
func messageRow(a *Accept) []any {
	m := a.Message
	var fields any
	if len(m.Fields) > 0 {
		fields = []byte(m.Fields)
	}
	payload, transient := []byte(m.Payload), kept
	if m.Transient {
		transient = untilDelivered
		if len(a.Deliveries) == 0 {
			payload, fields, transient = []byte{}, nil, erased
		}
	}
	return []any{m.ID.Key(), m.ProjectKey, m.DeviceKey, string(m.Type), m.Channel, orNull(m.SenderID), fields, payload, int64(m.ReceivedAt),
		transient}
}

// deliveryRow returns a new delivery's row, see madeColumns.
func deliveryRow(d *iot.Delivery, inOrder bool) []any {
	return []any{d.ProjectKey, d.ID.Key(), d.MessageID.Key(), d.WebhookKey, d.DeviceKey, string(d.Type), d.Channel, string(d.Status),
		string(d.Trigger), flag(inOrder), d.SizeBytes, int64(d.DueAt), int64(d.CreatedAt), int64(0), int64(0), nil, orNull(d.ErrorDetail),
		int64(0), int64(d.EndedAt)}
}

// repeated returns the id of the earlier message with a device's sender id; zero if there
// is none. inBatch is the key of one in the same batch, or 0.
func (w *writer) repeated(t *Tx, k sent, inBatch int64, at iot.Instant) (iot.ID, error) {
	since := iot.KeyAt(at.Add(-RepeatWindow))
	key := cmp.Or(inBatch, w.ledger.senders[k])
	if key < since {
		err := w.stmts.repeated.QueryRowContext(t.ctx, k.device, k.id, since).Scan(&key)
		if isNoRow(err) {
			return iot.ID{}, nil
		}
		if err != nil {
			return iot.ID{}, err
		}
	}
	return w.db.ids.Of(key), nil
}

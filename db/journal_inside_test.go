package db

import (
	"bytes"
	"context"
	"testing"

	"thingpost/internal/iot"
)

func testRow(message int64) entry {
	a := &Accept{Message: &iot.Message{ProjectKey: 1, DeviceKey: 1, Type: iot.User, Channel: "c", SenderID: "s", Payload: []byte(`1`),
		ReceivedAt: 1_800_000_000_000}}
	e := entry{Accepted: &accepted{Message: messageRow(a), FromDevice: true}}
	e.Accepted.Message[messageID] = message
	d := deliveryRow(&iot.Delivery{ProjectKey: 1, WebhookKey: 1, DeviceKey: 1, Type: iot.User, Status: iot.Pending,
		Trigger: iot.TriggerMessage}, false)
	d[deliveryID], d[2] = message+1, message
	e.Accepted.Deliveries = [][]any{d}
	return e
}

// PutInJournal writes entries as a process that was killed has left them: messages with
// these keys, each with a delivery. The tables refuse one with a negative key.
func (d *DB) PutInJournal(ctx context.Context, keys ...int64) error {
	return d.write("test", func(t *Tx) error {
		var record bytes.Buffer
		for _, key := range keys {
			e := testRow(max(key, -key))
			if key < 0 {
				e.Accepted.Message[3] = nil // the type
			}
			if err := appendEntry(&record, e); err != nil {
				return err
			}
		}
		w := d.writer
		return w.ledger.chunks.append(record.Bytes(), func(row int64, chunk []byte) error {
			_, err := t.exec(`REPLACE INTO journal (id, record) VALUES ($1, $2)`, row, chunk)
			return err
		})
	})
}

// Unmoved returns how many entries the tables do not have yet.
func (d *DB) Unmoved() int64 { return d.writer.ledger.entries.Load() }

// MostUnmoved bounds Unmoved with batches of so many entries.
func MostUnmoved(batch int64) int64 { return ledgerRows + batch }

// FuzzReadRecord: what is read from a damaged journal is an error or an entry that can be
// moved, never a panic.
func FuzzReadRecord(f *testing.F) {
	var record bytes.Buffer
	o := &outcome{Attempt: attemptRow(&iot.Attempt{}), Status: iot.Delivered}
	for _, e := range []entry{testRow(1), {Outcome: o}, {Outcome: &outcome{}}} {
		if err := appendEntry(&record, e); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(record.Bytes())
	f.Add([]byte{0x82, 0xf6, 0xf6})
	f.Add([]byte{0x82, 0x83, 0x80, 0x81, 0x80, 0xf5, 0xf6})
	f.Fuzz(func(_ *testing.T, record []byte) {
		l := newLedger()
		_ = readRecord(record, func(e entry) error {
			l.add(e, 1, l.since)
			return nil
		})
		l.drop(l.all(), l.since)
	})
}

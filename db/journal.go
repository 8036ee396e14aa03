package db

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/fxamacker/cbor/v2"

	"thingpost/internal/iot"
)

// The journal is a table in which accepted messages and outcomes are written first: a page
// for a transaction instead of a page of each table and index. The writer moves entries into
// the tables later, many at a time and most of them delivered already. SQLite stays the only
// place of what is stored: a backup, a replica and a start after a crash find the entries in
// the file.
//
// A start moves what is in the journal. It may find entries of which the rows are in the
// tables already, because the position from which the journal is needed is that of the oldest
// transaction with an entry that is not moved. So replay passes over a message that exists,
// and over an attempt that exists.

// entry is an element of a journal's record; one of the two is set.
type entry struct {
	_        struct{} `cbor:",toarray"`
	Accepted *accepted
	Outcome  *outcome
}

// accepted is a message and its deliveries as rows of the tables: int64, string, []byte or
// nil for each column, in the order of the statements.
type accepted struct {
	_          struct{} `cbor:",toarray"`
	Message    []any
	Deliveries [][]any
	FromDevice bool // counts as a message of a device

	// Only in memory:
	outcomes []*outcome // of its deliveries, in order
	at       int64      // a position in the journal that is not behind it
}

// outcome is what became of a delivery.
type outcome struct {
	_           struct{} `cbor:",toarray"`
	ProjectKey  int64
	DeliveryKey int64
	WebhookKey  int64
	MessageKey  int64
	Status      iot.Status
	DueAt       int64
	Number      int64 // of the attempt
	Code        int64
	Error       string
	Detail      string
	DurationMS  int64
	At          iot.Instant // when the attempt ended, or the delivery without one
	Transient   bool
	Attempt     []any // a row of attempts; nil if nothing was sent

	// Only in memory:
	pause string // iot.Outcome.PauseReason; such an outcome goes to the tables at once
	at    int64  // a position in the journal that is not behind it; 0 if it is not there
}

func (o *outcome) good() bool { return o.Error == "" }

// The columns of a row, in the order of its values.
var (
	acceptedColumns = []string{"id", "project_id", "device_id", "type", "channel", "sender_id", "fields", "payload", "received_at",
		"transient"}
	madeColumns = []string{"project_id", "id", "message_id", "webhook_id", "device_id", "type", "channel", "status", "trigger", "in_order",
		"size_bytes", "due_at", "created_at", "attempt_count", "code", "error", "error_detail", "duration_ms", "ended_at"}
	attemptColumns = []string{"delivery_id", "number", "at", "duration_ms", "timings", "request", "code", "response_headers",
		"response_body", "truncated", "error", "error_detail"}
)

// Places in these rows.
const (
	messageID, messageProject, messageDevice, messageSender, messageReceived = 0, 1, 2, 5, 8

	deliveryID, deliveryWebhook, deliveryStatus, deliveryDue, deliveryCount, deliveryCode = 1, 3, 7, 11, 13, 14
	deliveryError, deliveryDetail, deliveryDuration, deliveryEnded                        = 15, 16, 17, 18

	attemptDelivery, attemptNumber, attemptAt = 0, 1, 2
)

// finish changes a delivery's row as an outcome says.
func (o *outcome) finish(row []any) {
	row[deliveryStatus], row[deliveryDue], row[deliveryCount] = string(o.Status), o.DueAt, o.Number
	row[deliveryCode], row[deliveryDuration], row[deliveryEnded] = o.Code, o.DurationMS, o.endedAt()
	row[deliveryError], row[deliveryDetail] = orNull(o.Error), orNull(o.Detail)
}

func (o *outcome) endedAt() int64 {
	if o.Status.Ended() {
		return int64(o.At)
	}
	return 0
}

// orNull returns a text, or nil for an empty one.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// appendEntry appends an entry to a record.
func appendEntry(record *bytes.Buffer, e entry) error {
	return cbor.MarshalToBuffer(e, record)
}

// readRecord calls each with the entries of a record.
func readRecord(record []byte, each func(entry) error) error {
	dec := recordMode.NewDecoder(bytes.NewReader(record))
	for {
		var e entry
		err := dec.Decode(&e)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = e.check()
		}
		if err != nil {
			return fmt.Errorf("entry of the journal: %w", err)
		}
		if err := each(e); err != nil {
			return err
		}
	}
}

// recordMode reads whole numbers as int64, as the statements take them, and text that is
// not UTF-8, which a receiver's headers may have.
var recordMode = func() cbor.DecMode {
	mode, err := cbor.DecOptions{IntDec: cbor.IntDecConvertSignedOrFail, UTF8: cbor.UTF8DecodeInvalid}.DecMode()
	if err != nil {
		panic(err)
	}
	return mode
}()

// check reports whether an entry has the rows that the statements expect.
func (e *entry) check() error {
	a, o := e.Accepted, e.Outcome
	switch {
	case (a == nil) == (o == nil):
		return errors.New("neither a message nor an outcome")
	case o != nil:
		if o.Attempt == nil {
			return nil
		}
		return checkRow("attempt", o.Attempt, attemptColumns, attemptDelivery, attemptNumber)
	}
	err := checkRow("message", a.Message, acceptedColumns, messageID, messageProject, messageDevice, messageReceived)
	for _, row := range a.Deliveries {
		if err == nil {
			err = checkRow("delivery", row, madeColumns, deliveryID, deliveryWebhook)
		}
		if err == nil && !isText(row[deliveryStatus]) {
			err = errors.New("delivery without a status")
		}
	}
	return err
}

func isText(v any) bool {
	_, ok := v.(string)
	return ok
}

func checkRow(what string, row []any, columns []string, numbers ...int) error {
	if len(row) != len(columns) {
		return fmt.Errorf("%s of %d columns, not %d", what, len(row), len(columns))
	}
	for _, i := range numbers {
		if _, ok := row[i].(int64); !ok {
			return fmt.Errorf("%s whose %s is no number", what, columns[i])
		}
	}
	return nil
}

// replay moves what an earlier process left in the journal.
func (w *writer) replay(ctx context.Context) error {
	l := w.ledger
	if err := w.conn.QueryRowContext(ctx, `SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'journal'`).Scan(&l.from); err != nil {
		return err
	}
	if w.db.asItIs {
		l.chunks = emptyAt(l.from) // the journal is the running server's
		return nil
	}
	var record []byte
	var err error
	if l.chunks, record, err = readChunks(ctx, w.conn); err != nil {
		return err
	}
	err = readRecord(record, func(e entry) error {
		known, err := w.moved(ctx, e)
		if err != nil || known {
			return err
		}
		l.add(e, l.from, w.clock())
		w.sawEntry(e)
		return nil
	})
	if err != nil {
		return err
	}
	for !l.empty() || l.from < l.chunks.end() || !w.putOff.empty() {
		if _, err := w.moveSome(maxRows); err != nil {
			return err
		}
	}
	return nil
}

// moved reports whether the rows of an entry are in the tables.
func (w *writer) moved(ctx context.Context, e entry) (known bool, err error) {
	switch {
	case e.Accepted != nil:
		err = w.conn.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM messages WHERE id = $1)`, e.Accepted.Message[messageID]).Scan(&known)
	case e.Outcome.Attempt != nil:
		a := e.Outcome.Attempt
		err = w.conn.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM attempts WHERE delivery_id = $1 AND number = $2)`, a[attemptDelivery],
			a[attemptNumber]).Scan(&known)
	}
	return known, err
}

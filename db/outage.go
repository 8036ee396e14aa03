package db

import (
	"log/slog"
	"slices"
	"sync"
	"time"

	"thingpost/internal/iot"
)

// Outage is why nothing can be stored now. It ends when the disk accepts a write again;
// until then the writer tries twice a second.
type Outage struct {
	Since   iot.Instant
	Code    iot.Code // storage_full or unavailable
	Message string   // a sentence for people that says what to do
	Refused int64    // messages refused since then
}

// outage is the state of the disk as the writer reports it. It is safe for concurrent use.
type outage struct {
	mu      sync.Mutex
	now     *Outage   // nil while all is well
	began   time.Time // of now
	logged  time.Time // when it was last logged
	refused int64     // messages refused since the start
}

// logEvery is how often a lasting failure of the disk is logged.
const logEvery = time.Minute

// Outage returns why nothing can be stored, nil while all is well.
func (d *DB) Outage() *Outage {
	d.outage.mu.Lock()
	defer d.outage.mu.Unlock()
	if d.outage.now == nil {
		return nil
	}
	t := *d.outage.now
	return &t
}

// Refused returns how many messages were refused since the start because they could not be
// stored.
func (d *DB) Refused() int64 {
	d.outage.mu.Lock()
	defer d.outage.mu.Unlock()
	return d.outage.refused
}

// noteOutage records that the disk refused a write, and how many messages were
// refused because of that. It logs the first time, and then once a minute.
func (d *DB) noteOutage(err error, messages int64) {
	e, ok := translate("write", err).(*iot.Error) //nolint:errorlint // translate returns it as it is
	if !ok {
		return
	}
	t := &d.outage
	t.mu.Lock()
	defer t.mu.Unlock()
	now := d.now()
	if t.now == nil {
		t.now, t.began, t.logged = &Outage{Since: iot.At(now)}, now, time.Time{}
	}
	t.now.Code, t.now.Message = e.Code, e.Message
	t.now.Refused += messages
	t.refused += messages
	if gone := now.Sub(t.logged); t.logged.IsZero() || gone >= logEvery || gone < 0 {
		t.logged = now
		d.log.Error("nothing can be stored", slog.Any("error", err), slog.Duration("for", now.Sub(t.began)), slog.Int64("refused", t.now.Refused))
	}
}

// noteWell records that the disk accepted a write.
func (d *DB) noteWell() {
	t := &d.outage
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.now == nil {
		return
	}
	d.log.Info("all is stored again", slog.Duration("after", d.now().Sub(t.began)), slog.Int64("refused", t.now.Refused))
	t.now = nil
}

// diskAgain is the time between two tries of the writer while the disk fails.
const diskAgain = 500 * time.Millisecond

// isFull reports whether the disk has no room.
func isFull(err error) bool { return resultCode(err)&0xff == codeFull }

var errShort = &iot.Error{Code: iot.StorageFull, Message: messageFull}

// AcceptWait is how long a sender waits for its messages to be on disk. After it, the error
// says that the disk does not answer or that too much is queued.
const AcceptWait = 30 * time.Second

var (
	errTooSlow = unavailable("The disk does not answer in time. Send it again.", nil)
	errBusy    = unavailable("Too many messages are being stored at once. Send it again in a few seconds.", nil)
)

// taken claims the items of a batch, and leaves out those for which nobody waits any more.
func taken(batch []item) []item {
	return slices.DeleteFunc(batch, func(it item) bool { return it.claimed != nil && !it.claimed.CompareAndSwap(false, true) })
}

// refused fails the messages of a batch while the disk has no room for them, and returns the
// rest.
func (w *writer) refused(batch []item) []item {
	if !w.short {
		return batch
	}
	var n int64
	rest := slices.DeleteFunc(batch, func(it item) bool {
		if it.accept == nil {
			return false
		}
		n += int64(len(it.accept))
		it.done(errShort)
		return true
	})
	if n > 0 {
		w.db.noteOutage(errShort, n)
	}
	return rest
}

// failed records that a batch was not stored.
func (w *writer) failed(err error, batch []item) {
	if !isDisk(err) {
		w.log().Error("write", slog.Int("items", len(batch)), slog.Any("error", err))
		return
	}
	w.db.failing.Store(true)
	var messages int64
	for _, it := range batch {
		messages += int64(len(it.accept))
	}
	w.db.noteOutage(err, messages)
}

// stored records that a transaction succeeded. That the disk works again is known only if
// the transaction wrote something.
func (w *writer) stored() {
	if w.proved {
		w.db.failing.Store(false)
	}
	if w.short {
		w.checkpoint() // so that the WAL needs no more room
		return
	}
	if w.proved {
		w.db.noteWell()
	}
}

// probe writes a row, if the disk failed the last time. What must be moved before the batch
// would take far longer to fail.
func (w *writer) probe() error {
	if !w.db.failing.Load() {
		return nil
	}
	_, err := w.transact([]item{{fn: noteReady, apart: true}}, make([]error, 1), 0)
	return err
}

// runShort releases the reserve because the disk is full. It reports whether that made room.
func (w *writer) runShort(err error) bool {
	if w.db.reserve.size == 0 {
		return false
	}
	w.short = true
	w.db.noteOutage(err, 0)
	if !w.db.reserve.give() {
		return false
	}
	w.checkpoint()
	return true
}

// tryDisk tests from time to time whether the disk works again: whether it accepts a row or,
// after it was full, another reserve.
func (w *writer) tryDisk() {
	now := w.db.now()
	if gone := now.Sub(w.tried); gone >= 0 && gone < diskAgain {
		return
	}
	w.tried = now
	if w.short {
		if w.short = !w.db.reserve.take(); w.short {
			return
		}
	}
	w.write([]item{{fn: noteReady, apart: true, done: func(error) {}}}, maxRows)
}

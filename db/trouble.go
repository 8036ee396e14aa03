package db

import (
	"log/slog"
	"slices"
	"sync"
	"time"

	"thingpost/internal/iot"
)

// Trouble is why nothing can be stored just now. It ends by itself, when the disk
// takes a write again: while there is trouble the writer tries twice a second.
type Trouble struct {
	Since   iot.Instant
	Code    iot.Code // storage_full or unavailable
	Message string   // a sentence for people, that says what to do
	Refused int64    // messages that were refused since
}

// trouble is what the writer tells others of its disk. It is safe for concurrent
// use.
type trouble struct {
	mu      sync.Mutex
	now     *Trouble  // nil while all is well
	began   time.Time // of now
	told    time.Time // when the log last heard of it
	refused int64     // messages that were ever refused
}

// tellEvery is how often the log hears of trouble that lasts.
const tellEvery = time.Minute

// Trouble returns why nothing can be stored, nil while all is well.
func (d *DB) Trouble() *Trouble {
	d.trouble.mu.Lock()
	defer d.trouble.mu.Unlock()
	if d.trouble.now == nil {
		return nil
	}
	t := *d.trouble.now
	return &t
}

// Refused returns how many messages were refused since the start because they
// could not be stored.
func (d *DB) Refused() int64 {
	d.trouble.mu.Lock()
	defer d.trouble.mu.Unlock()
	return d.trouble.refused
}

// noteTrouble notes that the disk took no write, and how many messages that cost.
// The log hears of it when it begins, and once a minute as long as it lasts.
func (d *DB) noteTrouble(err error, messages int64) {
	e, ok := translate("write", err).(*iot.Error) //nolint:errorlint // translate returns it as it is
	if !ok {
		return
	}
	t := &d.trouble
	t.mu.Lock()
	defer t.mu.Unlock()
	now := d.now()
	if t.now == nil {
		t.now, t.began, t.told = &Trouble{Since: iot.At(now)}, now, time.Time{}
	}
	t.now.Code, t.now.Message = e.Code, e.Message
	t.now.Refused += messages
	t.refused += messages
	if gone := now.Sub(t.told); t.told.IsZero() || gone >= tellEvery || gone < 0 {
		t.told = now
		d.log.Error("nothing can be stored", slog.Any("error", err), slog.Duration("for", now.Sub(t.began)), slog.Int64("refused", t.now.Refused))
	}
}

// noteWell notes that the disk took a write.
func (d *DB) noteWell() {
	t := &d.trouble
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.now == nil {
		return
	}
	d.log.Info("all is stored again", slog.Duration("after", d.now().Sub(t.began)), slog.Int64("refused", t.now.Refused))
	t.now = nil
}

// troubleAgain is how soon after each other the writer tries the disk while there
// is trouble.
const troubleAgain = 500 * time.Millisecond

// isFull reports whether the disk has no room.
func isFull(err error) bool { return resultCode(err)&0xff == codeFull }

var errShort = &iot.Error{Code: iot.StorageFull, Message: messageFull}

// AcceptWait is how long a sender waits for its messages to be on disk before it is
// told that the disk does not answer, or that too much stands in line.
const AcceptWait = 30 * time.Second

var (
	errTooSlow = unavailable("The disk does not answer in time. Send it again.", nil)
	errBusy    = unavailable("Too many messages are being stored at once. Send it again in a few seconds.", nil)
)

// taken leaves out the items that nobody waits for any more.
func taken(batch []item) []item {
	return slices.DeleteFunc(batch, func(it item) bool { return it.claimed != nil && !it.claimed.CompareAndSwap(false, true) })
}

// refused answers the messages of a batch while the disk has no room to spare for
// them, and returns the rest.
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
		w.db.noteTrouble(errShort, n)
	}
	return rest
}

// failed notes that a batch was not stored.
func (w *writer) failed(err error, batch []item) {
	if !isDisk(err) {
		w.log().Error("write", slog.Int("items", len(batch)), slog.Any("error", err))
		return
	}
	var messages int64
	for _, it := range batch {
		messages += int64(len(it.accept))
	}
	w.db.noteTrouble(err, messages)
}

// stored notes that a transaction is on disk.
func (w *writer) stored() {
	if w.short {
		w.checkpoint() // so that the log needs no more room
		return
	}
	w.db.noteWell()
}

// runShort gives up the reserve, since the disk is full. It reports whether that
// made room.
func (w *writer) runShort(err error) bool {
	if w.db.reserve.size == 0 {
		return false
	}
	w.short = true
	w.db.noteTrouble(err, 0)
	if !w.db.reserve.give() {
		return false
	}
	w.checkpoint()
	return true
}

// tryDisk looks now and then whether the disk is well again: whether it takes a
// row, or where it was full, another reserve.
func (w *writer) tryDisk() {
	now := w.db.now()
	if gone := now.Sub(w.tried); gone >= 0 && gone < troubleAgain {
		return
	}
	w.tried = now
	if w.short {
		if w.short = !w.db.reserve.take(); w.short {
			return
		}
	}
	w.write([]item{{fn: noteReady, done: func(error) {}}})
}

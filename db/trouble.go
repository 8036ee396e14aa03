package db

import (
	"log/slog"
	"sync"
	"time"

	"thingpost/internal/iot"
)

// Trouble is why nothing can be stored just now. It ends by itself, when the disk
// takes a write again: while there is trouble the writer tries once a second.
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

package db

import (
	"strconv"
	"strings"
	"time"

	"thingpost/internal/iot"
)

// Finish stores the outcome of an attempt: the attempt, the delivery's new state, the
// webhook's health and counters. done is called once, when the outcome is on disk or could
// not be written (storage_full, unavailable); then the delivery stays pending. A delivery
// that has ended meanwhile (by a cancel, for example) stays unchanged; the attempt is
// stored all the same.
func (d *DB) Finish(o *iot.Outcome, done func(error)) {
	l := load{rows: 1}
	if a := o.Attempt; a != nil {
		l.rows = 2
		if a.Response != nil {
			l.bytes = int64(len(a.Response.Body))
		}
	}
	d.submit(item{finish: o, project: o.Delivery.ProjectKey, load: l, done: func(err error) { done(translate("store an outcome", err)) }})
}

func (w *writer) finish(t *Tx, batch []item) error {
	w.stmts.attempts.drop()
	w.outcomes = w.outcomes[:0]
	for _, it := range batch {
		if o := it.finish; o != nil {
			w.outcomes = append(w.outcomes, o)
			if o.Attempt != nil {
				w.addAttempt(o.Attempt)
			}
		}
	}
	if err := w.stmts.attempts.flush(t.ctx); err != nil {
		return err
	}
	rest := w.outcomes
	for i, size := range w.stmts.finished.sizes {
		for ; len(rest) >= size; rest = rest[size:] {
			if err := w.finishDeliveries(t, rest[:size], w.stmts.finished.stmts[i]); err != nil {
				return err
			}
		}
	}
	clear(w.outcomes)
	return nil
}

// finishDeliveries updates as many pending deliveries as the statement takes. If one has
// ended meanwhile, it tries each alone to find out which.
func (w *writer) finishDeliveries(t *Tx, list []*iot.Outcome, st direct) error {
	f := &w.stmts.finished
	if len(list) > 1 {
		if _, err := w.stmts.savepoint.exec(t.ctx, nil); err != nil {
			return err
		}
	}
	f.drop()
	for _, o := range list {
		w.addFinished(o)
	}
	n, err := st.exec(t.ctx, f.values)
	if err != nil {
		return err
	}
	alone := len(list) > 1 && n != int64(len(list))
	if alone {
		if _, err := w.stmts.rollback.exec(t.ctx, nil); err != nil {
			return err
		}
	}
	if len(list) > 1 {
		if _, err := w.stmts.release.exec(t.ctx, nil); err != nil {
			return err
		}
	}
	for i, o := range list {
		if alone {
			if err := w.finishDeliveries(t, list[i:i+1], f.stmts[len(f.stmts)-1]); err != nil {
				return err
			}
		} else if err := w.finished(t, o, n > 0); err != nil {
			return err
		}
	}
	return nil
}

// finished stores what follows from an outcome; changed is false if the delivery was no
// longer pending.
func (w *writer) finished(t *Tx, o *iot.Outcome, changed bool) error {
	t.changed(o.Delivery.ProjectKey, iot.DeliveriesChanged)
	if changed {
		t.countFinished(o, w.endOf(o))
	}
	if changed && o.Transient && (o.Status == iot.Delivered || o.Status == iot.Skipped) {
		if _, err := w.stmts.erase.ExecContext(t.ctx, o.Delivery.MessageID.Key()); err != nil {
			return err
		}
	}
	if o.Attempt == nil {
		return nil
	}
	if err := w.noteHealth(t, o); err != nil {
		return err
	}
	if o.PauseReason != "" {
		return t.pauseByItself(o)
	}
	return nil
}

// pauseByItself pauses a webhook whose endpoint asked for it. It does not pause an
// upstream, because nobody could find it to resume it.
func (t *Tx) pauseByItself(o *iot.Outcome) error {
	v := o.Delivery
	var slug string
	err := t.row(`SELECT slug FROM webhooks WHERE id = $1 AND kind = 'webhook' AND paused = 0 AND deleted_at = 0`, v.WebhookKey).Scan(&slug)
	if isNoRow(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := t.pause(v.ProjectKey, v.WebhookKey, iot.PausedByThingpost, o.PauseReason, o.Attempt.At); err != nil {
		return err
	}
	return t.audit(v.ProjectKey, iot.PausedByThingpost, "webhook.pause", slug, o.PauseReason)
}

// endOf returns when an attempt ended; now if there was none.
func (w *writer) endOf(o *iot.Outcome) iot.Instant {
	if a := o.Attempt; a != nil {
		return a.At.Add(msDuration(a.DurationMS))
	}
	return iot.At(w.db.now())
}

// addFinished adds an outcome's values to the statement.
func (w *writer) addFinished(o *iot.Outcome) {
	d := o.Delivery
	var (
		count        = int64(d.AttemptCount)
		code         int64
		class, words any
		duration     int64
		endedAt      int64
	)
	if o.Detail != "" {
		words = o.Detail
	}
	if a := o.Attempt; a != nil {
		count, duration = int64(a.Number), a.DurationMS
		if a.Response != nil {
			code = int64(a.Response.Status)
		}
		if a.Error != nil {
			class, words = string(a.Error.Class), a.Error.Detail
		}
	}
	if o.Status.Ended() {
		endedAt = int64(w.endOf(o))
	}
	w.stmts.finished.add(d.ProjectKey, d.ID.Key(), string(o.Status), int64(o.DueAt), count, code, class, words, duration, endedAt)
}

// countFinished counts a delivery that was pending.
func (t *Tx) countFinished(o *iot.Outcome, at iot.Instant) {
	c := t.count(o.Delivery.WebhookKey)
	c.pending--
	*c.of(o.Status)++
	h := t.hour(hourOf(o.Delivery.WebhookKey, at))
	switch {
	case o.Status == iot.Delivered:
		h.delivered++
		if o.Attempt != nil {
			h.took(DurationBucket(o.Attempt.DurationMS), 1)
		}
	case o.Status == iot.Failed:
		h.failed++
	case o.Attempt != nil && o.Status == iot.Pending:
		h.retried++
	}
}

func (w *writer) addAttempt(a *iot.Attempt) {
	var (
		code              int64
		headers           string
		body, class, word any
		truncated         int64
	)
	if r := a.Response; r != nil {
		code, headers = int64(r.Status), headerText(r.Headers)
		if r.Body != "" {
			body = []byte(r.Body)
		}
		if r.Truncated {
			truncated = 1
		}
	}
	if a.Error != nil {
		class = string(a.Error.Class)
	}
	if text := outcomeText(a); text != "" {
		word = text
	}
	w.stmts.attempts.add(a.DeliveryID.Key(), int64(a.Number), int64(a.At), a.DurationMS, timingsText(a), requestText(a.Request),
		code, headers, body, truncated, class, word)
}

// noteHealth keeps a webhook's health. It is written only when it changes: a healthy
// webhook costs nothing.
func (w *writer) noteHealth(t *Tx, o *iot.Outcome) error {
	id := o.Delivery.WebhookKey
	h, known := w.health[id]
	if !known {
		err := t.row(`SELECT health, consecutive_failures, last_error, health_since FROM webhooks WHERE id = $1`, id).
			Scan(&h.Status, &h.ConsecutiveFailures, &h.LastError, &h.Since)
		if isNoRow(err) {
			return nil // the webhook was deleted and pruned
		}
		if err != nil {
			return err
		}
	}
	before := h
	at := w.endOf(o)
	good := o.Attempt.Error == nil
	var others bool
	if good && h.Status == iot.Failing {
		var err error
		if others, err = w.othersFail(t, id, at); err != nil {
			return err
		}
	}
	switch {
	case good && others:
		h.ConsecutiveFailures = 0
	case good:
		if h.Status != iot.Healthy {
			h = iot.Health{Status: iot.Healthy, Since: at}
		}
	default:
		if h.Status != iot.Failing {
			h.ConsecutiveFailures, h.Since = 0, at
		}
		h.Status = iot.Failing
		h.ConsecutiveFailures++
		h.LastError = o.Attempt.Error.Detail
	}
	w.health[id] = h
	if h == before {
		return nil
	}
	if h.Status != before.Status {
		t.changed(o.Delivery.ProjectKey, iot.WebhooksChanged)
	}
	_, err := t.exec(`UPDATE webhooks SET health = $1, consecutive_failures = $2, last_error = $3, health_since = $4 WHERE id = $5`,
		string(h.Status), h.ConsecutiveFailures, h.LastError, int64(h.Since), id)
	return err
}

// failedFor is how long a delivery that has failed keeps its webhook from being healthy.
const failedFor = 15 * time.Minute

// What else fails of a webhook: a delivery that waits for a retry, and when the newest of
// those that were given up has ended.
const (
	retryingQuery = `SELECT 1 FROM deliveries INDEXED BY deliveries_retrying
		WHERE webhook_id = ? AND status = 'pending' AND attempt_count > 0 LIMIT 1`
	lastFailedQuery = `SELECT ended_at FROM deliveries INDEXED BY deliveries_failed
		WHERE webhook_id = ? AND status = 'failed' ORDER BY id DESC LIMIT 1`
)

// othersFail reports whether a webhook is not healthy though an attempt went well: other
// deliveries of it fail. What this transaction has written counts.
func (w *writer) othersFail(t *Tx, id int64, at iot.Instant) (bool, error) {
	var found, ended int64
	err := w.stmts.retrying.QueryRowContext(t.ctx, id).Scan(&found)
	if err == nil {
		return true, nil
	}
	if isNoRow(err) {
		err = w.stmts.lastFailed.QueryRowContext(t.ctx, id).Scan(&ended)
	}
	if isNoRow(err) {
		return false, nil
	}
	return at.Sub(iot.Instant(ended)) < failedFor, err
}

// The text forms of an attempt's head: a line for each header.

func headerText(lines iot.HeaderLines) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.Name)
		b.WriteString(": ")
		b.WriteString(l.Value)
		b.WriteByte('\n')
	}
	return b.String()
}

func parseHeaders(text string) iot.HeaderLines {
	lines := iot.HeaderLines{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ": "); ok {
			lines = append(lines, iot.HeaderLine{Name: name, Value: value})
		}
	}
	return lines
}

// outcomeText returns the error's sentence, and the note on a line after it. Without a
// class a text is only a note.
func outcomeText(a *iot.Attempt) string {
	if a.Error == nil {
		return a.Note
	}
	if a.Note == "" {
		return a.Error.Detail
	}
	return strings.ReplaceAll(a.Error.Detail, "\n", " ") + "\n" + a.Note
}

func parseOutcome(class iot.ErrorClass, text string) (e *iot.FailedError, note string) {
	if class == "" {
		return nil, text
	}
	detail, note, _ := strings.Cut(text, "\n")
	return &iot.FailedError{Class: class, Detail: detail}, note
}

func requestText(r iot.Request) string { return r.Method + " " + r.URL + "\n" + headerText(r.Headers) }

func parseRequest(text string) iot.Request {
	first, rest, _ := strings.Cut(text, "\n")
	method, url, _ := strings.Cut(first, " ")
	return iot.Request{Method: method, URL: url, Headers: parseHeaders(rest)}
}

// timingsText returns the timings, followed by a 1 if the request was sent twice.
func timingsText(a *iot.Attempt) string {
	t := &a.Timings
	b := make([]byte, 0, 40)
	for i, us := range []int64{t.DNS, t.Connect, t.TLS, t.FirstByte, t.Total} {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, us, 10)
	}
	if a.Resent {
		b = append(b, ",1"...)
	}
	return string(b)
}

func parseTimings(text string) (t iot.Timings, resent bool) {
	var again int64
	into := []*int64{&t.DNS, &t.Connect, &t.TLS, &t.FirstByte, &t.Total, &again}
	for i, part := range strings.SplitN(text, ",", len(into)) {
		*into[i], _ = strconv.ParseInt(part, 10, 64)
	}
	return t, again != 0
}

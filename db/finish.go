package db

import (
	"strconv"
	"strings"
	"time"

	"thingpost/internal/iot"
)

// Finish stores the outcome of an attempt: the attempt, the delivery's new state, the
// webhook's health and counters. done is called once: when every later read finds the
// outcome, or when it could not be written (storage_full, unavailable) and the delivery
// stays pending. The outcome is on disk a second later at most; a crash before that makes
// the delivery pending again. A delivery that has ended meanwhile (by a cancel, for example)
// stays unchanged; the attempt is stored all the same.
func (d *DB) Finish(o *iot.Outcome, done func(error)) {
	if d.asItIs {
		done(errReadOnly)
		return
	}
	l := load{rows: 1}
	if a := o.Attempt; a != nil {
		l.rows = 2
		if a.Response != nil {
			l.bytes = int64(len(a.Response.Body))
			for _, h := range a.Response.Headers {
				l.bytes += int64(len(h.Name) + len(h.Value))
			}
		}
	}
	d.submit(item{finish: o, project: o.Delivery.ProjectKey, load: l, done: func(err error) { done(translate("store an outcome", err)) }})
}

// newOutcome returns the form in which an outcome is stored.
func (w *writer) newOutcome(o *iot.Outcome) *outcome {
	d := o.Delivery
	n := &outcome{ProjectKey: d.ProjectKey, DeliveryKey: d.ID.Key(), WebhookKey: d.WebhookKey, MessageKey: d.MessageID.Key(), Status: o.Status,
		DueAt: int64(o.DueAt), Number: int64(d.AttemptCount), Detail: o.Detail, Transient: o.Transient, pause: o.PauseReason}
	a := o.Attempt
	if a == nil {
		n.At = iot.At(w.db.now())
		return n
	}
	n.At, n.Number, n.DurationMS = a.At.Add(msDuration(a.DurationMS)), int64(a.Number), a.DurationMS
	if a.Response != nil {
		n.Code = int64(a.Response.Status)
	}
	if a.Error != nil {
		n.Error, n.Detail = string(a.Error.Class), a.Error.Detail
	}
	n.Attempt = attemptRow(a)
	return n
}

// finishDeliveries updates pending deliveries as outcomes say. If one has ended meanwhile, it
// tries each alone to find out which.
func (w *writer) finishDeliveries(t *Tx, list []*outcome) error {
	for i, size := range w.stmts.finished.sizes {
		for ; len(list) >= size; list = list[size:] {
			if err := w.finishSome(t, list[:size], w.stmts.finished.stmts[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// finishSome updates as many deliveries as the statement takes.
func (w *writer) finishSome(t *Tx, list []*outcome, st direct) error {
	f := &w.stmts.finished
	if len(list) > 1 {
		if _, err := w.stmts.savepoint.exec(t.ctx, nil); err != nil {
			return err
		}
	}
	f.drop()
	for _, o := range list {
		f.add(o.ProjectKey, o.DeliveryKey, string(o.Status), o.DueAt, o.Number, o.Code, orNull(o.Error), orNull(o.Detail), o.DurationMS,
			o.endedAt())
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
			if err := w.finishSome(t, list[i:i+1], f.stmts[len(f.stmts)-1]); err != nil {
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
func (w *writer) finished(t *Tx, o *outcome, changed bool) error {
	if changed {
		t.countFinished(o)
	}
	if changed && o.Transient && (o.Status == iot.Delivered || o.Status == iot.Skipped) {
		t.erase = append(t.erase, o.MessageKey)
	}
	if o.Attempt == nil {
		return nil
	}
	if err := w.noteHealth(t, o); err != nil {
		return err
	}
	if o.pause != "" {
		return t.pauseByItself(o)
	}
	return nil
}

// pauseByItself pauses a webhook whose endpoint asked for it. It does not pause an
// upstream, because nobody could find it to resume it.
func (t *Tx) pauseByItself(o *outcome) error {
	var slug string
	err := t.row(`SELECT slug FROM webhooks WHERE id = $1 AND kind = 'webhook' AND paused = 0 AND deleted_at = 0`, o.WebhookKey).Scan(&slug)
	if isNoRow(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := t.pause(o.ProjectKey, o.WebhookKey, iot.PausedByThingpost, o.pause, iot.Instant(asKey(o.Attempt[attemptAt]))); err != nil {
		return err
	}
	return t.audit(o.ProjectKey, iot.PausedByThingpost, "webhook.pause", slug, o.pause)
}

// countFinished counts a delivery that was pending.
func (t *Tx) countFinished(o *outcome) {
	c := t.count(o.WebhookKey)
	c.pending--
	*c.of(o.Status)++
	h := t.hour(hourOf(o.WebhookKey, o.At))
	switch {
	case o.Status == iot.Delivered:
		h.delivered++
		if o.Attempt != nil {
			h.took(DurationBucket(o.DurationMS), 1)
		}
	case o.Status == iot.Failed:
		h.failed++
	case o.Attempt != nil && o.Status == iot.Pending:
		h.retried++
	}
}

// attemptRow returns an attempt's row, see attemptColumns.
func attemptRow(a *iot.Attempt) []any {
	var (
		code      int64
		headers   string
		body      any
		truncated bool
		class     iot.ErrorClass
	)
	if r := a.Response; r != nil {
		code, headers, truncated = int64(r.Status), headerText(r.Headers), r.Truncated
		if r.Body != "" {
			body = []byte(r.Body)
		}
	}
	if a.Error != nil {
		class = a.Error.Class
	}
	return []any{a.DeliveryID.Key(), int64(a.Number), int64(a.At), a.DurationMS, timingsText(a), requestText(a.Request), code, headers, body,
		flag(truncated), orNull(string(class)), orNull(outcomeText(a))}
}

// noteHealth keeps a webhook's health. It is written only when it changes: a healthy
// webhook costs nothing.
func (w *writer) noteHealth(t *Tx, o *outcome) error {
	id := o.WebhookKey
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
	at, good := o.At, o.good()
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
		h.LastError = o.Detail
	}
	w.health[id] = h
	if h == before {
		return nil
	}
	if h.Status != before.Status {
		t.changed(o.ProjectKey, iot.WebhooksChanged)
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

package db

import (
	"database/sql/driver"
	"strconv"
	"strings"

	"thingpost/internal/iot"
)

// Finish stores the outcome of an attempt: the attempt, the delivery's new
// state, the webhook's health and counters. done is called once, when it is on
// disk or could not be written (storage_full, unavailable): then the delivery is
// pending as before. A delivery that has ended meanwhile (cancelled, say) stays
// as it is; the attempt is kept all the same.
func (d *DB) Finish(o *iot.Outcome, done func(error)) {
	d.writer.submit(item{finish: o, done: func(err error) { done(translate("store an outcome", err)) }})
}

func (w *writer) finish(t *Tx, batch []item) error {
	s := &w.stmts
	s.attempts.drop()
	for _, it := range batch {
		o := it.finish
		if o == nil {
			continue
		}
		if o.Attempt != nil {
			w.addAttempt(o.Attempt)
		}
		changed, err := w.finishDelivery(t, o)
		if err != nil {
			return err
		}
		t.changed(o.Delivery.ProjectID, iot.DeliveriesChanged)
		if o.Attempt == nil {
			continue
		}
		if err := w.noteHealth(t, o); err != nil {
			return err
		}
		if changed && o.Transient && o.Status == iot.Delivered {
			if _, err := s.erase.ExecContext(t.ctx, o.Delivery.MessageID.Key()); err != nil {
				return err
			}
		}
		if o.PauseReason != "" {
			if err := t.pauseByItself(o); err != nil {
				return err
			}
		}
	}
	return s.attempts.flush(t.ctx)
}

// pauseByItself pauses a webhook whose endpoint asked for it.
func (t *Tx) pauseByItself(o *iot.Outcome) error {
	v := o.Delivery
	var slug string
	err := t.row(`SELECT slug FROM webhooks WHERE id = $1 AND paused = 0`, v.WebhookID).Scan(&slug)
	if isNoRow(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := t.pause(v.ProjectID, v.WebhookID, iot.PausedByThingpost, o.PauseReason, o.Attempt.At); err != nil {
		return err
	}
	return t.audit(v.ProjectID, iot.PausedByThingpost, "webhook.pause", slug, o.PauseReason)
}

// finishDelivery moves a pending delivery on. changed is false if it was no
// longer pending.
func (w *writer) finishDelivery(t *Tx, o *iot.Outcome) (changed bool, err error) {
	d := o.Delivery
	var (
		count        = int64(d.AttemptCount)
		code         int64
		class, words any
		duration     int64
		endedAt      int64
		at           = iot.At(w.db.now())
	)
	if o.Detail != "" {
		words = o.Detail
	}
	if a := o.Attempt; a != nil {
		count, duration, at = int64(a.Number), a.DurationMS, a.At.Add(msDuration(a.DurationMS))
		if a.Response != nil {
			code = int64(a.Response.Status)
		}
		if a.Error != nil {
			class, words = string(a.Error.Class), a.Error.Detail
		}
	}
	if o.Status.Ended() {
		endedAt = int64(at)
	}
	w.values = w.values[:0]
	for _, v := range [...]any{string(o.Status), int64(o.DueAt), count, code, class, words, duration, endedAt, d.ProjectID, d.ID.Key()} {
		w.values = append(w.values, driver.NamedValue{Value: v})
	}
	n, err := w.stmts.finished.exec(t.ctx, w.values)
	if err != nil || n == 0 {
		return false, err
	}
	c := t.count(d.WebhookID)
	c.pending--
	*c.of(o.Status)++
	h := t.hour(hourOf(d.WebhookID, at))
	switch {
	case o.Status == iot.Delivered:
		h.delivered++
		h.took(DurationBucket(duration), 1)
	case o.Status == iot.Failed:
		h.failed++
	case o.Attempt != nil:
		h.retried++
	}
	return true, nil
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
		class, word = string(a.Error.Class), a.Error.Detail
	}
	w.stmts.attempts.add(a.DeliveryID.Key(), int64(a.Number), int64(a.At), a.DurationMS, timingsText(a.Timings), requestText(a.Request),
		code, headers, body, truncated, class, word)
}

// noteHealth keeps how a webhook's endpoint answers. It is written only when it
// changes: a healthy webhook costs nothing.
func (w *writer) noteHealth(t *Tx, o *iot.Outcome) error {
	id := o.Delivery.WebhookID
	h, known := w.health[id]
	if !known {
		err := t.row(`SELECT health, consecutive_failures, last_error, health_since FROM webhooks WHERE id = $1`, id).
			Scan(&h.Status, &h.ConsecutiveFailures, &h.LastError, &h.Since)
		if err != nil {
			return err
		}
	}
	before := h
	at := o.Attempt.At.Add(msDuration(o.Attempt.DurationMS))
	if o.Attempt.Error == nil {
		if h.Status != iot.Healthy {
			h = iot.Health{Status: iot.Healthy, Since: at}
		}
	} else {
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
		t.changed(o.Delivery.ProjectID, iot.WebhooksChanged)
	}
	_, err := t.exec(`UPDATE webhooks SET health = $1, consecutive_failures = $2, last_error = $3, health_since = $4 WHERE id = $5`,
		string(h.Status), h.ConsecutiveFailures, h.LastError, int64(h.Since), id)
	return err
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

func requestText(r iot.Request) string { return r.Method + " " + r.URL + "\n" + headerText(r.Headers) }

func parseRequest(text string) iot.Request {
	first, rest, _ := strings.Cut(text, "\n")
	method, url, _ := strings.Cut(first, " ")
	return iot.Request{Method: method, URL: url, Headers: parseHeaders(rest)}
}

func timingsText(t iot.Timings) string {
	b := make([]byte, 0, 40)
	for i, us := range []int64{t.DNS, t.Connect, t.TLS, t.FirstByte, t.Total} {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, us, 10)
	}
	return string(b)
}

func parseTimings(text string) (t iot.Timings) {
	into := []*int64{&t.DNS, &t.Connect, &t.TLS, &t.FirstByte, &t.Total}
	for i, part := range strings.SplitN(text, ",", len(into)) {
		*into[i], _ = strconv.ParseInt(part, 10, 64)
	}
	return t
}

package dispatch

import (
	"errors"
	"time"

	"thingpost/internal/egress"
	"thingpost/internal/iot"
	"thingpost/internal/webhook"
)

// send makes one attempt and hands its outcome to the store.
func (q *queue) send(j job) {
	o, began, sent, kept := q.attempt(j)
	q.d.releasePayload(&j.Queued)
	q.d.sent(q.key, sendBytes(j.Delivery))
	if o == nil { // cut because the program stops: the delivery stays pending
		q.mu.Lock()
		delete(q.inMemory, j.Delivery.ID.Key())
		q.mu.Unlock()
		return
	}
	if sent {
		q.noteAnswer(o, began, q.d.o.Now())
	}
	o.Transient = j.Message.Transient
	q.mu.Lock()
	q.unsaved += outcomeBytes(o)
	q.mu.Unlock()
	q.d.outcomes.Add(1)
	q.d.o.DB.Finish(o, func(err error) { q.stored(o, kept, err) })
}

// stored is called by the store when an outcome is on disk or could not be stored. kept is
// the memory of its answer.
func (q *queue) stored(o *iot.Outcome, kept int64, err error) {
	defer q.d.outcomes.Done()
	if err != nil {
		q.d.keepLost(lost{q, o, kept})
		return
	}
	q.d.o.Answers.Give(0, kept)
	due := iot.Instant(0)
	if o.Status == iot.Pending {
		due = o.DueAt
	}
	q.release(o, due)
	q.d.resume()
}

// outcomeBytes returns about how many bytes an outcome takes in memory.
func outcomeBytes(o *iot.Outcome) int64 {
	if o.Attempt == nil || o.Attempt.Response == nil {
		return itemBytes
	}
	return itemBytes + int64(len(o.Attempt.Response.Body))
}

// attempt renders and sends a delivery. A nil outcome means that the program stops. sent
// is false if no request was made. kept is the memory of the answer.
func (q *queue) attempt(j job) (o *iot.Outcome, began time.Time, sent bool, kept int64) {
	if j.limiter != nil {
		err := j.limiter.Wait(q.d.send)
		q.waited()
		if err != nil {
			return nil, began, false, 0
		}
	}
	began = q.d.o.Now()
	if j.broken != nil {
		return q.misconfigured(j, began, j.broken), began, false, 0
	}
	if j.Delivery.Trigger == iot.TriggerMessage {
		if reason := j.compiled.Wants(j.Message, nil); reason != webhook.Wanted && reason != webhook.ReasonPaused {
			return &iot.Outcome{Delivery: j.Delivery, Status: iot.Skipped, Detail: "The webhook was changed and no longer takes this message (" +
				string(reason) + ")."}, began, false, 0
		}
	}
	r, err := j.compiled.Render(webhook.Input{Message: j.Message, Device: j.Device, Project: j.Project, At: began,
		PublicURL: q.d.o.PublicURL, Version: q.d.o.Version})
	if skip, ok := errors.AsType[*webhook.Skip](err); ok {
		return &iot.Outcome{Delivery: j.Delivery, Status: iot.Skipped, Detail: skip.Reason}, began, false, 0
	}
	if err != nil {
		return q.misconfigured(j, began, err), began, false, 0
	}
	res := q.d.o.Client.Do(q.d.send, egress.Request{Method: r.Method, URL: r.URL, Headers: r.Headers, Body: r.Body,
		Timeout: j.hook.Settings.Timeout(), Delivery: j.Delivery.ID})
	if res.Canceled {
		q.d.o.Answers.Give(0, res.Taken)
		return nil, began, false, 0
	}
	return q.judge(j, &r, &res), began, true, res.Taken
}

// waited allows the next worker to take a delivery and wait for the limiter.
func (q *queue) waited() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.limited = false
	q.startWorkers()
}

// misconfigured returns the outcome of a delivery whose request cannot be made from the
// settings.
func (q *queue) misconfigured(j job, at time.Time, err error) *iot.Outcome {
	detail := err.Error()
	if e, ok := errors.AsType[*iot.Error](err); ok {
		detail = e.Message
	}
	return &iot.Outcome{Delivery: j.Delivery, Status: iot.Failed,
		Attempt: &iot.Attempt{DeliveryID: j.Delivery.ID, Number: j.Delivery.AttemptCount + 1, At: iot.At(at),
			Request: iot.Request{Method: "POST", URL: j.hook.URL},
			Error:   &iot.FailedError{Class: iot.ErrConfig, Detail: detail}}}
}

// judge turns an answer into an outcome.
func (q *queue) judge(j job, r *webhook.Request, res *egress.Result) *iot.Outcome {
	v := j.Delivery
	a := &iot.Attempt{DeliveryID: v.ID, Number: v.AttemptCount + 1, At: iot.At(res.StartedAt), DurationMS: (res.Timings.Total + 500) / 1000,
		Timings: res.Timings, Request: iot.Request{Method: r.Method, URL: r.MaskedURL(), Headers: r.Masked()}, Resent: res.Resent,
		Note: r.Mask(res.Note)}
	if res.Status != 0 {
		for i := range res.Headers {
			res.Headers[i].Value = r.Mask(res.Headers[i].Value)
		}
		a.Response = &iot.Response{Status: iot.StatusCode(res.Status), Headers: res.Headers, Body: r.Mask(string(res.Body)),
			Truncated: res.Truncated}
	}
	o := &iot.Outcome{Delivery: v, Attempt: a, Status: iot.Delivered}
	if res.OK() {
		return o
	}
	a.Error = &iot.FailedError{Class: res.Class, Detail: r.Mask(res.Detail)}
	o.Status = iot.Failed
	if res.Status == 410 {
		o.PauseReason = "It answered 410 Gone, which asks us to stop."
		return o
	}
	if v.Trigger == iot.TriggerTest || !webhook.Retry(j.hook, res.Class, res.Status) {
		return o
	}
	due := q.due(v, a.Number, res.RetryAfter, j.hook.Settings.GiveUpAfter())
	if due == 0 {
		a.Error.Detail += " Given up: the next try would come later than this webhook tries."
		return o
	}
	o.Status, o.DueAt = iot.Pending, due
	return o
}

// due returns when a delivery is tried again after so many attempts, 0 if never. If a
// receiver asks for a longer wait than the delivery has left, there is one last try when
// the delivery's time is over.
func (q *queue) due(v *iot.Delivery, attempts int, retryAfter, giveUp time.Duration) iot.Instant {
	now := q.d.now()
	if retryAfter > 0 {
		left := giveUp - q.d.clock.age(v, now)
		if left <= 0 {
			return 0
		}
		return now.Add(min(retryAfter, left))
	}
	due := now.Add(webhook.Backoff(attempts, q.d.jitter()))
	if q.d.clock.age(v, due) > giveUp {
		return 0
	}
	return due
}

// lostAgain is how long an outcome that the disk refused waits for a retry.
const lostAgain = time.Second

// keepLost keeps an outcome that could not be stored. Its delivery stays in memory, so
// that it is not sent twice. Nothing more is sent until the disk takes writes again.
func (d *Dispatcher) keepLost(l lost) {
	d.lostMu.Lock()
	d.lost = append(d.lost, l)
	d.holding.Store(true)
	d.lostMu.Unlock()
	d.wakeAt(d.now().Add(lostAgain))
}

func (d *Dispatcher) countLost() int {
	d.lostMu.Lock()
	defer d.lostMu.Unlock()
	return len(d.lost)
}

// storeLost retries storing the outcomes that the disk refused.
func (d *Dispatcher) storeLost() {
	d.lostMu.Lock()
	list := d.lost
	d.lost = nil
	d.lostMu.Unlock()
	for _, l := range list {
		d.outcomes.Add(1)
		d.o.DB.Finish(l.outcome, func(err error) { l.queue.stored(l.outcome, l.kept, err) })
	}
}

// resume continues all queues once the disk has taken an outcome and no lost one is left.
func (d *Dispatcher) resume() {
	if !d.holding.Load() {
		return
	}
	d.lostMu.Lock()
	still := len(d.lost) > 0
	if !still {
		d.holding.Store(false)
	}
	d.lostMu.Unlock()
	if still {
		return
	}
	for _, q := range d.all() {
		q.mu.Lock()
		q.startWorkers()
		q.mu.Unlock()
	}
	d.wake()
}

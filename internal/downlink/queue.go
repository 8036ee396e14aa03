package downlink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"thingpost/db"
	"thingpost/internal/ingest"
	"thingpost/internal/iot"
)

// Queue is the downlink queues of all devices. It is safe for concurrent use.
type Queue struct {
	o       Options
	waiters waiters
	kick    chan struct{} // capacity one: commands were created or ended
}

// Options of a Queue.
type Options struct {
	DB     *db.DB
	Ingest *ingest.Ingest
	Now    func() time.Time // default time.Now
	Log    *slog.Logger     // default discards
}

// New returns the queues of a store. Its Changed must be called with each commit
// of the store.
func New(o Options) *Queue {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Queue{o: o, waiters: newWaiters(), kick: make(chan struct{}, 1)}
}

// Push appends downlinks to a device's queue, or replaces the queue. It returns them
// when they are on disk with the messages about them and their deliveries. No downlinks
// with replace clears the queue. Many are stored a piece at a time, in order: if the
// disk fails between two pieces, the error says how many are queued. The rules of Check
// apply to our own queue. A forwarded downlink needs only the form of a downlink and at
// most MaxForwarded bytes; the delivery shows what the upstream refuses.
//
// Errors: invalid; not_found if the device is deleted; limit_reached; conflict if
// orders of Forward find no upstream, because it was removed meanwhile.
func (q *Queue) Push(ctx context.Context, p *iot.Project, v *iot.Device, orders []Order, replace bool) ([]*iot.Downlink, error) {
	if len(orders) > iot.MaxDownlinks {
		return nil, iot.NewError(iot.LimitReached, "The queue of a device can have at most 10,000 downlinks.")
	}
	list := make([]*iot.Downlink, len(orders))
	for i, o := range orders {
		var err error
		if list[i], err = o.downlink(q.o.DB.NewID()); err != nil {
			return nil, formError(err, i, len(orders))
		}
	}
	if len(list) == 0 && !replace {
		return list, nil
	}
	for from := 0; from == 0 || from < len(list); from += pushedAtOnce {
		piece := list[from:min(from+pushedAtOnce, len(list))]
		err := q.change(ctx, p, v, func(c db.Cause) (bool, error) {
			check := Check
			if c.Forward {
				check = func([]Order) error { return checkForm(list[from:]) }
			}
			if err := check(orders[from:]); err != nil {
				return false, err
			}
			c.More = len(list) - from - len(piece)
			return q.o.DB.PushDownlinks(piece, replace && from == 0, c)
		})
		if e, ok := errors.AsType[*iot.Error](err); ok && from > 0 {
			return nil, &iot.Error{Code: e.Code, Message: fmt.Sprintf("The first %d of %d downlinks are queued, the others are not. %s", from,
				len(list), e.Message), Err: err}
		}
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

// pushedAtOnce is how many downlinks, with their messages, are one transaction.
const pushedAtOnce = 100

// Clear empties a device's queue.
func (q *Queue) Clear(ctx context.Context, p *iot.Project, v *iot.Device) error {
	_, err := q.Push(ctx, p, v, nil, true)
	return err
}

// Remove removes one downlink from a device's queue; not_found, or conflict if it is no
// longer queued.
func (q *Queue) Remove(ctx context.Context, p *iot.Project, v *iot.Device, id iot.ID) error {
	return q.change(ctx, p, v, func(c db.Cause) (bool, error) { return q.o.DB.RemoveDownlink(id, c) })
}

// Take marks the oldest queued downlink of a device as sent and returns it, or nil if
// there is none. It waits for one at most as long as wait. It asks the store only when
// there can be one.
func (q *Queue) Take(ctx context.Context, p *iot.Project, v *iot.Device, wait time.Duration) (*iot.Downlink, error) {
	if wait <= 0 {
		return q.takeNow(ctx, p, v)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		// Join before looking, so that no downlink in between is missed.
		came, leave := q.waiters.join(v.Key)
		taken, err := q.takeNow(ctx, p, v)
		if taken != nil || err != nil {
			leave()
			if ctx.Err() != nil {
				err = nil // the caller is gone
			}
			return taken, err
		}
		select {
		case <-came:
		case <-timer.C:
			leave()
			return nil, nil
		case <-q.waiters.stopped:
			leave()
			return nil, nil
		case <-ctx.Done():
			leave()
			return nil, nil
		}
	}
}

func (q *Queue) takeNow(ctx context.Context, p *iot.Project, v *iot.Device) (taken *iot.Downlink, err error) {
	// Readers look first: the writer is asked only if there is something.
	if some, err := q.o.DB.HasDownlink(ctx, v.Key); err != nil || !some {
		return nil, err
	}
	err = q.change(ctx, p, v, func(c db.Cause) (stale bool, err error) {
		taken, stale, err = q.o.DB.TakeDownlink(c)
		return stale, err
	})
	return taken, err
}

// Ack records that a device received a downlink; not_found, or conflict if it was not
// taken or has already ended.
func (q *Queue) Ack(ctx context.Context, p *iot.Project, v *iot.Device, id iot.ID) (*iot.Downlink, error) {
	return q.answer(ctx, p, v, id, iot.DownlinkAck, "")
}

// Nack records that a device refused a downlink. A confirmed one goes to the end of the
// queue until its last attempt; any other has failed. Errors as of Ack.
func (q *Queue) Nack(ctx context.Context, p *iot.Project, v *iot.Device, id iot.ID) (*iot.Downlink, error) {
	return q.answer(ctx, p, v, id, iot.DownlinkNack, "The device refused it.")
}

// MaxReason is the maximum length of a device's reason in characters.
const MaxReason = 1000

// Fail records that a downlink could not be carried out, with the device's reason.
// Errors as of Ack, and invalid for too long a reason.
func (q *Queue) Fail(ctx context.Context, p *iot.Project, v *iot.Device, id iot.ID, reason string) (*iot.Downlink, error) {
	if iot.TextLength(reason) > MaxReason {
		return nil, iot.FieldError("error", "must have at most 1,000 characters.")
	}
	if reason == "" {
		reason = "The device could not carry it out."
	}
	return q.answer(ctx, p, v, id, iot.DownlinkFailed, reason)
}

func (q *Queue) answer(ctx context.Context, p *iot.Project, v *iot.Device, id iot.ID, answer iot.MessageType,
	reason string) (after *iot.Downlink, err error) {
	err = q.change(ctx, p, v, func(c db.Cause) (stale bool, err error) {
		after, stale, err = q.o.DB.AnswerDownlink(id, answer, reason, c)
		return stale, err
	})
	return after, err
}

// change runs a change of a device's queue with what its messages are matched with, and
// repeats it while that is stale.
func (q *Queue) change(ctx context.Context, p *iot.Project, v *iot.Device, do func(db.Cause) (stale bool, err error)) error {
	for {
		s, err := q.o.Ingest.Snapshot(ctx, p.Key)
		if err != nil {
			return err
		}
		// Read after the settings: a later change of the device makes them stale.
		d, err := q.o.DB.Device(ctx, p.Key, v.UUID)
		if err != nil {
			return err
		}
		c := composer{now: q.o.Now, snapshot: s, device: d, upstream: s.Upstream(d)}
		stale, err := do(db.Cause{Project: s.Project(), Device: d, Version: s.Version(), Forward: c.upstream != nil, Messages: c.messages})
		if err != nil || !stale {
			return err
		}
		q.o.Ingest.Forget(s)
	}
}

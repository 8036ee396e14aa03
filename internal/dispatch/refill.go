package dispatch

import (
	"context"
	"math"
	"slices"

	"thingpost/internal/iot"
)

// refill reads from disk what a queue needs: changed settings, and due deliveries if there
// is room. It returns when the manager must call it again, 0 if only after a change. Only
// the manager calls it.
func (q *queue) refill(ctx context.Context) (iot.Instant, error) {
	if err := q.reload(ctx); err != nil {
		return 0, err
	}
	q.mu.Lock()
	deleted, idle, ordered := q.hook == nil, q.hook == nil || q.hook.Paused || q.stale, q.order != nil
	q.mu.Unlock()
	switch {
	case deleted:
		return 0, nil
	case idle:
		return 0, nil
	case ordered:
		return q.refillInOrder(ctx)
	}
	return q.refillBacklog(ctx)
}

// reload reads settings that have changed.
func (q *queue) reload(ctx context.Context) error {
	q.mu.Lock()
	stale := q.stale
	q.stale = false
	q.mu.Unlock()
	if !stale {
		return nil
	}
	w, err := q.d.o.DB.WebhookByKey(ctx, q.key)
	if iot.CodeOf(err) == iot.NotFound {
		w, err = nil, nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if err != nil {
		q.stale = true
		return err
	}
	if q.stale {
		q.d.wake() // changed again while it was read
		return nil
	}
	tests := q.tests()
	q.set(w)
	if w == nil {
		q.d.forget(q)
		return nil
	}
	for _, item := range tests {
		q.inMemory[item.Delivery.ID.Key()] = struct{}{}
		q.fresh.push(item)
	}
	q.startWorkers()
	return nil
}

// tests removes the test deliveries from the fresh lane and returns them. They stay in
// memory, because they are sent even while paused and are not read from disk.
func (q *queue) tests() []iot.Queued {
	var list []iot.Queued
	for {
		item, ok := q.fresh.takeTest()
		if !ok {
			return list
		}
		list = append(list, item)
	}
}

func (q *queue) refillBacklog(ctx context.Context) (iot.Instant, error) {
	now := q.d.now()
	q.mu.Lock()
	if q.next != 0 && q.next <= now {
		q.more = true
	}
	room := maxBacklog - len(q.backlog.items)
	if !q.more || room < maxBacklog/2 || !q.room(&q.backlog) {
		next := q.next
		q.mu.Unlock()
		if next <= now {
			next = 0 // read when there is room
		}
		return next, nil
	}
	// Cleared before the read, so that deliveries stored meanwhile are not missed.
	from := q.from
	q.more, q.from, q.next = false, math.MaxInt64, 0
	q.released = map[int64]struct{}{}
	q.mu.Unlock()

	list, next, err := q.d.o.DB.Due(ctx, q.key, from, now, room, readBytes, q.holds)

	q.mu.Lock()
	defer q.mu.Unlock()
	defer func() { q.released = nil }()
	if err != nil {
		q.more = true
		q.noteDueOnDisk(from)
		return 0, err
	}
	if q.stale {
		q.d.wake()
		return 0, nil // the settings have changed during the read
	}
	for _, item := range list {
		if q.known(item.Delivery.ID) {
			continue
		}
		if !q.room(&q.backlog) || !q.keep(&q.backlog, &item) {
			q.more = true
			q.noteDueOnDisk(item.Delivery.DueAt)
			break
		}
		q.inMemory[item.Delivery.ID.Key()] = struct{}{}
		q.backlog.push(item)
	}
	if next != 0 {
		q.noteDueOnDisk(next)
	}
	if next != 0 && next <= now {
		q.more = true
	} else {
		q.next = earlier(q.next, next)
	}
	q.startWorkers()
	return q.next, nil
}

// holds reports whether a delivery is in memory, or was until a moment ago.
func (q *queue) holds(id iot.ID) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.known(id)
}

func (q *queue) known(id iot.ID) bool {
	_, inMemory := q.inMemory[id.Key()]
	_, released := q.released[id.Key()]
	return inMemory || released
}

// readBytes bounds the messages that are read from disk at once.
const readBytes = 1 << 20

// devicesAStep is how many devices with pending work are read at once.
const devicesAStep = 1000

// refillInOrder reads the first deliveries of the devices that ask for theirs. The journal is
// moved once for all of them: what is stored meanwhile makes a device busy again, and it asks
// again.
func (q *queue) refillInOrder(ctx context.Context) (iot.Instant, error) {
	now := q.d.now()
	q.mu.Lock()
	o := q.order
	next := o.moveDue(now)
	devices, loaded := o.begin(), o.loaded
	q.released = map[int64]struct{}{}
	q.mu.Unlock()
	defer func() {
		q.mu.Lock()
		q.released = nil
		q.mu.Unlock()
	}()
	if len(devices) == 0 && loaded {
		return next, nil
	}
	err := q.d.o.DB.MoveJournal(ctx)
	if err == nil && !loaded {
		err = q.loadDevices(ctx, o)
	}
	for i, device := range devices {
		if err == nil && q.roomInOrder(o) {
			err = q.askFor(ctx, o, device, now)
			continue
		}
		q.mu.Lock()
		o.ask = append(slices.Clone(devices[i:]), o.ask...)
		q.mu.Unlock()
		return next, err
	}
	return next, err
}

// roomInOrder reports whether the backlog has room and the order is still that of the
// settings.
func (q *queue) roomInOrder(o *order) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.order == o && !q.stale && len(q.backlog.items) < maxBacklog && q.room(&q.backlog)
}

// loadDevices reads a step of the devices with pending deliveries.
func (q *queue) loadDevices(ctx context.Context, o *order) error {
	devices, err := q.d.o.DB.PendingDevices(ctx, q.key, o.after, devicesAStep)
	if err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, device := range devices {
		if _, busy := o.busy[device]; !busy {
			o.busy[device] = false
			o.ask = append(o.ask, device)
		}
		o.after = device
	}
	o.loaded = len(devices) < devicesAStep
	if !o.loaded || len(o.ask) > 0 {
		q.d.wake()
	}
	return nil
}

// askFor puts a device's first pending delivery into the lane, if it is due.
func (q *queue) askFor(ctx context.Context, o *order, device int64, now iot.Instant) error {
	head, err := q.d.o.DB.Head(ctx, q.key, device)
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.order != o || q.stale:
		return nil // all is read again
	case err != nil:
		o.ask = append(o.ask, device)
		return err
	case head == nil && o.busy[device]:
		o.ask = append(o.ask, device) // one was stored since the journal was moved
		q.d.wake()
	case head == nil:
		delete(o.busy, device)
	case head.Delivery.DueAt > now:
		o.waiting[device] = head.Delivery.DueAt
	default:
		if q.known(head.Delivery.ID) {
			return nil // in flight since before the settings changed; the device is asked for when it ends
		}
		if !q.keep(&q.backlog, head) {
			o.ask = append(o.ask, device)
			return nil
		}
		q.inMemory[head.Delivery.ID.Key()] = struct{}{}
		q.backlog.push(*head)
		q.startWorkers()
	}
	return nil
}

package ingest

import (
	"container/heap"
	"sync"
	"time"

	"thingpost/db"
	"thingpost/internal/iot"
)

// tickEvery is how often the watch looks for due devices. maxTick is the most time that
// counts between two looks. A longer gap was a jump of the clock, a sleeping machine or
// a slow disk, and makes no device silent.
const (
	tickEvery = time.Second
	maxTick   = 5 * time.Second
)

// settle is the least time that a device has after a start: a crash can lose the last
// two seconds of when it was seen.
const settle = 5 * time.Second

// watch knows when each device must send again that has an expected interval and has
// sent at least once. Its own clock advances only while it looks. A message does not
// reorder the heap: a device is moved when its turn comes. A message so costs one look
// into a map, and a device one change of the heap per interval.
type watch struct {
	mu      sync.Mutex
	ticked  iot.Instant   // the clock at the last look; 0 before the first
	now     time.Duration // time watched
	devices map[int64]*watched
	due     dueHeap
	changed map[int64]bool // projects whose intervals have changed
	back    []transition   // devices that sent while their silence was being stored
	round   uint64         // counts reads of projects
}

// watched is a device. Its times are of the watch's clock, except seenAt.
type watched struct {
	key, project int64
	limit        time.Duration
	heard        time.Duration
	seenAt       iot.Instant // when it last sent, by the clock
	silent       bool
	at           time.Duration // of its next look
	index        int           // in the heap; -1 if absent
	round        uint64        // in which it was added or last read
}

// transition is a change of a device between silent and back, to be stored.
type transition struct {
	key, project int64
	seenAt       iot.Instant // when it last sent
	back         bool
}

func newWatch() *watch {
	return &watch{devices: map[int64]*watched{}, changed: map[int64]bool{}}
}

// count returns how many devices are watched.
func (w *watch) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.devices)
}

// reread marks projects whose intervals have changed.
func (w *watch) reread(projects []int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range projects {
		w.changed[p] = true
	}
}

// rereads returns the marked projects and clears the marks.
func (w *watch) rereads() []int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []int64
	for p := range w.changed {
		list = append(list, p)
	}
	clear(w.changed)
	return list
}

// silence returns when a device last sent, if it is silent. Its next message ends the
// silence.
func (w *watch) silence(key int64) (seenAt iot.Instant, silent bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.devices[key]
	if d == nil || !d.silent {
		return 0, false
	}
	return d.seenAt, true
}

// hear records a message of a device with an expected interval. If its silence was
// stored meanwhile, its return is to be stored too.
func (w *watch) hear(m *iot.Message, interval time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.devices[m.DeviceKey]
	if d == nil {
		d = &watched{key: m.DeviceKey, project: m.ProjectKey, index: -1, round: w.round}
		w.devices[d.key] = d
	}
	if d.silent {
		w.back = append(w.back, transition{d.key, d.project, d.seenAt, true})
		d.silent = false
	}
	d.heard, d.limit = w.now, iot.SilentAfter(interval)
	if m.ReceivedAt.After(d.seenAt) {
		d.seenAt = m.ReceivedAt
	}
	w.place(d)
}

// returned records that the end of a device's silence was stored.
func (w *watch) returned(key int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if d := w.devices[key]; d != nil && d.silent {
		d.silent, d.heard = false, w.now
		w.place(d)
	}
}

// place makes sure that a device's next look is no later than it is due.
func (w *watch) place(d *watched) {
	due := d.heard + d.limit
	switch {
	case d.index < 0:
		d.at = due
		heap.Push(&w.due, d)
	case due < d.at:
		d.at = due
		heap.Fix(&w.due, d.index)
	}
}

// tick counts the time since the last look. It removes and returns what is due, at most
// so many.
func (w *watch) tick(clock iot.Instant, most int) []transition {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ticked != 0 {
		w.now += min(max(clock.Sub(w.ticked), 0), maxTick)
	}
	w.ticked = clock
	list := w.back
	w.back = nil
	for len(w.due) > 0 && len(list) < most {
		d := w.due[0]
		if d.at > w.now {
			break
		}
		if due := d.heard + d.limit; due > w.now {
			d.at = due
			heap.Fix(&w.due, 0)
			continue
		}
		heap.Pop(&w.due)
		list = append(list, transition{d.key, d.project, d.seenAt, false})
	}
	return list
}

// settled records the outcome of a transition.
func (w *watch) settled(v transition, s *db.Silence) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.devices[v.key]
	switch {
	case d == nil || v.back:
	case s.Gone:
		w.drop(d)
	case s.Old:
		// It sent at this moment, or its silence was stored elsewhere.
		d.heard = max(d.heard, w.now+settle-d.limit)
		w.place(d)
	case d.seenAt != v.seenAt:
		// It sent after that.
		w.back = append(w.back, transition{d.key, d.project, v.seenAt, true})
		w.place(d)
	default:
		d.silent = true
		if d.index >= 0 {
			heap.Remove(&w.due, d.index)
		}
	}
}

// retry puts back transitions that could not be stored, for a later look.
func (w *watch) retry(list []transition) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, v := range list {
		d := w.devices[v.key]
		switch {
		case v.back:
			w.back = append(w.back, v)
		case d != nil && d.index < 0 && !d.silent:
			d.at = w.now + settle
			heap.Push(&w.due, d)
		}
	}
}

func (w *watch) drop(d *watched) {
	if d.index >= 0 {
		heap.Remove(&w.due, d.index)
	}
	delete(w.devices, d.key)
}

// begin starts to read a project again (0: all projects).
func (w *watch) begin() (round uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.round++
	return w.round
}

// add takes a device as stored. At the start, until is when devices were last watched
// (0: never), and silence before that counts. Later, a device that was not watched or
// has another interval gets its whole time from now on.
func (w *watch) add(v db.Watched, start bool, until iot.Instant) {
	w.mu.Lock()
	defer w.mu.Unlock()
	limit := iot.SilentAfter(time.Duration(v.ExpectedIntervalMS) * time.Millisecond)
	d := w.devices[v.Key]
	if d == nil {
		d = &watched{key: v.Key, project: v.ProjectKey, limit: limit, heard: w.now, seenAt: v.LastSeenAt, index: -1}
		w.devices[v.Key] = d
		if quiet := until.Sub(v.LastSeenAt); start && until != 0 && quiet > 0 {
			d.heard = max(w.now-quiet, w.now+settle-limit)
		}
		d.silent = v.SilentAt != 0
	} else {
		if d.limit != limit {
			d.limit, d.heard = limit, w.now
		}
		if start && v.SilentAt != 0 && !d.silent { // it sent before it was read
			w.back = append(w.back, transition{d.key, d.project, v.LastSeenAt, true})
		}
	}
	d.round = w.round
	if !d.silent {
		w.place(d)
	}
}

// end drops the devices of a project that were not read in the round.
func (w *watch) end(project int64, round uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var gone []*watched
	for _, d := range w.devices {
		if d.project == project && d.round < round {
			gone = append(gone, d)
		}
	}
	for _, d := range gone {
		w.drop(d)
	}
}

// dueHeap has the device with the earliest look at its top.
type dueHeap []*watched

// Len is of heap.Interface.
func (h dueHeap) Len() int { return len(h) }

// Less is of heap.Interface.
func (h dueHeap) Less(i, j int) bool { return h[i].at < h[j].at }

// Swap is of heap.Interface.
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push is of heap.Interface.
func (h *dueHeap) Push(x any) {
	d, ok := x.(*watched)
	if !ok {
		return
	}
	d.index = len(*h)
	*h = append(*h, d)
}

// Pop is of heap.Interface.
func (h *dueHeap) Pop() any {
	last := len(*h) - 1
	d := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	d.index = -1
	return d
}

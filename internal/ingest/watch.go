package ingest

import (
	"container/heap"
	"sync"
	"time"

	"thingpost/db"
	"thingpost/internal/iot"
)

// tickEvery is how often the watch looks whether a device is due, and maxTick
// the most time that counts between two looks: what is longer was a jump of the
// clock, a machine asleep or a disk that did not answer, and nobody's silence.
const (
	tickEvery = time.Second
	maxTick   = 5 * time.Second
)

// settle is the least time that a device has after a start: the last two seconds
// of when it was seen may be lost with a crash.
const settle = 5 * time.Second

// watch knows by when each device must send again that is expected at an
// interval and has sent at least once. It counts time of its own, which goes on
// only while it looks. Hearing a device changes no order: a device whose turn
// comes is put where it belongs by then, so that a message costs a look into a
// map, and a device one change of the heap for each of its intervals.
type watch struct {
	mu      sync.Mutex
	ticked  iot.Instant   // the clock at the last look, 0 before the first
	now     time.Duration // time watched
	devices map[int64]*watched
	due     dueHeap
	changed map[int64]bool // projects whose intervals have changed
	back    []told         // heard while they were told silent
	round   uint64         // of reading a project anew
}

// watched is a device. Its times are the watch's, but for seenAt.
type watched struct {
	key, project int64
	limit        time.Duration
	heard        time.Duration
	seenAt       iot.Instant // when it was heard, by the clock
	silent       bool
	at           time.Duration // when it is looked at
	index        int           // in the heap; -1 if it is not there
	round        uint64        // in which it was added or read
}

// told is a device's silence, or its end, to be told.
type told struct {
	key, project int64
	seenAt       iot.Instant // when it was heard last
	back         bool
}

func newWatch() *watch {
	return &watch{devices: map[int64]*watched{}, changed: map[int64]bool{}}
}

// count is how many devices are watched.
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

// rereads returns the marked projects, once.
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

// silence returns when a device was heard last if it is silent: what it sends
// now ends that.
func (w *watch) silence(key int64) (seenAt iot.Instant, silent bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.devices[key]
	if d == nil || !d.silent {
		return 0, false
	}
	return d.seenAt, true
}

// hear notes a message of a device that is expected at an interval. If the
// device was told silent meanwhile, its return is to be told.
func (w *watch) hear(m *iot.Message, interval time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.devices[m.DeviceID]
	if d == nil {
		d = &watched{key: m.DeviceID, project: m.ProjectID, index: -1, round: w.round}
		w.devices[d.key] = d
	}
	if d.silent {
		w.back = append(w.back, told{d.key, d.project, d.seenAt, true})
		d.silent = false
	}
	d.heard, d.limit = w.now, iot.SilentAfter(interval)
	if m.ReceivedAt.After(d.seenAt) {
		d.seenAt = m.ReceivedAt
	}
	w.place(d)
}

// returned notes that the end of a device's silence was told.
func (w *watch) returned(key int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if d := w.devices[key]; d != nil && d.silent {
		d.silent, d.heard = false, w.now
		w.place(d)
	}
}

// place sees to it that a device is looked at no later than it is due.
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

// tick counts the time since the last look and takes out what is due, at most so
// many.
func (w *watch) tick(clock iot.Instant, most int) []told {
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
		list = append(list, told{d.key, d.project, d.seenAt, false})
	}
	return list
}

// settled notes what became of what was told.
func (w *watch) settled(v told, s *db.Silence) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.devices[v.key]
	switch {
	case d == nil || v.back:
	case s.Gone:
		w.drop(d)
	case s.Old:
		// It was heard in this moment, or somebody else has told its silence.
		d.heard = max(d.heard, w.now+settle-d.limit)
		w.place(d)
	case d.seenAt != v.seenAt:
		// It was heard after that.
		w.back = append(w.back, told{d.key, d.project, v.seenAt, true})
		w.place(d)
	default:
		d.silent = true
		if d.index >= 0 {
			heap.Remove(&w.due, d.index)
		}
	}
}

// again puts back what could not be told, to be tried once more a little later.
func (w *watch) again(list []told) {
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

// begin starts to read a project (0: all) anew.
func (w *watch) begin() (round uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.round++
	return w.round
}

// add takes a device as it is stored. At the start, until is when devices were
// last watched (0: never), and the time that it was silent by then counts. Later
// a device that was not watched, or is expected at another interval, has all its
// time from now on.
func (w *watch) add(v db.Watched, start bool, until iot.Instant) {
	w.mu.Lock()
	defer w.mu.Unlock()
	limit := iot.SilentAfter(time.Duration(v.ExpectedIntervalMS) * time.Millisecond)
	d := w.devices[v.Key]
	if d == nil {
		d = &watched{key: v.Key, project: v.ProjectID, limit: limit, heard: w.now, seenAt: v.LastSeenAt, index: -1}
		w.devices[v.Key] = d
		if quiet := until.Sub(v.LastSeenAt); start && until != 0 && quiet > 0 {
			d.heard = max(w.now-quiet, w.now+settle-limit)
		}
		d.silent = v.SilentAt != 0
	} else {
		if d.limit != limit {
			d.limit, d.heard = limit, w.now
		}
		if start && v.SilentAt != 0 && !d.silent { // heard before it was read
			w.back = append(w.back, told{d.key, d.project, v.LastSeenAt, true})
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

// dueHeap has the device that is looked at next at its top.
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

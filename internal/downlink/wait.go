package downlink

import (
	"sync"

	"thingpost/internal/iot"
)

// waiters are the requests that wait for a downlink, by device.
type waiters struct {
	mu      *sync.Mutex
	devices map[int64]*waiting
	stopped chan struct{}
	stop    *sync.Once
}

// waiting is the state of one device. came is closed when it may have a downlink.
type waiting struct {
	came chan struct{}
	n    int
}

func newWaiters() waiters {
	return waiters{mu: &sync.Mutex{}, devices: map[int64]*waiting{}, stopped: make(chan struct{}), stop: &sync.Once{}}
}

// join returns a channel that is closed when the device may have a downlink. Call leave
// when no longer waiting.
func (w *waiters) join(device int64) (came <-chan struct{}, leave func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.devices[device]
	if d == nil {
		d = &waiting{came: make(chan struct{})}
		w.devices[device] = d
	}
	d.n++
	return d.came, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if d.n--; d.n == 0 && w.devices[device] == d {
			delete(w.devices, device)
		}
	}
}

// Changed wakes those who wait for what a commit queued, and Run for commands. It does
// not block.
func (q *Queue) Changed(c iot.Commit) {
	if len(c.Commands) > 0 {
		select {
		case q.kick <- struct{}{}:
		default:
		}
	}
	if len(c.Downlinks) == 0 {
		return
	}
	w := &q.waiters
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, device := range c.Downlinks {
		if d := w.devices[device]; d != nil {
			close(d.came)
			delete(w.devices, device)
		}
	}
}

// Stop ends all waiting, now and later: the server is stopping. It can be called more
// than once.
func (q *Queue) Stop() { q.waiters.stop.Do(func() { close(q.waiters.stopped) }) }

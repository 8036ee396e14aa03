package web

import (
	"sync"

	"thingpost/internal/iot"
)

// Bounds of a hub: the open pages of all projects together, and the pending events of
// one page.
const (
	maxSubscribers = 1000
	eventsWaiting  = 64
)

// Hub sends the changes of commits to open pages. It is safe for concurrent use, and
// implements handlers.Hub.
type Hub struct {
	mu       sync.RWMutex
	projects map[int64]map[*subscriber]struct{}
	count    int
	closed   bool
}

type subscriber struct{ events chan iot.EventName }

// NewHub returns a hub without subscribers.
func NewHub() *Hub { return &Hub{projects: map[int64]map[*subscriber]struct{}{}} }

// Publish sends the events of a commit. It never waits: a subscriber without room is
// dropped, and its channel closed.
func (h *Hub) Publish(c iot.Commit) {
	if len(c.Events) == 0 {
		return
	}
	var slow map[*subscriber]int64
	h.mu.RLock()
	for _, e := range c.Events {
		for s := range h.projects[e.ProjectKey] {
			select {
			case s.events <- e.Name:
			default:
				if slow == nil {
					slow = map[*subscriber]int64{}
				}
				slow[s] = e.ProjectKey
			}
		}
	}
	h.mu.RUnlock()
	for s, project := range slow {
		h.drop(project, s)
	}
}

// Subscribe returns the names of changes in a project from now on, and a function that
// ends the subscription, which must be called. The channel is closed when its reader
// falls 64 events behind, when the hub is closed, or at once if a thousand pages are
// open already.
func (h *Hub) Subscribe(projectKey int64) (events <-chan iot.EventName, stop func()) {
	s := &subscriber{events: make(chan iot.EventName, eventsWaiting)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || h.count >= maxSubscribers {
		close(s.events)
		return s.events, func() {}
	}
	if h.projects[projectKey] == nil {
		h.projects[projectKey] = map[*subscriber]struct{}{}
	}
	h.projects[projectKey][s] = struct{}{}
	h.count++
	return s.events, func() { h.drop(projectKey, s) }
}

// drop ends a subscription; it may have ended already.
func (h *Hub) drop(projectKey int64, s *subscriber) {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := h.projects[projectKey]
	if _, ok := all[s]; !ok {
		return
	}
	delete(all, s)
	if len(all) == 0 {
		delete(h.projects, projectKey)
	}
	h.count--
	close(s.events)
}

// Close ends all subscriptions. No new ones are possible.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for _, all := range h.projects {
		for s := range all {
			close(s.events)
		}
	}
	clear(h.projects)
	h.count = 0
}

// Subscribers returns how many pages are subscribed.
func (h *Hub) Subscribers() int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.count
}

package dispatch

import (
	"runtime"
	"time"

	"thingpost/internal/iot"
)

// firstSlots is how many deliveries of a webhook may be in flight before
// anything is known of its endpoint.
const firstSlots = 4

// busySeconds is how much waiting a webhook may do at once: an endpoint that
// takes a second for an answer keeps at most 32 slots, one that takes 8 s four.
const busySeconds = 32.0

// While the machine is crowded, fast endpoints share crowdSlots requests in flight for
// each processor, each endpoint at most crowdMost for each, and at least one.
// An endpoint is fast if it has answered within fastAnswer: it would answer no faster for
// having more requests in flight.
const (
	crowdSlots = 15
	crowdMost  = 3
	fastAnswer = 20 * time.Millisecond
)

// share returns how many requests one of so many fast endpoints may have in flight.
func share(endpoints int) int {
	p := runtime.GOMAXPROCS(0)
	return max(1, min(crowdMost*p, crowdSlots*p/max(endpoints, 1)))
}

// slots is how many deliveries of a webhook may be in flight, by how its
// endpoint answers. As in TCP it doubles until something fails, is halved by a
// failure, and from then on grows by one for each full round of successes: after
// an outage the backlog comes back gradually.
type slots struct {
	size   float64
	calm   float64       // below it grows fast
	took   time.Duration // smoothed time of an answer
	least  time.Duration // the shortest one, of late
	halved time.Time     // failures of attempts begun before it say nothing new
}

func newSlots() slots { return slots{size: firstSlots, calm: iot.MaxSlots} }

// limit returns how many may be in flight; at least one, at most most.
func (s *slots) limit(most int) int {
	n := s.size
	if t := s.took.Seconds(); t > 0 {
		n = min(n, busySeconds/t)
	}
	return max(1, min(int(n), most))
}

// fast reports whether the endpoint answers so soon that more slots are of use only
// while there are processors for them.
func (s *slots) fast() bool { return s.least > 0 && s.least < fastAnswer }

// answered notes an attempt that the endpoint took, or refused for the
// message's own sake.
func (s *slots) answered(took time.Duration) {
	if s.took == 0 {
		s.took = took
	} else {
		s.took += (took - s.took) / 8
	}
	if s.least == 0 || took < s.least {
		s.least = took
	} else {
		s.least += (took - s.least) / 512
	}
	if s.size < s.calm {
		s.size++
	} else {
		s.size += 1 / s.size
	}
	s.size = min(s.size, iot.MaxSlots)
}

// failed notes an attempt that the endpoint could not answer well. Those begun
// before the last halving belong to the same trouble.
func (s *slots) failed(began, now time.Time) {
	if began.Before(s.halved) {
		return
	}
	s.halved = now
	s.size = max(1, s.size/2)
	s.calm = s.size
}

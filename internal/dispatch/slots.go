package dispatch

import (
	"runtime"
	"time"

	"thingpost/internal/iot"
)

// firstSlots is how many deliveries of a webhook may be in flight before its endpoint has
// answered.
const firstSlots = 4

// busySeconds bounds the time that a webhook's requests in flight wait, all together: an
// endpoint that takes a second for an answer gets at most 32 slots, one that takes 8 s
// gets four.
const busySeconds = 32.0

// While the machine is crowded, fast endpoints share crowdSlots requests in flight for
// each processor. An endpoint gets at most crowdMost for each processor, and at least one.
// It is fast if it has answered within fastAnswer: more requests in flight would not make
// it answer faster.
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

// slots is how many deliveries of a webhook may be in flight; its endpoint's answers
// adapt it. As in TCP, each round of successes doubles it until a failure. A failure
// halves it; from then on it grows by one for each full round of successes. So after an
// outage the backlog is sent gradually.
type slots struct {
	size      float64
	threshold float64       // of slow start: below it, size grows by one for each success
	took      time.Duration // smoothed time of an answer
	least     time.Duration // of recent answers, the shortest time
	halved    time.Time     // failures of attempts begun earlier say nothing new
}

func newSlots() slots { return slots{size: firstSlots, threshold: iot.MaxSlots} }

// limit returns how many may be in flight: at least one, at most most.
func (s *slots) limit(most int) int {
	n := s.size
	if t := s.took.Seconds(); t > 0 {
		n = min(n, busySeconds/t)
	}
	return max(1, min(int(n), most))
}

// fast reports whether the endpoint answers so fast that more slots only help while
// processors are free.
func (s *slots) fast() bool { return s.least > 0 && s.least < fastAnswer }

// answered records an attempt that the endpoint accepted, or refused because of the
// message.
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
	if s.size < s.threshold {
		s.size++
	} else {
		s.size += 1 / s.size
	}
	s.size = min(s.size, iot.MaxSlots)
}

// failed records an attempt that failed because of the endpoint. Failures of attempts
// begun before the last halving have the same cause and are ignored.
func (s *slots) failed(began, now time.Time) {
	if began.Before(s.halved) {
		return
	}
	s.halved = now
	s.size = max(1, s.size/2)
	s.threshold = s.size
}

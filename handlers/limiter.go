package handlers

import (
	"crypto/sha256"
	"slices"
	"sync"
	"time"
)

// Limiter bounds how often each name, such as an address, does something: at most burst
// times at once, then once in every. It keeps maxLimited names of any length, in 24
// bytes each. When it is full it forgets the least limited ones, so that using many
// names does not free a limited one. It is safe for concurrent use.
type Limiter struct {
	now   func() time.Time
	every time.Duration
	burst int

	mu   sync.Mutex
	free map[limited]time.Time // when the whole burst is available again
}

// limited is the start of a name's SHA-256.
type limited [16]byte

// maxLimited bounds the names that a Limiter keeps.
const maxLimited = 10_000

// NewLimiter returns an unused limit. burst is at least 1.
func NewLimiter(now func() time.Time, every time.Duration, burst int) *Limiter {
	return &Limiter{now: now, every: every, burst: burst, free: map[limited]time.Time{}}
}

// Take counts once more for a name. It returns 0, or how long to wait until it will
// count again; nothing was counted then.
func (l *Limiter) Take(name string) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, key := l.now(), nameOf(name)
	free, ok := l.free[key]
	if !ok && len(l.free) >= maxLimited {
		l.makeRoom(now)
	}
	if free.Before(now) {
		free = now
	}
	if wait := free.Add(l.every).Sub(now) - time.Duration(l.burst)*l.every; wait > 0 {
		return wait
	}
	l.free[key] = free.Add(l.every)
	return 0
}

// Return undoes one Take for a name.
func (l *Limiter) Return(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if free, ok := l.free[nameOf(name)]; ok {
		l.free[nameOf(name)] = free.Add(-l.every)
	}
}

// Forget undoes all counts of a name.
func (l *Limiter) Forget(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.free, nameOf(name))
}

// makeRoom drops the least limited tenth, and all names that are not limited.
func (l *Limiter) makeRoom(now time.Time) {
	least := make([]time.Time, 0, len(l.free))
	for _, free := range l.free {
		least = append(least, free)
	}
	slices.SortFunc(least, time.Time.Compare)
	until := least[len(least)/10]
	if until.Before(now) {
		until = now
	}
	for key, free := range l.free {
		if !free.After(until) {
			delete(l.free, key)
		}
	}
}

func nameOf(name string) limited {
	sum := sha256.Sum256([]byte(name))
	return limited(sum[:])
}

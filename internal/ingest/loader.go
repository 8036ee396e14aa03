package ingest

import (
	"context"
	"runtime"
	"sync"
)

// maxLoad is how many values a loader reads at once.
const maxLoad = 64

// loader reads values for many callers at once: whoever comes while values are read waits
// for the next batch. A read of many costs little more than a read of one. It is safe for
// concurrent use.
type loader[K, V any] struct {
	// read returns the value of each key, in their order.
	read func(ctx context.Context, keys []K) ([]V, error)

	mu      sync.Mutex
	waiting []*load[K, V]
	reading bool
}

// load is one caller's wish.
type load[K, V any] struct {
	key   K
	value V
	err   error
	done  chan struct{} // closed when it was read
}

// load returns the value of a key.
func (l *loader[K, V]) load(ctx context.Context, key K) (V, error) {
	w := &load[K, V]{key: key, done: make(chan struct{})}
	l.mu.Lock()
	l.waiting = append(l.waiting, w)
	first := !l.reading
	l.reading = true
	l.mu.Unlock()
	if first {
		runtime.Gosched() // whoever is ready to run may want something too
		if l.batch(ctx) {
			go func() {
				for l.batch(ctx) {
				}
			}()
		}
	}
	<-w.done
	return w.value, w.err
}

// batch reads what is waiting, and reports whether more is.
func (l *loader[K, V]) batch(ctx context.Context) (more bool) {
	l.mu.Lock()
	n := min(len(l.waiting), maxLoad)
	batch := l.waiting[:n:n]
	l.waiting = l.waiting[n:]
	l.mu.Unlock()
	keys := make([]K, n)
	for i, w := range batch {
		keys[i] = w.key
	}
	values, err := l.read(context.WithoutCancel(ctx), keys)
	for i, w := range batch {
		if w.err = err; err == nil {
			w.value = values[i]
		}
		close(w.done)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reading = len(l.waiting) > 0
	if !l.reading {
		l.waiting = nil
	}
	return l.reading
}

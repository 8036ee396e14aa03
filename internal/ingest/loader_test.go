package ingest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
)

func TestLoaderReadsForManyAtOnce(t *testing.T) {
	var l loader[int, string]
	reads, resume := make(chan []int), make(chan error)
	l.read = func(_ context.Context, keys []int) ([]string, error) {
		reads <- keys
		var list []string
		for _, k := range keys {
			list = append(list, fmt.Sprint(k))
		}
		return list, <-resume
	}
	type answer struct {
		key   int
		value string
		err   error
	}
	answers := make(chan answer, 200)
	load := func(key int) {
		v, err := l.load(t.Context(), key)
		answers <- answer{key, v, err}
	}
	go load(0)
	if first := <-reads; len(first) != 1 {
		t.Fatalf("the first read has %v", first)
	}
	for key := range maxLoad + 1 {
		go load(1 + key)
	}
	for waits := 0; waits <= maxLoad; {
		runtime.Gosched()
		l.mu.Lock()
		waits = len(l.waiting)
		l.mu.Unlock()
	}
	resume <- nil
	if a := <-answers; a != (answer{0, "0", nil}) {
		t.Errorf("%+v", a)
	}
	if second := <-reads; len(second) != maxLoad {
		t.Errorf("the second read has %d keys, want %d", len(second), maxLoad)
	}
	failed := errors.New("the disk")
	resume <- failed
	for range maxLoad {
		if a := <-answers; !errors.Is(a.err, failed) || a.value != "" {
			t.Errorf("%+v", a)
		}
	}
	if third := <-reads; len(third) != 1 {
		t.Errorf("the third read has %v", third)
	}
	resume <- nil
	if a := <-answers; a.err != nil || a.value != fmt.Sprint(a.key) {
		t.Errorf("%+v", a)
	}
}

func TestLoaderGivesEachItsOwn(t *testing.T) {
	var l loader[int, int]
	l.read = func(_ context.Context, keys []int) ([]int, error) {
		list := make([]int, len(keys))
		for i, k := range keys {
			list[i] = -k
		}
		return list, nil
	}
	var g sync.WaitGroup
	for n := range 20 {
		g.Go(func() {
			for k := range 500 {
				if v, err := l.load(t.Context(), n*1000+k); err != nil || v != -n*1000-k {
					t.Errorf("%d: %d, %v", n*1000+k, v, err)
				}
			}
		})
	}
	g.Wait()
}

package ingest

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"time"

	"thingpost/internal/crowd"
)

// gateMost is how many pieces of one project may be stored at once for each processor,
// when projects share a machine that is just busy. More pieces would only make the others
// wait. On a crowded machine a project may store fewer, but always gateLeast: a project
// that sends little never waits here.
const (
	gateMost  = 4
	gateLeast = 4
	gateWait  = 10 * time.Second
)

// gate bounds how many pieces a project stores at once while projects share a crowded
// machine. It is safe for concurrent use.
type gate struct {
	meter *crowd.Meter
	most  int
	wait  time.Duration

	mu     sync.Mutex
	inside map[int64]*inside
}

// inside is the number of pieces that a project stores now, and the callers that wait,
// in order of arrival.
type inside struct {
	count   int
	waiting []chan struct{}
}

func newGate(meter *crowd.Meter) *gate {
	return &gate{meter: meter, most: gateMost * runtime.GOMAXPROCS(0), wait: gateWait, inside: map[int64]*inside{}}
}

// bound returns how many pieces of a project may be stored at once; 0 is no bound.
func (g *gate) bound() int { return g.meter.Bound(g.most, gateLeast) }

// enter returns when a piece of a project may be stored, after gateWait at the latest. The
// caller must then call leave, unless enter failed because ctx ended.
func (g *gate) enter(ctx context.Context, project int64) error {
	g.mu.Lock()
	g.meter.Saw(project)
	in := g.inside[project]
	if in == nil {
		in = &inside{}
		g.inside[project] = in
	}
	if bound := g.bound(); bound == 0 || in.count < bound {
		in.count++
		g.mu.Unlock()
		return nil
	}
	turn := make(chan struct{}, 1)
	in.waiting = append(in.waiting, turn)
	g.mu.Unlock()
	late := time.NewTimer(g.wait)
	defer late.Stop()
	var err error
	select {
	case <-turn:
		return nil
	case <-late.C:
	case <-ctx.Done():
		err = errGone
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if at := slices.Index(in.waiting, turn); at >= 0 {
		in.waiting = slices.Delete(in.waiting, at, at+1)
		in.count++
	}
	if err != nil {
		g.left(project, in)
	}
	return err
}

// leave ends a piece that has entered.
func (g *gate) leave(project int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left(project, g.inside[project])
}

func (g *gate) left(project int64, in *inside) {
	in.count--
	bound := g.bound()
	for len(in.waiting) > 0 && (bound == 0 || in.count < bound) {
		in.waiting[0] <- struct{}{}
		in.waiting = in.waiting[1:]
		in.count++
	}
	if in.count == 0 {
		delete(g.inside, project)
	}
}

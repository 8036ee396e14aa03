package db

import (
	"slices"
	"testing"
	"time"

	"thingpost/internal/iot"
)

// kinds counts the items of a batch.
type kinds struct{ small, outcomes, large, rows int }

func kindsOf(batch []item) (k kinds) {
	for _, it := range batch {
		switch {
		case it.finish != nil:
			k.outcomes++
		case it.load.rows <= smallRows:
			k.small++
		default:
			k.large++
		}
		k.rows += it.load.rows
	}
	return k
}

// push queues items of a project.
func pushMany(l *lineup, count int, it item) {
	it.load.items = 1
	for range count {
		l.push(it)
	}
}

func TestATransactionIsShortWhereProjectsShare(t *testing.T) {
	small := func(project int64) item { return item{project: project, load: load{rows: 4}} }
	outcome := item{project: 1, finish: &iot.Outcome{}, load: load{rows: 2}}
	large := item{project: 1, load: load{rows: PieceRows}}
	take := func(l *lineup) (kinds, bool) {
		var full load
		batch, short := l.take(nil, &full, 100)
		return kindsOf(batch), short
	}

	l := newLineup()
	pushMany(l, 300, small(1))
	if got, short := take(l); short || got.rows != maxRows {
		t.Errorf("one project alone: %+v, short %t; want %d rows", got, short, maxRows)
	}

	l = newLineup()
	pushMany(l, 300, small(1))
	pushMany(l, 1, small(2))
	pushMany(l, 300, outcome)
	pushMany(l, 3, large)
	got, short := take(l)
	if want := (kinds{small: 25, outcomes: 25, large: 1, rows: 214}); !short || got != want {
		t.Errorf("two projects: %+v, short %t; want %+v", got, short, want)
	}
	if got, short = take(l); !short || got.rows != 214 {
		t.Errorf("the next one, of one project: %+v, short %t", got, short)
	}

	l = newLineup()
	pushMany(l, 2, small(1))
	pushMany(l, 10, large)
	if got, short = take(l); !short || got != (kinds{small: 2, large: 1, rows: 72}) {
		t.Errorf("large items beside small ones: %+v, short %t", got, short)
	}
	for l.len() > 0 {
		take(l)
	}
	pushMany(l, 300, small(1))
	for n := range sharedFor {
		if _, short = take(l); n < sharedFor-10 && !short {
			t.Fatalf("transaction %d after it was shared is not short", n)
		}
		pushMany(l, 300, small(1))
	}
	if got, short = take(l); short || got.rows != maxRows {
		t.Errorf("long after it was shared: %+v, short %t", got, short)
	}
}

func TestAShortTransactionTakesFiveMilliseconds(t *testing.T) {
	var p pace
	if got := p.rows(); got != maxRows {
		t.Errorf("before anything is known %d rows, want %d", got, maxRows)
	}
	for _, step := range []struct {
		rows int
		took time.Duration
		want int
	}{
		{100, 5 * time.Millisecond, 100},
		{2, 2 * time.Millisecond, 100}, // a small transaction's fixed cost does not count
		{100, 1 * time.Millisecond, 125},
		{100, time.Second, minRows},
	} {
		p = p.after(step.rows, step.took)
		if got := p.rows(); got != step.want {
			t.Errorf("after %d rows in %s: %d rows, want %d", step.rows, step.took, got, step.want)
		}
	}
	for range 100 {
		p = p.after(100, time.Microsecond)
	}
	if got := p.rows(); got != maxRows {
		t.Errorf("on a fast machine %d rows, want %d", got, maxRows)
	}
}

func TestOutcomesWaitForNoLargeItem(t *testing.T) {
	l := newLineup()
	pushMany(l, 2, item{project: 1, load: load{rows: 4 * PieceRows}})
	pushMany(l, 3, item{project: 1, finish: &iot.Outcome{}, load: load{rows: 2}})
	var full load
	batch, _ := l.take(nil, &full, maxRows)
	first := slices.IndexFunc(batch, func(it item) bool { return it.finish == nil })
	if got := kindsOf(batch); got.outcomes != 3 || first < 3 {
		t.Errorf("%+v, the first large item at %d", got, first)
	}
}

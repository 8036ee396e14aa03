package db_test

import (
	"fmt"
	"runtime"
	"testing"

	"thingpost/db"
	"thingpost/internal/iot"
)

// blocked stops the writer, queues all writes in their order, and lets it continue. It returns
// when they are done.
func (g *gate) blocked(t *testing.T, w *world, writes ...func()) {
	t.Helper()
	done := make(chan struct{}, len(writes)+1)
	run := func(write func()) {
		go func() {
			write()
			done <- struct{}{}
		}()
	}
	g.armed.Store(true)
	run(func() { _ = w.NoteSignIn(w.account.Key, "") })
	<-g.reached
	for n, write := range writes {
		run(write)
		for w.Waiting() <= n {
			runtime.Gosched()
		}
	}
	g.release <- struct{}{}
	for range len(writes) + 1 {
		<-done
	}
}

func TestSmallItemsGoBeforeLargeOnes(t *testing.T) {
	w, g := openGated(t)
	other := &iot.Project{Name: "Other", OrganizationKey: w.project.OrganizationKey}
	must(t, w.CreateProject(other, actor))
	settings, err := w.ProjectSettings(t.Context(), other.Key)
	must(t, err)
	version := w.version(t)
	var writes []func()
	piece := func() func() {
		list := make([]*db.Accept, db.PieceRows/2)
		for n := range list {
			list[n] = w.accepted(version, `1`, w.webhook)
		}
		return func() { must(t, w.Accept(list...)) }
	}
	for range 10 {
		writes = append(writes, piece())
	}
	theirs := w.accepted(settings.Version, `"theirs"`)
	theirs.Message.ProjectKey, theirs.Project = other.Key, other
	ours := w.accepted(version, `"ours"`, w.webhook)
	writes = append(writes, func() { must(t, w.Accept(theirs)) }, func() { must(t, w.Accept(ours)) })
	before := len(w.commits())
	g.blocked(t, w, writes...)
	first := w.commits()[before+1] // the one before it blocked the writer
	has := false
	for _, q := range first.Queued {
		has = has || q.Message == ours.Message
	}
	otherSeen := false
	for _, e := range first.Events {
		otherSeen = otherSeen || e.ProjectKey == other.Key
	}
	if !has || !otherSeen {
		t.Errorf("the first transaction after ten pieces were queued holds the sender's own message: %t, the other project's: %t", has, otherSeen)
	}
	if n := len(first.Queued); n > 768 {
		t.Errorf("it has %d deliveries", n)
	}
	w.holds(t)
}

func TestProjectsTakeTurns(t *testing.T) {
	w, g := openGated(t)
	other := &iot.Project{Name: "Other", OrganizationKey: w.project.OrganizationKey}
	must(t, w.CreateProject(other, actor))
	settings, err := w.ProjectSettings(t.Context(), other.Key)
	must(t, err)
	version := w.version(t)
	var writes []func()
	for n := range 1200 { // small ones of one project, more than a transaction
		a := w.accepted(version, fmt.Sprint(n), w.webhook)
		writes = append(writes, func() { must(t, w.Accept(a)) })
	}
	a := w.accepted(settings.Version, `"theirs"`)
	a.Message.ProjectKey, a.Project = other.Key, other
	writes = append(writes, func() { must(t, w.Accept(a)) })
	before := len(w.commits())
	g.blocked(t, w, writes...)
	otherSeen := false
	for _, e := range w.commits()[before+1].Events {
		otherSeen = otherSeen || e.ProjectKey == other.Key
	}
	if !otherSeen {
		t.Error("a project waits behind what another one has in line")
	}
}

package db_test

import (
	"testing"
	"time"

	"thingpost/db"
	"thingpost/internal/iot"
)

// A disk that does not answer is played by a writer that is held up after a commit.
func TestASenderDoesNotWaitForEver(t *testing.T) {
	held, gate := make(chan struct{}, 1), make(chan struct{})
	hold := false
	w := open(t, func(o *db.Options) {
		o.OnCommit = func(iot.Commit) {
			if hold {
				held <- struct{}{}
				<-gate
				hold = false
			}
		}
	})
	w.store(t, 1, `"before"`, true, w.webhook)
	version := w.version(t)
	w.SetAcceptWait(20 * time.Millisecond)
	hold = true
	first := make(chan error, 1)
	go func() { first <- w.Accept(w.accepted(version, `"held"`, w.webhook)) }()
	<-held
	if err := w.Accept(w.accepted(version, `"late"`, w.webhook)); iot.CodeOf(err) != iot.Unavailable {
		t.Errorf("a sender is told %v, want unavailable", err)
	}
	if err := <-first; iot.CodeOf(err) != iot.Unavailable {
		t.Errorf("the sender before it is told %v, want unavailable", err)
	}
	close(gate)
	w.SetAcceptWait(db.AcceptWait)
	w.store(t, 1, `"after"`, true, w.webhook)
	// The one that stood in line was taken out of it when its sender had gone.
	if n, err := w.CountOn(t.Context(), `SELECT count(*) FROM messages`); err != nil || n != 3 {
		t.Errorf("%d messages are stored (%v), want before, held and after", n, err)
	}
	w.holds(t)
}

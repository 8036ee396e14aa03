package db_test

import (
	"testing"
	"time"

	"thingpost/db"
	"thingpost/internal/iot"
)

// A writer that is stopped after a commit simulates a disk that does not answer.
func TestASenderDoesNotWaitForEver(t *testing.T) {
	blocked, gate := make(chan struct{}, 1), make(chan struct{})
	hold := false
	w := open(t, func(o *db.Options) {
		o.OnCommit = func(iot.Commit) {
			if hold {
				blocked <- struct{}{}
				<-gate
				hold = false
			}
		}
	})
	w.store(t, 1, `"before"`, true, w.webhook)
	version := w.version(t)
	must(t, w.NoteSignIn(w.account.Key, "")) // the writer has nothing left to do
	w.SetAcceptWait(20 * time.Millisecond)
	hold = true
	first := make(chan error, 1)
	go func() { first <- w.Accept(w.accepted(version, `"during"`, w.webhook)) }()
	<-blocked
	if err := w.Accept(w.accepted(version, `"late"`, w.webhook)); iot.CodeOf(err) != iot.Unavailable {
		t.Errorf("the error of a sender is %v, want unavailable", err)
	}
	if err := <-first; iot.CodeOf(err) != iot.Unavailable {
		t.Errorf("the error of the sender before it is %v, want unavailable", err)
	}
	close(gate)
	w.SetAcceptWait(db.AcceptWait)
	w.store(t, 1, `"after"`, true, w.webhook)
	// The queued one was withdrawn when its sender had gone.
	if n, err := w.CountOn(t.Context(), `SELECT count(*) FROM messages`); err != nil || n != 3 {
		t.Errorf("%d messages are stored (%v), want before, during and after", n, err)
	}
	w.holds(t)
}

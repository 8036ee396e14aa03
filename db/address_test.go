package db_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"thingpost/db"
)

func TestKnownAddressesAreBoundedAndEnd(t *testing.T) {
	now := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	w := open(t, func(o *db.Options) { o.Now = func() time.Time { return now } })
	known := func(email, address string) bool {
		t.Helper()
		is, err := w.KnowsAddress(t.Context(), email, address)
		must(t, err)
		return is
	}
	if known(actor, "192.0.2.1") || known("nobody@example.org", "192.0.2.1") {
		t.Error("an address is known before anybody came from there")
	}
	for i := range 30 {
		now = now.Add(time.Minute)
		must(t, w.NoteSignIn(w.account.Key, fmt.Sprint("192.0.2.", i)))
	}
	if known(actor, "192.0.2.9") || !known(strings.ToUpper(actor), "192.0.2.10") || !known(actor, "192.0.2.29") ||
		known("nobody@example.org", "192.0.2.29") {
		t.Error("of 30 addresses the last 20 are to be known, to this account alone")
	}
	if n, err := w.CountOn(t.Context(), `SELECT count(*) FROM known_addresses`); n != 20 || err != nil {
		t.Errorf("%d addresses are stored, %v", n, err)
	}
	now = now.Add(180 * 24 * time.Hour)
	must(t, w.NoteSignIn(w.account.Key, "192.0.2.29"))
	if known(actor, "192.0.2.28") || !known(actor, "192.0.2.29") {
		t.Error("after half a year only what was used again is to be known")
	}
	now = now.Add(time.Minute)
	_, err := w.Prune(t.Context(), db.PruneOptions{OlderThan: 30 * 24 * time.Hour})
	must(t, err)
	if n, err := w.CountOn(t.Context(), `SELECT count(*) FROM known_addresses`); n != 1 || err != nil {
		t.Errorf("%d addresses are stored after pruning, %v, want the one that was used", n, err)
	}
}

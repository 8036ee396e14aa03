package db_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"thingpost/db"
	"thingpost/internal/iot"
)

// smallDisk mounts a separate file system for a test.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	folder := t.TempDir()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("a small tmpfs cannot be mounted here (%v): run as root with CAP_SYS_ADMIN", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(folder, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return folder
}

func TestAFullDiskStoresNothingByHalves(t *testing.T) {
	folder := smallDisk(t, "8m")
	w := open(t, func(o *db.Options) { o.Folder = folder })
	w.store(t, 5, `"before"`, true, w.webhook)
	must(t, w.MoveJournal(t.Context())) // which needs room
	ballast := filepath.Join(folder, "ballast")
	must(t, fill(ballast))
	payload := `"` + strings.Repeat("x", 200_000) + `"`
	var refused *db.Accept
	version, stored := w.version(t), int64(5)
	for refused == nil && stored < 200 { // what the WAL had room for already
		a := w.accepted(version, payload, w.webhook)
		if err := w.Accept(a, w.accepted(version, payload, w.webhook)); err == nil {
			stored += 2
		} else if refused = a; iot.CodeOf(err) != iot.StorageFull {
			t.Fatalf("a full disk answers %v, want storage_full", err)
		}
	}
	if refused == nil {
		t.Fatal("the disk does not become full")
	}
	if err := w.Ready(t.Context()); err != nil && iot.CodeOf(err) != iot.StorageFull {
		t.Errorf("ready: %v", err)
	}
	for query, want := range map[string]int64{
		`SELECT count(*) FROM messages`:                           stored,
		`SELECT count(*) FROM deliveries`:                         stored,
		`SELECT made FROM webhook_counters ORDER BY made LIMIT 1`: stored,
	} {
		if n, err := w.CountOn(t.Context(), query); err != nil || n != want {
			t.Errorf("%s is %d (%v), want %d", query, n, err, want)
		}
	}
	must(t, os.Remove(ballast))
	must(t, w.Ready(t.Context()))
	must(t, w.Accept(refused))
	w.store(t, 5, `"after"`, true, w.webhook)
	w.holds(t)
}

// TestAFullDiskKeepsTheJournal fills the disk while messages are only in the journal.
func TestAFullDiskKeepsTheJournal(t *testing.T) {
	folder := smallDisk(t, "8m")
	w := open(t, func(o *db.Options) { o.Folder = folder })
	list := w.store(t, 5, `"before"`, true, w.webhook)
	ballast := filepath.Join(folder, "ballast")
	must(t, fill(ballast))
	large := w.accepted(w.version(t), `"`+strings.Repeat("x", 500_000)+`"`, w.webhook)
	for n := 0; iot.CodeOf(w.Accept(large)) != iot.StorageFull; n++ {
		if n == 100 {
			t.Fatal("the disk does not become full")
		}
	}
	// Pages go on, with what the tables have.
	if _, err := w.Messages(t.Context(), db.MessageFilter{ProjectKey: w.project.Key, Limit: 10}); err != nil {
		t.Errorf("a list on a full disk: %v", err)
	}
	must(t, os.Remove(ballast))
	must(t, w.Ready(t.Context()))
	for _, a := range list {
		if got := w.status(t, a.Deliveries[0].ID); got != iot.Delivered {
			t.Errorf("a delivery from before is %s", got)
		}
	}
	w.holds(t)
}

// fill writes a file until nothing more fits.
func fill(file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	block := make([]byte, 4096)
	for {
		if _, err := f.Write(block); errors.Is(err, syscall.ENOSPC) {
			return f.Close()
		} else if err != nil {
			return errors.Join(err, f.Close())
		}
	}
}

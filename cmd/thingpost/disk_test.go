package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"thingpost/db"
)

// TestAnErrorAtTheNthWrite makes the disk fail, or be full, at the first, second, third
// … write or sync, for that one only or for all after it. It checks what senders are
// answered, what arrives, and whether the program continues by itself.
// THINGPOST_DISK_FAULTS is the number of faults; default 32.
func TestAnErrorAtTheNthWrite(t *testing.T) {
	t.Parallel()
	w := newStage(t, t.TempDir(), nil)
	faults := numberFrom("THINGPOST_DISK_FAULTS", 32)
	refused := map[int]int{}
	for n := range faults {
		does, once := int64(diskError), n%2 == 1
		if n%8 >= 6 { // fewer, since messages are refused for a while then
			does = diskFull
		}
		bad := w.machine.bad.Load()
		w.machine.failAt(int64(n/2%100+1), does, once)
		size := rand.IntN(3000)
		if n%5 == 0 {
			size = 200_000 // so that the log is sometimes moved into the database
		}
		until(t, "the disk has failed", func() bool {
			a := w.send(size)
			if a.status != http.StatusAccepted {
				a.mustBeRefused(t)
				refused[a.status]++
			}
			return w.machine.bad.Load() > bad
		})
		w.machine.heal()
		until(t, "messages are taken again", func() bool { return w.send(10).status == http.StatusAccepted })
	}
	twice := w.done()
	if twice > 0 {
		t.Errorf("%d messages arrived twice", twice)
	}
	t.Attr("figure", fmt.Sprintf("%d faults, %d messages acknowledged, 0 lost, 0 sent twice; %d refused with 503, %d with 507", faults,
		len(w.acked), refused[503], refused[507]))
}

// TestADiskThatTakesNoWrites makes every write fail for a while, as on a read-only or
// broken disk, while deliveries are in flight and others wait.
func TestADiskThatTakesNoWrites(t *testing.T) {
	t.Parallel()
	const waiting = 400
	w := newStage(t, t.TempDir(), nil)
	open := w.shut()
	for range waiting {
		if a := w.send(10); a.status != http.StatusAccepted {
			t.Fatalf("%+v", a)
		}
	}
	w.machine.does.Store(diskError)
	until(t, "a sender is refused", func() bool {
		a := w.send(10)
		if a.status != http.StatusAccepted {
			a.mustBeRefused(t)
		}
		return a.status == http.StatusServiceUnavailable
	})
	open()
	until(t, "the store is tried again", w.fails(1))
	for range 200 {
		w.send(10).mustBeRefused(t)
	}
	begun := w.arrivals()
	until(t, "the store is tried a few times more", w.fails(10))
	if n := w.arrivals(); n > begun || n > waiting/2 {
		t.Errorf("%d of %d were sent while no outcome could be stored, %d of them late", n, waiting, n-begun)
	}
	says(t, "the overview", w.page("/projects/probes"), "Messages cannot be stored", "messages refused", "The disk reports errors")
	says(t, "the storage page", w.page("/settings/storage"), "Messages cannot be stored", w.data, "Senders are told to try again")
	if got := w.api.metric("thingpost_storing"); got != 0 {
		t.Errorf("thingpost_storing is %d", got)
	}
	until(t, "readyz says so", func() bool {
		status, body := get(t, w.p.url+"/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, "The disk reports errors")
	})
	if lines := strings.Count(w.p.stderr.String(), "\n"); lines > 60 {
		t.Errorf("the log has %d lines: %s", lines, w.p.stderr.String())
	}
	w.machine.heal()
	until(t, "it goes on by itself", func() bool { return w.api.metric("thingpost_storing") == 1 })
	says(t, "the log", w.p.stderr.String(), "nothing can be stored", "all is stored again")
	if a := w.send(10); a.status != http.StatusAccepted {
		t.Errorf("%+v", a)
	}
	if strings.Contains(w.page("/projects/probes"), "Messages cannot be stored") {
		t.Error("the overview still says that messages cannot be stored")
	}
	if twice := w.done(); twice > 0 {
		t.Errorf("%d messages arrived twice", twice)
	}
	t.Attr("figure", fmt.Sprintf("%d acknowledged, 0 lost, 0 sent twice, %d sent while no outcome could be stored; recovers by itself",
		len(w.acked), begun))
}

// TestASlowDisk makes each sync take 50 ms: everything is slower, and nothing is lost.
func TestASlowDisk(t *testing.T) {
	t.Parallel()
	w := newStage(t, t.TempDir(), nil)
	w.machine.delay.Store(int64(50 * time.Millisecond))
	for range 10 {
		if a := w.send(10); a.status != http.StatusAccepted {
			t.Errorf("%+v", a)
		}
	}
	if status, body := get(t, w.p.url+"/readyz"); status != http.StatusOK {
		t.Errorf("readyz: %d %s", status, body)
	}
	if twice := w.done(); twice > 0 {
		t.Errorf("%d messages arrived twice", twice)
	}
	t.Attr("figure", fmt.Sprintf("each sync 50 ms: %d acknowledged, 0 lost, 0 sent twice", len(w.acked)))
}

// smallDisk returns a folder on a file system of so many MiB, if this user may mount
// one. Otherwise mounted is false: the folder is on the present disk, and the machine
// simulates a full one.
func smallDisk(t *testing.T, mebibytes int) (folder string, mounted bool) {
	t.Helper()
	folder = t.TempDir()
	if err := mountTmpfs(folder, "size="+strconv.Itoa(mebibytes)+"m"); err != nil {
		t.Logf("no disk of its own (%v): the machine plays one", err)
		return folder, false
	}
	t.Cleanup(func() {
		if err := unmount(folder); err != nil {
			t.Error(err)
		}
	})
	return folder, true
}

// TestAFullDisk fills a small disk, signs in, checks the pages, and prunes: messages
// are accepted again without anything else.
func TestAFullDisk(t *testing.T) {
	t.Parallel()
	folder, mounted := smallDisk(t, 96)
	w := newStage(t, folder, nil)
	reserve := filepath.Join(folder, db.ReserveName)
	info, err := os.Stat(reserve)
	must(t, err)
	if !mounted {
		w.machine.room.Store(24 << 20)
		w.machine.does.Store(diskFull)
	}
	const size = 150_000
	until(t, "the disk is full", func() bool {
		a := w.send(size)
		if a.status != http.StatusAccepted {
			a.mustBeRefused(t)
		}
		return a.status == http.StatusInsufficientStorage
	})
	if _, err := os.Stat(reserve); err == nil {
		t.Error("the reserve is still there")
	}
	w.machine.room.Add(info.Size())
	acked := len(w.acked)
	until(t, "all that was acknowledged has arrived", func() bool { return w.missing() == 0 })
	for range 20 {
		w.send(size).mustBeRefused(t)
	}
	says(t, "the overview", w.page("/projects/probes"), "Messages cannot be stored", "The disk is full")
	says(t, "the storage page", w.page("/settings/storage"), "The disk is full", folder)
	if status, body := get(t, w.p.url+"/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "storage_full") {
		t.Errorf("readyz answers %d: %s", status, body)
	}
	w.machine.setClock(3 * time.Hour) // ended deliveries are kept for an hour
	w.prunes("1h")
	until(t, "messages are taken again", func() bool { return w.send(size).status == http.StatusAccepted })
	if _, err := os.Stat(reserve); err != nil {
		t.Errorf("there is no reserve again: %v", err)
	}
	for range 20 {
		if a := w.send(size); a.status != http.StatusAccepted {
			t.Fatalf("after pruning: %+v", a)
		}
	}
	if twice := w.done(); twice > 0 {
		t.Errorf("%d messages arrived twice", twice)
	}
	t.Attr("figure", fmt.Sprintf("%d MiB stored on a full disk, then pruned there: %d acknowledged, 0 lost, 0 sent twice", acked*size>>20,
		len(w.acked)))
}

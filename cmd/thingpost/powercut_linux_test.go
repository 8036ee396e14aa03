package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"thingpost/internal/powercut"
)

// cutsEnv is how often the power is cut; default 5. "make powercut" sets it.
const cutsEnv = "THINGPOST_CUTS"

// powerWorld is a crashWorld on a disk that loses unsynced data.
type powerWorld struct {
	*crashWorld
	disk    *powercut.Disk
	unmount func() error
	random  *rand.Rand
	cuts    int
	syncs   int64 // of all disks so far
}

func newPowerWorld(t *testing.T) *powerWorld {
	t.Helper()
	if _, err := os.Stat("/dev/fuse"); err != nil || os.Getuid() != 0 {
		const missing = "there is no /dev/fuse here, or no right to use it"
		if os.Getenv("CI") != "" {
			t.Fatal(missing + ", and it is required here")
		}
		t.Skip(missing)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("the cuts are those of seed %d", seed)
	w := &powerWorld{crashWorld: newCrashWorld(t), disk: powercut.New(), random: rand.New(rand.NewPCG(seed, 0))}
	t.Cleanup(func() {
		if w.unmount != nil {
			_ = w.unmount()
		}
	})
	w.mount()
	folder := t.TempDir()
	w.onDisk = func() string { return w.copied(folder) }
	return w
}

// copied copies the data folder, which no program uses, to another and returns that. This
// process serves the disk, so it must not map a file of it into memory, as SQLite does: a
// page fault would wait for this process while it stops for its garbage collection.
func (w *powerWorld) copied(folder string) string {
	w.t.Helper()
	must(w.t, os.RemoveAll(folder))
	must(w.t, os.CopyFS(folder, os.DirFS(w.data)))
	return folder
}

func (w *powerWorld) mount() {
	w.t.Helper()
	var err error
	w.unmount, err = powercut.Mount(w.disk, w.data)
	must(w.t, err)
}

// cut cuts the power of a program: it is killed at the same moment, and the disk keeps
// a possible content. read waits until nobody reads the program's output.
func (w *powerWorld) cut(p *process, read func()) {
	w.t.Helper()
	release := w.disk.Off()
	must(w.t, p.Process.Kill())
	release()
	read()
	_ = p.Wait()
	w.renew(func() *powercut.Disk { return w.disk.Cut(w.random) })
	w.cuts++
}

// cutRunning cuts the power of the running program.
func (w *powerWorld) cutRunning(p *process) {
	w.t.Helper()
	w.cut(p, func() {
		for p.out.Scan() {
		}
	})
}

// cutStarting cuts the power while the program starts.
func (w *powerWorld) cutStarting(within time.Duration) {
	w.t.Helper()
	p, ready := w.start()
	<-time.After(time.Duration(w.random.Int64N(int64(within) + 1)))
	w.cut(p, func() { <-ready })
}

// renew replaces the disk, which is no longer in use, by another.
func (w *powerWorld) renew(disk func() *powercut.Disk) {
	w.t.Helper()
	must(w.t, w.unmount())
	w.syncs += w.disk.Syncs()
	w.disk = disk()
	w.mount()
}

// TestAPowerCutLosesNothing cuts the power of the real program's disk under load, many
// times: unsynced data is lost, or partially there. In the end each webhook must have
// got all acknowledged messages, nothing else, and in order if it is in order. The
// database must be consistent after every cut.
func TestAPowerCutLosesNothing(t *testing.T) {
	cuts := numberFrom(cutsEnv, 5)
	w := newPowerWorld(t)
	began := time.Now()
	w.process = w.started()
	starting := time.Since(began)
	c := w.setUp(w.process)
	over := false
	done := make(chan struct{})
	ended := w.load(func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	})
	for reported := 0; !over; {
		enough := w.acked.size() + w.random.Int64N(int64(lighter(400))+1)
		w.wait("enough was acknowledged", func() bool { return w.acked.size() >= enough })
		<-time.After(time.Duration(w.random.Int64N(int64(20 * time.Millisecond))))
		w.cutRunning(w.process)
		if w.cuts%4 == 0 && w.cuts < cuts {
			w.cutStarting(starting)
		}
		if w.random.IntN(4) == 0 || w.cuts < 3 {
			w.check()
		}
		over = w.cuts >= cuts
		if tenths := w.cuts * 10 / cuts; tenths > reported {
			reported = tenths
			t.Logf("%d of %d cuts in %s: %d messages acknowledged, %d requests without an answer, %d syncs",
				w.cuts, cuts, time.Since(began).Round(time.Second), w.acked.size(), w.unanswered.Load(), w.syncs)
		}
		w.process = w.started()
	}
	close(done)
	ended()
	w.drain(c)
	if !t.Failed() {
		t.Attr("figure", fmt.Sprintf("%d cuts, %d messages acknowledged, 0 lost, 0 out of order; %d of %d arrivals were repeats; %d syncs",
			w.cuts, w.acked.size(), w.repeats(), w.arrivals(), w.syncs))
	}
}

// TestAPowerCutAtTheFirstStart cuts the power while the program creates its data
// folder: it must start on whatever remains.
func TestAPowerCutAtTheFirstStart(t *testing.T) {
	w := newPowerWorld(t)
	began := time.Now()
	p := w.started()
	starting := time.Since(began)
	w.cutRunning(p)
	for range numberFrom(cutsEnv, 5) {
		// An empty disk each time, and also what a first cut has left.
		w.renew(powercut.New)
		for range 1 + w.random.IntN(2) {
			w.cutStarting(starting)
		}
		p := w.started()
		if text := p.stderr.String(); strings.Contains(text, "level=ERROR") {
			t.Errorf("after a cut it complains: %s", text)
		}
		signIn(t, p.url)
		w.cutRunning(p)
	}
	p = w.started()
	signIn(t, p.url)
	w.cutRunning(p)
}

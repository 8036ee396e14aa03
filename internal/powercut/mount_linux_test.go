package powercut

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// System calls reach the disk: what a program syncs is there after a cut.
func TestMountedDisk(t *testing.T) {
	folder := t.TempDir()
	d := New()
	unmount, err := Mount(d, folder)
	if _, absent := os.Stat("/dev/fuse"); absent != nil || os.Getuid() != 0 {
		if err == nil {
			t.Error("it is mounted without /dev/fuse and root")
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	sub := filepath.Join(folder, "sub")
	must(os.MkdirAll(sub, 0o700))
	f, err := os.Create(filepath.Join(sub, "draft"))
	must(err)
	_, err = f.WriteString("kept")
	must(err)
	must(f.Sync())
	must(f.Truncate(3))
	must(f.Truncate(4))
	must(f.Close())
	must(os.Rename(filepath.Join(sub, "draft"), filepath.Join(sub, "final")))
	for _, name := range []string{sub, folder} {
		dir, err := os.Open(name)
		must(err)
		must(dir.Sync())
		must(dir.Close())
	}
	must(os.WriteFile(filepath.Join(sub, "lost"), []byte("never synced"), 0o600))
	list, err := os.ReadDir(sub)
	must(err)
	if len(list) != 2 {
		t.Errorf("the folder lists %v", list)
	}
	must(os.Remove(filepath.Join(sub, "lost")))
	must(unmount())
	d.Off()()
	if d.Syncs() != 3 {
		t.Errorf("%d syncs", d.Syncs())
	}
	for seed := range uint64(20) {
		n := d.Cut(rand.New(rand.NewPCG(seed, 3))).root.entries["sub"].entries["final"]
		if n == nil || string(n.data[:3]) != "kep" {
			t.Fatalf("after a cut: %v", n)
		}
	}
}

package powercut

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

func file(d *Disk, name string) *node {
	n := &node{}
	d.name(entry{folder: d.root, name: name, new: n})
	return n
}

// many cuts the same state many times and returns the contents of file a. absent is how
// often its name was gone.
func many(build func() *Disk) (remained map[string]int, absent int) {
	remained = map[string]int{}
	for seed := range uint64(300) {
		d := build()
		d.Off()
		if n := d.Cut(rand.New(rand.NewPCG(seed, 1))).root.entries["a"]; n != nil {
			remained[string(n.data)]++
		} else {
			absent++
		}
	}
	return remained, absent
}

func TestWhatIsSyncedStays(t *testing.T) {
	got, absent := many(func() *Disk {
		d := New()
		n := file(d, "a")
		n.write([]byte("hello"), 0)
		d.sync(n)
		d.sync(d.root)
		return d
	})
	if absent > 0 || len(got) != 1 || got["hello"] == 0 {
		t.Errorf("%d times absent, else %v", absent, got)
	}
}

func TestWhatIsNotSyncedMayStay(t *testing.T) {
	got, absent := many(func() *Disk {
		d := New()
		n := file(d, "a")
		n.write([]byte("hello"), 0)
		d.sync(n)
		return d
	})
	if absent == 0 || got["hello"] == 0 || len(got) != 1 {
		t.Errorf("a name that is not synced: %d times absent, else %v", absent, got)
	}
	got, absent = many(func() *Disk {
		d := New()
		n := file(d, "a")
		d.sync(d.root)
		n.write([]byte("hello"), 0)
		return d
	})
	if absent > 0 || got["hello"] == 0 || got[""] == 0 || len(got) != 2 {
		t.Errorf("a write that is not synced: %d times absent, else %v", absent, got)
	}
}

// Sectors of one write, and writes of one file, reach the disk independently.
func TestWritesAreTornAndReordered(t *testing.T) {
	old, first, second := bytes.Repeat([]byte("o"), 2*sector), bytes.Repeat([]byte("1"), 2*sector), bytes.Repeat([]byte("2"), sector)
	got, _ := many(func() *Disk {
		d := New()
		n := file(d, "a")
		n.write(old, 0)
		d.sync(n)
		d.sync(d.root)
		n.write(first, 0)
		n.write(second, 0)
		return d
	})
	kinds := map[string]int{}
	for data, times := range got {
		if len(data) != 2*sector {
			t.Errorf("%d bytes remained", len(data))
			continue
		}
		for i := range 2 {
			part := data[i*sector : (i+1)*sector]
			if part != string(bytes.Repeat([]byte(part[:1]), sector)) {
				t.Errorf("a sector was torn: %q", part)
			}
		}
		kinds[data[:1]+data[sector:sector+1]] += times
	}
	for _, kind := range []string{"oo", "o1", "1o", "11", "2o", "21"} {
		if kinds[kind] == 0 {
			t.Errorf("%s never remained: %v", kind, kinds)
		}
	}
	if len(kinds) != 6 {
		t.Errorf("remained %v", kinds)
	}
}

func TestSizesGoBack(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(n *node)
		want []string
	}{
		{"shorter", func(n *node) { n.truncate(2) }, []string{"hello", "he"}},
		{"longer", func(n *node) { n.truncate(7) }, []string{"hello", "hello\x00\x00"}},
		{"appended", func(n *node) { n.write([]byte(" you"), 5) }, []string{"hello", "hello you"}},
		{"shorter, then over it", func(n *node) { n.truncate(1); n.write([]byte("x"), 2) }, []string{"hello", "h", "h\x00x", "hexlo"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _ := many(func() *Disk {
				d := New()
				n := file(d, "a")
				n.write([]byte("hello"), 0)
				d.sync(n)
				d.sync(d.root)
				c.do(n)
				return d
			})
			for _, want := range c.want {
				if got[want] == 0 {
					t.Errorf("%q never remained: %v", want, got)
				}
			}
			if len(got) != len(c.want) {
				t.Errorf("remained %v", got)
			}
		})
	}
}

// Names change in order, and a rename is atomic.
func TestNamesChangeInOrder(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(300) {
		d := New()
		a, b := file(d, "a"), file(d, "b")
		a.write([]byte("old"), 0)
		b.write([]byte("new"), 0)
		d.sync(a)
		d.sync(b)
		d.sync(d.root)
		d.name(entry{folder: d.root, name: "a", new: b}, entry{folder: d.root, name: "b"})
		d.name(entry{folder: d.root, name: "c", new: a})
		d.Off()
		after, line := d.Cut(rand.New(rand.NewPCG(seed, 2))).root.entries, ""
		for _, name := range []string{"a", "b", "c"} {
			if n := after[name]; n != nil {
				line += fmt.Sprintf("%s=%s ", name, n.data)
			}
		}
		seen[line]++
	}
	if len(seen) != 3 || seen["a=old b=new "] == 0 || seen["a=new "] == 0 || seen["a=new c=old "] == 0 {
		t.Errorf("got %v", seen)
	}
}

func TestAfterACutNothingEnds(t *testing.T) {
	d := New()
	release := d.Off()
	ended := make(chan bool, 1)
	go func() { ended <- d.begin() }()
	select {
	case <-ended:
		t.Fatal("an operation ended without power")
	default:
	}
	release()
	if <-ended {
		t.Error("an operation was done without power")
	}
}

package powercut

import (
	"math/rand/v2"
	"slices"
	"sync"
)

// sector is the unit, in bytes, that a disk writes completely or not at all.
const sector = 512

// Disk is the content of a file system. It is safe for concurrent use.
type Disk struct {
	mu    sync.Mutex
	root  *node
	names []rename // not synced, in order
	syncs int64

	// off is closed when the power is cut. From then on operations wait for gone, and
	// fail.
	off, gone chan struct{}
}

// node is a file or a folder.
type node struct {
	entries map[string]*node // of a folder; nil for a file
	data    []byte           // of a file, as programs see it
	pending []change         // of a file; not synced, in order
}

// change is a write or a new size of a file.
type change struct {
	off      int64
	old, new []byte // the bytes at off before (as far as there were any) and now
	size     int64  // of the file before
	resized  int64  // of the file after a change of size; -1 for a write
}

// rename is a change of names, undone and done as one: the nodes of folder entries
// before and after.
type rename []entry

type entry struct {
	folder   *node
	name     string
	old, new *node
}

func (e entry) set(n *node) {
	if n == nil {
		delete(e.folder.entries, e.name)
		return
	}
	e.folder.entries[e.name] = n
}

// New returns an empty disk.
func New() *Disk { return newDisk(&node{entries: map[string]*node{}}) }

func newDisk(root *node) *Disk {
	return &Disk{root: root, off: make(chan struct{}), gone: make(chan struct{})}
}

// begin locks the disk for an operation. Without power it returns false, after release
// of Off was called.
func (d *Disk) begin() bool {
	d.mu.Lock()
	select {
	case <-d.off:
		d.mu.Unlock()
		<-d.gone
		return false
	default:
		return true
	}
}

// Off cuts the power. Operations in progress do not end until release makes them fail.
// Before that the caller kills the programs that use the disk, so that none learns of
// the cut.
func (d *Disk) Off() (release func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.off)
	return sync.OnceFunc(func() { close(d.gone) })
}

// Syncs returns how many syncs of files and folders the disk has done.
func (d *Disk) Syncs() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.syncs
}

// Cut returns a new disk with a possible content of this one, whose power is off.
func (d *Disk) Cut(r *rand.Rand) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, change := range slices.Backward(d.names) {
		for _, e := range slices.Backward(change) {
			e.set(e.old)
		}
	}
	reached := 0
	if len(d.names) > 0 {
		reached = r.IntN(len(d.names) + 1)
	}
	for _, change := range d.names[:reached] {
		for _, e := range change {
			e.set(e.new)
		}
	}
	return newDisk(d.root.cut(r))
}

// cut returns a possible content of a node.
func (n *node) cut(r *rand.Rand) *node {
	if n.entries == nil {
		return &node{data: n.remains(r)}
	}
	c := &node{entries: map[string]*node{}}
	for name, child := range n.entries {
		c.entries[name] = child.cut(r)
	}
	return c
}

// remains returns a possible content of a file: the synced bytes, with some of the
// unsynced sectors.
func (n *node) remains(r *rand.Rand) []byte {
	data := slices.Clone(n.data)
	for _, c := range slices.Backward(n.pending) {
		data = resize(data, max(c.size, c.off+int64(len(c.old))))
		copy(data[c.off:], c.old)
		data = resize(data, c.size)
	}
	// Nothing, all, or a part.
	likely := [...]float64{0, 1, r.Float64()}[r.IntN(3)]
	reached := func() bool { return r.Float64() < likely }
	for _, c := range n.pending {
		if c.resized >= 0 {
			if reached() {
				data = resize(data, c.resized)
			}
			continue
		}
		for from := int64(0); from < int64(len(c.new)); {
			to := min(from+sector-(c.off+from)%sector, int64(len(c.new)))
			if reached() {
				data = resize(data, max(int64(len(data)), c.off+to))
				copy(data[c.off+from:], c.new[from:to])
			}
			from = to
		}
	}
	return data
}

// resize returns data with another length; new bytes are zero.
func resize(data []byte, size int64) []byte {
	if size <= int64(len(data)) {
		return data[:size]
	}
	grown := slices.Grow(data, int(size)-len(data))[:size]
	clear(grown[len(data):])
	return grown
}

// write changes a file and remembers its previous content.
func (n *node) write(b []byte, off int64) {
	size, end := int64(len(n.data)), off+int64(len(b))
	c := change{off: off, new: slices.Clone(b), size: size, resized: -1}
	if off < size {
		c.old = slices.Clone(n.data[off:min(end, size)])
	}
	n.data = resize(n.data, max(size, end))
	copy(n.data[off:], b)
	n.pending = append(n.pending, c)
}

// truncate changes the size of a file.
func (n *node) truncate(to int64) {
	size := int64(len(n.data))
	if to == size {
		return
	}
	c := change{off: min(to, size), size: size, resized: to}
	if to < size {
		c.old = slices.Clone(n.data[to:])
	}
	n.data = resize(n.data, to)
	n.pending = append(n.pending, c)
}

// sync makes the changes of a file, or of a folder's names, permanent.
func (d *Disk) sync(n *node) {
	d.syncs++
	n.pending = nil
	if n.entries == nil {
		return
	}
	d.names = slices.DeleteFunc(d.names, func(change rename) bool {
		return slices.ContainsFunc(change, func(e entry) bool { return e.folder == n })
	})
}

// name changes names: each entry gets its new node.
func (d *Disk) name(change ...entry) {
	for i := range change {
		e := &change[i]
		e.old = e.folder.entries[e.name]
		e.set(e.new)
	}
	d.names = append(d.names, change)
}

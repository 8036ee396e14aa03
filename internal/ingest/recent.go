package ingest

// recent keeps values that were used lately, in two maps: a value that is used goes
// to the young one, and when that is full it becomes the old one, and what was old
// is dropped. So what was used among the last values that fill a map is always kept,
// and never more than two maps full. It is not safe for concurrent use.
type recent[K comparable, V any] struct {
	young, old map[K]V
	bytes      int // of the young ones
	// most and mostBytes fill a map.
	most, mostBytes int
	// cost is about how many bytes a value takes, with its key.
	cost func(V) int
}

func newRecent[K comparable, V any](most, mostBytes int, cost func(V) int) recent[K, V] {
	return recent[K, V]{young: map[K]V{}, most: most, mostBytes: mostBytes, cost: cost}
}

// get returns a value, and whether it is an old one, which is to be put again.
func (r *recent[K, V]) get(key K) (v V, old, ok bool) {
	if v, ok = r.young[key]; ok {
		return v, false, true
	}
	v, ok = r.old[key]
	return v, ok, ok
}

func (r *recent[K, V]) put(key K, v V) {
	r.drop(key)
	cost := r.cost(v)
	if len(r.young) >= r.most || r.bytes+cost > r.mostBytes {
		r.old, r.young, r.bytes = r.young, map[K]V{}, 0
	}
	r.young[key] = v
	r.bytes += cost
}

func (r *recent[K, V]) drop(key K) {
	if v, ok := r.young[key]; ok {
		r.bytes -= r.cost(v)
		delete(r.young, key)
	}
	delete(r.old, key)
}

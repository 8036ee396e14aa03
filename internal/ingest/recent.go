package ingest

// recent keeps recently used values in two maps. A used value moves to the young map.
// When the young map is full it becomes the old one, and the previous old map is
// dropped. It so always keeps the most recently used values that fill one map, and
// never more than two maps. It is not safe for concurrent use.
type recent[K comparable, V any] struct {
	young, old map[K]V
	bytes      int // of the young map
	// most and mostBytes bound one map.
	most, mostBytes int
	// cost returns about how many bytes a value and its key take.
	cost func(V) int
}

func newRecent[K comparable, V any](most, mostBytes int, cost func(V) int) recent[K, V] {
	return recent[K, V]{young: map[K]V{}, most: most, mostBytes: mostBytes, cost: cost}
}

// get returns a value, and whether it is in the old map: the caller must then put it
// again.
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

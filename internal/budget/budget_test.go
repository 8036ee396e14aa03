package budget

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

func TestNobodyTakesMoreThanIsFree(t *testing.T) {
	p := newPart("test", 100)
	if !p.Try(1, 40) || p.Try(1, 30) || !p.Try(1, 10) {
		t.Error("one alone does not get half")
	}
	if !p.Try(2, 25) || p.Try(2, 20) || !p.Try(3, 12) || p.Try(1, 1) {
		t.Error("two do not get what is still free")
	}
	if n, why := p.Wait(t.Context(), 1, 5, 0); n != 0 || why != Share {
		t.Errorf("who holds too much gets %d: %d", n, why)
	}
	if n, why := p.Wait(t.Context(), 9, 50, 0); n != 0 || why != Full {
		t.Errorf("what does not fit gets %d: %d", n, why)
	}
	p.Give(1, 50)
	p.Give(2, 25)
	p.Give(3, 12)
	if s := p.Stats(); s.Used != 0 || len(p.by) != 0 || s.Refused == 0 {
		t.Errorf("after all was given back: %+v, %v", s, p.by)
	}
	if n, why := p.Wait(t.Context(), 1, 1000, 0); n != 100 || why != Granted {
		t.Errorf("more than the whole gets %d: %d", n, why)
	}
}

func TestWhoWaitsIsServed(t *testing.T) {
	p := newPart("test", 100)
	p.Force(1, 100)
	got := make(chan int64)
	for of := range int64(2) {
		go func() {
			n, _ := p.Wait(t.Context(), of+2, 50, time.Hour)
			got <- n
		}()
	}
	for waiting := 0; waiting < 2; {
		p.mu.Lock()
		waiting = len(p.waiters)
		p.mu.Unlock()
	}
	p.Give(1, 100)
	for range 2 {
		if n := <-got; n != 50 {
			t.Errorf("it got %d", n)
		}
	}
}

func TestAPartIsNeverExceeded(t *testing.T) {
	p := newPart("test", 1000)
	var group sync.WaitGroup
	for of := range int64(8) {
		group.Go(func() {
			for range 2000 {
				n := rand.Int64N(400) + 1
				if of%2 == 0 {
					n, _ = p.Wait(t.Context(), of, n, time.Millisecond)
				} else if !p.Try(of, n) {
					n = 0
				}
				if s := p.Stats(); s.Used > s.Size || s.Used < 0 {
					t.Errorf("%d of %d are used", s.Used, s.Size)
				}
				p.Give(of, n)
			}
		})
	}
	group.Wait()
	if s := p.Stats(); s.Used != 0 {
		t.Errorf("%d are left", s.Used)
	}
}

func TestPartsAreWithinTheWhole(t *testing.T) {
	for _, total := range []int64{0, Least, 160 << 20, 1 << 30, 64 << 30} {
		b := New(total)
		sum := b.Cache
		for _, p := range b.Parts() {
			if p.size < 2<<20 {
				t.Errorf("of %d the part %s has %d, less than a message in work", total, p.name, p.size)
			}
			sum += p.size
		}
		if sum > b.Total || b.Heap >= b.Total {
			t.Errorf("of %d, %d are shared out, %d to the heap", b.Total, sum, b.Heap)
		}
	}
}

func TestDefaultIsAQuarter(t *testing.T) {
	const memory = "MemTotal:       8388608 kB\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"machine":       {map[string]string{"/proc/meminfo": memory}, 2 << 30},
		"nothing known": {nil, Least},
		"small machine": {map[string]string{"/proc/meminfo": "MemTotal: 200000 kB"}, Least},
		"version 1": {map[string]string{"/proc/meminfo": memory, "/proc/self/cgroup": "4:memory:/a/b\n0::/\n",
			"/sys/fs/cgroup/memory/a/memory.limit_in_bytes":   "1073741824\n",
			"/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes": "9223372036854771712\n"}, 256 << 20},
		"version 2": {map[string]string{"/proc/meminfo": memory, "/proc/self/cgroup": "0::/x\n",
			"/sys/fs/cgroup/x/memory.max": "536870912\n", "/sys/fs/cgroup/memory.max": "max\n"}, 128 << 20},
		"in a container": {map[string]string{"/proc/meminfo": memory, "/proc/self/cgroup": "0::/\n",
			"/sys/fs/cgroup/memory.max": "1073741824\n"}, 256 << 20},
		"without a limit": {map[string]string{"/proc/meminfo": memory, "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "max\n"},
			2 << 30},
	} {
		read := func(path string) ([]byte, error) {
			if text, ok := c.files[path]; ok {
				return []byte(text), nil
			}
			return nil, errors.New("no such file")
		}
		if n := byDefault(read); n != c.want {
			t.Errorf("%s: %d, want %d", name, n, c.want)
		}
	}
}

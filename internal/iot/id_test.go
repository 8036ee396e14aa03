package iot_test

import (
	"encoding/json"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"thingpost/internal/iot"
)

// still is a stopped clock.
func still() time.Time {
	return time.UnixMilli(someMS)
}

const someMS = 1_800_000_000_123

func TestIDNamesItsRowAndBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		salt := rapid.Int64Range(0, 1<<53-1).Draw(t, "salt")
		key := rapid.Int64Range(1, math.MaxInt64).Draw(t, "key")
		ids := iot.NewIDs(salt, 0, still)
		id := ids.Of(key)
		if id.Key() != key {
			t.Fatalf("key %d became id %s with the key %d", key, id, id.Key())
		}
		if again, ok := iot.ParseID(id.String()); !ok || again != id {
			t.Fatalf("%s was read as %s, %v", id, again, ok)
		}
		if u := uuid.UUID(id); u.Version() != 7 || u.Variant() != uuid.RFC4122 {
			t.Fatalf("%s has version %d and variant %s", id, u.Version(), u.Variant())
		}
	})
}

func TestIDHoldsItsInstant(t *testing.T) {
	id := iot.NewIDs(7, 0, still).New()
	if sec, nsec := uuid.UUID(id).Time().UnixTime(); sec*1000+nsec/1_000_000 != someMS {
		t.Errorf("a reader of UUIDv7 sees %d s %d ns, want %d ms", sec, nsec, int64(someMS))
	}
	if got := iot.KeyTime(id.Key()); got != someMS {
		t.Errorf("KeyTime = %d, want %d", got, int64(someMS))
	}
	if id.Key() < iot.KeyAt(someMS) || id.Key() >= iot.KeyAt(someMS+1) {
		t.Errorf("the key %d is outside its millisecond", id.Key())
	}
}

func TestKeysOfDistantInstantsKeepTheirOrder(t *testing.T) {
	far := iot.At(time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC))
	order := []iot.Instant{math.MinInt64, 0, someMS, math.MaxInt64 >> 21, far, math.MaxInt64}
	for i := 1; i < len(order); i++ {
		if iot.KeyAt(order[i-1]) > iot.KeyAt(order[i]) {
			t.Errorf("KeyAt(%d) = %d is above KeyAt(%d) = %d", order[i-1], iot.KeyAt(order[i-1]), order[i], iot.KeyAt(order[i]))
		}
	}
	if iot.KeyAt(far) <= iot.KeyAt(someMS) {
		t.Error("the end of the year 9999 is not after 2027")
	}
}

func TestIDsOnlyGrow(t *testing.T) {
	day := (24 * time.Hour).Milliseconds()
	cases := map[string][]int64{
		"steady":     {someMS, someMS + 1, someMS + 2},
		"still":      {someMS, someMS, someMS},
		"back a day": {someMS, someMS - day, someMS - day + 5, someMS + 1},
		"at 1970":    {0, 0, 1, someMS},
		"below 1970": {-5, -4, 3, someMS},
	}
	for name, clock := range cases {
		t.Run(name, func(t *testing.T) {
			var now int64
			ids := iot.NewIDs(iot.NewSalt(), 0, func() time.Time { return time.UnixMilli(now) })
			var last iot.ID
			for _, now = range clock {
				for range 1000 {
					id := ids.New()
					if id.IsZero() || id.Key() <= last.Key() || id.String() <= last.String() {
						t.Fatalf("after %s (%d) came %s (%d)", last, last.Key(), id, id.Key())
					}
					last = id
				}
			}
		})
	}
}

func TestIDsGoOnAfterTheGreatestInUse(t *testing.T) {
	last := iot.KeyAt(someMS + 86_400_000)
	if id := iot.NewIDs(1, last, still).New(); id.Key() != last+1 {
		t.Errorf("after the key %d came %d", last, id.Key())
	}
}

func TestIDsAreUniqueAcrossGoroutinesAndInstances(t *testing.T) {
	const workers, each = 8, 2000
	one, two := iot.NewIDs(1, 0, still), iot.NewIDs(2, 0, still)
	lists := make([][]iot.ID, workers)
	var wait sync.WaitGroup
	for n := range lists {
		wait.Go(func() {
			source := []*iot.IDs{one, two}[n%2]
			for range each {
				lists[n] = append(lists[n], source.New())
			}
		})
	}
	wait.Wait()
	seen := map[iot.ID]bool{}
	for _, list := range lists {
		if !slices.IsSortedFunc(list, func(a, b iot.ID) int { return int(a.Key() - b.Key()) }) {
			t.Error("one goroutine's ids do not grow")
		}
		for _, id := range list {
			seen[id] = true
		}
	}
	if len(seen) != workers*each {
		t.Errorf("%d of %d ids differ", len(seen), workers*each)
	}
}

func TestIDJSON(t *testing.T) {
	id := iot.NewIDs(9, 0, still).New()
	b, err := json.Marshal(map[string]iot.ID{"id": id, "none": {}})
	if want := `{"id":"` + id.String() + `","none":""}`; err != nil || string(b) != want {
		t.Errorf("encoded as %s, %v, want %s", b, err, want)
	}
	for _, text := range []string{`""`, `"1"`, `"urn:uuid:` + id.String() + `"`, `"{` + id.String() + `}"`, `7`} {
		var got iot.ID
		if err := json.Unmarshal([]byte(text), &got); err == nil {
			t.Errorf("%s was read as %s", text, got)
		}
	}
}

package ingest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"thingpost/db"
	"thingpost/internal/iot"
)

// watching is a world whose device is expected every minute, with a watch that
// looks when the test says so.
type watching struct {
	*world
	run watchRun
}

func openWatching(t *testing.T) *watching {
	t.Helper()
	w := &watching{world: open(t)}
	must(t, w.db.UpdateWebhook(w.also(iot.Iottly), actor, ""))
	every := int64(60_000)
	must(t, w.db.UpdateDevice(w.device, iot.DeviceUpdate{ExpectedIntervalMS: &every}, actor))
	w.restart(t)
	return w
}

// also lets the webhook take one more type.
func (w *world) also(kind iot.MessageType) *iot.Webhook {
	h := w.webhook.Clone()
	h.MessageTypes[kind] = iot.Route{}
	return h
}

// restart begins with an empty memory, as a new process does.
func (w *watching) restart(t *testing.T) {
	t.Helper()
	w.Ingest = New(w.db, Options{Now: w.now, Version: "test"})
	w.run = watchRun{Ingest: w.Ingest}
	w.look(t)
}

func (w *watching) look(t *testing.T) {
	t.Helper()
	must(t, w.run.look(t.Context()))
}

// pass lets time go by as the watch sees it, a second at a time.
func (w *watching) pass(t *testing.T, d time.Duration) {
	t.Helper()
	for range int(d / time.Second) {
		w.clock.Add(1000)
		w.look(t)
	}
}

// told returns the messages about silence, the oldest first, without the time.
func (w *watching) told(t *testing.T) []string {
	t.Helper()
	page, err := w.db.Messages(t.Context(), db.MessageFilter{ProjectID: w.project.Key, Limit: 100})
	must(t, err)
	list := []string{}
	for _, m := range slices.Backward(page.Items) {
		if m.Type == iot.Iottly {
			list = append(list, string(m.Payload))
		}
	}
	return list
}

func (w *watching) wasTold(t *testing.T, want ...string) {
	t.Helper()
	got := w.told(t)
	if len(got) != len(want) {
		t.Fatalf("%d messages about silence, want %d: %s", len(got), len(want), got)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], `{"connectionstatus":"`+want[i]+`","last_seen":"20`) {
			t.Errorf("message %d is %s, want %s", i, got[i], want[i])
		}
	}
}

// A device that is heard after the clock was set back falls silent in its time too.
func TestSilenceIsToldAfterTheClockWasSetBack(t *testing.T) {
	w := openWatching(t)
	must(t, w.one(t, w.sender(), `{"payload":1}`).Err)
	w.pass(t, 20*time.Second)
	w.clock.Add(-(24 * time.Hour).Milliseconds())
	must(t, w.one(t, w.sender(), `{"payload":2}`).Err)
	seen := iot.At(w.now())
	w.pass(t, 80*time.Second)
	w.wasTold(t)
	w.pass(t, 20*time.Second)
	w.wasTold(t, "silent")
	if d, err := w.db.Device(t.Context(), w.project.Key, w.device.ID); err != nil || d.LastSeenAt.Sub(seen).Abs() > time.Minute {
		t.Errorf("it was last seen %v (%v), want %v", d.LastSeenAt, err, seen)
	}
}

func TestASilentDeviceIsToldOnceAndSoIsItsReturn(t *testing.T) {
	w := openWatching(t)
	w.pass(t, time.Hour)
	w.wasTold(t) // it has never sent
	must(t, w.one(t, w.sender(), `{"payload":1}`).Err)
	w.pass(t, 89*time.Second)
	w.wasTold(t) // a minute and half of it
	w.pass(t, 2*time.Second)
	w.wasTold(t, "silent")
	if got := w.told(t)[0]; got != `{"connectionstatus":"silent","last_seen":"2027-01-15T09:00:00.000Z"}` {
		t.Errorf("it says %s", got)
	}
	page, err := w.db.Deliveries(t.Context(), db.DeliveryFilter{ProjectID: w.project.Key, Types: []iot.MessageType{iot.Iottly}, Limit: 9})
	must(t, err)
	if len(page.Items) != 1 || page.Items[0].Status != iot.Pending || page.Items[0].Device != w.device.ID {
		t.Errorf("its deliveries are %+v", page.Items)
	}
	w.pass(t, time.Hour)
	w.wasTold(t, "silent")

	id := w.one(t, w.sender(), `{"payload":2}`)
	must(t, id.Err)
	w.wasTold(t, "silent", "back") // with the message, not after it
	must(t, w.one(t, w.sender(), `{"payload":3}`).Err)
	w.pass(t, 80*time.Second)
	w.wasTold(t, "silent", "back")
	w.pass(t, 20*time.Second)
	w.wasTold(t, "silent", "back", "silent")
	d, err := w.db.Device(t.Context(), w.project.Key, w.device.ID)
	must(t, err)
	if d.SilentAt == 0 || d.SilentAt.Sub(d.LastSeenAt) < 90*time.Second {
		t.Errorf("the device is silent since %v, seen %v", d.SilentAt, d.LastSeenAt)
	}
}

func TestSilenceIsToldOnceAcrossRestarts(t *testing.T) {
	w := openWatching(t)
	must(t, w.one(t, w.sender(), `{"payload":1}`).Err)
	w.pass(t, 60*time.Second)
	w.restart(t)
	w.pass(t, 60*time.Second)
	w.wasTold(t, "silent")
	w.restart(t)
	w.pass(t, 600*time.Second)
	w.wasTold(t, "silent")
	w.restart(t)
	must(t, w.one(t, w.sender(), `{"payload":2}`).Err)
	w.pass(t, 10*time.Second)
	w.wasTold(t, "silent", "back")
	w.restart(t)
	w.pass(t, 10*time.Second)
	w.wasTold(t, "silent", "back")
}

// A message may come before the watch has read which devices are silent.
func TestReturnBeforeTheWatchIsLoaded(t *testing.T) {
	w := openWatching(t)
	must(t, w.one(t, w.sender(), `{"payload":1}`).Err)
	w.pass(t, 120*time.Second)
	w.Ingest = New(w.db, Options{Now: w.now, Version: "test"})
	w.run = watchRun{Ingest: w.Ingest}
	must(t, w.one(t, w.sender(), `{"payload":2}`).Err)
	w.wasTold(t, "silent")
	w.look(t)
	w.look(t)
	w.wasTold(t, "silent", "back")
}

func TestTimeNobodyWatchedIsNobodysSilence(t *testing.T) {
	for name, c := range map[string]struct {
		jump    time.Duration
		restart bool
	}{
		"the clock jumps ahead": {30 * 24 * time.Hour, false},
		"the clock is set back": {-30 * 24 * time.Hour, false},
		"down for a day":        {24 * time.Hour, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := openWatching(t)
			must(t, w.one(t, w.sender(), `{"payload":1}`).Err)
			w.pass(t, 31*time.Second)
			w.clock.Add(c.jump.Milliseconds())
			if c.restart {
				w.restart(t)
			}
			w.pass(t, 45*time.Second)
			w.wasTold(t)
			w.pass(t, 20*time.Second)
			w.wasTold(t, "silent")
		})
	}
}

func TestChangedIntervalsCountFromTheChange(t *testing.T) {
	w := openWatching(t)
	must(t, w.one(t, w.sender(), `{"payload":1}`).Err)
	w.pass(t, 60*time.Second)
	long, never, short := int64(600_000), int64(0), int64(10_000)
	must(t, w.db.UpdateDevice(w.device, iot.DeviceUpdate{ExpectedIntervalMS: &long}, actor))
	w.pass(t, 800*time.Second)
	w.wasTold(t)
	w.pass(t, 120*time.Second)
	w.wasTold(t, "silent")
	must(t, w.db.UpdateDevice(w.device, iot.DeviceUpdate{ExpectedIntervalMS: &never}, actor))
	w.pass(t, 10*time.Second)
	if w.watch.count() != 0 {
		t.Error("a device that nobody expects is still watched")
	}
	must(t, w.one(t, w.sender(), `{"payload":1}`).Err)
	w.wasTold(t, "silent")
	profile, err := w.db.Profile(t.Context(), w.project.Key, iot.DefaultProfile)
	must(t, err)
	must(t, w.db.UpdateProfile(profile, iot.ProfileUpdate{ExpectedIntervalMS: &short}, actor))
	must(t, w.one(t, w.sender(), `{"payload":1}`).Err)
	w.pass(t, 15*time.Second)
	w.wasTold(t, "silent")
	w.pass(t, 10*time.Second)
	w.wasTold(t, "silent", "silent")
	must(t, w.db.DeleteDevice(w.device, actor))
	w.pass(t, 30*time.Second)
	w.wasTold(t, "silent", "silent")
}

// A repeated message stores nothing and is a sign of life all the same.
func TestRepeatedMessageIsASignOfLife(t *testing.T) {
	w := openWatching(t)
	for range 10 {
		must(t, w.one(t, w.sender(), `{"payload":1,"id":"same"}`).Err)
		w.pass(t, 60*time.Second)
	}
	w.wasTold(t)
}

func TestAFullDiskPutsTheTellingOff(t *testing.T) {
	w := openWatching(t)
	must(t, w.one(t, w.sender(), `{"payload":1}`).Err)
	w.watch.tick(iot.At(w.now()), 0)
	for range 30 {
		w.clock.Add(5000)
		if list := w.watch.tick(iot.At(w.now()), 10); len(list) > 0 {
			w.watch.again(list) // could not be told
			break
		}
	}
	w.wasTold(t)
	w.pass(t, 6*time.Second)
	w.wasTold(t, "silent")
}

func TestRunTellsAndEnds(t *testing.T) {
	w := openWatching(t)
	must(t, w.one(t, w.sender(), `{"payload":1}`).Err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	for until := iot.Instant(0); until == 0; { // its first look notes that it watches
		var err error
		until, err = w.db.WatchedUntil(t.Context())
		must(t, err)
	}
	cancel()
	must(t, <-ended)
	// Before it begins, and twice.
	must(t, w.Run(ctx))
}

// The order in which devices are looked at is right whatever happens to them.
func TestWatchTellsEachWhenItIsDue(t *testing.T) {
	w := newWatch()
	clock := iot.Instant(1_800_000_000_000)
	w.tick(clock, 1)
	const devices = 500
	last := map[int64]time.Duration{} // when each was heard last
	toldAt := map[int64]time.Duration{}
	interval := func(key int64) time.Duration { return time.Duration(10+key%50) * time.Second }
	var now time.Duration
	for second := range 400 {
		for key := int64(1); key <= devices; key++ {
			if second < 200 && (second*7+int(key)*13)%31 == 0 {
				w.hear(&iot.Message{DeviceID: key, ProjectID: 1, ReceivedAt: clock}, interval(key))
				last[key] = now
				delete(toldAt, key)
			}
		}
		clock, now = clock.Add(time.Second), now+time.Second
		for _, v := range w.tick(clock, 10_000) {
			if v.back {
				continue
			}
			if at, ok := toldAt[v.key]; ok {
				t.Fatalf("device %d is told at %v and at %v", v.key, at, now)
			}
			toldAt[v.key] = now
			if due := last[v.key] + iot.SilentAfter(interval(v.key)); now < due || now > due+time.Second {
				t.Errorf("device %d is told at %v, due at %v", v.key, now, due)
			}
			w.settled(v, &db.Silence{})
		}
	}
	if len(toldAt) != devices {
		t.Errorf("%d of %d are told", len(toldAt), devices)
	}
}

// BenchmarkWatch is a second of a watch over 100,000 devices of which each sends
// once in its interval of ten seconds.
func BenchmarkWatch(b *testing.B) {
	w := newWatch()
	clock := iot.Instant(1_800_000_000_000)
	w.tick(clock, 1)
	const devices = 100_000
	key := int64(0)
	m := &iot.Message{ProjectID: 1}
	for b.Loop() {
		for range devices / 10 {
			key = key%devices + 1
			m.DeviceID, m.ReceivedAt = key, clock
			w.hear(m, 10*time.Second)
		}
		clock = clock.Add(time.Second)
		if list := w.tick(clock, 10_000); len(list) > 0 {
			b.Fatal(fmt.Sprint(len(list), " told"))
		}
	}
}

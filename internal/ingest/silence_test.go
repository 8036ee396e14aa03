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

// watching is a world whose device is expected every minute. The test decides when its
// watch looks.
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

// also makes the webhook take one more type.
func (w *world) also(kind iot.MessageType) *iot.Webhook {
	h := w.webhook.Clone()
	h.MessageTypes[kind] = iot.Route{}
	return h
}

// restart empties the memory, as a new process does.
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

// pass advances the watch's clock, a second at a time.
func (w *watching) pass(t *testing.T, d time.Duration) {
	t.Helper()
	for range int(d / time.Second) {
		w.clock.Add(1000)
		w.look(t)
	}
}

// reported returns the messages about silence without their time, oldest first.
func (w *watching) reported(t *testing.T) []string {
	t.Helper()
	page, err := w.db.Messages(t.Context(), db.MessageFilter{ProjectKey: w.project.Key, Limit: 100})
	must(t, err)
	list := []string{}
	for _, m := range slices.Backward(page.Items) {
		if m.Type == iot.Iottly {
			list = append(list, string(m.Payload))
		}
	}
	return list
}

func (w *watching) wantReported(t *testing.T, want ...string) {
	t.Helper()
	got := w.reported(t)
	if len(got) != len(want) {
		t.Fatalf("%d messages about silence, want %d: %s", len(got), len(want), got)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], `{"connectionstatus":"`+want[i]+`","last_seen":"20`) {
			t.Errorf("message %d is %s, want %s", i, got[i], want[i])
		}
	}
}

// A device that sends after the clock was set back becomes silent on time too.
func TestSilenceIsReportedAfterTheClockWasSetBack(t *testing.T) {
	w := openWatching(t)
	must(t, w.one(t, w.sender(), `{"payload":1}`).Err)
	w.pass(t, 20*time.Second)
	w.clock.Add(-(24 * time.Hour).Milliseconds())
	must(t, w.one(t, w.sender(), `{"payload":2}`).Err)
	seen := iot.At(w.now())
	w.pass(t, 80*time.Second)
	w.wantReported(t)
	w.pass(t, 20*time.Second)
	w.wantReported(t, "silent")
	if d, err := w.db.Device(t.Context(), w.project.Key, w.device.ID); err != nil || d.LastSeenAt.Sub(seen).Abs() > time.Minute {
		t.Errorf("it was last seen %v (%v), want %v", d.LastSeenAt, err, seen)
	}
}

func TestASilentDeviceIsReportedOnceAndSoIsItsReturn(t *testing.T) {
	w := openWatching(t)
	w.pass(t, time.Hour)
	w.wantReported(t) // it has never sent
	must(t, w.one(t, w.sender(), `{"payload":1}`).Err)
	w.pass(t, 89*time.Second)
	w.wantReported(t) // a minute and half of it
	w.pass(t, 2*time.Second)
	w.wantReported(t, "silent")
	if got := w.reported(t)[0]; got != `{"connectionstatus":"silent","last_seen":"2027-01-15T09:00:00.000Z"}` {
		t.Errorf("it says %s", got)
	}
	page, err := w.db.Deliveries(t.Context(), db.DeliveryFilter{ProjectKey: w.project.Key, Types: []iot.MessageType{iot.Iottly}, Limit: 9})
	must(t, err)
	if len(page.Items) != 1 || page.Items[0].Status != iot.Pending || page.Items[0].Device != w.device.ID {
		t.Errorf("its deliveries are %+v", page.Items)
	}
	w.pass(t, time.Hour)
	w.wantReported(t, "silent")

	id := w.one(t, w.sender(), `{"payload":2}`)
	must(t, id.Err)
	w.wantReported(t, "silent", "back") // with the message, not after it
	must(t, w.one(t, w.sender(), `{"payload":3}`).Err)
	w.pass(t, 80*time.Second)
	w.wantReported(t, "silent", "back")
	w.pass(t, 20*time.Second)
	w.wantReported(t, "silent", "back", "silent")
	d, err := w.db.Device(t.Context(), w.project.Key, w.device.ID)
	must(t, err)
	if d.SilentAt == 0 || d.SilentAt.Sub(d.LastSeenAt) < 90*time.Second {
		t.Errorf("the device is silent since %v, seen %v", d.SilentAt, d.LastSeenAt)
	}
}

func TestSilenceIsReportedOnceAcrossRestarts(t *testing.T) {
	w := openWatching(t)
	must(t, w.one(t, w.sender(), `{"payload":1}`).Err)
	w.pass(t, 60*time.Second)
	w.restart(t)
	w.pass(t, 60*time.Second)
	w.wantReported(t, "silent")
	w.restart(t)
	w.pass(t, 600*time.Second)
	w.wantReported(t, "silent")
	w.restart(t)
	must(t, w.one(t, w.sender(), `{"payload":2}`).Err)
	w.pass(t, 10*time.Second)
	w.wantReported(t, "silent", "back")
	w.restart(t)
	w.pass(t, 10*time.Second)
	w.wantReported(t, "silent", "back")
}

// A message can arrive before the watch has read which devices are silent.
func TestReturnBeforeTheWatchIsLoaded(t *testing.T) {
	w := openWatching(t)
	must(t, w.one(t, w.sender(), `{"payload":1}`).Err)
	w.pass(t, 120*time.Second)
	w.Ingest = New(w.db, Options{Now: w.now, Version: "test"})
	w.run = watchRun{Ingest: w.Ingest}
	must(t, w.one(t, w.sender(), `{"payload":2}`).Err)
	w.wantReported(t, "silent")
	w.look(t)
	w.look(t)
	w.wantReported(t, "silent", "back")
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
			w.wantReported(t)
			w.pass(t, 20*time.Second)
			w.wantReported(t, "silent")
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
	w.wantReported(t)
	w.pass(t, 120*time.Second)
	w.wantReported(t, "silent")
	must(t, w.db.UpdateDevice(w.device, iot.DeviceUpdate{ExpectedIntervalMS: &never}, actor))
	w.pass(t, 10*time.Second)
	if w.watch.count() != 0 {
		t.Error("a device that nobody expects is still watched")
	}
	must(t, w.one(t, w.sender(), `{"payload":1}`).Err)
	w.wantReported(t, "silent")
	profile, err := w.db.Profile(t.Context(), w.project.Key, iot.DefaultProfile)
	must(t, err)
	must(t, w.db.UpdateProfile(profile, iot.ProfileUpdate{ExpectedIntervalMS: &short}, actor))
	must(t, w.one(t, w.sender(), `{"payload":1}`).Err)
	w.pass(t, 15*time.Second)
	w.wantReported(t, "silent")
	w.pass(t, 10*time.Second)
	w.wantReported(t, "silent", "silent")
	must(t, w.db.DeleteDevice(w.device, actor))
	w.pass(t, 30*time.Second)
	w.wantReported(t, "silent", "silent")
}

// A repeated message stores nothing, but counts as a sign of life.
func TestRepeatedMessageIsASignOfLife(t *testing.T) {
	w := openWatching(t)
	for range 10 {
		must(t, w.one(t, w.sender(), `{"payload":1,"id":"same"}`).Err)
		w.pass(t, 60*time.Second)
	}
	w.wantReported(t)
}

func TestAFullDiskPutsTheTellingOff(t *testing.T) {
	w := openWatching(t)
	must(t, w.one(t, w.sender(), `{"payload":1}`).Err)
	w.watch.tick(iot.At(w.now()), 0)
	for range 30 {
		w.clock.Add(5000)
		if list := w.watch.tick(iot.At(w.now()), 10); len(list) > 0 {
			w.watch.retry(list) // could not be stored
			break
		}
	}
	w.wantReported(t)
	w.pass(t, 6*time.Second)
	w.wantReported(t, "silent")
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

// Devices are looked at in the right order whatever happens to them.
func TestWatchTakesEachWhenItIsDue(t *testing.T) {
	w := newWatch()
	clock := iot.Instant(1_800_000_000_000)
	w.tick(clock, 1)
	const devices = 500
	last := map[int64]time.Duration{} // when each was heard last
	takenAt := map[int64]time.Duration{}
	interval := func(key int64) time.Duration { return time.Duration(10+key%50) * time.Second }
	var now time.Duration
	for second := range 400 {
		for key := int64(1); key <= devices; key++ {
			if second < 200 && (second*7+int(key)*13)%31 == 0 {
				w.hear(&iot.Message{DeviceKey: key, ProjectKey: 1, ReceivedAt: clock}, interval(key))
				last[key] = now
				delete(takenAt, key)
			}
		}
		clock, now = clock.Add(time.Second), now+time.Second
		for _, v := range w.tick(clock, 10_000) {
			if v.back {
				continue
			}
			if at, ok := takenAt[v.key]; ok {
				t.Fatalf("device %d is taken at %v and at %v", v.key, at, now)
			}
			takenAt[v.key] = now
			if due := last[v.key] + iot.SilentAfter(interval(v.key)); now < due || now > due+time.Second {
				t.Errorf("device %d is taken at %v, due at %v", v.key, now, due)
			}
			w.settled(v, &db.Silence{})
		}
	}
	if len(takenAt) != devices {
		t.Errorf("%d of %d are taken", len(takenAt), devices)
	}
}

// BenchmarkWatch is a second of a watch over 100,000 devices that each send once in
// their interval of ten seconds.
func BenchmarkWatch(b *testing.B) {
	w := newWatch()
	clock := iot.Instant(1_800_000_000_000)
	w.tick(clock, 1)
	const devices = 100_000
	key := int64(0)
	m := &iot.Message{ProjectKey: 1}
	for b.Loop() {
		for range devices / 10 {
			key = key%devices + 1
			m.DeviceKey, m.ReceivedAt = key, clock
			w.hear(m, 10*time.Second)
		}
		clock = clock.Add(time.Second)
		if list := w.tick(clock, 10_000); len(list) > 0 {
			b.Fatal(fmt.Sprint(len(list), " taken"))
		}
	}
}

package db_test

import (
	"path/filepath"
	"testing"
	"time"

	"thingpost/db"
	"thingpost/internal/iot"
)

// silence is a message that reports the device's silence.
func (w *world) silence(t *testing.T, s db.Silence) *db.Accept {
	t.Helper()
	a := w.accepted(w.version(t), `{"connectionstatus":"silent"}`, w.webhook)
	a.Message.Type, a.Silence = iot.Iottly, &s
	must(t, w.Accept(a))
	return a
}

func (w *world) again(t *testing.T) *iot.Device {
	t.Helper()
	v, err := w.DeviceOfKey(t.Context(), w.device.Key)
	must(t, err)
	return v
}

// TestADeviceIsSeenBeforeThatIsOnDisk accepts a message after the writer has written when
// devices were seen.
func TestADeviceIsSeenBeforeThatIsOnDisk(t *testing.T) {
	w := open(t)
	every := int64(10_000)
	must(t, w.UpdateDevice(w.device, iot.DeviceUpdate{ExpectedIntervalMS: &every}, actor))
	a := w.accepted(w.version(t), `1`)
	must(t, w.Accept(a))
	if got := w.again(t).LastSeenAt; got != a.Message.ReceivedAt {
		t.Errorf("the device was seen at %s", got)
	}
	n := 0
	must(t, w.Watched(t.Context(), w.project.Key, func(v db.Watched) {
		if n++; v.LastSeenAt != a.Message.ReceivedAt {
			t.Errorf("the watched device was seen at %s", v.LastSeenAt)
		}
	}))
	if n != 1 {
		t.Errorf("%d devices are watched", n)
	}
}

func TestSilenceIsToldOnceAndOnlyIfItIsNews(t *testing.T) {
	w := open(t)
	const seen = iot.Instant(1_800_000_000_000)
	every := int64(10_000)
	if a := w.silence(t, db.Silence{LastSeenAt: seen}); !a.Silence.Gone {
		t.Errorf("nobody expects it: %+v", a.Silence)
	}
	must(t, w.UpdateDevice(w.device, iot.DeviceUpdate{ExpectedIntervalMS: &every}, actor))
	must(t, w.Accept(w.accepted(w.version(t), `{"n":1}`, w.webhook)))
	for _, c := range []struct {
		name string
		s    db.Silence
		old  bool
	}{
		{"heard since", db.Silence{LastSeenAt: seen - 1}, true},
		{"back though it was not silent", db.Silence{Back: true}, true},
		{"silent", db.Silence{LastSeenAt: seen}, false},
		{"silent twice", db.Silence{LastSeenAt: seen}, true},
		{"back", db.Silence{Back: true}, false},
		{"back twice", db.Silence{Back: true}, true},
	} {
		a := w.silence(t, c.s)
		_, err := w.Message(t.Context(), w.project.Key, a.Message.ID)
		if a.Silence.Old != c.old || a.Silence.Gone || (iot.CodeOf(err) == iot.NotFound) != c.old {
			t.Errorf("%s: %+v, and its message %v", c.name, a.Silence, err)
		}
		if c.name == "silent" {
			if v := w.again(t); v.SilentAt != a.Message.ReceivedAt || v.LastSeenAt > seen {
				t.Errorf("the silent device is %+v", v)
			}
			list, err := w.Devices(t.Context(), db.DeviceFilter{ProjectKey: w.project.Key, Silent: true, Limit: 9})
			if err != nil || len(list) != 1 {
				t.Errorf("silent devices: %v, %v", list, err)
			}
		}
	}
	if v := w.again(t); v.SilentAt != 0 {
		t.Errorf("it is back, and is %+v", v)
	}
	must(t, w.DeleteDevice(w.device, actor))
	if a := w.silence(t, db.Silence{LastSeenAt: seen}); !a.Silence.Gone {
		t.Errorf("a deleted device: %+v", a.Silence)
	}
}

func TestWhomNobodyExpectsIsNotSilent(t *testing.T) {
	w := open(t)
	every, never := int64(60_000), int64(0)
	profile, err := w.Profile(t.Context(), w.project.Key, iot.DefaultProfile)
	must(t, err)
	other := &iot.Profile{ProjectKey: w.project.Key, Name: "Bench"}
	must(t, w.CreateProfile(other, actor))
	for name, end := range map[string]func(){
		"profile expects nothing": func() { must(t, w.UpdateProfile(profile, iot.ProfileUpdate{ExpectedIntervalMS: &never}, actor)) },
		"other profile": func() {
			must(t, w.UpdateDevice(w.device, iot.DeviceUpdate{Profile: &other.ID}, actor))
			name := iot.DefaultProfile
			must(t, w.UpdateDevice(w.device, iot.DeviceUpdate{Profile: &name}, actor))
		},
	} {
		must(t, w.UpdateProfile(profile, iot.ProfileUpdate{ExpectedIntervalMS: &every}, actor))
		if a := w.silence(t, db.Silence{LastSeenAt: 1_900_000_000_000}); a.Silence.Old || a.Silence.Gone {
			t.Fatalf("%s: %+v", name, a.Silence)
		}
		end()
		if v := w.again(t); v.SilentAt != 0 {
			t.Errorf("%s: still silent since %v", name, v.SilentAt)
		}
	}
}

func TestWatchedAreThoseExpectedThatHaveSent(t *testing.T) {
	w := open(t)
	own, profiles := int64(20_000), int64(60_000)
	profile, err := w.Profile(t.Context(), w.project.Key, iot.DefaultProfile)
	must(t, err)
	mute := &iot.Device{ProjectKey: w.project.Key, ID: "never-sent", ExpectedIntervalMS: own}
	must(t, w.CreateDevice(mute, "k1", actor))
	loud := &iot.Device{ProjectKey: w.project.Key, ID: "own-interval", ExpectedIntervalMS: own}
	must(t, w.CreateDevice(loud, "k2", actor))
	for _, d := range []*iot.Device{w.device, loud} {
		a := w.accepted(w.version(t), `1`)
		a.Message.DeviceKey, a.Device = d.Key, d
		must(t, w.Accept(a))
	}
	must(t, w.Close())
	d, err := db.Open(t.Context(), db.Options{Folder: filepath.Dir(w.Path())})
	must(t, err)
	defer func() { must(t, d.Close()) }()
	read := func() map[int64]db.Watched {
		found := map[int64]db.Watched{}
		must(t, d.Watched(t.Context(), w.project.Key, func(v db.Watched) { found[v.Key] = v }))
		return found
	}
	if got := read(); len(got) != 1 || got[loud.Key].ExpectedIntervalMS != own || got[loud.Key].LastSeenAt == 0 {
		t.Errorf("watched: %+v", got)
	}
	must(t, d.UpdateProfile(profile, iot.ProfileUpdate{ExpectedIntervalMS: &profiles}, actor))
	if got := read(); len(got) != 2 || got[w.device.Key].ExpectedIntervalMS != profiles || got[loud.Key].ExpectedIntervalMS != own {
		t.Errorf("watched by profile too: %+v", got)
	}
	days, err := d.DeviceDays(t.Context(), loud.Key, 3)
	must(t, err)
	if len(days) != 3 || days[2].At.Sub(days[0].At) != 48*time.Hour {
		t.Errorf("the days are %+v", days)
	}
}

func TestDevicesAreCountedAsTheyComeAndGo(t *testing.T) {
	w := open(t)
	count := func(want int) {
		t.Helper()
		if n, err := w.CountDevices(t.Context(), w.project.Key); err != nil || n != want {
			t.Errorf("%d devices, %v; want %d", n, err, want)
		}
	}
	count(1)
	v := &iot.Device{ProjectKey: w.project.Key, ID: "door-sensor"}
	must(t, w.CreateDevice(v, "k1", actor))
	if err := w.CreateDevice(&iot.Device{ProjectKey: w.project.Key, ID: "door-sensor"}, "k2", actor); iot.CodeOf(err) != iot.Conflict {
		t.Errorf("a taken id: %v", err)
	}
	count(2)
	must(t, w.DeleteDevice(v, actor))
	if err := w.DeleteDevice(v, actor); iot.CodeOf(err) != iot.NotFound {
		t.Errorf("deleted twice: %v", err)
	}
	count(1)
}

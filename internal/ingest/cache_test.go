package ingest

import (
	"fmt"
	"slices"
	"testing"

	"thingpost/db"
	"thingpost/internal/iot"
)

// TestAChangeDropsOnlyWhatItConcerns changes one project, and checks what is kept of
// another one and of the project's other devices.
func TestAChangeDropsOnlyWhatItConcerns(t *testing.T) {
	w := open(t)
	other := &iot.Project{Name: "Second", OrganizationKey: w.project.OrganizationKey, AutoRegister: true}
	must(t, w.db.CreateProject(other, actor))
	theirs := &iot.Device{ProjectKey: other.Key, ID: "their-probe"}
	must(t, w.db.CreateDevice(theirs, "their-key", actor))
	beside := &iot.Device{ProjectKey: w.project.Key, ID: "probe-beside"}
	must(t, w.db.CreateDevice(beside, "key-beside", actor))
	kept := func() []any {
		t.Helper()
		ours, err := w.settings(t.Context(), w.project.Key)
		must(t, err)
		settings, err := w.settings(t.Context(), other.Key)
		must(t, err)
		device, _, err := w.Device(t.Context(), "their-key")
		must(t, err)
		next, err := w.Ingest.device(t.Context(), w.project, beside.ID)
		must(t, err)
		own, err := w.Ingest.device(t.Context(), w.project, w.device.ID)
		must(t, err)
		return []any{ours, settings, device, next, own}
	}
	name := "New name"
	for what, c := range map[string]struct {
		change func() error
		drops  []int // places in kept
	}{
		"webhook paused":  {func() error { return w.db.PauseWebhook(w.webhook, "Ada", "", actor) }, []int{0}},
		"project changed": {func() error { return w.db.UpdateProject(w.project, iot.ProjectUpdate{Name: &name}, actor) }, []int{0}},
		"device registered": {func() error {
			return w.db.CreateDevice(&iot.Device{ProjectKey: w.project.Key, ID: "a-new-probe"}, "a-new-key", actor)
		}, nil},
		"device changed": {func() error { return w.db.UpdateDevice(w.device, iot.DeviceUpdate{Name: &name}, actor) }, []int{4}},
		"key rotated":    {func() error { return w.db.SetDeviceKey(w.device, "another-key", actor) }, []int{4}},
	} {
		t.Run(what, func(t *testing.T) {
			before := kept()
			must(t, c.change())
			for n, now := range kept() {
				if same := now == before[n]; same == slices.Contains(c.drops, n) {
					t.Errorf("%d is the same: %t", n, same)
				}
			}
		})
	}
}

func TestAnArrayRegistersManyDevicesAtOnce(t *testing.T) {
	w := open(t)
	s := Sender{Project: w.project, Register: true, Actor: actor}
	const n = 950
	var bodies [][]byte
	for i := range n {
		bodies = append(bodies, fmt.Appendf(nil, `{"from":"probe-%d","payload":%d}`, i, i))
	}
	bodies = append(bodies, []byte(`{"from":"probe-0","payload":1}`), []byte(`{"from":"No Slug!","payload":1}`),
		[]byte(`{"from":"cut-off","payload":`), []byte(`{"from":"soil-probe-07","payload":1}`))
	before := w.commits.Load()
	results, err := w.Accept(t.Context(), s, bodies...)
	must(t, err)
	// Each part that is read at once writes its devices, then its messages with a
	// delivery each, a piece at a time.
	const parts = n/readAtOnce + 1
	if made := w.commits.Load() - before; made > parts*(readAtOnce/registerStep+2*readAtOnce/db.PieceRows+1) {
		t.Errorf("%d transactions for %d devices", made, n)
	}
	for i, r := range results {
		if bad := i == n+1 || i == n+2; (r.Err != nil) != bad {
			t.Errorf("message %d: %v", i, r.Err)
		}
	}
	if devices, err := w.db.CountDevices(t.Context(), w.project.Key); err != nil || devices != n+1 {
		t.Errorf("%d devices, %v", devices, err)
	}
	if _, err := w.db.Device(t.Context(), w.project.Key, "cut-off"); iot.CodeOf(err) != iot.NotFound {
		t.Errorf("a bad message registers a device: %v", err)
	}
	// Another sender registers one of a step: the others are registered all the same.
	w.deaf.Store(true)
	must(t, w.db.CreateDevice(&iot.Device{ProjectKey: w.project.Key, ID: "late-1"}, "late-key", actor))
	results, err = w.Accept(t.Context(), s, []byte(`{"from":"late-0","payload":1}`), []byte(`{"from":"late-1","payload":1}`),
		[]byte(`{"from":"late-2","payload":1}`))
	must(t, err)
	for i, r := range results {
		if r.Err != nil {
			t.Errorf("late-%d: %v", i, r.Err)
		}
	}
}

// TestRecentKeepsWhatIsUsed fills a map with more than it holds.
func TestRecentKeepsWhatIsUsed(t *testing.T) {
	r := newRecent[int](100, 1000, func(cost int) int { return cost })
	for i := range 1000 {
		r.put(i, 1)
		if v, old, ok := r.get(7); i >= 7 && !ok {
			t.Fatalf("what is used is gone after %d", i)
		} else if old {
			r.put(7, v)
		}
		if n := len(r.young) + len(r.old); n > 200 {
			t.Fatalf("%d are kept", n)
		}
	}
	if _, _, ok := r.get(1); ok {
		t.Error("what was not used for long is kept")
	}
	for i := range 10 {
		r.put(2000+i, 400)
	}
	if n := len(r.young) + len(r.old); n > 4 {
		t.Errorf("%d large ones are kept", n)
	}
	r.put(3000, 10)
	r.drop(3000)
	if _, _, ok := r.get(3000); ok || r.bytes > 1000 {
		t.Errorf("dropped, and it is kept, or %d bytes are", r.bytes)
	}
}

// TestMissingDevicesBringThoseBesideThem reads several devices at once, and then finds others
// in memory, unless something changed meanwhile.
func TestMissingDevicesBringThoseBesideThem(t *testing.T) {
	w := open(t)
	names := make([]deviceName, 20)
	keys := make([]iot.Secret, len(names))
	for n := range names {
		id := fmt.Sprintf("Probe-%d", n)
		names[n], keys[n] = nameOf(w.project.Key, id), iot.NewDeviceKey()
		must(t, w.db.CreateDevice(&iot.Device{ProjectKey: w.project.Key, ID: id}, keys[n], actor))
	}
	kept := func(name deviceName) *iot.Device {
		d, _, _ := known(&w.cache, &w.cache.devices, name)
		return d
	}
	list, err := w.readDevices(t.Context(), names[3:4])
	must(t, err)
	if list[0].ID != "Probe-3" || kept(names[9]) != nil {
		t.Errorf("one that is missing alone: %+v, beside it %+v", list[0], kept(names[9]))
	}
	list, err = w.readDevices(t.Context(), []deviceName{names[3], nameOf(w.project.Key, "absent"), names[5]})
	must(t, err)
	if list[0].ID != "Probe-3" || list[1] != nil || list[2].ID != "Probe-5" {
		t.Errorf("several: %+v", list)
	}
	if d := kept(names[9]); d == nil || d.ID != "Probe-9" {
		t.Errorf("beside them %+v", d)
	}
	again, err := w.readDevices(t.Context(), []deviceName{names[9], names[5]})
	must(t, err)
	if again[0] != kept(names[9]) {
		t.Error("what is in memory is read again")
	}

	owners, err := w.readOwners(t.Context(), []iot.Secret{keys[1], "no-key", keys[2]})
	must(t, err)
	if owners[0].ID != "Probe-1" || owners[1] != nil || owners[2].ID != "Probe-2" {
		t.Errorf("by key: %+v", owners)
	}
	owner, _, ok := known(&w.cache, &w.cache.deviceKeys, hashOf(keys[9]))
	if d := kept(owner); !ok || d == nil || d.ID != "Probe-9" {
		t.Errorf("the owner of a key beside them is %+v", d)
	}

	must(t, w.db.SetDeviceKey(list[2], "another-key-of-5", actor))
	if _, _, ok := known(&w.cache, &w.cache.deviceKeys, hashOf(keys[5])); ok {
		t.Error("a key that was replaced is kept")
	}
	_, changes := w.cache.cold(2)
	w.cache.changed(iot.Commit{})
	rememberNew(&w.cache, &w.cache.devices, map[deviceName]*iot.Device{nameOf(1, "late"): list[0]}, changes)
	if kept(nameOf(1, "late")) != nil {
		t.Error("what was read before a change is kept")
	}
	for n := range maxCached + 1 {
		w.cache.devices.put(deviceName{1, fmt.Sprint(n)}, nil)
	}
	if near, _ := w.cache.cold(2); near {
		t.Error("memory is full, and more is read than was asked for")
	}
}

package api_test

import (
	"testing"

	"thingpost/db"
	"thingpost/handlers/api"
	"thingpost/internal/iot"
)

// TestADeviceKeyIsOfThePathsProject sends with a key that a device of another tenant
// had first.
func TestADeviceKeyIsOfThePathsProject(t *testing.T) {
	w := newWorld(t)
	const key = "a-key-that-both-have"
	theirs, err := w.db.Device(t.Context(), w.other.Key, "soil-probe-07")
	w.must(err)
	w.must(w.db.SetDeviceKey(theirs, key, email))
	w.must(w.db.SetDeviceKey(w.device, key, email))
	for range 2 { // once from the store, once from memory
		w.ok(202, "POST", base+"/devices/soil-probe-07/messages", key, `{"payload":1}`)
		w.ok(202, "POST", api.Prefix+"/projects/"+w.other.UUID+"/devices/soil-probe-07/messages", key, `{"payload":2}`)
	}
	for _, p := range []*iot.Project{w.project, w.other} {
		page, err := w.db.Messages(t.Context(), db.MessageFilter{ProjectKey: p.Key, Limit: 9})
		w.must(err)
		if len(page.Items) != 2 {
			t.Errorf("%s has %d messages, want 2", p.ID, len(page.Items))
		}
	}
	w.ok(204, "POST", queue+"/take", key, "")
	w.must(w.db.DeleteDevice(w.device, email))
	w.refused(iot.NotFound, "POST", queue+"/take", key, "")
}

package api_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"thingpost/internal/downlink"
	"thingpost/internal/iot"
)

type commandAnswer struct {
	ID          iot.ID
	About       string
	State       string
	Count, Done int
}

// TestCommandsShowTheirProgress starts a command to more devices than one step.
func TestCommandsShowTheirProgress(t *testing.T) {
	w := newWorld(t)
	list, keys := make([]*iot.Device, 120), make([]iot.Secret, 120)
	for i := range list {
		list[i], keys[i] = &iot.Device{ProjectKey: w.project.Key, ID: fmt.Sprintf("pump-%03d", i)}, iot.NewDeviceKey()
	}
	w.must(w.db.CreateDevices(list, keys, email))
	first, err := w.queues.Command(t.Context(), w.project, downlink.Order{Payload: json.RawMessage(`{"open":true}`)}, email)
	w.must(err)
	second, err := w.queues.Command(t.Context(), w.project, downlink.Order{FPort: 1}, email)
	w.must(err)
	var page struct {
		Items []commandAnswer
		Next  string
	}
	w.ok(200, "GET", base+"/commands?limit=1", w.viewer, "").into(w, &page)
	if len(page.Items) != 1 || page.Items[0].ID != second.ID || page.Next == "" {
		t.Errorf("the first page is %+v", page)
	}
	w.ok(200, "GET", base+"/commands?limit=1&cursor="+page.Next, w.viewer, "").into(w, &page)
	if want := (commandAnswer{first.ID, `{"open":true}`, "running", 121, 100}); len(page.Items) != 1 || page.Items[0] != want ||
		page.Next != "" {
		t.Errorf("the second page is %+v, want %+v", page, want)
	}
	var v commandAnswer
	w.ok(200, "GET", base+"/commands/"+first.ID.String(), w.viewer, "").into(w, &v)
	w.ok(200, "POST", base+"/commands/"+first.ID.String()+"/stop", w.editor, "").into(w, &v)
	if v.State != "stopped" {
		t.Errorf("stopped: %+v", v)
	}
	w.refused(iot.Conflict, "POST", base+"/commands/"+first.ID.String()+"/stop", w.editor, "")
	w.refused(iot.NotFound, "GET", base+"/commands/5", w.viewer, "")
	w.refused(iot.NotFound, "GET", base+"/commands/"+w.db.NewID().String(), w.viewer, "")
	w.refused(iot.Forbidden, "POST", base+"/commands/"+second.ID.String()+"/stop", w.viewer, "")
}

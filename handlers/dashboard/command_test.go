package dashboard

import (
	"fmt"
	"testing"

	"thingpost/internal/downlink"
	"thingpost/internal/iot"
)

func TestCommandsPage(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	const all = "/projects/greenhouse-north/commands"
	c.get("/projects/greenhouse-north/devices").is(200).has(`a[href="`+all+`"]`, "Commands")
	c.get(all).is(200).has("main", "No commands")
	list, keys := make([]*iot.Device, 150), make([]iot.Secret, 150)
	for i := range list {
		list[i], keys[i] = &iot.Device{ProjectKey: w.project.Key, ID: fmt.Sprintf("pump-%03d", i)}, iot.NewDeviceKey()
	}
	w.must(w.db.CreateDevices(list, keys, w.owner.Email))
	queues := downlink.New(downlink.Options{DB: w.db, Ingest: w.ingest, Now: w.clock.Now})
	job, err := queues.Command(t.Context(), w.project, downlink.Order{Payload: []byte(`{"t":"<b>"}`)}, w.owner.Email)
	w.must(err)
	stop := all + "/" + job.ID.String() + "/stop"
	c.get(all).is(200).has("tbody", `{"t":"<b>"}`).has("tbody", "Running").has("tbody", "100 of ").has(`form[action="`+stop+`"]`, "Stop")
	c.fragment(all, "commands").is(200).has("tbody", "Running").lacks("h1")
	viewer := w.as(w.member("viewer@veldhuis.example", iot.Viewer))
	viewer.get(all).is(200).has("tbody", "Running").lacks(`form[action="` + stop + `"]`)
	c.post(stop).leadsTo(all)
	c.get(all).has("#toasts", "The command was stopped.").has("tbody", "Stopped").lacks(`form[action="` + stop + `"]`)
	c.post(stop).is(409)
}

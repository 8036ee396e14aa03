package downlink_test

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"thingpost/db"
	"thingpost/internal/downlink"
	"thingpost/internal/ingest"
	"thingpost/internal/iot"
)

// devices adds devices to a world's project.
func (w *world) devices(prefix string, n int) []*iot.Device {
	w.Helper()
	list, keys := make([]*iot.Device, n), make([]iot.Secret, n)
	for i := range list {
		list[i] = &iot.Device{ProjectKey: w.project.Key, ID: fmt.Sprintf("%s-%03d", prefix, i)}
		keys[i] = iot.NewDeviceKey()
	}
	w.must(w.db.CreateDevices(list, keys, actor))
	return list
}

func (w *world) command(id iot.ID) *iot.Command {
	w.Helper()
	c, err := w.db.Command(w.Context(), w.project.Key, id)
	w.must(err)
	return c
}

func (w *world) count(d *iot.Device) int {
	w.Helper()
	n, err := w.db.CountDownlinks(w.Context(), d.Key)
	w.must(err)
	return n
}

// goOn runs the queue of a restarted program until a command has ended.
func (w *world) goOn(id iot.ID) {
	w.Helper()
	again := downlink.New(downlink.Options{DB: w.db, Ingest: ingest.New(w.db, ingest.Options{})})
	ctx, stop := context.WithCancel(w.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := again.Run(ctx); err != nil {
			w.Error(err)
		}
	})
	for w.command(id).Running() && w.Context().Err() == nil {
		runtime.Gosched()
	}
	stop()
	running.Wait()
}

// TestACommandReachesEachDeviceOnce stops after the first step, like a kill, and
// continues after a restart, while devices come and go.
func TestACommandReachesEachDeviceOnce(t *testing.T) {
	w := newWorld(t)
	list := w.devices("pump", 350)
	full := list[200]
	many := make([]downlink.Order, iot.MaxDownlinks)
	for i := range many {
		many[i] = downlink.Order{FPort: 1}
	}
	_, err := w.queues.Push(t.Context(), w.project, full, many, false)
	w.must(err)
	c, err := w.queues.Command(t.Context(), w.project, downlink.Order{Payload: json.RawMessage(`{"open":true}`)}, actor)
	w.must(err)
	if c.State != iot.JobRunning || c.Count != 351 || c.Done != 100 || c.About != `{"open":true}` || c.CreatedBy != actor {
		t.Fatalf("begun: %+v", c)
	}
	gone := list[300]
	w.must(w.db.DeleteDevice(gone, actor))
	late := w.devices("pump-late", 1)[0]
	w.goOn(c.ID)
	if c = w.command(c.ID); c.State != iot.JobDone || c.Done != 349 || c.PassedOver != 1 || c.EndedAt == 0 {
		t.Errorf("ended: %+v", c)
	}
	for _, d := range append(list, w.device, late) {
		want := 1
		switch d {
		case gone, late:
			want = 0
		case full:
			want = iot.MaxDownlinks
		}
		if got := w.count(d); got != want {
			t.Errorf("%s has %d queued, want %d", d.ID, got, want)
		}
	}
	w.goOn(c.ID) // the second call changes nothing
	if got := w.count(list[0]); got != 1 {
		t.Errorf("the first device has %d", got)
	}
}

// TestAStepOfACommandIsDoneOnce runs the same command many times concurrently.
func TestAStepOfACommandIsDoneOnce(t *testing.T) {
	w := newWorld(t)
	list := w.devices("pump", 450)
	c, err := w.queues.Command(t.Context(), w.project, downlink.Order{FPort: 1, FRMPayload: []byte{1}}, actor)
	w.must(err)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { w.goOn(c.ID) })
	}
	all.Wait()
	if c = w.command(c.ID); c.Done != 451 {
		t.Errorf("%+v", c)
	}
	for _, d := range list {
		if n := w.count(d); n != 1 {
			t.Errorf("%s has %d queued", d.ID, n)
		}
	}
}

func TestACommandIsStoppedAndBounded(t *testing.T) {
	w := newWorld(t)
	w.devices("pump", 150)
	o := downlink.Order{FPort: 1}
	var last *iot.Command
	for range db.MaxCommands {
		var err error
		last, err = w.queues.Command(t.Context(), w.project, o, actor)
		w.must(err)
	}
	if _, err := w.queues.Command(t.Context(), w.project, o, actor); iot.CodeOf(err) != iot.LimitReached {
		t.Errorf("the eleventh: %v", err)
	}
	if _, err := w.queues.Command(t.Context(), w.project, downlink.Order{}, actor); iot.CodeOf(err) != iot.Invalid {
		t.Errorf("nothing: %v", err)
	}
	stopped, err := w.db.StopCommand(t.Context(), w.project.Key, last.ID, actor)
	if err != nil || stopped.State != iot.JobStopped || stopped.Done != 100 {
		t.Errorf("stopped: %+v %v", stopped, err)
	}
	if _, err := w.db.StopCommand(t.Context(), w.project.Key, last.ID, actor); iot.CodeOf(err) != iot.Conflict {
		t.Errorf("stopped twice: %v", err)
	}
	if _, err := w.db.StopCommand(t.Context(), w.project.Key+1, last.ID, actor); iot.CodeOf(err) != iot.NotFound {
		t.Errorf("of another project: %v", err)
	}
	running, err := w.db.RunningCommands(t.Context())
	if err != nil || len(running) != db.MaxCommands-1 {
		t.Errorf("%d run: %v", len(running), err)
	}
	w.must(w.db.DeleteProject(w.project, actor))
	w.goOn(running[0].ID)
	if c := w.command(running[0].ID); c.State != iot.JobFailed || c.Error == "" {
		t.Errorf("of a deleted project: %+v", c)
	}
}

package db_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"thingpost/db"
	"thingpost/internal/iot"
)

func TestInspectorKeepsTheLastRequestsWithinItsBounds(t *testing.T) {
	w := open(t)
	i, err := w.CreateInspector(w.project.Key, actor)
	must(t, err)
	again, err := w.CreateInspector(w.project.Key, actor)
	must(t, err)
	if len(i.Token) < 32 || again.Token != i.Token {
		t.Fatalf("tokens %q and %q", i.Token, again.Token)
	}
	var last iot.ID
	add := func(n, size int) {
		for range n {
			x := &iot.Inspection{ProjectKey: w.project.Key, Method: "POST", Status: 200, Body: bytes.Repeat([]byte("x"), size),
				SizeBytes: int64(size),
				Headers:   iot.HeaderLines{{Name: "Content-Type", Value: "text/plain"}}}
			must(t, w.AddInspection(x))
			last = x.ID
		}
	}
	kept := func() []iot.Inspection {
		list, err := w.Inspections(t.Context(), w.project.Key)
		must(t, err)
		return list
	}
	add(iot.MaxInspections+5, 10)
	if n := len(kept()); n != iot.MaxInspections {
		t.Errorf("%d requests are kept, want %d", n, iot.MaxInspections)
	}
	add(40, iot.MaxInspectedBody)
	list := kept()
	if n := len(list); n == 0 || n*iot.MaxInspectedBody > iot.MaxInspectedBytes || n < iot.MaxInspectedBytes/iot.MaxInspectedBody-1 {
		t.Errorf("%d large requests are kept", n)
	}
	if list[0].ID != last || !slices.IsSortedFunc(list, func(a, b iot.Inspection) int { return bytes.Compare(b.ID[:], a.ID[:]) }) {
		t.Error("the newest is not first")
	}
	add(1, iot.MaxInspectedBytes+1)
	if list := kept(); len(list) != 1 || list[0].ID != last {
		t.Errorf("%d requests are kept beside one that is too large alone", len(list))
	}
	x, err := w.Inspection(t.Context(), w.project.Key, last)
	must(t, err)
	if len(x.Headers) != 1 || len(x.Body) != iot.MaxInspectedBytes+1 || x.At == 0 {
		t.Errorf("read back: %+v", x.Headers)
	}
	i, err = w.InspectorByToken(t.Context(), i.Token)
	must(t, err)
	if i.Received != iot.MaxInspections+5+40+1 {
		t.Errorf("received %d", i.Received)
	}
	must(t, w.ClearInspector(w.project.Key, actor))
	if len(kept()) != 0 {
		t.Error("still there after it was cleared")
	}
}

func TestInspectorIsPrunedWithAgeAndProject(t *testing.T) {
	clock := iot.Instant(1_800_000_000_000)
	w := open(t, func(o *db.Options) { o.Now = func() time.Time { return clock.Time() } })
	i, err := w.CreateInspector(w.project.Key, actor)
	must(t, err)
	must(t, w.AddInspection(&iot.Inspection{ProjectKey: w.project.Key, Method: "GET", Status: 200}))
	list, err := w.Inspections(t.Context(), w.project.Key)
	must(t, err)
	if _, err := w.Inspection(t.Context(), w.project.Key+1, list[0].ID); iot.CodeOf(err) != iot.NotFound {
		t.Errorf("another project's request: %v", err)
	}
	prune := func(older time.Duration) int {
		_, err := w.Prune(t.Context(), db.PruneOptions{OlderThan: older})
		must(t, err)
		list, err := w.Inspections(t.Context(), w.project.Key)
		must(t, err)
		return len(list)
	}
	clock = clock.Add(2 * time.Hour)
	if n := prune(3 * time.Hour); n != 1 {
		t.Errorf("%d requests are left of one that is young", n)
	}
	if n := prune(0); n != 1 {
		t.Errorf("%d requests are left where they are kept for ever", n)
	}
	if n := prune(time.Hour); n != 0 {
		t.Errorf("%d requests are left of one that is too old", n)
	}
	must(t, w.DeleteProject(w.project, actor))
	if _, err := w.InspectorByToken(t.Context(), i.Token); iot.CodeOf(err) != iot.NotFound {
		t.Errorf("inspector of a deleted project: %v", err)
	}
	for range 3 { // devices and webhooks go before their project
		clock = clock.Add(2 * time.Hour)
		prune(0)
	}
	if n, err := w.CountOn(t.Context(), `SELECT count(*) FROM inspectors`); err != nil || n != 0 {
		t.Errorf("%d inspectors are left, %v", n, err)
	}
}

func TestInspectorAnswersWithinBounds(t *testing.T) {
	w := open(t)
	i, err := w.CreateInspector(w.project.Key, actor)
	must(t, err)
	for _, status := range []iot.StatusCode{0, 199, 600} {
		if err := w.UpdateInspector(i, iot.InspectorUpdate{Status: &status}, actor); iot.CodeOf(err) != iot.Invalid {
			t.Errorf("status %d: %v", status, err)
		}
	}
	for _, delay := range []int64{-1, 30_001} {
		if err := w.UpdateInspector(i, iot.InspectorUpdate{DelayMS: &delay}, actor); iot.CodeOf(err) != iot.Invalid {
			t.Errorf("delay %d: %v", delay, err)
		}
	}
	status, delay := iot.StatusCode(503), int64(30_000)
	must(t, w.UpdateInspector(i, iot.InspectorUpdate{Status: &status, DelayMS: &delay}, actor))
	got, err := w.Inspector(t.Context(), w.project.Key)
	must(t, err)
	if got.Status != 503 || got.DelayMS != 30_000 {
		t.Errorf("%+v", got)
	}
}

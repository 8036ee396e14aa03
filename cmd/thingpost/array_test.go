package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestADiskThatFailsWithinAnArray makes the disk fail while an array is stored: the
// stored messages have their ids, and the others are to be sent again.
func TestADiskThatFailsWithinAnArray(t *testing.T) {
	t.Parallel()
	w := newStage(t, t.TempDir(), nil)
	var body strings.Builder
	const all = 4000
	for n := range all {
		fmt.Fprintf(&body, "{\"payload\":{\"n\":%d}}\n", n)
	}
	w.machine.failAt(1500, diskError, false)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.p.url+"/api/v1/projects/probes/messages",
		strings.NewReader(body.String()))
	must(t, err)
	r.Header.Set("Authorization", "Bearer "+w.key)
	r.Header.Set("Content-Type", "application/x-ndjson")
	resp, err := http.DefaultClient.Do(r)
	must(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	must(t, err)
	w.machine.heal()
	var answer struct {
		Messages []struct {
			ID    string
			Error *struct{ Code, Message string }
		}
	}
	if resp.StatusCode != http.StatusAccepted || json.Unmarshal(text, &answer) != nil || len(answer.Messages) != all {
		t.Fatalf("answer %d with %d results: %.200s", resp.StatusCode, len(answer.Messages), text)
	}
	stored := 0
	for n, m := range answer.Messages {
		switch {
		case m.ID != "" && m.Error == nil && stored == n:
			stored++
		case m.ID == "" && m.Error != nil && m.Error.Code == "unavailable" && m.Error.Message != "":
		default:
			t.Fatalf("message %d is answered %+v", n, m)
		}
	}
	if stored == 0 || stored == all {
		t.Fatalf("%d of %d are stored", stored, all)
	}
	until(t, "what was stored arrives", func() bool { return w.arrivals() >= stored })
	until(t, "messages are taken again", func() bool { return w.send(10).status == http.StatusAccepted })
	for _, n := range []int{0, stored - 1} {
		w.api.call("GET", "/projects/probes/messages/"+answer.Messages[n].ID, nil, 200, nil)
	}
	if n := w.arrivals(); n > stored+1 {
		t.Errorf("%d messages arrived, of %d that were stored", n, stored)
	}
}

package api_test

import (
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"thingpost/db"
	"thingpost/internal/iot"
)

// A message of a version that accepted any bytes is shown and exported as valid JSON,
// and marked.
func TestStoredBytesThatAreNotUTF8(t *testing.T) {
	w := newWorld(t)
	w.message(`{"payload":"grün"}`)
	s, err := w.db.ProjectSettings(t.Context(), w.project.Key)
	w.must(err)
	m := &iot.Message{ID: w.db.NewID(), ProjectKey: w.project.Key, DeviceKey: w.device.Key, Device: w.device.ID, Type: iot.User,
		Channel: "fr\xfch", SenderID: "n\xba 7",
		Fields: []byte("{\"to\":\"gr\xfcn\"}"), Payload: []byte("{\"a\":\"gr\xfcn\",\"\xe2\x82\":\"\xff\xfe\"}"), ReceivedAt: iot.At(w.clock())}
	old := &db.Accept{Message: m, Device: w.device, Project: w.project, Version: s.Version}
	w.must(w.db.Accept(old))
	if old.Stale {
		t.Fatal("the message is not stored")
	}
	const payload = `{"a":"gr` + "\ufffd" + `n","` + "\ufffd" + `":"` + "\ufffd" + `"}`
	for _, path := range []string{"/messages", "/messages/" + m.ID.String(), "/messages/export"} {
		a := w.ok(200, "GET", base+path, w.viewer, "")
		if !utf8.ValidString(a.body) || !strings.Contains(a.body, payload) || strings.Count(a.body, `"invalid_utf8":true`) != 1 {
			t.Errorf("%s: %q", path, a.body)
		}
		for line := range strings.Lines(a.body) {
			var v any
			if err := json.Unmarshal([]byte(line), &v); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
	a := w.ok(200, "GET", base+"/messages/export?format=csv", w.viewer, "")
	rows, err := csv.NewReader(strings.NewReader(a.body)).ReadAll()
	w.must(err)
	if !utf8.ValidString(a.body) || len(rows) != 3 || rows[0][7] != "invalid_utf8" || rows[1][6] != payload || rows[1][7] != "true" ||
		rows[2][7] != "" {
		t.Errorf("%q", rows)
	}
}

package tts

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"thingpost/db"
	"thingpost/internal/downlink"
	"thingpost/internal/ingest"
	"thingpost/internal/iot"
)

func TestUpstreamIsLearnedFromHeaders(t *testing.T) {
	var in *ingest.Ingest
	d, err := db.Open(t.Context(), db.Options{Folder: t.TempDir(), OnCommit: func(c iot.Commit) {
		if in != nil {
			in.Changed(c)
		}
	}})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(err)
	defer func() { must(d.Close()) }()
	in = ingest.New(d, ingest.Options{})
	q := downlink.New(downlink.Options{DB: d, Ingest: in})
	org := &iot.Organization{Name: "Works"}
	must(d.SetUp(&iot.Account{Email: "ada@example.org", PasswordHash: "x"}, org))
	p := &iot.Project{Name: "Greenhouse", OrganizationKey: org.Key}
	must(d.CreateProject(p, "ada"))
	v := &iot.Device{ProjectKey: p.Key, ID: "valve-1"}
	must(d.CreateDevice(v, "key", "ada"))
	const base = "https://tts.example/api/v3/as/applications/app1/webhooks/wh1"
	var log bytes.Buffer
	rights := iot.SendMessages | iot.ChangeSettings
	learn := func(push, replace, key, kind string) string {
		r := httptest.NewRequest(http.MethodPost, "/in/tts/greenhouse", nil)
		for name, value := range map[string]string{"X-Downlink-Push": push, "X-Downlink-Replace": replace, "X-Downlink-Apikey": key,
			"Content-Type": kind} {
			r.Header.Set(name, value)
		}
		return learnUpstream(r, q, p, &iot.APIKey{Rights: rights}, slog.New(slog.NewTextHandler(&log, nil)))
	}
	upstream := func() *iot.Webhook {
		t.Helper()
		s, err := in.Snapshot(t.Context(), p.Key)
		must(err)
		have, err := d.Device(t.Context(), p.Key, v.ID)
		must(err)
		return s.Upstream(have)
	}
	const push, replace = base + "/devices/valve-1/down/push", base + "/devices/valve-1/down/replace"
	learn("", replace, "a key", "application/json")
	if upstream() != nil || log.Len() > 0 {
		t.Errorf("learned of half the headers: %s", &log)
	}
	for _, bad := range [][2]string{{"http://user@h/devices/valve-1/down/push", "http://user@h/devices/valve-1/down/replace"},
		{push, "https://evil.example/devices/valve-1/down/replace"},
		{"https://tts.example/{x}/devices/valve-1/down/push", "https://tts.example/{x}/devices/valve-1/down/replace"},
		{strings.Replace(push, "valve-1", "valve-9", 1), strings.Replace(replace, "valve-1", "valve-9", 1)}} {
		log.Reset()
		learn(bad[0], bad[1], "a key", "application/json")
		if upstream() != nil || !strings.Contains(log.String(), "learn an upstream") {
			t.Errorf("learned of %v: %s", bad, &log)
		}
	}
	log.Reset()
	rights = iot.AllKeyRights &^ iot.ChangeSettings
	if words := learn(push, replace, "a key", "application/json"); upstream() != nil || log.Len() > 0 ||
		!strings.Contains(words, "RIGHT_APPLICATION_SETTINGS_BASIC") {
		t.Errorf("learned of a key that may not change settings: %q %s", words, &log)
	}
	rights = iot.SendMessages | iot.ChangeSettings
	learn(push, replace, "a key", "application/json")
	first := upstream()
	if first == nil || first.URL != base || first.Format != iot.JSON || first.Headers[0].Value != "Bearer a key" || !first.Headers[0].Secret {
		t.Fatalf("learned %+v", first)
	}
	rights = iot.SendMessages
	if words := learn(push, replace, "a key", "application/json"); words != "" {
		t.Errorf("what is known already gets %q", words)
	}
	rights = iot.SendMessages | iot.ChangeSettings
	learn(push, replace, "another key", "application/octet-stream")
	if w := upstream(); w.Key != first.Key || w.Format != iot.Protobuf || w.Headers[0].Value != "Bearer another key" {
		t.Errorf("changed to %+v", w)
	}
	entries, err := d.Audit(t.Context(), db.AuditFilter{ProjectKey: p.Key, Limit: 50})
	must(err)
	n := 0
	for _, e := range entries.Items {
		if e.Action == "device.upstream" {
			n++
		}
	}
	if n != 2 {
		t.Errorf("%d changes were written, want 2", n)
	}
}

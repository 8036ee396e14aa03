package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

func TestSend(t *testing.T) {
	var mu sync.Mutex // the sender is another process
	var path, key, body string
	answer, status := `{"id":"019aa5d2-8c41-7e9a-8000-0123456789ab"}`, http.StatusAccepted
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		path, key, body = r.URL.Path, r.Header.Get("Authorization"), string(b)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	defer srv.Close()
	env := []string{"THINGPOST_KEY=tpd_secret", "THINGPOST_URL=" + srv.URL, "THINGPOST_PROJECT=greenhouse"}
	send := func(stdin string, args ...string) (int, string) {
		t.Helper()
		mu.Unlock()
		defer mu.Lock()
		code, out, complaint := run(t, stdin, env, append([]string{"send"}, args...)...)
		return code, out + complaint
	}
	mu.Lock()
	defer mu.Unlock()
	if code, out := send("", `{"t": 21.50}`); code != 0 || out != "019aa5d2-8c41-7e9a-8000-0123456789ab\n" {
		t.Errorf("%d %s", code, out)
	}
	if want := `{"type":"user","payload":{"t": 21.50}}`; path != "/api/v1/projects/greenhouse/messages" || key != "Bearer tpd_secret" ||
		body != want {
		t.Errorf("sent %s to %s with %s", body, path, key)
	}
	if code, _ := send("[1,\n2]\n", "-device", "probe 7", "-type", "iottly", "-channel", "ch", "-id", "n-1", "-"); code != 0 ||
		path != "/api/v1/projects/greenhouse/devices/probe 7/messages" ||
		body != "{\"channel\":\"ch\",\"id\":\"n-1\",\"type\":\"iottly\",\"payload\":[1,\n2]}" {
		t.Errorf("%d: sent %s to %s", code, body, path)
	}
	answer = `{"messages":[{"error":{"code":"invalid","message":"from is missing."}}]}`
	if code, out := send("", `1`); code != exitFailed || !strings.Contains(out, "from is missing.") {
		t.Errorf("%d %s", code, out)
	}
	answer, status = `{"error":{"code":"unauthorized","message":"This key is unknown."}}`, http.StatusUnauthorized
	if code, out := send("", `1`); code != exitFailed || !strings.Contains(out, "This key is unknown.") ||
		strings.Contains(out, "tpd_secret") {
		t.Errorf("%d %s", code, out)
	}
	answer = `<html>`
	if code, out := send("", `1`); code != exitFailed || !strings.Contains(out, "check -url") {
		t.Errorf("%d %s", code, out)
	}
	if code, out := send("", `hello`); code != exitUsage || !strings.Contains(out, "must be JSON") {
		t.Errorf("%d %s", code, out)
	}
	if code, out := send("", "-url", "ftp://x", "-type", "uplink_message", `1`); code != exitUsage || !strings.Contains(out, "-url") ||
		!strings.Contains(out, "-type") {
		t.Errorf("%d %s", code, out)
	}
	mu.Unlock()
	srv.Close()
	mu.Lock()
	if code, out := send("", `1`); code != exitFailed || !strings.Contains(out, "No server answers") {
		t.Errorf("%d %s", code, out)
	}
}

package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// TestWebhookOfATemplateIsSent follows a template from its file to the receiver: the
// secret arrives in path and query, and is shown to nobody else, though the receiver's
// answer repeats it.
func TestWebhookOfATemplateIsSent(t *testing.T) {
	var mu sync.Mutex
	var got *http.Request
	var body string
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		mu.Lock()
		got, body = r, string(text)
		mu.Unlock()
		w.Header().Set("X-Echo", r.RequestURI)
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, "no such thing as "+r.RequestURI)
	}))
	defer receiver.Close()
	folder := t.TempDir()
	writeFile(t, folder, "local.yml", `template-id: local
name: Local
format: json
base-url: "`+receiver.URL+`/in/{key}"
headers: {X-Pin: "pin {pin}", X-Device: "{devID}"}
paths: {uplink-message: "/up/{devID}{?key}", join-accept: ""}
field-mask: [end_device_ids.device_id, up.uplink_message.f_port]
create-downlink-api-key: true
fields: [{id: key, name: Key, secret: true}, {id: pin, name: Pin, secret: true, optional: true}]
`)
	p := serve(t, adminEnv(), "-data", t.TempDir(), "-templates", folder, "-allow-networks", "127.0.0.0/8,::1/128")
	c := signIn(t, p.url)
	c.call("POST", "/projects", map[string]string{"id": "greenhouse", "name": "Greenhouse"}, 201, nil)
	const project, secret = "/projects/greenhouse", "s3cr3t/key"
	c.call("POST", project+"/webhooks/from-template",
		map[string]any{"template": "local", "id": "local", "fields": map[string]string{"key": secret, "pin": "1234"}}, 201, nil)
	var test struct{ Delivery string }
	c.call("POST", project+"/webhooks/local/test", nil, 202, &test)
	var v struct {
		Status   string
		Attempts []struct {
			Request struct{ URL string }
		}
	}
	var raw map[string]any
	until(t, "the test was tried", func() bool {
		c.call("GET", project+"/deliveries/"+test.Delivery, nil, 200, &raw)
		list, _ := raw["attempts"].([]any)
		return len(list) > 0
	})
	c.call("GET", project+"/deliveries/"+test.Delivery, nil, 200, &v)
	mu.Lock()
	defer mu.Unlock()
	device := got.Header.Get("X-Device")
	if want := "/in/s3cr3t%2Fkey/up/" + device + "?key=s3cr3t%2Fkey"; device == "" || got.RequestURI != want {
		t.Errorf("received %s of device %q, want %s", got.RequestURI, device, want)
	}
	if got.Header.Get("X-Pin") != "pin 1234" || !strings.HasPrefix(got.Header.Get("X-Downlink-Apikey"), "NNSXS.") ||
		got.Header.Get("Content-Type") != "application/json" {
		t.Errorf("received %v", got.Header)
	}
	if !strings.Contains(body, `"device_id"`) || strings.Contains(body, "received_at") {
		t.Errorf("the mask was not applied: %s", body)
	}
	if want := receiver.URL + "/in/•••/up/" + device + "?key=•••"; v.Attempts[0].Request.URL != want {
		t.Errorf("the attempt shows %s, want %s", v.Attempts[0].Request.URL, want)
	}
	var everything strings.Builder
	for _, path := range []string{"/deliveries/" + test.Delivery, "/deliveries", "/webhooks", "/webhooks/local", "/audit", "/messages"} {
		var text json.RawMessage
		c.call("GET", project+path, nil, 200, &text)
		everything.Write(text)
	}
	everything.WriteString(p.stderr.String())
	for _, leak := range []string{"s3cr3t", "pin 1234", got.Header.Get("X-Downlink-Apikey")} {
		if strings.Contains(everything.String(), leak) {
			t.Errorf("%q is shown", leak)
		}
	}
}

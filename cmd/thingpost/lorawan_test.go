package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"google.golang.org/protobuf/proto"

	"thingpost/internal/lorawan"
)

const lorawanFixtures = "../../internal/lorawan/testdata"

// TestLoRaWANMessages posts messages of The Things Stack to the running program, like
// its webhook, in both encodings, and checks what receivers get in both.
func TestLoRaWANMessages(t *testing.T) {
	var mu sync.Mutex
	got := map[string][]byte{} // by path and message id
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		got[r.URL.Path+" "+r.Header.Get("Content-Type")+" "+r.Header.Get("Webhook-Id")] = body
	}))
	defer receiver.Close()
	p := serve(t, adminEnv(), "-data", t.TempDir(), "-allow-networks", "127.0.0.0/8,::1/128")
	defer p.end(t, syscall.SIGTERM)
	c := signIn(t, p.url)
	c.call("POST", "/projects", map[string]string{"id": "lorawan", "name": "LoRaWAN"}, 201, nil)
	types := map[string]any{}
	for _, kind := range []string{"uplink_message", "uplink_normalized", "join_accept", "downlink_ack", "downlink_nack", "downlink_sent",
		"downlink_failed",
		"downlink_queued", "downlink_queue_invalidated", "location_solved", "service_data"} {
		types[kind] = map[string]string{"path": "/" + kind}
	}
	for _, hook := range []map[string]any{{"id": "as-json"}, {"id": "as-protobuf", "format": "protobuf"},
		{"id": "masked", "field_mask": []string{"end_device_ids.dev_eui", "up.uplink_message.f_port"}}} {
		hook["description"], hook["url"], hook["message_types"] = hook["id"], receiver.URL+"/"+hook["id"].(string)+"/{devEUI}", types
		c.call("POST", "/projects/lorawan/webhooks", hook, 201, nil)
	}
	var key struct{ Key string }
	c.call("POST", "/projects/lorawan/keys", map[string]any{"name": "tts", "rights": []string{"RIGHT_APPLICATION_TRAFFIC_UP_WRITE"}}, 201,
		&key)

	files, err := filepath.Glob(lorawanFixtures + "/*.json")
	must(t, err)
	if len(files) < 16 {
		t.Fatalf("%d fixtures", len(files))
	}
	type sent struct{ kind, id string }
	texts, binaries := map[sent][]byte{}, map[sent][]byte{}
	for i, file := range files {
		text, err := os.ReadFile(file)
		must(t, err)
		digits, err := os.ReadFile(strings.TrimSuffix(file, ".json") + ".protobuf.hex")
		must(t, err)
		binary, err := hex.DecodeString(strings.TrimSpace(string(digits)))
		must(t, err)
		head, _, err := lorawan.ReadHead(text)
		must(t, err)
		contentType, body := "application/json", text
		if i%2 == 1 {
			contentType, body = "application/octet-stream", binary
		}
		id := postUp(t, p.url+"/in/tts/lorawan/"+string(head.Type), key.Key, contentType, body)
		s := sent{string(head.Type), id}
		binaries[s] = binary
		if i%2 == 0 {
			texts[s] = text
		}
	}
	until(t, "each message came to the three receivers", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(got) == 3*len(files)
	})
	mu.Lock()
	defer mu.Unlock()
	at := func(hook, contentType string, s sent) []byte {
		body, ok := got["/"+hook+"/70B3D57ED0051A2B/"+s.kind+" "+contentType+" "+s.id]
		if !ok {
			t.Errorf("%s did not get %s", hook, s.kind)
		}
		return body
	}
	for s, binary := range binaries {
		if text, ok := texts[s]; ok && !bytes.Equal(at("as-json", "application/json", s), text) {
			t.Errorf("%s came as %s", s.kind, at("as-json", "application/json", s))
		}
		want, err := lorawan.ParseProtobuf(binary)
		must(t, err)
		up, err := lorawan.ParseProtobuf(at("as-protobuf", "application/octet-stream", s))
		must(t, err)
		if !proto.Equal(up, want) {
			t.Errorf("%s came as %v", s.kind, up)
		}
		masked := string(at("masked", "application/json", s))
		if strings.Contains(masked, "device_id\"") || !strings.Contains(masked, "70B3D57ED0051A2B") {
			t.Errorf("%s came as %s", s.kind, masked)
		}
	}
	var device struct {
		DevEUI  string `json:"dev_eui"`
		JoinEUI string `json:"join_eui"`
	}
	c.call("GET", "/projects/lorawan/devices/soil-probe-07", nil, 200, &device)
	if device.DevEUI != "70B3D57ED0051A2B" || device.JoinEUI != "0000000000000001" {
		t.Errorf("registered as %+v", device)
	}
}

// postUp posts a message like a webhook of The Things Stack, and returns its id.
func postUp(t *testing.T, url, key, contentType string, body []byte) string {
	t.Helper()
	r, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodPost, url, bytes.NewReader(body))
	must(t, err)
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Authorization", "Bearer "+key)
	answer, err := http.DefaultClient.Do(r)
	must(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	must(t, err)
	if answer.StatusCode != http.StatusAccepted {
		t.Fatalf("%s: %s %s", url, answer.Status, text)
	}
	_, id, _ := strings.Cut(string(text), `{"id":"`)
	return strings.TrimSuffix(strings.TrimSpace(id), `"}`)
}

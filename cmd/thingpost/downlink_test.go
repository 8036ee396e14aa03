package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/tidwall/gjson"
)

// TestDownlinkFromAReceiverToItsDevice follows a downlink through the running program.
// A webhook's receiver pushes it with the request's headers, the waiting device takes
// and acknowledges it, and the receiver gets a message about each step.
func TestDownlinkFromAReceiverToItsDevice(t *testing.T) {
	var mu sync.Mutex
	var heard []string
	pushed := make(chan int, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		kind := gjson.GetBytes(body, "msg.type").Str
		mu.Lock()
		heard = append(heard, kind)
		mu.Unlock()
		if kind == "userdefined" {
			pushed <- pushByHeader(t, r, `{"downlinks":[{"f_port":15,"frm_payload":"vu8=","confirmed":true,"correlation_ids":["my-order-4711"]}]}`)
		}
	}))
	defer receiver.Close()
	p := serve(t, adminEnv(), "-data", t.TempDir(), "-allow-networks", "127.0.0.0/8,::1/128")
	defer p.end(t, syscall.SIGTERM)
	c := signIn(t, p.url)
	c.call("POST", "/projects", map[string]string{"id": "valves", "name": "Valves"}, 201, nil)
	var device, key struct{ Key string }
	c.call("POST", "/projects/valves/devices", map[string]string{"id": "valve-1"}, 201, &device)
	c.call("POST", "/projects/valves/keys", map[string]any{"name": "push", "rights": []string{"RIGHT_APPLICATION_TRAFFIC_DOWN_WRITE"}}, 201,
		&key)
	types := map[string]any{"user": map[string]string{}, "downlink_queued": map[string]string{}, "downlink_sent": map[string]string{},
		"downlink_ack": map[string]string{}}
	c.call("POST", "/projects/valves/webhooks", map[string]any{"id": "erp", "description": "ERP", "url": receiver.URL, "message_types": types,
		"format":       "envelope",
		"downlink_key": key.Key}, 201, nil)

	d := &apiClient{t: t, url: p.url, token: device.Key}
	const queue = "/projects/valves/devices/valve-1/downlinks"
	d.call("POST", "/projects/valves/devices/valve-1/messages", []byte(`{"payload":{"needs":"water"}}`), 202, nil)
	var taken struct {
		ID      string
		Payload string   `json:"frm_payload"`
		IDs     []string `json:"correlation_ids"`
	}
	d.call("POST", queue+"/take?wait=60s", nil, 200, &taken)
	if status := <-pushed; status != 200 {
		t.Errorf("the push was answered with %d", status)
	}
	if taken.Payload != "vu8=" || !slices.Equal(taken.IDs, []string{"my-order-4711", "as:downlink:" + taken.ID}) {
		t.Errorf("the device took %+v", taken)
	}
	d.call("POST", queue+"/"+taken.ID+"/ack", nil, 200, nil)
	d.call("POST", queue+"/take", nil, 204, nil)
	until(t, "the receiver has heard of all", func() bool {
		mu.Lock()
		defer mu.Unlock()
		got := slices.Sorted(slices.Values(heard))
		return slices.Equal(got, []string{"downlink_ack", "downlink_queued", "downlink_sent", "userdefined"})
	})
}

// pushByHeader sends a body to the downlink address in a request's headers.
func pushByHeader(t *testing.T, from *http.Request, body string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, from.Header.Get("X-Downlink-Push"), strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0
	}
	r.Header.Set("Authorization", "Bearer "+from.Header.Get("X-Downlink-Apikey"))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer func() { _ = resp.Body.Close() }()
	return resp.StatusCode
}

// TestDownlinksGoOnToAnUpstream forwards a project's downlinks to a server in place of
// another system: in order, with its key, and again after it has failed.
func TestDownlinksGoOnToAnUpstream(t *testing.T) {
	var mu sync.Mutex
	var got []string
	failed := false
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if !failed {
			failed = true
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		var ports []string
		for _, port := range gjson.GetBytes(body, "downlinks.#.f_port").Array() {
			ports = append(ports, port.Raw)
		}
		got = append(got, r.URL.Path+" "+r.Header.Get("Authorization")+" "+strings.Join(ports, ","))
	}))
	defer upstream.Close()
	p := serve(t, adminEnv(), "-data", t.TempDir(), "-allow-networks", "127.0.0.0/8,::1/128")
	defer p.end(t, syscall.SIGTERM)
	c := signIn(t, p.url)
	c.call("POST", "/projects", map[string]string{"id": "valves", "name": "Valves"}, 201, nil)
	c.call("POST", "/projects/valves/devices", map[string]string{"id": "valve-1"}, 201, nil)
	c.call("PUT", "/projects/valves/upstream", map[string]string{"url": upstream.URL + "/api/v3/as/applications/app1", "key": "NNSXS.theirs"},
		200, nil)
	const queue = "/projects/valves/devices/valve-1/downlinks"
	c.call("POST", queue, []byte(`[{"f_port":1},{"f_port":2}]`), 201, nil)
	c.call("PUT", queue, []byte(`[{"f_port":3}]`), 200, nil)
	const down, key = "/api/v3/as/applications/app1/devices/valve-1/down/", " Bearer NNSXS.theirs "
	want := []string{down + "push" + key + "1", down + "push" + key + "2", down + "replace" + key, down + "push" + key + "3"}
	until(t, "all have gone on", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(got) >= len(want)
	})
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(got, want) {
		t.Errorf("the upstream got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

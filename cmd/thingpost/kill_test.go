package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// killWorld is what the senders and the receivers of a kill test have seen.
type killWorld struct {
	mu      sync.Mutex
	sent    map[string]bool            // numbers that a sender has begun to send
	acked   map[string]bool            // numbers that were acknowledged
	arrived map[string]map[string]bool // numbers by webhook
}

// TestKilledAtAnyMomentLosesNothing kills the real program with SIGKILL under
// load, again and again, and compares what senders were told with what
// receivers got. THINGPOST_KILLS says how often; default 4.
func TestKilledAtAnyMomentLosesNothing(t *testing.T) {
	kills := 4
	if n, err := strconv.Atoi(os.Getenv("THINGPOST_KILLS")); err == nil {
		kills = n
	}
	k := &killWorld{sent: map[string]bool{}, acked: map[string]bool{}, arrived: map[string]map[string]bool{"all": {}, "flaky": {}}}
	var count atomic.Int64
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.Trim(r.URL.Path, "/")
		if name == "flaky" && count.Add(1)%3 == 0 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if body, err := io.ReadAll(r.Body); err == nil {
			k.note(k.arrived[name], string(body))
		}
	}))
	defer receiver.Close()
	data := filepath.Join(t.TempDir(), "data")
	start := func() *process {
		return serve(t, adminEnv(), "-data", data, "-allow-networks", "127.0.0.0/8,::1/128")
	}
	p := start()
	c := signIn(t, p.url)
	c.call("POST", "/projects", map[string]string{"id": "kills", "name": "Kills"}, 201, nil)
	for _, name := range []string{"all", "flaky"} {
		c.call("POST", "/projects/kills/webhooks", map[string]any{"id": "hook-" + name, "description": name, "url": receiver.URL + "/" + name, "type": "user", "payload_only": true}, 201, nil)
	}
	var device struct{ Key string }
	c.call("POST", "/projects/kills/devices", map[string]string{"id": "probe-1"}, 201, &device)
	for range kills {
		ctx, cancel := context.WithCancel(t.Context())
		var senders sync.WaitGroup
		for range 16 {
			senders.Go(func() { k.send(ctx, p.url+"/api/v1/projects/kills/devices/probe-1/messages", device.Key) })
		}
		before := k.size(k.acked)
		enough := before + 50 + rand.IntN(1500) // the moment of the kill
		until(t, "enough was acknowledged", func() bool { return k.size(k.acked) >= enough })
		p.end(t, syscall.SIGKILL)
		cancel()
		senders.Wait()
		p = start()
	}
	for _, name := range []string{"all", "flaky"} {
		until(t, name+" has all that was acknowledged", func() bool { return len(k.missing(name)) == 0 })
	}
	for name, numbers := range k.arrived {
		for n := range numbers {
			if !k.sent[n] {
				t.Errorf("%s got %q, which nobody has sent", name, n)
			}
		}
	}
	if status := p.end(t, syscall.SIGTERM); status != 0 {
		t.Errorf("it stopped with status %d: %s", status, p.stderr.String())
	}
	if status, out, complaints := run(t, "", nil, "check", "-data", data); status != 0 {
		t.Errorf("check answers %d: %s%s", status, out, complaints)
	}
	t.Logf("%d kills, %d messages sent, %d acknowledged, none lost", kills, len(k.sent), len(k.acked))
}

func (k *killWorld) note(where map[string]bool, n string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	where[n] = true
}

func (k *killWorld) size(of map[string]bool) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(of)
}

func (k *killWorld) missing(name string) (list []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for n := range k.acked {
		if !k.arrived[name][n] {
			list = append(list, n)
		}
	}
	return list
}

// send sends numbers until the server is gone.
func (k *killWorld) send(ctx context.Context, url, key string) {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for ctx.Err() == nil {
		n := fmt.Sprintf("%d", rand.Int64())
		k.note(k.sent, n)
		if post(ctx, client, url, key, []byte(`{"payload":`+n+`}`)) != nil {
			return
		}
		k.note(k.acked, n)
	}
}

package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"thingpost/internal/budget"
)

// smallMemory creates a cgroup of version 1 with a limit and returns its folder, "" if
// it cannot. The process's memory is checked all the same.
func smallMemory(t *testing.T, limit int64) string {
	t.Helper()
	folder, err := os.MkdirTemp("/sys/fs/cgroup/memory", "thingpost-test-") //nolint:usetesting // a folder of a cgroup
	if err != nil {
		t.Logf("without a cgroup: %v", err)
		return ""
	}
	t.Cleanup(func() { _ = os.Remove(folder) }) // it stays while the process still exists
	if err := os.WriteFile(filepath.Join(folder, "memory.limit_in_bytes"), strconv.AppendInt(nil, limit, 10), 0o600); err != nil {
		t.Logf("without a cgroup: %v", err)
		return ""
	}
	return folder
}

// peakMiB is the most memory that a process has had.
func peakMiB(t *testing.T, pid int) float64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(t, err)
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	kib, err := strconv.ParseFloat(strings.Fields(rest + " 0")[0], 64)
	must(t, err)
	return kib / 1024
}

// TestMemoryIsBounded has 32 devices send messages of 1 MB to five webhooks whose
// receivers take two seconds, in a cgroup of 192 MiB if possible.
func TestMemoryIsBounded(t *testing.T) {
	const limit, most = 192 << 20, 160
	p := newProcess(t, adminEnv(), "serve", "-listen", "127.0.0.1:0", "-data", t.TempDir(), "-allow-networks", "127.0.0.0/8,::1/128")
	// Under the race detector a program takes several times its memory: it would be killed.
	var group string
	if !raceDetector {
		group = smallMemory(t, limit)
	}
	if group != "" {
		p.Args = append([]string{"sh", "-c", `echo $$ > "$0/cgroup.procs"; exec "$@"`, group, p.Path}, p.Args[1:]...)
		p.Path = "/bin/sh"
	} else {
		p.Env = append(p.Env, "THINGPOST_MEMORY="+strconv.Itoa(budget.Least))
	}
	begin(t, p)
	if !p.out.Scan() {
		_ = p.Wait()
		t.Fatalf("it did not start: %s", p.stderr.String())
	}
	_, p.url, _ = strings.Cut(p.out.Text(), " listens on ")
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-time.After(2 * time.Second):
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(receiver.Close)
	c := signIn(t, p.url)
	c.call("POST", "/projects", map[string]string{"id": "probes", "name": "Probes"}, 201, nil)
	for n := range 5 {
		c.call("POST", "/projects/probes/webhooks", map[string]any{"description": "Hook", "id": fmt.Sprint("hook-", n), "url": receiver.URL,
			"type": "user"}, 201, nil)
	}
	var device struct{ Key string }
	c.call("POST", "/projects/probes/devices", map[string]string{"id": "probe-1"}, 201, &device)
	body := `{"payload":"` + strings.Repeat("x", 1_000_000) + `"}`
	var mu sync.Mutex
	answers := map[int]int{}
	send := func() int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+"/api/v1/projects/probes/devices/probe-1/messages",
			strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return 0
		}
		r.Header.Set("Authorization", "Bearer "+device.Key)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			// Requests refused before their body was read are sometimes cut off.
			return http.StatusTooManyRequests
		}
		text, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		switch resp.StatusCode {
		case http.StatusAccepted:
		case http.StatusTooManyRequests, http.StatusServiceUnavailable:
			if resp.Header.Get("Retry-After") == "" || !strings.Contains(string(text), "at once") {
				t.Errorf("%d with %v: %s", resp.StatusCode, resp.Header, text)
			}
		default:
			t.Errorf("%d: %s", resp.StatusCode, text)
		}
		return resp.StatusCode
	}
	var senders sync.WaitGroup
	for range 32 {
		senders.Go(func() {
			for range 5 {
				status := send()
				mu.Lock()
				answers[status]++
				mu.Unlock()
			}
		})
	}
	senders.Wait()
	until(t, "a message is taken after all that", func() bool { return send() == http.StatusAccepted })
	peak := peakMiB(t, p.Process.Pid)
	if peak > most && !raceDetector {
		t.Errorf("it has taken %.0f MiB, want at most %d", peak, most)
	}
	if answers[http.StatusAccepted] < 10 {
		t.Errorf("of all messages only some were taken: %v", answers)
	}
	t.Attr("figure", fmt.Sprintf("32 senders of 1 MB, five webhooks: %.0f MiB at most, answers %v", peak, answers))
	if code := p.end(t, os.Interrupt); code != exitOK {
		t.Errorf("exit status %d: %s", code, p.stderr.String())
	}
}

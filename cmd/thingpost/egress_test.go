package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	neturl "net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sync/errgroup"

	"thingpost/internal/iot"
)

// namesInTurn lead to the next of their groups of addresses, and finally always to the
// last. All others lead to this machine.
type namesInTurn struct {
	mu    sync.Mutex
	names map[string][]string
}

func (s *namesInTurn) addresses(name string, v4 bool) ([]string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	groups := s.names[name]
	if len(groups) == 0 {
		return []string{"127.0.0.1", "::1"}, true
	}
	if v4 && len(groups) > 1 {
		s.names[name] = groups[1:]
	}
	return strings.Fields(groups[0]), true
}

// trap listens on every address of this machine except the allowed receivers', all on
// one port, and counts connections.
type trap struct {
	port string
	came atomic.Int64
}

func newTrap(t *testing.T) *trap {
	t.Helper()
	p := &trap{}
	addresses, err := net.InterfaceAddrs()
	must(t, err)
	listen := func(host string) bool {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort(host, p.port))
		if err != nil {
			return false // such an address cannot be reached at either
		}
		if p.port == "0" {
			_, p.port, _ = net.SplitHostPort(l.Addr().String())
		}
		done := make(chan struct{})
		go func() { // ends with Close below
			defer close(done)
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				p.came.Add(1)
				_ = conn.Close()
			}
		}()
		t.Cleanup(func() { _ = l.Close(); <-done })
		return true
	}
	p.port = "0"
	if !listen("127.0.0.1") {
		t.Fatal("no address of this machine can be listened on")
	}
	for _, v := range addresses {
		if n, ok := v.(*net.IPNet); ok && !n.IP.Equal(net.IPv4(127, 0, 0, 1)) && !n.IP.IsLinkLocalUnicast() {
			listen(n.IP.String())
		}
	}
	return p
}

// readHosts reads the file of refused hosts: those refused when saved, those refused
// only when dialled, and those always refused.
func readHosts(t *testing.T) (saved, dialled, never []string) {
	t.Helper()
	text, err := os.ReadFile("../../internal/egress/testdata/refused.txt")
	must(t, err)
	into := &saved
	for line := range strings.Lines(string(text)) {
		switch line = strings.TrimSpace(line); {
		case line == "dial":
			into = &dialled
		case line == "never":
			into = &never
		case line != "" && line[0] != '#':
			*into = append(*into, line)
		}
	}
	return saved, dialled, never
}

// egressWorld is the program with a webhook and an upstream for each host, and a
// receiver at the only allowed address.
type egressWorld struct {
	*testing.T
	trap   *trap
	data   string
	env    []string
	keys   []string // of the projects whose devices have the hosts as upstreams
	hosts  []string
	c      *apiClient
	mu     sync.Mutex
	gotten map[string]int // requests at the allowed receiver, by path
}

// allowedHost is the only allowed address: another one of this machine.
const allowedHost = "127.0.0.9"

// perProject is how many upstreams a project can have.
const perProject = iot.MaxUpstreams

func newEgressWorld(t *testing.T) *egressWorld {
	t.Helper()
	w := &egressWorld{T: t, trap: newTrap(t), data: t.TempDir(), gotten: map[string]int{}}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", allowedHost+":"+w.trap.port)
	if err != nil {
		t.Skipf("this machine has no second loopback address: %v", err)
	}
	receiver := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.gotten[r.URL.Path]++
		rw.Header().Set("Connection", "close") // so that the name is looked up again
		if r.URL.Path == "/redirect" {
			http.Redirect(rw, r, "http://127.0.0.1:"+w.trap.port+"/", http.StatusTemporaryRedirect)
		}
	}))
	_ = receiver.Listener.Close()
	receiver.Listener = l
	receiver.Start()
	t.Cleanup(receiver.Close)
	names := &namesInTurn{names: map[string][]string{
		"good.example": {allowedHost}, "redirect.example": {allowedHost}, "both.example": {"127.0.0.1 " + allowedHost + " ::1"},
		"rebind.example": {allowedHost, "127.0.0.1"}, "itself.example": {"127.0.0.1"}}}
	proxy := "http://127.0.0.1:" + w.trap.port
	w.env = append(adminEnv(), nameServer+"="+serveNames(t, names.addresses), "HTTP_PROXY="+proxy, "HTTPS_PROXY="+proxy, "ALL_PROXY="+proxy,
		"http_proxy="+proxy, "https_proxy="+proxy)
	return w
}

// start starts the program on the same data with networks allowed.
func (w *egressWorld) start(allowed string, more ...string) *process {
	w.Helper()
	p := serve(w.T, w.env, append([]string{"-data", w.data, "-max-webhooks", "1000", "-allow-networks", allowed}, more...)...)
	w.c = signIn(w.T, p.url)
	return p
}

func (w *egressWorld) url(host string) string { return "http://" + host + ":" + w.trap.port + "/" }

// fill creates a webhook and an upstream of a device for each host.
func (w *egressWorld) fill() {
	w.Helper()
	w.c.call("POST", "/projects", map[string]string{"id": "hooks", "name": "Hooks"}, 201, nil)
	for i, host := range w.hosts {
		w.c.call("POST", "/projects/hooks/webhooks", map[string]any{"id": "hook-" + strconv.Itoa(i), "description": host,
			"url": w.url(host) + "x", "type": "user"}, 201, nil)
		project := "up-" + strconv.Itoa(i/perProject)
		if i%perProject == 0 {
			var key struct{ Key string }
			w.c.call("POST", "/projects", map[string]string{"id": project, "name": project}, 201, nil)
			w.c.call("POST", "/projects/"+project+"/keys", map[string]any{"name": "all", "rights": []string{"RIGHT_APPLICATION_ALL"}}, 201, &key)
			w.keys = append(w.keys, key.Key)
		}
		device := "device-" + strconv.Itoa(i)
		base := w.url(host) + "api/v3/as/applications/app/devices/" + device + "/down/"
		status, answer := w.c.exchange("POST", w.c.url+"/in/tts/"+project, `{"end_device_ids":{"device_id":"`+device+
			`"},"uplink_message":{"f_port":1}}`,
			map[string]string{"Authorization": "Bearer " + w.keys[len(w.keys)-1], "X-Downlink-Push": base + "push",
				"X-Downlink-Replace": base + "replace", "X-Downlink-Apikey": "NNSXS.A"})
		if status != http.StatusAccepted {
			w.Fatalf("%s as an upstream: %d %s", host, status, answer)
		}
	}
}

// ended returns how each delivery ended so far, by its webhook's URL and its trigger.
func (w *egressWorld) ended() map[string]string {
	w.Helper()
	d := rawDatabase(w.T, w.data)
	defer func() { must(w.T, d.Close()) }()
	rows, err := d.QueryContext(w.Context(), `SELECT w.url, w.kind, d.trigger, coalesce((SELECT a.error || ' ' || a.error_detail FROM `+
		`attempts a WHERE a.delivery_id = d.id AND a.number = 1), d.status)
		FROM deliveries d JOIN webhooks w ON w.id = d.webhook_id WHERE d.attempt_count > 0`)
	must(w.T, err)
	defer func() { _ = rows.Close() }()
	list := map[string]string{}
	for rows.Next() {
		var url, kind, trigger, how string
		must(w.T, rows.Scan(&url, &kind, &trigger, &how))
		list[kind+" "+trigger+" "+url] = how
	}
	must(w.T, rows.Err())
	return list
}

// TestNoForbiddenAddressIsReached has webhooks and upstreams for every host of the
// table in the database, from before their networks were refused, and sends to them in
// all three ways. A trap listens on this machine, where most of them lead: nothing
// connects, and each attempt reports that it was blocked. None that can be checked
// without DNS can be saved again, in any dialect.
func TestNoForbiddenAddressIsReached(t *testing.T) {
	w := newEgressWorld(t)
	saved, dialled, never := readHosts(t)
	if raceDetector { // a third is enough: it takes ten times as long
		saved, dialled = every(3, saved), every(3, dialled)
	}
	w.hosts = slices.Concat(saved, dialled)
	p := w.start("0.0.0.0/0,::/0")
	w.fill()
	for _, host := range never {
		w.c.call("POST", "/projects/hooks/webhooks", map[string]string{"description": "x", "url": w.url(host), "type": "user"}, 400, nil)
	}
	p.end(t, syscall.SIGTERM)

	p = w.start(allowedHost + "/32")
	defer func() { p.end(t, syscall.SIGTERM) }()
	w.c.call("POST", "/projects/hooks/devices", map[string]string{"id": "probe"}, 201, nil)
	w.c.call("POST", "/projects/hooks/devices/probe/messages", map[string]int{"payload": 1}, 202, nil)
	var g errgroup.Group
	g.SetLimit(8)
	send := func(path, body string, want int) error {
		return postAs(t.Context(), http.DefaultClient, p.url+"/api/v1/projects/"+path, []byte(body), want, "Content-Type", "application/json",
			"Authorization", "Bearer "+w.c.token)
	}
	for i := range w.hosts {
		g.Go(func() error {
			if err := send(fmt.Sprintf("hooks/webhooks/hook-%d/test", i), "", 202); err != nil {
				return err
			}
			return send(fmt.Sprintf("up-%d/devices/device-%d/downlinks", i/perProject, i), `[{"f_port":1}]`, 201)
		})
	}
	must(t, g.Wait())
	var ended map[string]string
	until(t, "every attempt was made", func() bool { ended = w.ended(); return len(ended) >= 3*len(w.hosts) })
	for what, how := range ended {
		if !strings.HasPrefix(how, "blocked ") || !strings.Contains(how, "-allow-networks") {
			t.Errorf("%s: %s", what, how)
		}
	}
	refused := w.refusesToSave(saved)
	w.reachesTheAllowed()
	own := w.ownListeners(&p)
	if n := w.trap.came.Load(); n != 0 {
		t.Errorf("%d connections came to forbidden addresses", n)
	}
	if t.Failed() {
		return
	}
	t.Attr("figure", fmt.Sprintf("%d addresses and names: %d attempts in 3 ways, %d tries to save them, %d to the server itself: all "+
		"refused, 0 connections",
		len(w.hosts)+len(never), len(ended), refused+len(never), own))
}

// refusesToSave tries to save the hosts in every way, and returns how often.
func (w *egressWorld) refusesToSave(hosts []string) (tries int) {
	w.Helper()
	w.c.call("POST", "/projects/hooks/webhooks", map[string]any{"id": "kept", "description": "Kept", "url": "https://hooks.example.com/",
		"type": "user"}, 201, nil)
	var device struct{ UUID string }
	w.c.call("GET", "/projects/hooks/devices/probe", nil, 200, &device)
	var key struct{ Key string }
	w.c.call("POST", "/projects/hooks/keys", map[string]any{"name": "all", "rights": []string{"RIGHT_APPLICATION_ALL"}}, 201, &key)
	for i, host := range hosts {
		url := w.url(host)
		ways := []struct{ method, path, body, token string }{
			{"POST", "/api/v1/projects/hooks/webhooks", fmt.Sprintf(`{"description":"x","url":%q,"type":"user"}`, url), w.c.token},
		}
		if i%8 == 0 { // for the others, which use the same check, one of each kind of spelling is enough
			ways = append(ways, []struct{ method, path, body, token string }{
				{"PATCH", "/api/v1/projects/hooks/webhooks/kept", fmt.Sprintf(`{"url":%q}`, url), w.c.token},
				{"PUT", "/api/v1/projects/hooks/upstream", fmt.Sprintf(`{"url":%q,"key":"NNSXS.A"}`, url), w.c.token},
				{"POST", "/api/v3/as/webhooks/hooks", fmt.Sprintf(`{"webhook":{"ids":{"webhook_id":"refused"},"base_url":%q,"format":"json"},`+
					`"field_mask":{"paths":["base_url","format"]}}`, url), key.Key},
				{"POST", "/things/" + device.UUID + "/webhooks", fmt.Sprintf(`[{"name":"x","url":%q}]`, url), w.c.token},
			}...)
		}
		for _, v := range ways {
			tries++
			headers := map[string]string{"Authorization": "Bearer " + v.token, "Content-Type": "application/json"}
			if status, answer := w.c.exchange(v.method, w.c.url+v.path, v.body, headers); status != http.StatusBadRequest ||
				!strings.Contains(answer, "-allow-networks") {
				w.Errorf("%s %s with %s answers %d %s", v.method, v.path, host, status, answer)
			}
		}
	}
	w.formRefuses("127.1")
	// A stored one can still be changed otherwise.
	w.c.call("PATCH", "/projects/hooks/webhooks/hook-0", map[string]string{"description": "Renamed"}, 200, nil)
	return tries + 1
}

// formRefuses types a host into the form of a webhook.
func (w *egressWorld) formRefuses(host string) {
	w.Helper()
	browser := visitor(w.T, w.c.url)
	browser.enters()
	form := neturl.Values{"description": {"x"}, "url": {w.url(host)}, "type": {"user"}, "timeout": {"10"}, "give_up_after": {"24"},
		"give_up_unit": {"h"}, "retry_on": {"timeout"}}
	s := browser.tries("POST", "/projects/hooks/webhooks/new", form)
	if s.status != http.StatusUnprocessableEntity || !strings.Contains(s.body, `id="url-error"`) ||
		!strings.Contains(s.body, "-allow-networks 127.0.0.1/32") {
		w.Errorf("the form answers %d without a word about %s", s.status, host)
	}
}

// reachesTheAllowed sends to the receiver at the allowed address, by names that lead to
// it among others or in turn, and by a redirect that leads away.
func (w *egressWorld) reachesTheAllowed() {
	w.Helper()
	send := func(name, path string) func() bool {
		var made struct{ ID string }
		w.c.call("POST", "/projects/hooks/webhooks", map[string]any{"description": name, "url": w.url(name) + path, "type": "user",
			"settings": map[string]bool{"no_retry": true}}, 201, &made)
		w.c.call("POST", "/projects/hooks/webhooks/"+made.ID+"/test", nil, 202, nil)
		return func() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.gotten["/"+path] > 0 }
	}
	for name, path := range map[string]string{"good.example": "good", "both.example": "both", "redirect.example": "redirect",
		"rebind.example": "rebind"} {
		until(w.T, name+" is reached", send(name, path))
	}
	until(w.T, "the redirect is refused", func() bool {
		return strings.HasPrefix(w.ended()["webhook test "+w.url("redirect.example")+"redirect"], "redirect ")
	})
	send("rebind.example", "rebound")
	until(w.T, "the second look is refused", func() bool {
		how := w.ended()["webhook test "+w.url("rebind.example")+"rebound"]
		return strings.HasPrefix(how, "blocked rebind.example has no address that can be reached") && strings.Contains(how, ": 127.0.0.1 is ")
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gotten["/rebound"] != 0 {
		w.Error("a name that leads elsewhere at the second look was reached")
	}
}

// ownListeners allows all of this machine, but not the server itself, by any address or
// name. It returns how often it tried.
func (w *egressWorld) ownListeners(p **process) (tries int) {
	w.Helper()
	(*p).end(w.T, syscall.SIGTERM)
	w.data = w.TempDir() // deliveries blocked before would be sent now
	metrics := freeAddress(w.T)
	*p = w.start("127.0.0.0/8,::1/128,0.0.0.0/8", "-metrics-listen", metrics, "-log-level", "debug")
	_, main, err := net.SplitHostPort(strings.TrimPrefix((*p).url, "http://"))
	must(w.T, err)
	_, metricsPort, err := net.SplitHostPort(metrics)
	must(w.T, err)
	w.c.call("POST", "/projects", map[string]string{"id": "itself", "name": "Itself"}, 201, nil)
	for _, port := range []string{main, metricsPort} {
		for _, host := range []string{"127.0.0.1", "127.1", "0x7f000001", "[::ffff:127.0.0.1]", "0.0.0.0"} {
			tries++
			url := "http://" + host + ":" + port + "/metrics"
			var refused struct {
				Error struct{ Fields struct{ URL string } }
			}
			w.c.call("POST", "/projects/itself/webhooks", map[string]string{"description": "x", "url": url, "type": "user"}, 400, &refused)
			if !strings.Contains(refused.Error.Fields.URL, "this server itself") {
				w.Errorf("%s is refused with %q", url, refused.Error.Fields.URL)
			}
		}
		tries++
		url := "http://itself.example:" + port + "/metrics" // a name that leads there
		w.c.call("POST", "/projects/itself/webhooks", map[string]string{"id": "itself-" + port, "description": "Itself", "url": url,
			"type": "user"}, 201, nil)
		w.c.call("POST", "/projects/itself/webhooks/itself-"+port+"/test", nil, 202, nil)
		until(w.T, "the server's own port is refused by name", func() bool { return w.ended()["webhook test "+url] != "" })
		if how := w.ended()["webhook test "+url]; !strings.HasPrefix(how, "blocked ") || !strings.Contains(how, "this server itself") {
			w.Errorf("%s: %s", url, how)
		}
	}
	return tries
}

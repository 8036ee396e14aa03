package web_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"thingpost/handlers"
	"thingpost/internal/iot"
	"thingpost/web"
)

func TestSiteMap(t *testing.T) {
	s := newSite(t, false)
	for path, want := range map[string]string{
		"/healthz":             `{"status":"ok"}`,
		"/readyz":              `{"status":"ready"}`,
		"/api/v1/projects":     "api /api/v1/projects",
		"/api/v1//twice/./up/": "api /api/v1/twice/up",
		"//api//v1/projects":   "api /api/v1/projects",
		"/./api/v1/a%2F/b":     "api /api/v1/a//b",
		"/projects/greenhouse": "",
	} {
		resp, body := s.do(t, http.MethodGet, path, nil)
		if resp.code != http.StatusOK || strings.TrimSpace(body) != want {
			t.Errorf("%s: %s %s", path, resp.status, body)
		}
	}
	for _, path := range []string{"/api", "/api/v2/x", "/v3/x", "/in/tts/p", "/http/messages", "/messages", "/tokens", "/users", "/register",
		"/orgs", "/groups",
		"/things", "/profiles", "/webhooks", "/keys", "/identify", "/commands", "/health", "/svcauth", "/svcusers/x", "/svcthings",
		"/svcwebhooks", "/svchttp",
		"/metrics", "/static/none.css", "/api/v1/twice/../up", "/api/v1/..", "/api/../sign-in", "/../api/v1/x", "/sign-in/../api/v1/x",
		"/sign-in/../things/x",
		"/api/v1/x/%2e%2E/y", "/api/v1/x/.%2e", "//in//tts/../x", "/http/messages/a/../b", "/api//", "//v3//x/"} {
		resp, body := s.do(t, http.MethodGet, path, nil)
		if resp.code != http.StatusNotFound || !strings.Contains(body, `"code":"not_found"`) ||
			resp.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %s %s", path, resp.status, body)
		}
	}
}

func TestPagesForbidWhatTheyDoNotNeed(t *testing.T) {
	s := newSite(t, false)
	resp, _ := s.do(t, http.MethodGet, "/", nil)
	policy := resp.header.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'",
		"form-action 'self'"} {
		if !strings.Contains(policy, part) {
			t.Errorf("the policy lacks %s: %s", part, policy)
		}
	}
	if strings.Contains(policy, "unsafe") {
		t.Errorf("the policy allows inline code: %s", policy)
	}
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
		"Strict-Transport-Security": ""} {
		if got := resp.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	other, _ := s.do(t, http.MethodGet, "/", nil)
	if id := resp.header.Get(handlers.RequestIDHeader); id == "" || id == other.header.Get(handlers.RequestIDHeader) {
		t.Errorf("requests share the id %q", id)
	}
}

func TestOtherSitesCannotChangeAnything(t *testing.T) {
	s := newSite(t, false, func(o *web.Options) { o.PublicURL = "https://thingpost.example.org" })
	for _, c := range []struct {
		name, method, path string
		headers            []string
		want               int
	}{
		{"another site", http.MethodPost, "/sign-in", []string{"Sec-Fetch-Site: cross-site"}, http.StatusForbidden},
		{"another site, old browser", http.MethodPost, "/sign-in", []string{"Origin: https://evil.example"}, http.StatusForbidden},
		{"a page of another site is read", http.MethodGet, "/", []string{"Sec-Fetch-Site: cross-site"}, http.StatusOK},
		{"our own page", http.MethodPost, "/sign-in", []string{"Sec-Fetch-Site: same-origin"}, http.StatusOK},
		{"our own page behind a proxy", http.MethodPost, "/sign-in", []string{"Origin: https://thingpost.example.org"}, http.StatusOK},
		{"a program", http.MethodPost, "/sign-in", nil, http.StatusOK},
		{"the API has no cookie to abuse", http.MethodPost, "/api/v1/projects",
			[]string{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"}, http.StatusOK},
	} {
		if resp, body := s.do(t, c.method, c.path, nil, c.headers...); resp.code != c.want {
			t.Errorf("%s: %s %s", c.name, resp.status, body)
		}
	}
}

func TestPanicAnswers500AndTheServerGoesOn(t *testing.T) {
	s := newSite(t, false)
	resp, body := s.do(t, http.MethodGet, "/panic", nil)
	if resp.code != http.StatusInternalServerError || !strings.Contains(body, resp.header.Get(handlers.RequestIDHeader)) ||
		strings.Contains(body, "of a handler") {
		t.Errorf("%s %s", resp.status, body)
	}
	if resp, _ := s.do(t, http.MethodGet, "/healthz", nil); resp.code != http.StatusOK {
		t.Error(resp.status)
	}
}

// TestErrorsBeforeTheDashboard looks at who gets a page about an error, and who gets JSON.
func TestErrorsBeforeTheDashboard(t *testing.T) {
	fall := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1")
		panic("of a handler")
	})
	s := newSite(t, false, func(o *web.Options) {
		o.API, o.Mainflux, o.Inspector = fall, fall, fall
		o.Failure = func(w http.ResponseWriter, _ *http.Request, err error) {
			w.WriteHeader(handlers.StatusOf(err))
			_, _ = w.Write([]byte("<main>" + handlers.ErrorOf(err).Message))
		}
	})
	session := s.signIn(t)
	must(t, s.db.Close()) // so that no session can be read
	const page, program = "<main>", `{"error":{"code":"internal"`
	for _, c := range []struct {
		method, path, header string
		status               int
		begins, says         string
	}{
		{http.MethodGet, "/panic", "Accept: */*", http.StatusInternalServerError, page, "Thingpost has an internal error"},
		{http.MethodGet, "/api/v1/x", "Accept: text/html", http.StatusInternalServerError, program, "The request's id is "},
		{http.MethodGet, "/things/x", "Accept: text/html", http.StatusInternalServerError, program, "Thingpost has an internal error"},
		{http.MethodGet, "/inspect/x", "Accept: text/html", http.StatusInternalServerError, program, "Thingpost has an internal error"},
		{http.MethodPost, "/sign-in", "Sec-Fetch-Site: cross-site", http.StatusForbidden, page, "from another site"},
		{http.MethodGet, "/", "Cookie: " + session[0].String(), http.StatusServiceUnavailable, page, "cannot read its database"},
	} {
		resp, body := s.do(t, c.method, c.path, nil, c.header)
		if resp.code != c.status || !strings.HasPrefix(body, c.begins) || !strings.Contains(body, c.says) {
			t.Errorf("%s %s: %s %s", c.method, c.path, resp.status, body)
		}
	}
}

func TestMetricsNeedTheToken(t *testing.T) {
	s := newSite(t, false, func(o *web.Options) {
		o.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "figures") })
		o.MetricsToken = "long-enough-token"
	})
	for header, want := range map[string]int{"X-None: 1": 401, "Authorization: Bearer wrong": 401,
		"Authorization: Basic long-enough-token": 401, "Authorization: Bearer long-enough-token": 200} {
		if resp, body := s.do(t, http.MethodGet, "/metrics", nil, header); resp.code != want || (body == "figures") != (want == 200) {
			t.Errorf("%s: %s %s", header, resp.status, body)
		}
	}
}

func TestReadyTellsWhyNot(t *testing.T) {
	s := newSite(t, false)
	s.ready = iot.NewError(iot.StorageFull, "The disk is full.")
	resp, body := s.do(t, http.MethodGet, "/readyz", nil)
	if resp.code != http.StatusServiceUnavailable || !strings.Contains(body, "The disk is full.") {
		t.Errorf("%s %s", resp.status, body)
	}
	s.ready = nil
	if resp, _ := s.do(t, http.MethodGet, "/readyz", nil); resp.code != http.StatusServiceUnavailable {
		t.Error("asking again at once asks the disk again")
	}
	s.now.Add(5000)
	if resp, _ := s.do(t, http.MethodGet, "/readyz", nil); resp.code != http.StatusOK {
		t.Error(resp.status)
	}
}

// TestStopping stops a server while a request is running and live events are
// open.
func TestStopping(t *testing.T) {
	hub := web.NewHub()
	begun, finish := make(chan struct{}), make(chan struct{})
	srv := web.New(web.Options{Hub: hub, API: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/events") {
			events, stop := hub.Subscribe(1)
			defer stop()
			w.WriteHeader(http.StatusOK)
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			for range events {
			}
			_, _ = io.WriteString(w, "end of events")
			return
		}
		close(begun)
		<-finish
		_, _ = io.WriteString(w, "finished")
	})})
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ctx, l, nil) }()
	base := "http://" + l.Addr().String()
	get := func(path string) <-chan string {
		answer := make(chan string, 1)
		go func() {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path, http.NoBody)
			if err != nil {
				answer <- err.Error()
				return
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				answer <- err.Error()
				return
			}
			defer func() { _ = resp.Body.Close() }()
			b, _ := io.ReadAll(resp.Body)
			answer <- string(b)
		}()
		return answer
	}
	events, slow := get("/api/v1/events"), get("/api/v1/slow")
	<-begun
	for hub.Subscribers() == 0 {
		runtime.Gosched()
	}
	stop()
	if got := <-events; got != "end of events" {
		t.Errorf("live events ended with %q", got)
	}
	rec := httptest.NewRecorder()
	srv.Handler().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz", http.NoBody))
	if rec.Code != http.StatusServiceUnavailable || !strings.Contains(rec.Body.String(), "stopping") {
		t.Errorf("ready while stopping: %d %s", rec.Code, rec.Body)
	}
	select {
	case err := <-ended:
		t.Fatalf("the server ended with a request running: %v", err)
	default:
	}
	close(finish)
	if got := <-slow; got != "finished" {
		t.Errorf("the running request ended with %q", got)
	}
	must(t, <-ended)
}

func TestAccessLogLeavesOutTheQuery(t *testing.T) {
	var log logBuffer
	s := newSite(t, false, func(o *web.Options) { o.Log = log.logger() })
	_, _ = s.do(t, http.MethodGet, "/setup?token=very-secret", nil)
	s.Close() // waits for the handler
	text := log.String()
	if !strings.Contains(text, "path=/setup") || !strings.Contains(text, "status=200") {
		t.Errorf("no line for the request: %s", text)
	}
	if strings.Contains(text, "very-secret") {
		t.Error("the log holds the token of the set-up link")
	}
}

// TestPanicsTellNoSecret has handlers panic with secrets at hand: in the request, in
// their values, and in the link to them.
func TestPanicsTellNoSecret(t *testing.T) {
	var log logBuffer
	hooks := []*iot.Webhook{{Headers: []iot.Header{{Name: "X-Key", Value: "very-secret", Secret: true}}, DownlinkKey: "very-secret"}}
	fall := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		given := iot.Secret(r.Header.Get("Authorization"))
		panic(fmt.Errorf("look up %v of %+v %#v %s", given, hooks[0], *hooks[0], given))
	})
	s := newSite(t, false, func(o *web.Options) { o.Log, o.API, o.Dashboard, o.Inspector = log.logger(), fall, fall, fall })
	paths := []string{"/api/v1/x?key=very-secret", "/embed/very-secret", "/embed/very-secret/events", "/inspect/very-secret/a",
		"/settings?token=very-secret"}
	for _, path := range paths {
		resp, body := s.do(t, http.MethodPost, path, []*http.Cookie{{Name: "thingpost", Value: "very-secret"}},
			"Authorization: Bearer very-secret", "X-Key: very-secret")
		if resp.code != http.StatusInternalServerError || strings.Contains(body+fmt.Sprint(resp.header), "very-secret") {
			t.Errorf("%s answers %s %s", path, resp.status, body)
		}
	}
	s.Close()
	if text := log.String(); strings.Count(text, "handler panicked") != len(paths) || strings.Contains(text, "very-secret") {
		t.Errorf("the log holds the secret, or not the panics: %s", text)
	}
	t.Attr("figure", fmt.Sprintf("%d panics with secrets at hand, none shown", len(paths)))
}

// BenchmarkWayToTheAPI is what the server itself costs a device's message.
func BenchmarkWayToTheAPI(b *testing.B) {
	h := web.New(web.Options{API: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}).Handler()
	r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/api/v1/projects/p/messages", strings.NewReader("{}"))
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
}

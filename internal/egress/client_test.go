package egress

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"thingpost/internal/iot"
)

// loopback allows what the tests' own servers listen on.
func loopback(t testing.TB) *Policy {
	t.Helper()
	return NewPolicy(mustNetworks(t, "127.0.0.0/8,::1"))
}

func newClient(t testing.TB, o Options) *Client {
	t.Helper()
	if o.Policy == nil {
		o.Policy = loopback(t)
	}
	c := New(o)
	t.Cleanup(c.CloseIdle)
	return c
}

func serve(t testing.TB, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func post(u string) Request {
	return Request{Method: "POST", URL: u, Body: []byte(`{"a":1}`), Timeout: 5 * time.Second,
		Headers: iot.HeaderLines{{Name: "Content-Type", Value: "application/json"}, {Name: "user-agent", Value: "Thingpost/test"},
			{Name: "X-Two", Value: "a"}, {Name: "X-Two", Value: "b"}}}
}

func wantFailure(t *testing.T, r Result, class iot.ErrorClass, words ...string) {
	t.Helper()
	if r.Class != class || r.Canceled {
		t.Errorf("class %q, want %q (canceled %v, %s)", r.Class, class, r.Canceled, r.Detail)
	}
	for _, w := range words {
		if !strings.Contains(r.Detail, w) {
			t.Errorf("detail %q lacks %q", r.Detail, w)
		}
	}
	if !strings.HasSuffix(r.Detail, ".") {
		t.Errorf("detail %q is no sentence", r.Detail)
	}
}

func TestDoSendsTheRequestUnchanged(t *testing.T) {
	type seen struct {
		method, path, body, length string
		chunked                    bool
		header                     http.Header
	}
	got := make(chan seen, 1)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- seen{r.Method, r.URL.RequestURI(), string(body), r.Header.Get("Content-Length"), r.TransferEncoding != nil, r.Header}
		if r.ContentLength != int64(len(body)) {
			t.Errorf("content length %d of %d", r.ContentLength, len(body))
		}
		w.Header().Set("X-Answer", "yes")
		w.Header()["A-Two"] = []string{"2", "1"}
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, "thanks")
	})
	at := time.Date(2026, 5, 1, 8, 0, 0, 0, time.FixedZone("x", 3600))
	c := newClient(t, Options{Now: func() time.Time { return at }})
	for _, body := range []string{`{"a":1}`, "", strings.Repeat("x", 1<<20)} {
		req := post(s.URL + "/a//b?c=%20d")
		req.Body = []byte(body)
		res := c.Do(t.Context(), req)
		if !res.OK() || res.Status != 202 || string(res.Body) != "thanks" || res.Truncated {
			t.Fatalf("%+v", res)
		}
		if !res.StartedAt.Equal(at) || res.StartedAt.Location() != time.UTC {
			t.Errorf("started at %v", res.StartedAt)
		}
		g := <-got
		if g.method != "POST" || g.path != "/a//b?c=%20d" || g.body != body || g.chunked {
			t.Errorf("arrived: %s %s, %d bytes, chunked %v", g.method, g.path, len(g.body), g.chunked)
		}
		for _, name := range []string{"Idempotency-Key", "Accept-Encoding"} {
			if _, ok := g.header[name]; ok {
				t.Errorf("%s was sent", name)
			}
		}
		if g.header.Get("User-Agent") != "Thingpost/test" || strings.Join(g.header["X-Two"], "") != "ab" || len(g.header["Content-Type"]) != 1 {
			t.Errorf("arrived: %v", g.header)
		}
		var lines []string
		for _, h := range res.Headers {
			if h.Name != "Date" {
				lines = append(lines, h.Name+"="+h.Value)
			}
		}
		if got := strings.Join(lines, " "); got != "A-Two=2 A-Two=1 Content-Length=6 Content-Type=text/plain; charset=utf-8 X-Answer=yes" {
			t.Errorf("answered: %s", got)
		}
	}
}

func TestDoJudgesStatuses(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		for name, values := range q {
			if name != "status" {
				w.Header()[name] = values
			}
		}
		var status int
		for _, d := range q.Get("status") {
			status = status*10 + int(d-'0')
		}
		w.WriteHeader(status)
	})
	c := newClient(t, Options{Now: func() time.Time { return noon }})
	for _, k := range []struct {
		query string
		class iot.ErrorClass
		wait  time.Duration
		words string
	}{
		{"status=200", "", 0, ""},
		{"status=204", "", 0, ""},
		{"status=299&Retry-After=5", "", 0, ""},
		{"status=301&Location=https://other.example/x?key=hush", iot.ErrRedirect, 0, "https://other.example/x: redirects are not followed"},
		{"status=302&Location=/login", iot.ErrRedirect, 0, "/login"},
		{"status=301&Location=https://other.example/hook/sub?key=hush", iot.ErrRedirect, 0, "https://other.example/…/sub:"},
		{"status=301&Location=/hook/", iot.ErrRedirect, 0, "except for its last slash"},
		{"status=300&Location=/a", iot.ErrRedirect, 0, "to http"},
		{"status=300", iot.ErrHTTP5xx, 0, "does not say where"},
		{"status=301", iot.ErrHTTP5xx, 0, "does not say where"},
		{"status=304", iot.ErrHTTP5xx, 0, "304 Not Modified: that means"},
		{"status=304&Location=/a", iot.ErrHTTP5xx, 0, "not an answer to a POST"},
		{"status=305&Location=/a", iot.ErrHTTP5xx, 0, "asks for a proxy"},
		{"status=306", iot.ErrHTTP5xx, 0, "asks for a proxy"},
		{"status=307&Location=https://127.0.0.1/hook?status=200", iot.ErrRedirect, 0, "write https://"},
		{"status=308&Location=http://%2500", iot.ErrRedirect, 0, "not followed"},
		{"status=400", iot.ErrHTTP4xx, 0, "400 Bad Request"},
		{"status=401", iot.ErrHTTP4xx, 0, "credentials"},
		{"status=404", iot.ErrHTTP4xx, 0, "path"},
		{"status=410", iot.ErrHTTP4xx, 0, "410 Gone"},
		{"status=413", iot.ErrHTTP4xx, 0, "too large"},
		{"status=429&Retry-After=120", iot.ErrHTTP4xx, 2 * time.Minute, "too many"},
		{"status=429&Retry-After=604800", iot.ErrHTTP4xx, 7 * 24 * time.Hour, "too many"},
		{"status=429&Retry-After=999999999", iot.ErrHTTP4xx, 0, "too many"},
		{"status=404&Retry-After=120", iot.ErrHTTP4xx, 0, ""},
		{"status=500&Retry-After=120", iot.ErrHTTP5xx, 0, "500 Internal Server Error"},
		{"status=503&Retry-After=Sun, 01 Mar 2026 12:00:30 GMT", iot.ErrHTTP5xx, 30 * time.Second, "503 Service Unavailable"},
		{"status=503&Retry-After=never", iot.ErrHTTP5xx, 0, "not available"},
		{"status=799", iot.ErrHTTP5xx, 0, "799"},
	} {
		res := c.Do(t.Context(), post(s.URL+"/hook?"+strings.ReplaceAll(k.query, " ", "%20")))
		if res.Class != k.class || res.RetryAfter != k.wait || res.Canceled {
			t.Errorf("%s: %q, %v", k.query, res.Class, res.RetryAfter)
		}
		if !strings.Contains(res.Detail, k.words) || strings.Contains(res.Detail, "hush") {
			t.Errorf("%s: %q", k.query, res.Detail)
		}
	}
}

func TestDoRefusesWhatCannotBeSent(t *testing.T) {
	c := newClient(t, Options{})
	for u, words := range map[string]string{
		"ftp://example.com/":           "http://",
		"http://":                      "no host",
		"http:///x":                    "no host",
		"http://:80/":                  "no host",
		"://x":                         "URL",
		"http://a b/":                  "URL",
		"http://%31/":                  "URL",
		"http://127.0.0.1/\r\nX: y":    "URL",
		"http://me:secret@127.0.0.1/x": "Authorization",
	} {
		res := c.Do(t.Context(), post(u))
		wantFailure(t, res, iot.ErrConfig, words)
		if strings.Contains(res.Detail, "secret") {
			t.Errorf("%q shows a secret", res.Detail)
		}
	}
	for name, value := range map[string]string{"X-A": "a\r\nX-B: b", "X A": "b", "X-N\x00": "c", "X-Nul": "\x00", "": "d"} {
		req := post("http://127.0.0.1:1/")
		req.Headers = iot.HeaderLines{{Name: name, Value: value}}
		wantFailure(t, c.Do(t.Context(), req), iot.ErrConfig, "header")
	}
	req := post("http://127.0.0.1:1/")
	req.Method = "PO ST"
	wantFailure(t, c.Do(t.Context(), req), iot.ErrConfig, "method")
}

func TestDoTimings(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	u, _ := url.Parse(s.URL)
	c := newClient(t, Options{Resolver: fakeDNS(t, "127.0.0.1")})
	first := c.Do(t.Context(), post("http://receiver.example:"+u.Port()+"/"))
	if d := first.Timings; first.Class != "" || d.DNS <= 0 || d.Connect <= 0 || d.TLS != 0 || d.FirstByte <= 0 ||
		d.Total < d.DNS+d.Connect+d.FirstByte {
		t.Errorf("first: %+v %s", d, first.Detail)
	}
	second := c.Do(t.Context(), post("http://receiver.example:"+u.Port()+"/"))
	if d := second.Timings; second.Class != "" || d.DNS != 0 || d.Connect != 0 || d.FirstByte <= 0 || d.Total < d.FirstByte {
		t.Errorf("second: %+v %s", d, second.Detail)
	}
}

func TestDoReportsItsOwnCancelAsNoAttempt(t *testing.T) {
	arrived := make(chan struct{}, 1)
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		arrived <- struct{}{}
		<-r.Context().Done()
	})
	c := newClient(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	res := c.Do(ctx, post(s.URL+"/head"))
	if res.OK() || !res.Canceled || res.Class != "" || res.Detail != "" {
		t.Errorf("%+v", res)
	}
	if res = c.Do(ctx, post(s.URL)); !res.Canceled {
		t.Errorf("sent with an ended context: %+v", res)
	}
}

// A received status is known however the program ends. Other than a success, it is sent
// again after the start, as if it had not been sent.
func TestCancelInsideTheBodyKeepsASuccess(t *testing.T) {
	for status, counts := range map[int]bool{200: true, 204: true, 302: false, 429: false, 500: false} {
		ctx, cancel := context.WithCancel(t.Context())
		c := New(Options{Inspects: func(context.Context, string) bool { return true },
			Inspector: roundTripper(func(*http.Request) (*http.Response, error) {
				body := io.MultiReader(strings.NewReader("some"), readerFunc(func([]byte) (int, error) {
					cancel()
					return 0, context.Canceled
				}))
				return &http.Response{StatusCode: status, Header: http.Header{"Location": {"/a"}}, Body: io.NopCloser(body), ContentLength: -1}, nil
			})})
		res := c.Do(ctx, post("http://receiver.example/"))
		if res.OK() != counts || res.Canceled == counts || res.Class != "" || res.Detail != "" || (res.Note != "") != counts {
			t.Errorf("%d: %+v", status, res)
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestInspectorIsReachedWithoutDialling(t *testing.T) {
	var calls atomic.Int32
	var got iot.ID
	inspector := roundTripper(func(r *http.Request) (*http.Response, error) {
		calls.Add(1)
		body, err := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/inspect/broken":
			err = errors.New("out of order")
		case "/inspect/slow":
			<-r.Context().Done()
			err = r.Context().Err()
		case "/inspect/abc":
			got = Delivery(r.Context())
		}
		if err != nil {
			return nil, err
		}
		w := httptest.NewRecorder()
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(body)
		return w.Result(), nil
	})
	c := New(Options{Inspector: inspector, Inspects: func(_ context.Context, url string) bool {
		return strings.HasPrefix(url, "http://127.0.0.1:8080/inspect/")
	}})
	id := iot.NewIDs(iot.NewSalt(), 0, time.Now).New()
	request := post("http://127.0.0.1:8080/inspect/abc")
	request.Delivery = id
	res := c.Do(t.Context(), request)
	if res.Class != "" || res.Status != 201 || string(res.Body) != `{"a":1}` || res.Timings.Total <= 0 {
		t.Errorf("%+v", res)
	}
	if got != id {
		t.Errorf("the inspector learned of delivery %q, want %q", got, id)
	}
	wantFailure(t, c.Do(t.Context(), post("http://127.0.0.1:8080/inspect/broken")), iot.ErrConnect)
	slow := post("http://127.0.0.1:8080/inspect/slow")
	slow.Timeout = 20 * time.Millisecond
	wantFailure(t, c.Do(t.Context(), slow), iot.ErrTimeout, "took the request but did not answer")
	if calls.Load() != 3 {
		t.Fatalf("%d calls", calls.Load())
	}
	for _, u := range []string{"http://127.0.0.1:8080/inspector", "http://127.0.0.1:8080/", "http://127.0.0.1:80/inspect/",
		"https://127.0.0.1:8080/inspect/abc"} {
		wantFailure(t, c.Do(t.Context(), post(u)), iot.ErrBlocked, "-allow-networks 127.0.0.1/32")
	}
	if calls.Load() != 3 {
		t.Error("the inspector was asked for what is not its own")
	}
}

// countConns counts the connections that a server accepts.
func countConns(s *httptest.Server) *atomic.Int64 {
	var n atomic.Int64
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			n.Add(1)
		}
	}
	return &n
}

// A machine that stalls costs connections too: net/http keeps none that took 50 ms to
// write a request, and the client none whose rest is late. One round of three must lose
// none; a leak loses some in each.
func TestConnectionsAreReused(t *testing.T) {
	const rounds, workers = 3, 16
	bodies := map[string]string{
		"short":    "ok",
		"full":     strings.Repeat("x", iot.MaxResponseBody),
		"too-long": strings.Repeat("x", iot.MaxResponseBody+1000),
		"none":     "",
	}
	for name, body := range bodies {
		for _, secure := range []bool{false, true} {
			t.Run(name+map[bool]string{true: "/tls"}[secure], func(t *testing.T) {
				var opened []int64
				for range rounds {
					n := connsOf(t, workers, body, secure)
					if n == workers {
						return
					}
					opened = append(opened, n)
				}
				t.Errorf("%d connections in rounds of %d workers", opened, workers)
			})
		}
	}
}

// connsOf returns how many connections workers open for 1,000 requests that are
// answered with body.
func connsOf(t *testing.T, workers int64, body string, secure bool) int64 {
	t.Helper()
	const requests = 1000
	// The first requests wait for each other, so that every worker has a connection. No
	// more are needed from then on.
	var first sync.WaitGroup
	first.Add(int(workers))
	var arrived atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if arrived.Add(1) <= workers {
			first.Done()
			first.Wait()
		}
		if r.URL.Path == "/chunked" {
			_ = http.NewResponseController(w).Flush()
		}
		_, _ = io.WriteString(w, body)
	}))
	conns := countConns(s)
	o := Options{}
	if secure {
		s.StartTLS()
		o.TLSConfig = s.Client().Transport.(*http.Transport).TLSClientConfig
		o.TLSConfig.NextProtos = []string{"http/1.1"}
	} else {
		s.Start()
	}
	defer s.Close()
	c := newClient(t, o)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := next.Add(1); i <= requests; i = next.Add(1) {
				res := c.Do(t.Context(), post(s.URL+[]string{"/", "/chunked"}[i%2]))
				kept := min(len(body), iot.MaxResponseBody)
				if res.Class != "" || len(res.Body) != kept || res.Truncated != (len(body) > kept) {
					t.Errorf("%q %s, %d bytes", res.Class, res.Detail, len(res.Body))
				}
			}
		})
	}
	wg.Wait()
	return conns.Load()
}

func TestHTTP2SharesOneConnection(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil || r.ProtoMajor != 2 {
			t.Errorf("%s %v", r.Proto, err)
		}
		_, _ = io.WriteString(w, "ok")
	}))
	conns := countConns(s)
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	conf := s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	conf.NextProtos = nil
	c := newClient(t, Options{TLSConfig: conf})
	res := c.Do(t.Context(), post(s.URL))
	if d := res.Timings; res.Class != "" || d.Connect <= 0 || d.TLS <= 0 || d.FirstByte <= 0 {
		t.Errorf("%+v %s", d, res.Detail)
	}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if res := c.Do(t.Context(), post(s.URL)); res.Class != "" || string(res.Body) != "ok" || res.Timings.TLS != 0 {
				t.Errorf("%+v", res)
			}
		})
	}
	wg.Wait()
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// TestKeptConnectionThatClosedIsTriedOnceMore has a receiver that answers the first
// requests of its connections and resets all at the next.
func TestKeptConnectionThatClosedIsTriedOnceMore(t *testing.T) {
	const kept = 5
	var got atomic.Int64
	together := make(chan struct{})
	addr := listen(t, func(conn net.Conn) {
		if !readRequest(conn) {
			return
		}
		if got.Add(1) == kept {
			close(together)
		}
		<-together
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		if readRequest(conn) {
			got.Add(1)
		}
		_ = conn.(*net.TCPConn).SetLinger(0)
	})
	c := newClient(t, Options{})
	var wg sync.WaitGroup
	for range kept {
		wg.Go(func() {
			if res := c.Do(t.Context(), post("http://"+addr)); res.Class != "" || res.Resent {
				t.Errorf("%+v", res)
			}
		})
	}
	wg.Wait()
	for i := range kept {
		res := c.Do(t.Context(), post("http://"+addr))
		if res.Class != "" || !bytes.Equal(res.Body, []byte("ok")) || !res.Resent {
			t.Fatalf("%d: %+v", i, res)
		}
		if want := int64(kept + 2*(i+1)); got.Load() != want {
			t.Fatalf("%d requests arrived, want %d", got.Load(), want)
		}
	}
	// No connection is kept any more.
	if res := c.Do(t.Context(), post("http://"+addr)); res.Class != "" || res.Resent {
		t.Errorf("%+v", res)
	}
}

package egress

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"thingpost/internal/iot"
)

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// heldConn writes what is allowed. The rest waits.
type heldConn struct {
	net.Conn
	mu   sync.Mutex
	held bytes.Buffer
	hold bool
}

func (c *heldConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hold {
		return c.held.Write(p)
	}
	return c.Conn.Write(p)
}

// release writes up to n bytes of what waits.
func (c *heldConn) release(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, _ = c.Conn.Write(c.held.Next(n))
	return n
}

// TestSessionTicketsComeToAnIdleConnection has the session tickets of TLS 1.3 arrive in
// pieces while a connection is idle. It stays good, and the tickets are used.
func TestSessionTicketsComeToAnIdleConnection(t *testing.T) {
	cert, trusted := certificate(t, "receiver.example", time.Now().Add(24*time.Hour))
	servers := make(chan *heldConn, 1)
	var resumed atomic.Int64
	conf := &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequestClientCert} // has the key of the tickets
	addr := listen(t, func(raw net.Conn) {
		held := &heldConn{Conn: raw}
		conn := tls.Server(&heldReader{held}, conf)
		if conn.Handshake() != nil {
			return
		}
		if conn.ConnectionState().DidResume {
			resumed.Add(1)
		}
		servers <- held
		for readRequest(conn) {
			_, _ = io.WriteString(conn, okAnswer)
		}
	})
	_, port, _ := net.SplitHostPort(addr)
	c := newClient(t, Options{Resolver: fakeDNS(t, "127.0.0.1"), TLSConfig: &tls.Config{RootCAs: trusted}})
	for n := range int64(2) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		x := &exchange{Context: ctx, cancel: cancel, now: time.Now, start: time.Now()}
		stream, err := c.dialer.secure(dialing{x}, "tcp", "receiver.example:"+port)
		if err != nil {
			t.Fatal(err)
		}
		conn, server := newConn(stream, c.pool, hostKey{secure: true, host: "receiver.example:" + port}), <-servers
		pieces := 0
		for server.release(50) > 0 {
			pieces++
			for range 3 {
				if !conn.quiet() {
					t.Fatalf("%d pieces of tickets ended the connection", pieces)
				}
			}
		}
		if n == 0 && pieces < 2 { // later ones come with the handshake
			t.Fatalf("the tickets came in %d pieces", pieces)
		}
		server.mu.Lock()
		server.hold = false
		server.mu.Unlock()
		for range 3 {
			req, detail := newRequest(x, post("https://receiver.example:"+port))
			if detail != "" {
				t.Fatal(detail)
			}
			resp, err := conn.roundTrip(x, req)
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Fatal(resp, err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			if kept, _ := c.pool.get(conn.host); kept != conn {
				t.Fatal("the connection was not kept")
			}
		}
		conn.close()
		cancel()
		if resumed.Load() != n {
			t.Errorf("%d sessions were resumed, want %d", resumed.Load(), n)
		}
	}
}

// heldReader holds what is written after it has read the end of the client's handshake. A
// server that asked for a certificate sends its tickets then.
type heldReader struct{ *heldConn }

func (c *heldReader) Read(p []byte) (int, error) {
	n, err := c.heldConn.Read(p)
	if bytes.HasPrefix(p[:n], []byte{20, 3, 3, 0, 1, 1}) { // change_cipher_spec, a whole record
		c.mu.Lock()
		c.hold = true
		c.mu.Unlock()
	}
	return n, err
}

// TestAnswersThatKeepTheConnection has answers without a body, and large requests.
func TestAnswersThatKeepTheConnection(t *testing.T) {
	for _, k := range []struct {
		name, method string
		status, size int
		body         string
	}{
		{"head", "HEAD", 200, 0, "not sent"},
		{"get", "GET", 200, 0, "some"},
		{"no content", "POST", 204, 100, ""},
		{"not modified", "POST", 304, 100, ""},
		{"failure", "PUT", 500, 100, "some"},
		{"around the buffer's size", "POST", 200, 0, "some"},
	} {
		t.Run(k.name, func(t *testing.T) {
			var want atomic.Int64
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if body, err := io.ReadAll(r.Body); err != nil || int64(len(body)) != want.Load() {
					t.Errorf("%d bytes, %v", len(body), err)
				}
				if r.Header.Get("Connection") != "" {
					t.Errorf("Connection: %s", r.Header.Get("Connection"))
				}
				w.WriteHeader(k.status)
				_, _ = io.WriteString(w, k.body)
			}))
			conns := countConns(s)
			s.Start()
			defer s.Close()
			c := newClient(t, Options{})
			first, last := k.size, k.size+3
			if k.name == "around the buffer's size" {
				first, last = bufferSize-600, bufferSize-100
			}
			for size := first; size < last; size++ {
				want.Store(int64(size))
				req := post(s.URL)
				req.Method, req.Body = k.method, make([]byte, size)
				if res := c.Do(t.Context(), req); res.Status != k.status || res.Resent || res.Note != "" {
					t.Fatalf("%+v", res)
				}
			}
			// On a machine that stalls, a request that was written beside the answer costs the
			// connection.
			if n := conns.Load(); n > 1 && (last-first < 10 || n > int64(last-first)/10) {
				t.Errorf("%d connections for %d requests", n, last-first)
			}
		})
	}
}

// TestALargeRequestIsReset has receivers that reset in the middle of a request, without an
// answer.
func TestALargeRequestIsReset(t *testing.T) {
	for _, size := range []int{bufferSize, 100 << 10, 4 << 20} {
		addr := listen(t, func(conn net.Conn) {
			_, _ = bufio.NewReader(conn).ReadString('\n')
			_ = conn.(*net.TCPConn).SetLinger(0)
		})
		c := newClient(t, Options{})
		for range 10 {
			req := post("http://" + addr)
			req.Body = make([]byte, size)
			res := c.Do(t.Context(), req)
			wantFailure(t, res, iot.ErrConnect, "reset the connection before it answered")
			if res.Resent {
				t.Fatalf("%+v", res)
			}
		}
	}
}

// TestAnAnswerToARequestThatNobodyReads has receivers that answer the head of a large
// request and then read nothing. The answer counts, and the next request needs a new
// connection.
func TestAnAnswerToARequestThatNobodyReads(t *testing.T) {
	var conns atomic.Int64
	release := make(chan struct{})
	addr := listen(t, func(conn net.Conn) {
		conns.Add(1)
		in := bufio.NewReader(conn)
		for line := ""; line != "\r\n"; {
			var err error
			if line, err = in.ReadString('\n'); err != nil {
				return
			}
		}
		_, _ = io.WriteString(conn, okAnswer)
		<-release
	})
	defer close(release)
	c := newClient(t, Options{})
	for n := range int64(3) {
		req := post("http://" + addr)
		req.Body, req.Timeout = make([]byte, 16<<20), time.Hour
		if res := c.Do(t.Context(), req); !res.OK() || string(res.Body) != "ok" || res.Note != "" || res.Resent || conns.Load() != n+1 {
			t.Fatalf("%d connections, %+v", conns.Load(), res)
		}
	}
}

// TestACancelFreesEverything ends requests in each phase: Do returns, and the receiver
// learns it.
func TestACancelFreesEverything(t *testing.T) {
	for _, k := range []struct {
		name  string
		size  int
		serve func(conn net.Conn)
	}{
		{"writing", 32 << 20, func(conn net.Conn) { _, _ = io.ReadFull(conn, make([]byte, 1000)) }},
		{"waiting", 100, func(conn net.Conn) { readRequest(conn) }},
		{"after 1xx", 100, func(conn net.Conn) {
			readRequest(conn)
			_, _ = io.WriteString(conn, "HTTP/1.1 102 Processing\r\n\r\n")
		}},
		{"inside the head", 100, func(conn net.Conn) {
			readRequest(conn)
			_, _ = io.WriteString(conn, "HTTP/1.1 500 Internal")
		}},
		{"inside the body", 100, func(conn net.Conn) {
			readRequest(conn)
			_, _ = io.WriteString(conn, "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 100\r\n\r\nhalf")
		}},
	} {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			arrived, ended := make(chan struct{}), make(chan struct{})
			var conns atomic.Int64
			addr := listen(t, func(conn net.Conn) {
				if conns.Add(1) > 1 {
					for readRequest(conn) {
						_, _ = io.WriteString(conn, okAnswer)
					}
					return
				}
				k.serve(conn)
				close(arrived)
				hold(conn)
				close(ended)
			})
			c := newClient(t, Options{})
			ctx, cancel := context.WithCancel(t.Context())
			go func() { <-arrived; cancel() }()
			req := post("http://" + addr)
			req.Body, req.Timeout = make([]byte, k.size), time.Hour
			if res := c.Do(ctx, req); !res.Canceled {
				t.Errorf("%+v", res)
			}
			<-ended
			for range 2 {
				if res := c.Do(t.Context(), post("http://"+addr)); !res.OK() || res.Resent {
					t.Errorf("%+v", res)
				}
			}
			if conns.Load() != 2 {
				t.Errorf("%d connections", conns.Load())
			}
		})
	}
}

// TestNothingIsSentAfterACancel has a kept connection that could carry a request at once.
func TestNothingIsSentAfterACancel(t *testing.T) {
	var arrived atomic.Int64
	s := serve(t, func(http.ResponseWriter, *http.Request) { arrived.Add(1) })
	c := newClient(t, Options{})
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	const rounds = 50
	for range rounds {
		if res := c.Do(canceled, post(s.URL)); !res.Canceled {
			t.Fatalf("%+v", res)
		}
		if res := c.Do(t.Context(), post(s.URL)); !res.OK() || res.Resent {
			t.Fatalf("%+v", res)
		}
	}
	if arrived.Load() != rounds {
		t.Errorf("%d requests arrived, want %d", arrived.Load(), rounds)
	}
}

// TestALateCancelHarmsNoOtherRequest cancels requests while they end. Their connections
// carry others next.
func TestALateCancelHarmsNoOtherRequest(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "ok")
	})
	c := newClient(t, Options{})
	for range 1000 {
		ctx, cancel := context.WithCancel(t.Context())
		go cancel()
		if res := c.Do(ctx, post(s.URL)); !res.OK() && !res.Canceled {
			t.Fatalf("%+v", res)
		}
		if res := c.Do(t.Context(), post(s.URL)); !res.OK() || res.Resent || res.Note != "" {
			t.Fatalf("%+v", res)
		}
	}
}

// TestAReceiverChangesItsProtocol has a receiver that chooses HTTP/1.1 or HTTP/2 anew for
// each connection. Each request needs one connection at most, whatever was known.
func TestAReceiverChangesItsProtocol(t *testing.T) {
	root := issue(t, authority("Root A"), nil)
	pool := x509.NewCertPool()
	pool.AddCert(root.cert)
	cert := issue(t, server("receiver.example"), root).sends(0)
	var conns, requests atomic.Int64
	var choose atomic.Bool // HTTP/2
	ended := make(chan struct{}, 8)
	addr := listen(t, func(raw net.Conn) {
		conns.Add(1)
		defer func() { ended <- struct{}{} }()
		conf := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"http/1.1"}}
		if choose.Load() {
			conf.NextProtos = []string{"h2"}
		}
		conn := tls.Server(raw, conf)
		if err := conn.Handshake(); err != nil {
			t.Error(err)
			return
		}
		if conn.ConnectionState().NegotiatedProtocol == "h2" {
			answerHTTP2(conn, func(*http2.Framer, uint32) (bool, error) { requests.Add(1); return false, nil })
			return
		}
		for readRequest(conn) {
			requests.Add(1)
			_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
		}
	})
	_, port, _ := net.SplitHostPort(addr)
	c := newClient(t, Options{Resolver: fakeDNS(t, "127.0.0.1"), TLSConfig: &tls.Config{RootCAs: pool}})
	for n := range int64(8) {
		choose.Store(n%2 == 1)
		for range 3 {
			res := c.Do(t.Context(), post("https://receiver.example:"+port))
			if !res.OK() || res.Status != 204 || res.Resent {
				t.Fatalf("%d: %+v", n, res)
			}
		}
		if conns.Load() != n+1 || requests.Load() != 3*(n+1) {
			t.Fatalf("%d: %d connections, %d requests", n, conns.Load(), requests.Load())
		}
		for open := true; open; { // a stream of HTTP/2 ends a moment after its request
			c.CloseIdle()
			select {
			case <-ended:
				open = false
			case <-time.After(time.Millisecond):
			}
		}
	}
}

// TestABurstToAnUnknownHost has many first requests at once to a receiver that speaks
// HTTP/2. They may open a connection each, but only one stays.
func TestABurstToAnUnknownHost(t *testing.T) {
	var closed, opened atomic.Int64
	one := make(chan struct{}, 1)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, r.Proto)
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			opened.Add(1)
		case http.StateClosed:
			closed.Add(1)
		case http.StateActive, http.StateIdle, http.StateHijacked:
		}
		select {
		case one <- struct{}{}:
		default:
		}
	}
	s.EnableHTTP2 = true
	s.Config.ErrorLog = quiet
	s.StartTLS()
	defer s.Close()
	conf := s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	conf.NextProtos = nil
	c := newClient(t, Options{TLSConfig: conf})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if res := c.Do(t.Context(), post(s.URL)); !res.OK() || res.Resent || string(res.Body) != "HTTP/2.0" {
				t.Errorf("%+v", res)
			}
		})
	}
	wg.Wait()
	for opened.Load()-closed.Load() > 1 {
		select {
		case <-one:
		case <-time.After(time.Minute):
			t.Fatalf("%d connections were opened, %d closed", opened.Load(), closed.Load())
		}
	}
}

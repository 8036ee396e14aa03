package egress

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"thingpost/internal/iot"
)

// listen runs a server of raw connections on loopback; each is closed when the
// function returns, and by the test's end at the latest.
func listen(t testing.TB, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, conn)
			mu.Unlock()
			wg.Go(func() {
				defer conn.Close()
				serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, conn := range conns {
			_ = conn.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return l.Addr().String()
}

// readRequest takes one request from a connection.
func readRequest(conn net.Conn) bool {
	r, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, r.Body)
	return err == nil
}

// hold keeps a connection open until the other side closes it.
func hold(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

// repeat writes text until the connection breaks.
func repeat(conn net.Conn, text string) {
	for {
		if _, err := io.WriteString(conn, text); err != nil {
			return
		}
	}
}

func TestHostileReceivers(t *testing.T) {
	const short = 150 * time.Millisecond
	chunk := strings.Repeat("x", 4096)
	for _, k := range []struct {
		name    string
		scheme  string
		timeout time.Duration
		serve   func(net.Conn)
		class   iot.ErrorClass
		words   string
		note    string // part of Note; "" for none
		status  int
	}{
		{name: "resets at once", class: iot.ErrConnect, words: "reset the connection", serve: func(conn net.Conn) {
			_ = conn.(*net.TCPConn).SetLinger(0)
		}},
		{name: "resets after the request", class: iot.ErrConnect, words: "reset the connection", serve: func(conn net.Conn) {
			readRequest(conn)
			_ = conn.(*net.TCPConn).SetLinger(0)
		}},
		{name: "closes without an answer", class: iot.ErrConnect, words: "closed the connection without an answer", serve: func(conn net.Conn) {
			readRequest(conn)
		}},
		{name: "half-closes", class: iot.ErrConnect, words: "closed the connection without an answer", serve: func(conn net.Conn) {
			_ = conn.(*net.TCPConn).CloseWrite()
			hold(conn)
		}},
		{name: "never answers", class: iot.ErrTimeout, words: "took the request but did not answer", timeout: short, serve: hold},
		{name: "trickles the head", class: iot.ErrTimeout, words: "did not answer", timeout: short, serve: func(conn net.Conn) {
			readRequest(conn)
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nX: ")
			hold(conn)
		}},
		{name: "trickles the body", note: "did not end in 0.15 s: it stopped after 1 of 100 bytes", timeout: short, status: 200,
			serve: func(conn net.Conn) {
				readRequest(conn)
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx")
				hold(conn)
			}},
		{name: "breaks inside the body", note: "200 OK came and counts as success, but the answer's body broke off after 1 of 100 bytes",
			status: 200, serve: func(conn net.Conn) {
				readRequest(conn)
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx")
			}},
		{name: "bad chunks", note: "cannot be read, after 0 bytes", status: 200, serve: func(conn net.Conn) {
			readRequest(conn)
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
		}},
		{name: "endless body", class: "", status: 200, serve: func(conn net.Conn) {
			readRequest(conn)
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
			repeat(conn, chunk)
		}},
		{name: "huge length", class: "", status: 200, serve: func(conn net.Conn) {
			readRequest(conn)
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 9000000000000\r\n\r\n")
			repeat(conn, chunk)
		}},
		{name: "stalls past what is kept", class: "", status: 200, serve: func(conn net.Conn) {
			readRequest(conn)
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n"+strings.Repeat("x", iot.MaxResponseBody+1))
			hold(conn)
		}},
		{name: "huge headers", class: iot.ErrConnect, words: "64 KiB of headers", serve: func(conn net.Conn) {
			readRequest(conn)
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
			repeat(conn, "X-Pad: "+chunk+"\r\n")
		}},
		{name: "endless 103", class: iot.ErrConnect, words: "more than 10 interim answers", serve: func(conn net.Conn) {
			readRequest(conn)
			repeat(conn, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
		}},
		{name: "some 1xx", class: "", status: 204, serve: func(conn net.Conn) {
			readRequest(conn)
			_, _ = io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n")
			hold(conn)
		}},
		{name: "100 and no more", class: iot.ErrTimeout, words: "announced an answer (1xx), but sent none", timeout: short,
			serve: func(conn net.Conn) {
				readRequest(conn)
				_, _ = io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
				hold(conn)
			}},
		{name: "switches protocols", class: iot.ErrHTTP5xx, words: "101 Switching Protocols", status: 101, serve: func(conn net.Conn) {
			readRequest(conn)
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
			repeat(conn, chunk)
		}},
		{name: "no HTTP", class: iot.ErrConnect, words: "did not answer as an HTTP server does", serve: func(conn net.Conn) {
			readRequest(conn)
			_, _ = io.WriteString(conn, "220 mail.example ESMTP\x1b[31m\r\n")
		}},
		{name: "TLS on http", class: iot.ErrTLS, words: "write https://", serve: func(conn net.Conn) {
			readRequest(conn)
			_, _ = io.WriteString(conn, "\x15\x03\x01\x00\x02\x02\x16")
		}},
		{name: "no TLS on https", scheme: "https", class: iot.ErrTLS, words: "write http://", serve: func(conn net.Conn) {
			_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
			hold(conn)
		}},
		{name: "closes in the handshake", scheme: "https", class: iot.ErrTLS, words: "closed the connection during the TLS handshake",
			serve: func(conn net.Conn) {
				_, _ = conn.Read(make([]byte, 4096))
			}},
		{name: "stalls in the handshake", scheme: "https", class: iot.ErrTimeout, words: "did not finish the TLS handshake", timeout: short,
			serve: hold},
		{name: "TLS alert", scheme: "https", class: iot.ErrTLS, words: "handshake failure", serve: func(conn net.Conn) {
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = io.WriteString(conn, "\x15\x03\x03\x00\x02\x02\x28")
			hold(conn)
		}},
	} {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, Options{})
			if k.scheme == "" {
				k.scheme = "http"
			}
			req := post(k.scheme + "://" + listen(t, k.serve) + "/hook?key=hush")
			if k.timeout > 0 {
				req.Timeout = k.timeout
			}
			began := time.Now()
			res := c.Do(t.Context(), req)
			if took := time.Since(began); took > req.Timeout+20*time.Second { // it hangs; its speed does not matter
				t.Errorf("took %v of %v", took, req.Timeout)
			}
			if k.class == "" {
				if res.Class != "" {
					t.Errorf("%q: %s", res.Class, res.Detail)
				}
			} else {
				wantFailure(t, res, k.class, k.words)
			}
			if !strings.Contains(res.Note, k.note) || (res.Note == "") != (k.note == "") {
				t.Errorf("note %q, want %q", res.Note, k.note)
			}
			if res.Status != k.status || len(res.Body) > iot.MaxResponseBody || res.Timings.Total <= 0 {
				t.Errorf("status %d, %d bytes, %+v", res.Status, len(res.Body), res.Timings)
			}
			if strings.ContainsAny(res.Detail, "\x1b\r\n") || strings.Contains(res.Detail, "hush") {
				t.Errorf("detail %q", res.Detail)
			}
		})
	}
}

func TestReceiverThatTakesNoBody(t *testing.T) {
	release := make(chan struct{})
	addr := listen(t, func(net.Conn) { <-release })
	defer close(release)
	req := post("http://" + addr)
	req.Body, req.Timeout = make([]byte, 32<<20), 200*time.Millisecond
	wantFailure(t, newClient(t, Options{}).Do(t.Context(), req), iot.ErrTimeout, "did not take the whole request")
}

func TestConnectionRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	c := newClient(t, Options{Resolver: fakeDNS(t, "127.0.0.1")})
	res := c.Do(t.Context(), post("http://"+addr))
	wantFailure(t, res, iot.ErrConnect, addr+" refused the connection")
	if res.Timings.Connect <= 0 || res.Status != 0 {
		t.Errorf("%+v", res)
	}
	_, port, _ := net.SplitHostPort(addr)
	wantFailure(t, c.Do(t.Context(), post("http://receiver.example:"+port)), iot.ErrConnect, "receiver.example:"+port+" ("+addr+")")
}

// certificate returns a certificate that signs itself, and a pool that trusts it.
func certificate(t testing.TB, name string, ends time.Time) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: ends.Add(-48 * time.Hour), NotAfter: ends,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestBadCertificates(t *testing.T) {
	tomorrow, yesterday := time.Now().Add(24*time.Hour), time.Now().Add(-24*time.Hour)
	for _, k := range []struct {
		name, certName string
		ends           time.Time
		trusted        bool
		words          string
	}{
		{"good", "receiver.example", tomorrow, true, ""},
		{"expired", "receiver.example", yesterday, true, "has expired"},
		{"wrong name", "other.example", tomorrow, true, "is for another name"},
		{"self-signed", "receiver.example", tomorrow, false, "self-signed"},
	} {
		t.Run(k.name, func(t *testing.T) {
			cert, pool := certificate(t, k.certName, k.ends)
			if !k.trusted {
				pool = x509.NewCertPool()
			}
			addr := listen(t, func(conn net.Conn) {
				secure := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}})
				if secure.Handshake() == nil && readRequest(secure) {
					_, _ = io.WriteString(secure, "HTTP/1.1 204 No Content\r\n\r\n")
				}
			})
			_, port, _ := net.SplitHostPort(addr)
			c := newClient(t, Options{Resolver: fakeDNS(t, "127.0.0.1"), TLSConfig: &tls.Config{RootCAs: pool}})
			res := c.Do(t.Context(), post("https://receiver.example:"+port))
			if k.words == "" {
				if res.Class != "" || res.Timings.TLS <= 0 {
					t.Errorf("%q %s", res.Class, res.Detail)
				}
				return
			}
			wantFailure(t, res, iot.ErrTLS, k.words, "receiver.example")
		})
	}
}

// fakeDNS is a resolver whose name server answers each question with the next group of
// addresses, and then always with the last. "" is a name that does not exist, "-" no
// answer. Queries go over memory, in TCP's framing.
func fakeDNS(t testing.TB, groups ...string) *net.Resolver {
	t.Helper()
	var asked atomic.Int64
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() { // ends with the query
			defer server.Close()
			group := groups[min(int(asked.Add(1)-1)/2, len(groups)-1)] // A and AAAA are one question
			if group == "-" {
				hold(server)
				return
			}
			if err := answerDNS(server, strings.Fields(group)); err != nil {
				t.Errorf("fake DNS: %v", err)
			}
		}()
		return client, nil
	}}
}

func answerDNS(conn net.Conn, addrs []string) error {
	head := make([]byte, 2)
	if _, err := io.ReadFull(conn, head); err != nil {
		return err
	}
	query := make([]byte, int(head[0])<<8|int(head[1]))
	if _, err := io.ReadFull(conn, query); err != nil {
		return err
	}
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil {
		return err
	}
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	if len(addrs) == 0 {
		m.RCode = dnsmessage.RCodeNameError
	}
	q := m.Questions[0]
	for _, a := range addrs {
		ip := net.ParseIP(a)
		h := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}
		switch {
		case q.Type == dnsmessage.TypeA && ip.To4() != nil:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: [4]byte(ip.To4())}})
		case q.Type == dnsmessage.TypeAAAA && ip.To4() == nil:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: [16]byte(ip)}})
		}
	}
	out, err := m.Pack()
	if err != nil {
		return err
	}
	_, err = conn.Write(append([]byte{byte(len(out) >> 8), byte(len(out))}, out...))
	return err
}

func TestNamesThatDoNotResolve(t *testing.T) {
	c := newClient(t, Options{Resolver: fakeDNS(t, "")})
	wantFailure(t, c.Do(t.Context(), post("http://nowhere.example/")), iot.ErrDNS, "nowhere.example does not exist")
	c = newClient(t, Options{Resolver: fakeDNS(t, "-")})
	req := post("http://slow.example/")
	req.Timeout = 150 * time.Millisecond
	wantFailure(t, c.Do(t.Context(), req), iot.ErrTimeout, "looking up the name of slow.example")
	c = newClient(t, Options{Resolver: &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, fmt.Errorf("no name server")
	}}})
	wantFailure(t, c.Do(t.Context(), post("http://receiver.example/")), iot.ErrDNS, "could not be looked up")
}

func TestADialEndsWithItsRequest(t *testing.T) {
	ended := make(chan struct{})
	var once sync.Once
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		once.Do(func() { close(ended) })
		return nil, ctx.Err()
	}}
	req := post("http://slow.example./")
	req.Timeout = 50 * time.Millisecond
	wantFailure(t, newClient(t, Options{Resolver: resolver}).Do(t.Context(), req), iot.ErrTimeout, "looking up")
	select {
	case <-ended:
	case <-time.After(req.Timeout + 4*dialGrace):
		t.Error("the dial goes on")
	}
}

func TestNoSpellingOrNameReachesARefusedAddress(t *testing.T) {
	var reached atomic.Int64
	s := serve(t, func(http.ResponseWriter, *http.Request) { reached.Add(1) })
	own, _ := url.Parse(s.URL)
	// Like a C library's resolver, the name server resolves everything that is not a
	// plain address to this machine.
	c := newClient(t, Options{Policy: NewPolicy(nil), Resolver: fakeDNS(t, "127.0.0.1 ::1")})
	hosts := append([]string{"innocent.example", "①②⑦.⓪.⓪.①", own.Hostname()}, refusedHosts...)
	for _, a := range refusedAddrs {
		if strings.Contains(a.addr, ":") {
			hosts = append(hosts, "["+strings.ReplaceAll(a.addr, "%", "%25")+"]")
		} else {
			hosts = append(hosts, a.addr)
		}
	}
	if len(hosts) < 60 {
		t.Fatalf("only %d hosts", len(hosts))
	}
	for _, host := range hosts {
		for _, scheme := range []string{"http", "https"} {
			res := c.Do(t.Context(), post(scheme+"://"+host+":"+own.Port()+"/"))
			if res.Class != iot.ErrBlocked || !strings.Contains(res.Detail, "-allow-networks") {
				t.Errorf("%s %s: %q %s", scheme, host, res.Class, res.Detail)
			}
		}
	}
	if reached.Load() != 0 {
		t.Errorf("%d requests got through", reached.Load())
	}
}

func TestRebindingIsJudgedOnTheDialledAddress(t *testing.T) {
	var reached atomic.Int64
	s := serve(t, func(http.ResponseWriter, *http.Request) { reached.Add(1) })
	own, _ := url.Parse(s.URL)
	// 127.0.0.1 is allowed as "public" here. 127.0.0.2 must not be reached: the same
	// server listens on both.
	l, err := net.Listen("tcp", "127.0.0.2:"+own.Port())
	if err != nil {
		t.Skipf("no second loopback address: %v", err)
	}
	var private atomic.Int64
	second := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { private.Add(1) })}
	served := make(chan error, 1)
	go func() { served <- second.Serve(l) }() // ends with Close below
	defer func() { _ = second.Close(); <-served }()

	c := newClient(t, Options{Policy: NewPolicy(mustNetworks(t, "127.0.0.1")), Resolver: fakeDNS(t, "127.0.0.1", "127.0.0.2")})
	req := post("http://rebind.example:" + own.Port() + "/")
	if res := c.Do(t.Context(), req); res.Class != "" {
		t.Fatalf("%q %s", res.Class, res.Detail)
	}
	c.CloseIdle()
	wantFailure(t, c.Do(t.Context(), req), iot.ErrBlocked, "127.0.0.2", "-allow-networks 127.0.0.2/32")

	// Only the allowed ones of several addresses are dialled, in either order.
	for _, group := range []string{"127.0.0.2 127.0.0.1", "127.0.0.1 127.0.0.2", "::1 127.0.0.2 127.0.0.1"} {
		c := newClient(t, Options{Policy: NewPolicy(mustNetworks(t, "127.0.0.1")), Resolver: fakeDNS(t, group)})
		if res := c.Do(t.Context(), req); res.Class != "" {
			t.Errorf("%s: %q %s", group, res.Class, res.Detail)
		}
	}
	if reached.Load() != 4 || private.Load() != 0 {
		t.Errorf("%d and %d requests arrived", reached.Load(), private.Load())
	}
}

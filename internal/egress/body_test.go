package egress

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"thingpost/internal/iot"
)

// TestAStatusCountsWhateverBecomesOfItsBody answers with bodies that break in every
// way: the status decides, the note says what broke, and the connection is not used
// again.
func TestAStatusCountsWhateverBecomesOfItsBody(t *testing.T) {
	reset := func(conn net.Conn) { _ = conn.(*net.TCPConn).SetLinger(0) }
	for _, k := range []struct {
		name, head, body string
		then             func(net.Conn) // nil closes
		kept, note       string         // of the body; the note lacks nothing of it
	}{
		{"short", "Content-Length: 1000\r\n", "half of", nil, "half of", "broke off after 7 of 1000 bytes: the connection was closed"},
		{"none of it", "Content-Length: 1000\r\n", "", nil, "", "broke off after 0 of 1000 bytes"},
		{"reset", "Content-Length: 1000\r\n", "half of", reset, "", "broke off after"},
		{"unended chunks", "Transfer-Encoding: chunked\r\n", "4\r\nhalf\r\n", nil, "half", "broke off after 4 bytes"},
		{"cut inside a chunk", "Transfer-Encoding: chunked\r\n", "40\r\nhalf", nil, "half", "broke off after 4 bytes"},
		{"no chunks", "Transfer-Encoding: chunked\r\n", "zz\r\n", nil, "", "cannot be read, after 0 bytes"},
		{"cut trailers", "Transfer-Encoding: chunked\r\n", "4\r\nhalf\r\n0\r\nX-A: b", nil, "half", "after 4 bytes"},
		{"late", "Content-Length: 1000\r\n", "half of", hold, "half of", "did not end in 0.3 s: it stopped after 7 of 1000 bytes"},
		{"unended and late", "Transfer-Encoding: chunked\r\n", "4\r\nhalf\r\n", hold, "half", "did not end in 0.3 s: it stopped after 4 bytes"},
		// Nothing is decompressed, so bad compression breaks nothing.
		{"gzip that is none", "Connection: close\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n", "half", nil, "half", ""},
		{"until it closes", "", "half", nil, "half", ""},
	} {
		for status, class := range map[int]iot.ErrorClass{200: "", 201: "", 299: "", 302: iot.ErrRedirect, 400: iot.ErrHTTP4xx,
			410: iot.ErrHTTP4xx, 503: iot.ErrHTTP5xx} {
			t.Run(fmt.Sprintf("%s/%d", k.name, status), func(t *testing.T) {
				t.Parallel()
				var conns atomic.Int64
				addr := listen(t, func(conn net.Conn) {
					conns.Add(1)
					if !readRequest(conn) {
						return
					}
					_, _ = io.WriteString(conn, "HTTP/1.1 "+strconv.Itoa(status)+" X\r\nLocation: /a\r\nRetry-After: 9\r\n"+k.head+"\r\n"+k.body)
					if k.then != nil {
						k.then(conn)
					}
				})
				c := newClient(t, Options{})
				req := post("http://" + addr)
				if strings.HasSuffix(k.name, "late") {
					req.Timeout = 300 * time.Millisecond
				}
				for n := range int64(2) {
					res := c.Do(t.Context(), req)
					if res.Class != class || res.Status != status || res.Canceled || res.Resent {
						t.Fatalf("%+v", res)
					}
					if !strings.Contains(res.Note, k.note) || (res.Note == "") != (k.note == "") {
						t.Errorf("note %q, want %q", res.Note, k.note)
					}
					if counts := strings.Contains(res.Note, "counts as success"); counts != (class == "" && k.note != "") {
						t.Errorf("note %q", res.Note)
					}
					if k.name != "reset" && string(res.Body) != k.kept {
						t.Errorf("body %q, want %q", res.Body, k.kept)
					}
					if (res.RetryAfter == 9*time.Second) != (status == 503) {
						t.Errorf("retry after %v", res.RetryAfter)
					}
					if conns.Load() != n+1 {
						t.Errorf("%d connections for %d requests", conns.Load(), n+1)
					}
				}
			})
		}
	}
}

// TestABrokenStreamIsASuccessToo breaks the body of an answer over HTTP/2.
func TestABrokenStreamIsASuccessToo(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	conf := s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	conf.NextProtos = nil
	res := newClient(t, Options{TLSConfig: conf}).Do(t.Context(), post(s.URL))
	if !res.OK() || res.Status != 200 || string(res.Body) != "half" || !strings.Contains(res.Note, "cannot be read, after 4 bytes") {
		t.Errorf("%+v", res)
	}
}

// TestAnAnswerBeforeTheWholeRequest has a receiver that answers after the head and
// closes: our write fails before its answer is read.
func TestAnAnswerBeforeTheWholeRequest(t *testing.T) {
	for _, gentle := range []bool{true, false} {
		for _, size := range []int{100, 100 << 10, 4 << 20} {
			addr := listen(t, func(conn net.Conn) {
				in := bufio.NewReader(conn)
				for line := ""; line != "\r\n"; {
					var err error
					if line, err = in.ReadString('\n'); err != nil {
						return
					}
				}
				_, _ = io.WriteString(conn, "HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok")
				if gentle {
					_ = conn.(*net.TCPConn).CloseWrite()
					hold(conn)
				}
			})
			c := newClient(t, Options{})
			for range 10 {
				req := post("http://" + addr)
				req.Body = make([]byte, size)
				if res := c.Do(t.Context(), req); !res.OK() || res.Status != 202 || string(res.Body) != "ok" || res.Note != "" {
					t.Fatalf("%d bytes, gentle %v: %+v", size, gentle, res)
				}
			}
		}
	}
}

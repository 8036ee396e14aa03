package egress

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"thingpost/internal/iot"
)

// TestOnlyOurOwnResend has receivers that swallow a request on a kept connection, for
// each header that makes net/http itself send it again. Several connections are kept;
// all would swallow it.
func TestOnlyOurOwnResend(t *testing.T) {
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key", "idempotency-key", "x-IDEMPOTENCY-key", "X-Other"} {
		for _, body := range []string{`{"a":1}`, ""} {
			t.Run(fmt.Sprintf("%s %q", name, body), func(t *testing.T) {
				const kept = 4
				var got, named atomic.Int64
				together := make(chan struct{})
				addr := listen(t, func(conn net.Conn) {
					head := &bytes.Buffer{}
					in := &teeConn{conn, head}
					if !readRequest(in) {
						return
					}
					if bytes.Contains(bytes.ToLower(head.Bytes()), bytes.ToLower([]byte("\r\n"+name+": k-1\r\n"))) {
						named.Add(1)
					}
					if got.Add(1) == kept {
						close(together)
					}
					<-together
					_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
					if readRequest(conn) {
						got.Add(1)
					}
				})
				c := newClient(t, Options{})
				req := post("http://" + addr)
				req.Body = []byte(body)
				req.Headers = append(req.Headers, iot.HeaderLine{Name: name, Value: "k-1"})
				results := make(chan Result)
				for range kept {
					go func() { results <- c.Do(t.Context(), req) }()
				}
				for range kept {
					if res := <-results; !res.OK() || res.Resent {
						t.Fatalf("%+v", res)
					}
				}
				for n := range int64(kept) {
					res := c.Do(t.Context(), req)
					if !res.OK() || !res.Resent {
						t.Fatalf("%+v", res)
					}
					if want := kept + 2*(n+1); got.Load() != want {
						t.Fatalf("%d requests arrived, want %d", got.Load(), want)
					}
				}
				if named.Load() != 2*kept {
					t.Errorf("%d of %d requests had the header", named.Load(), 2*kept)
				}
			})
		}
	}
}

// teeConn keeps what is read.
type teeConn struct {
	net.Conn
	kept *bytes.Buffer
}

func (c *teeConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.kept.Write(p[:n])
	return n, err
}

// TestHTTP2RequestsThatAreRefused has receivers that read requests by HTTP/2 and then
// report them unprocessed: net/http sends those again. It does so once, and the result
// reports it.
func TestHTTP2RequestsThatAreRefused(t *testing.T) {
	root := issue(t, authority("Root A"), nil)
	pool := x509.NewCertPool()
	pool.AddCert(root.cert)
	cert := issue(t, server("receiver.example"), root).sends(0)
	for _, k := range []struct {
		name    string
		refuse  func(f *http2.Framer, stream uint32) error
		refused int64 // requests, per connection or in all
		all     bool
		resent  bool
	}{
		{"none", nil, 0, true, false},
		{"a refused stream", func(f *http2.Framer, id uint32) error { return f.WriteRSTStream(id, http2.ErrCodeRefusedStream) }, 1, true, true},
		{"a protocol error", func(f *http2.Framer, id uint32) error { return f.WriteRSTStream(id, http2.ErrCodeProtocol) }, 1, true, true},
		{"going away", func(f *http2.Framer, id uint32) error { return f.WriteGoAway(id-1, http2.ErrCodeNo, nil) }, 1, true, true},
		{"all refused", func(f *http2.Framer, id uint32) error { return f.WriteRSTStream(id, http2.ErrCodeRefusedStream) }, 1 << 30, true, true},
	} {
		for _, body := range []string{`{"a":1}`, ""} {
			t.Run(fmt.Sprintf("%s %q", k.name, body), func(t *testing.T) {
				t.Parallel()
				var got atomic.Int64
				addr := listen(t, func(conn net.Conn) {
					secure := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}})
					if err := secure.Handshake(); err != nil {
						t.Error(err)
						return
					}
					answerHTTP2(secure, func(f *http2.Framer, id uint32) (bool, error) {
						if n := got.Add(1); n <= k.refused {
							return true, k.refuse(f, id)
						}
						return false, nil
					})
				})
				_, port, _ := net.SplitHostPort(addr)
				c := newClient(t, Options{Resolver: fakeDNS(t, "127.0.0.1"), TLSConfig: &tls.Config{RootCAs: pool}})
				req := post("https://receiver.example:" + port + "/hook?key=hush")
				req.Body = []byte(body)
				res := c.Do(t.Context(), req)
				want := min(k.refused, 1) + 1
				if got.Load() != want || res.Resent != k.resent {
					t.Errorf("%d arrived, want %d: %+v", got.Load(), want, res)
				}
				if k.refused > 1 {
					wantFailure(t, res, iot.ErrConnect, "refused the request twice")
				} else if !res.OK() || res.Status != 204 {
					t.Errorf("%+v", res)
				}
			})
		}
	}
}

// answerHTTP2 speaks enough HTTP/2 to answer 204 to each whole request that refuse does
// not take over.
func answerHTTP2(conn net.Conn, refuse func(f *http2.Framer, id uint32) (bool, error)) {
	if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	f := http2.NewFramer(conn, conn)
	err := f.WriteSettings()
	for err == nil {
		var frame http2.Frame
		if frame, err = f.ReadFrame(); err != nil {
			return
		}
		whole := false
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				err = f.WriteSettingsAck()
			}
		case *http2.HeadersFrame:
			whole = frame.StreamEnded()
		case *http2.DataFrame:
			whole = frame.StreamEnded()
		}
		if !whole {
			continue
		}
		id := frame.Header().StreamID
		done := false
		if done, err = refuse(f, id); done || err != nil {
			continue
		}
		var head bytes.Buffer
		_ = hpack.NewEncoder(&head).WriteField(hpack.HeaderField{Name: ":status", Value: "204"})
		err = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: head.Bytes(), EndHeaders: true, EndStream: true})
	}
}

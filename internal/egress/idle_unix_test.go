//go:build unix

package egress

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestWhatAnIdleConnectionReceives has receivers that say or do something after an answer.
// Such a connection carries no further request, and none is lost or sent twice.
func TestWhatAnIdleConnectionReceives(t *testing.T) {
	cert, trusted := certificate(t, "receiver.example", time.Now().Add(24*time.Hour))
	for _, secure := range []bool{false, true} {
		for _, k := range []struct {
			name   string
			answer string
			then   func(conn net.Conn, raw *heldConn)

			together bool // all arrives with the answer
		}{
			{"a second answer with the first", okAnswer + okAnswer, nil, true},
			{"a second answer in the same segment", "", func(conn net.Conn, raw *heldConn) {
				raw.hold = true
				_, _ = io.WriteString(conn, okAnswer)
				_, _ = io.WriteString(conn, okAnswer)
				raw.hold = false
				raw.release(1 << 10)
			}, true},
			{"a second answer", okAnswer, func(conn net.Conn, _ *heldConn) { _, _ = io.WriteString(conn, okAnswer) }, false},
			{"one byte", okAnswer, func(conn net.Conn, _ *heldConn) { _, _ = io.WriteString(conn, "\n") }, false},
			{"the end", okAnswer, func(conn net.Conn, _ *heldConn) { _ = conn.Close() }, false},
			{"the end of the stream alone", okAnswer, func(_ net.Conn, raw *heldConn) { _ = raw.tcp().CloseWrite() }, false},
			{"a reset", okAnswer, func(_ net.Conn, raw *heldConn) { _ = raw.tcp().SetLinger(0); _ = raw.Close() }, false},
			{"no TLS", okAnswer, func(_ net.Conn, raw *heldConn) { _, _ = io.WriteString(raw, "no record of TLS") }, false},
		} {
			t.Run(fmt.Sprintf("%s, TLS %v", k.name, secure), func(t *testing.T) {
				done, answered := make(chan struct{}, 2), make(chan struct{}, 2)
				var conns atomic.Int64
				addr := listen(t, func(bare net.Conn) {
					conns.Add(1)
					raw := &heldConn{Conn: bare}
					conn := net.Conn(raw)
					if secure {
						conn = tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{cert}})
					}
					if !readRequest(conn) {
						return
					}
					_, _ = io.WriteString(conn, k.answer)
					if !k.together {
						<-answered
					}
					if k.then != nil {
						k.then(conn, raw)
					}
					done <- struct{}{}
					hold(conn)
				})
				scheme, o := "http", Options{Resolver: fakeDNS(t, "127.0.0.1"), TLSConfig: &tls.Config{RootCAs: trusted}}
				if secure {
					scheme = "https"
				}
				_, port, _ := net.SplitHostPort(addr)
				c := newClient(t, o)
				for n := range int64(2) {
					res := c.Do(t.Context(), post(scheme+"://receiver.example:"+port))
					if !res.OK() || res.Resent || string(res.Body) != "ok" || conns.Load() != n+1 {
						t.Fatalf("%d connections, %+v", conns.Load(), res)
					}
					answered <- struct{}{}
					<-done
					if !k.together {
						c.pool.awaitArrival()
					}
				}
			})
		}
	}
}

func (c *heldConn) tcp() *net.TCPConn { return c.Conn.(*net.TCPConn) }

// awaitArrival waits until something has arrived at each idle connection, or was read
// with the answer. It reads nothing.
func (p *pool) awaitArrival() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, list := range p.idle {
		for _, c := range list {
			raw, err := c.raw.Conn.(*net.TCPConn).SyscallConn()
			if err != nil {
				continue
			}
			_ = raw.Read(func(fd uintptr) bool {
				_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK)
				return !errors.Is(err, syscall.EAGAIN)
			})
		}
	}
}

func (p *pool) size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.total
}

// TestSweep has receivers that close their idle connections: so does the client, without
// a further request.
func TestSweep(t *testing.T) {
	reply := make(chan bool)
	ended := make(chan struct{})
	addr := listen(t, func(conn net.Conn) {
		readRequest(conn)
		_, _ = io.WriteString(conn, okAnswer)
		if <-reply {
			_ = conn.(*net.TCPConn).CloseWrite()
		}
		hold(conn)
		ended <- struct{}{}
	})
	c := newClient(t, Options{})
	for _, closes := range []bool{true, false} {
		if res := c.Do(t.Context(), post("http://"+addr)); !res.OK() {
			t.Fatalf("%+v", res)
		}
		reply <- closes
		if closes {
			for c.pool.size() > 0 {
				c.pool.sweep()
			}
			<-ended
		}
	}
	c.pool.sweep()
	if n := c.pool.size(); n != 1 {
		t.Errorf("%d connections are kept", n)
	}
	c.CloseIdle()
	<-ended
}

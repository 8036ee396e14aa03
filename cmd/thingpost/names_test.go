package main

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// nameServer makes the program under test use only this name server.
const nameServer = "THINGPOST_TEST_NAME_SERVER"

func lookUpAt(address string) {
	if address == "" {
		return
	}
	net.DefaultResolver.PreferGo = true
	net.DefaultResolver.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", address)
	}
}

// serveNames answers each question for a name with its addresses of the requested kind,
// and returns its own address. v4 means that the question is for IPv4 addresses: a
// look-up asks for both kinds.
func serveNames(t *testing.T, addresses func(name string, v4 bool) (list []string, known bool)) string {
	t.Helper()
	address, _ := listenTCP(t, "127.0.0.1:0", func(conn net.Conn) {
		head := make([]byte, 2)
		if _, err := io.ReadFull(conn, head); err != nil {
			return
		}
		query := make([]byte, int(head[0])<<8|int(head[1]))
		var m dnsmessage.Message
		if _, err := io.ReadFull(conn, query); err != nil || m.Unpack(query) != nil {
			return
		}
		m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
		q := m.Questions[0]
		list, known := addresses(strings.TrimSuffix(q.Name.String(), "."), q.Type == dnsmessage.TypeA)
		if !known {
			m.RCode = dnsmessage.RCodeNameError
		}
		for _, a := range list {
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
			return
		}
		_, _ = conn.Write(append([]byte{byte(len(out) >> 8), byte(len(out))}, out...))
	})
	return address
}

// listenTCP serves connections until stop is called, or the test ends.
func listenTCP(t *testing.T, address string, serve func(net.Conn)) (at string, stop func()) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	must(t, err)
	var mu sync.Mutex
	conns := map[net.Conn]bool{}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns[conn] = true
			mu.Unlock()
			group.Go(func() {
				serve(conn)
				_ = conn.Close()
				mu.Lock()
				defer mu.Unlock()
				delete(conns, conn)
			})
		}
	})
	stop = sync.OnceFunc(func() {
		_ = l.Close()
		mu.Lock()
		for conn := range conns {
			_ = conn.Close()
		}
		mu.Unlock()
		group.Wait()
	})
	t.Cleanup(stop)
	return l.Addr().String(), stop
}

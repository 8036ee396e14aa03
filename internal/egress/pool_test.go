package egress

import (
	"io"
	"net"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// answering writes when it is read from, as TLS does when it is asked for new keys.
type answering struct{ *patientConn }

func (c answering) Read(p []byte) (int, error) {
	_, _ = c.Write([]byte("new keys"))
	return c.patientConn.Read(p)
}

// TestNothingIsWrittenToAnIdleConnection has TLS want to answer a receiver, which need not
// read it. The connection is given up instead.
func TestNothingIsWrittenToAnIdleConnection(t *testing.T) {
	got := make(chan []byte, 2)
	addr := listen(t, func(conn net.Conn) {
		all, _ := io.ReadAll(conn)
		got <- all
	})
	p := newPool(time.Now)
	for _, answers := range []bool{true, false} {
		bare, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		c := newConn(newPatientConn(bare), p, hostKey{})
		if answers {
			c.stream = answering{c.raw}
		}
		if !p.put(c) {
			t.Fatal("it was not kept")
		}
		kept, _ := p.get(hostKey{})
		if (kept != nil) == answers {
			t.Errorf("answers %v: %v", answers, kept)
		}
		_ = c.raw.Close()
		if all := <-got; len(all) > 0 {
			t.Errorf("%q was written", all)
		}
	}
}

// TestAConnectionThatNobodyTakes is closed with its exchange, also if it comes later.
func TestAConnectionThatNobodyTakes(t *testing.T) {
	ended := make(chan struct{})
	addr := listen(t, func(conn net.Conn) { hold(conn); ended <- struct{}{} })
	var conns []net.Conn
	for range 3 {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	x := &exchange{}
	x.give(conns[0])
	x.give(conns[1])
	<-ended // one too many
	x.close()
	<-ended
	x.give(conns[2])
	<-ended
	if x.take() != nil {
		t.Error("a connection is left")
	}
	runtime.KeepAlive(conns)
}

// TestPool has more idle connections than are kept, and some that wait too long.
func TestPool(t *testing.T) {
	var clock atomic.Int64 // s
	p := newPool(func() time.Time { return time.Unix(clock.Load(), 0) })
	p.perHost, p.most = 3, 8
	ended := make(chan struct{}, 32)
	addr := listen(t, func(conn net.Conn) { hold(conn); ended <- struct{}{} })
	open := func(host string) *conn {
		t.Helper()
		stream, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		return newConn(newPatientConn(stream), p, hostKey{host: host})
	}
	closed := func(n int) {
		for range n {
			<-ended
		}
	}
	keep := func(host string) {
		t.Helper()
		if !p.put(open(host)) {
			t.Fatalf("a connection to %s was not kept", host)
		}
		clock.Add(1)
	}
	for range 3 {
		keep("full")
	}
	extra := open("full")
	if p.put(extra) {
		t.Fatal("a host has too many connections")
	}
	extra.close()
	closed(1)
	for i := range 5 {
		keep(strconv.Itoa(i))
	}
	keep("new")
	closed(1)
	if p.total != 8 || len(p.idle[hostKey{host: "full"}]) != 2 {
		t.Fatalf("%d are kept; the oldest does not make room", p.total)
	}
	clock.Store(8 + int64(idleTimeout/time.Second)) // the last is that old
	p.sweep()
	closed(7)
	if p.total != 1 || len(p.idle) != 1 || p.sweeper == nil {
		t.Errorf("%d connections to %d hosts are left", p.total, len(p.idle))
	}
	if c, _ := p.get(hostKey{host: "new"}); c == nil || !p.put(c) {
		t.Error("the last is not good any more")
	}
	p.closeIdle()
	closed(1)
	late := open("new")
	if p.total != 0 || p.sweeper != nil || p.put(late) {
		t.Error("a connection is kept")
	}
	late.close()
	closed(1)
	if c, _ := p.get(hostKey{host: "new"}); c != nil {
		t.Error("a connection is left")
	}
	keep("new") // a request was made
	p.closeIdle()
	closed(1)
}

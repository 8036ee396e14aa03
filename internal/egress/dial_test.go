package egress

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"thingpost/internal/iot"
)

// TestSeveralAddresses has names whose addresses answer, refuse or are not allowed, in
// any order.
func TestSeveralAddresses(t *testing.T) {
	var reached atomic.Int64
	s := serve(t, func(http.ResponseWriter, *http.Request) { reached.Add(1) })
	own, _ := url.Parse(s.URL)
	// The port is in use on this address only: the others refuse.
	const alive, dead, dead6, forbidden, forbidden6 = "127.0.0.1", "127.0.0.3", "::1", "127.0.0.2", "fd00::1"
	l, err := net.Listen("tcp", forbidden+":"+own.Port())
	if err != nil {
		t.Skipf("no second loopback address: %v", err)
	}
	defer l.Close()
	host := "receiver.example:" + own.Port()
	for _, k := range []struct {
		name, leads string
		class       iot.ErrorClass
		words       []string
		lacks       string
	}{
		{"alive", alive, "", nil, ""},
		{"forbidden before alive", forbidden + " " + alive, "", nil, ""},
		{"dead before alive", dead + " " + alive, "", nil, ""},
		{"dead in the other family before alive", dead6 + " " + alive, "", nil, ""},
		{"all kinds", forbidden6 + " " + dead6 + " " + forbidden + " " + dead + " " + alive, "", nil, ""},
		{"dead", dead, iot.ErrConnect, []string{host + " (" + dead + ":", "refused the connection"}, "not tried"},
		{"forbidden before dead", forbidden + " " + dead, iot.ErrConnect,
			[]string{"(" + dead + ":", "refused the connection", "not tried: 127.0.0.2 is this machine itself (loopback)."}, "-allow-networks"},
		{"dead before forbidden", dead + " " + forbidden, iot.ErrConnect,
			[]string{"(" + dead + ":", "refused the connection", "not tried: 127.0.0.2"}, ""},
		{"forbidden in the other family", forbidden6 + " " + dead, iot.ErrConnect,
			[]string{"(" + dead + ":", "refused the connection", "fd00::1 is in a private network"}, ""},
		{"two dead families", dead6 + " " + dead, iot.ErrConnect, []string{"refused the connection"}, "not tried"},
		{"forbidden", forbidden, iot.ErrBlocked, []string{"receiver.example has no address that", "127.0.0.2 is this machine itself",
			"-allow-networks 127.0.0.2/32"}, ""},
		{"two forbidden", forbidden + " 10.1.2.3 " + forbidden6, iot.ErrBlocked,
			[]string{"receiver.example", "127.0.0.2 is this machine itself (loopback)", "10.1.2.3 is in a private network",
				"fd00::1 is in a private network",
				"-allow-networks ", "10.1.2.3/32", "fd00::1/128"}, ""},
		{"twelve forbidden", "10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6 10.0.0.7 10.0.0.8 10.0.0.9 10.0.0.10 10.0.0.11 10.0.0.12",
			iot.ErrBlocked, []string{"and 4 more"}, ""},
	} {
		t.Run(k.name, func(t *testing.T) {
			before := reached.Load()
			c := newClient(t, Options{Policy: NewPolicy(mustNetworks(t, alive+","+dead+","+dead6)), Resolver: fakeDNS(t, k.leads)})
			res := c.Do(t.Context(), post("http://"+host))
			if k.class == "" {
				if !res.OK() || reached.Load() != before+1 || res.Timings.DNS <= 0 || res.Timings.Connect <= 0 {
					t.Errorf("%+v, %d arrived", res, reached.Load()-before)
				}
				return
			}
			wantFailure(t, res, k.class, k.words...)
			if k.lacks != "" && strings.Contains(res.Detail, k.lacks) {
				t.Errorf("detail %q", res.Detail)
			}
			if reached.Load() != before {
				t.Error("it arrived")
			}
		})
	}
	// Names, and hosts that need no DNS, get the reason that no network allows them.
	everything := mustNetworks(t, "0.0.0.0/0,::/0")
	mine := NewPolicy(everything, s.Listener.Addr().(*net.TCPAddr).AddrPort())
	c := newClient(t, Options{Policy: mine, Resolver: fakeDNS(t, alive)})
	wantFailure(t, c.Do(t.Context(), post("http://"+host)), iot.ErrBlocked, "receiver.example has no address that", "is this server itself")
	c = newClient(t, Options{Policy: NewPolicy(nil)})
	wantFailure(t, c.Do(t.Context(), post("http://localhost:"+own.Port())), iot.ErrBlocked, "localhost has no address that", "127.0.0.1 is",
		"::1 is", "-allow-networks 127.0.0.1/32,::1/128")
	wantFailure(t, c.Do(t.Context(), post("http://10.0.0.1")), iot.ErrBlocked, "10.0.0.1 is in a private network, which is not reached")
	if res := c.Do(t.Context(), post("http://0x7f.1:"+own.Port())); res.Class != iot.ErrBlocked || !strings.Contains(res.Detail, "127.0.0.1") {
		t.Errorf("%+v", res)
	}
}

// TestAResetIsReadAfterAWriteFoundIt has the kernel report a reset to a write, after which
// a read of the bare connection finds the end of the stream.
func TestAResetIsReadAfterAWriteFoundIt(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	bare, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn := newPatientConn(bare)
	defer func() { _ = conn.Close() }()
	peer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = peer.(*net.TCPConn).SetLinger(0)
	_ = peer.Close()
	for err == nil {
		_, err = conn.write([]byte("x"))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("the write got %v", err)
	}
	if n, err := conn.Read(make([]byte, 1)); n != 0 || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the read got %d bytes and %v", n, err)
	}
}

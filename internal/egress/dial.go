package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"thingpost/internal/iot"
)

// dialGrace is how much longer than its request a dial may take: the request's
// own timeout fires first and tells the phase.
const dialGrace = time.Second

// dialer opens the transport's connections. Every address is judged by the
// policy at the moment it is dialled, so that no answer of a name server and no
// spelling of an address gets around it.
type dialer struct {
	policy *Policy
	tls    *tls.Config
	net    net.Dialer
}

func newDialer(policy *Policy, resolver *net.Resolver, conf *tls.Config) *dialer {
	d := &dialer{policy: policy, tls: conf}
	d.net = net.Dialer{KeepAlive: 30 * time.Second, Resolver: resolver, ControlContext: d.control}
	return d
}

// dialTimes is what control learns about the dial that it is part of.
type dialTimes struct {
	x        *exchange
	began    time.Duration
	resolved atomic.Int64 // ns since the exchange's start, 0 before
}

type dialTimesKey struct{}

// tlsError is a failure of the handshake.
type tlsError struct{ err error }

func (e *tlsError) Error() string { return "tls handshake: " + e.err.Error() }
func (e *tlsError) Unwrap() error { return e.err }

// plain opens a connection for http.
func (d *dialer) plain(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, x, cancel, err := dialContext(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	rec, err := d.open(ctx, x, network, address)
	if err != nil {
		return nil, err
	}
	return rec.conn, nil
}

// secure opens a connection for https and completes its handshake.
func (d *dialer) secure(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, x, cancel, err := dialContext(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	rec, err := d.open(ctx, x, network, address)
	if err != nil {
		return nil, err
	}
	x.dialing.Store(int32(phaseTLS))
	began := x.elapsed()
	conf := d.tls.Clone()
	conf.ServerName = serverName(address)
	conn := tls.Client(rec.conn, conf)
	err = conn.HandshakeContext(ctx)
	x.dialed.Store(&dialed{conn: conn, dns: rec.dns, connect: rec.connect, tls: x.elapsed() - began})
	if err != nil {
		_ = rec.conn.Close()
		return nil, &tlsError{err}
	}
	return conn, nil
}

// dialContext bounds a dial by the timeout of the request that asked for it.
func dialContext(ctx context.Context) (context.Context, *exchange, context.CancelFunc, error) {
	x, ok := ctx.Value(exchangeKey{}).(*exchange)
	if !ok {
		return nil, nil, nil, errors.New("dial outside of an exchange")
	}
	deadline, ok := x.Deadline()
	if !ok {
		return nil, nil, nil, errors.New("dial without a deadline")
	}
	ctx, cancel := context.WithDeadline(ctx, deadline.Add(dialGrace))
	return ctx, x, cancel, nil
}

// open resolves, connects and measures both.
func (d *dialer) open(ctx context.Context, x *exchange, network, address string) (*dialed, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	// Some resolvers read 0x7f.1 as an address and others ask DNS for it: judge
	// it as an address first. Names that always mean one need no DNS either.
	if err := d.policy.checkHost(host, port); err != nil {
		return nil, err
	}
	times := &dialTimes{x: x, began: x.elapsed()}
	conn, err := d.net.DialContext(context.WithValue(ctx, dialTimesKey{}, times), network, address)
	end := x.elapsed()
	rec := &dialed{conn: conn}
	resolved := time.Duration(times.resolved.Load())
	if resolved == 0 {
		resolved = end
	} else {
		rec.connect = end - resolved
	}
	if _, literal := netip.ParseAddr(host); literal != nil {
		rec.dns = resolved - times.began
	}
	x.dialed.Store(rec)
	return rec, err
}

// control is called with each address that is about to be dialled.
func (d *dialer) control(ctx context.Context, network, address string, _ syscall.RawConn) error {
	times, ok := ctx.Value(dialTimesKey{}).(*dialTimes)
	if !ok {
		return errors.New("dial outside of an exchange")
	}
	times.resolved.CompareAndSwap(0, int64(times.x.elapsed()))
	times.x.dialing.Store(int32(phaseConnect))
	to, err := netip.ParseAddrPort(address)
	if err != nil || network != "tcp4" && network != "tcp6" {
		return &iot.Error{Code: iot.Forbidden, Message: "The address cannot be read, so it is not dialled.", Err: errBlocked}
	}
	return d.policy.CheckPort(to)
}

// serverName is the name that a certificate must be for.
func serverName(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	host, _, _ = strings.Cut(host, "%")
	return strings.TrimSuffix(host, ".")
}

package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"thingpost/internal/iot"
)

// dialGrace is how much longer than its request a dial can take by its own deadline. The
// request's timeout comes first and knows the phase.
const dialGrace = time.Second

// otherFamily is the head start of the preferred address family (IPv6 or IPv4, in the
// system's order). After it the other family is tried too (RFC 8305).
const otherFamily = 300 * time.Millisecond

// dialer opens connections. It tries the allowed addresses of a name.
// Every address is checked again when it is dialled, so that no answer of a name server
// and no spelling of an address avoids the check.
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
	if len(conf.Certificates) == 0 && conf.GetClientCertificate == nil {
		// Without a certificate Go reports none to the receiver and no error here.
		conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			x.asked.Store(true)
			return &tls.Certificate{}, nil
		}
	}
	conn := tls.Client(rec.conn, conf)
	err = conn.HandshakeContext(ctx)
	x.dialed.Store(&dialed{conn: conn, dns: rec.dns, connect: rec.connect, tls: x.elapsed() - began})
	if err != nil {
		_ = rec.conn.Close()
		return nil, &tlsError{err}
	}
	return conn, nil
}

var errNoExchange = errors.New("dial outside of an exchange")

// dialContext bounds a dial by the timeout of the request that needs it.
func dialContext(ctx context.Context) (context.Context, *exchange, context.CancelFunc, error) {
	x, ok := ctx.Value(exchangeKey{}).(*exchange)
	if !ok {
		return nil, nil, nil, errNoExchange
	}
	deadline, ok := x.Deadline()
	if !ok {
		return nil, nil, nil, errors.New("dial without a deadline")
	}
	ctx, cancel := context.WithDeadline(ctx, deadline.Add(dialGrace))
	return ctx, x, cancel, nil
}

// open resolves and connects, and measures both.
func (d *dialer) open(ctx context.Context, x *exchange, network, address string) (*dialed, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, err
	}
	// Some resolvers read 0x7f.1 as an address and others ask DNS for it: check it as
	// an address first. Names that always mean one address need no DNS either.
	if err := d.policy.checkHost(host, uint16(number)); err != nil {
		return nil, err
	}
	rec := &dialed{}
	defer x.dialed.Store(rec)
	began := x.elapsed()
	all, literal, err := d.resolve(ctx, host, uint16(number))
	resolved := x.elapsed()
	if !literal {
		rec.dns = resolved - began
	}
	if err != nil {
		return nil, err
	}
	allowed, refused := d.policy.sort(all)
	if len(allowed) == 0 {
		return nil, blocked(host, refused)
	}
	x.dialing.Store(int32(phaseConnect))
	conn, err := d.first(ctx, network, allowed)
	if err == nil {
		rec.conn = newPatientConn(conn)
	}
	rec.connect = x.elapsed() - resolved
	if err != nil && len(refused) > 0 {
		err = &partlyRefused{err, refused}
	}
	return rec, err
}

// partlyRefused is a failure to reach the allowed addresses of a name that has refused
// ones too.
type partlyRefused struct {
	error
	refused []refusal
}

func (e *partlyRefused) Unwrap() error { return e.error }

// resolve returns the addresses of a host in the order to try them.
func (d *dialer) resolve(ctx context.Context, host string, port uint16) (list []netip.AddrPort, literal bool, err error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.AddrPort{netip.AddrPortFrom(a.Unmap(), port)}, true, nil
	}
	resolver := d.net.Resolver
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	addrs, err := resolver.LookupNetIP(ctx, "ip", host)
	for _, a := range addrs {
		if to := netip.AddrPortFrom(a.Unmap(), port); !slices.Contains(list, to) {
			list = append(list, to)
		}
	}
	if err == nil && len(list) == 0 {
		err = &net.DNSError{Err: "no addresses", Name: host, IsNotFound: true}
	}
	return list, false, err
}

// first returns the first connection to one of the addresses. It tries the first
// address's family in turn, and the other family too if that fails or takes long. The
// error is that of the first address.
func (d *dialer) first(ctx context.Context, network string, list []netip.AddrPort) (net.Conn, error) {
	var mine, others []netip.AddrPort
	for _, to := range list {
		if to.Addr().Is4() == list[0].Addr().Is4() {
			mine = append(mine, to)
		} else {
			others = append(others, to)
		}
	}
	if len(others) == 0 {
		return d.inTurn(ctx, network, mine)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		conn   net.Conn
		err    error
		others bool
	}
	results := make(chan result)
	gone := make(chan struct{})
	defer close(gone)
	try := func(list []netip.AddrPort, others bool) { // ends with the context at the latest
		conn, err := d.inTurn(ctx, network, list)
		select {
		case results <- result{conn, err, others}:
		case <-gone:
			if conn != nil {
				_ = conn.Close()
			}
		}
	}
	go try(mine, false)
	timer := time.NewTimer(otherFamily)
	defer timer.Stop()
	started, failed, firstErr := false, 0, error(nil)
	for {
		select {
		case <-timer.C:
		case r := <-results:
			if r.err == nil {
				return r.conn, nil
			}
			if failed++; failed == 2 {
				if r.others {
					return nil, firstErr
				}
				return nil, r.err
			}
			firstErr = r.err
		}
		if !started {
			started = true
			go try(others, true)
		}
	}
}

// inTurn tries addresses in turn, each for its part of the time.
func (d *dialer) inTurn(ctx context.Context, network string, list []netip.AddrPort) (net.Conn, error) {
	const least = 2 * time.Second // for one address, if that much is left
	var first error
	for i, to := range list {
		one, cancel := ctx, context.CancelFunc(func() {})
		if deadline, ok := ctx.Deadline(); ok && i < len(list)-1 {
			left := time.Until(deadline) //nolint:forbidigo // contexts use the system's clock
			one, cancel = context.WithTimeout(ctx, max(left/time.Duration(len(list)-i), min(left, least)))
		}
		conn, err := d.net.DialContext(one, network, to.String())
		cancel()
		if err == nil {
			return conn, nil
		}
		if first == nil {
			first = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, first
}

// control checks each address just before it is dialled.
func (d *dialer) control(_ context.Context, network, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || network != "tcp4" && network != "tcp6" {
		return &iot.Error{Code: iot.Forbidden, Message: "The address cannot be read, so it is not dialled.", Err: errBlocked}
	}
	return d.policy.CheckPort(to)
}

// serverName is the name that the certificate must have.
func serverName(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	host, _, _ = strings.Cut(host, "%")
	return strings.TrimSuffix(host, ".")
}

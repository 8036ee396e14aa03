package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync/atomic"
	"time"

	"thingpost/internal/iot"
)

// phase is how far an exchange has come.
type phase int32

const (
	phaseDNS phase = iota
	phaseConnect
	phaseTLS
	phaseSend
	phaseWait
)

// exchange is the context of one request, and what was measured on the way. The
// transport dials in goroutines of its own that may outlive the request, so
// what they write is atomic.
type exchange struct {
	context.Context // ends at the timeout
	cancel          context.CancelFunc
	now             func() time.Time
	start           time.Time
	delivery        iot.ID

	dialing atomic.Int32           // a phase, while no connection is there yet
	dialed  atomic.Pointer[dialed] // the connection that this request opened
	wrote   atomic.Int64           // ns since start when the request was written, 0 before
	first   atomic.Int64           // ns since start at the answer's first byte, 0 before
	interim atomic.Int64           // interim answers (1xx) so far
	heads   atomic.Int64           // heads of requests written so far
	refused atomic.Bool            // by HTTP/2, as often as it may be sent
	asked   atomic.Bool            // the receiver asked for a client certificate

	conn      net.Conn // the connection that carries the request, nil before
	reused    bool     // it has carried others before
	connected time.Duration
	trace     httptrace.ClientTrace
}

// dialed is a connection with the time that its opening took.
type dialed struct {
	conn              net.Conn
	dns, connect, tls time.Duration
}

type exchangeKey struct{}

// Value answers the exchange itself; being a context saves an allocation and
// keeps the transport's contexts hanging on the timer without a goroutine.
func (x *exchange) Value(key any) any {
	if key == (exchangeKey{}) {
		return x
	}
	return x.Context.Value(key)
}

// Delivery returns whose attempt a request is that Client.Do sends, by the
// request's context: what the inspector, which sees only the request, tells
// people. Zero for any other context.
func Delivery(ctx context.Context) iot.ID {
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		return x.delivery
	}
	return iot.ID{}
}

// traced returns the context to send with.
func (x *exchange) traced() context.Context {
	x.trace.GotConn = x.gotConn
	x.trace.WroteHeaders = x.wroteHeaders
	x.trace.WroteRequest = x.wroteRequest
	x.trace.GotFirstResponseByte = x.firstByte
	x.trace.Got1xxResponse = x.gotInterim
	return httptrace.WithClientTrace(x, &x.trace)
}

func (x *exchange) elapsed() time.Duration { return x.now().Sub(x.start) }

// maxSends is how often a request may be sent in one attempt.
const maxSends = 2

// gotConn notes the connection that carries the request. net/http sends a request
// that HTTP/2 refused up to eight times by itself; the third is stopped here.
func (x *exchange) gotConn(info httptrace.GotConnInfo) {
	x.conn, x.reused = info.Conn, info.Reused
	x.connected = x.elapsed()
	if x.heads.Load() >= maxSends && isHTTP2(info.Conn) {
		x.refused.Store(true)
		x.cancel()
	}
}

func (x *exchange) wroteHeaders() { x.heads.Add(1) }

// sentTwice reports whether net/http sent the request again by itself, after HTTP/2
// refused it. Over HTTP/1 it does that only where no byte was written.
func (x *exchange) sentTwice() bool { return x.heads.Load() >= maxSends && isHTTP2(x.conn) }

func isHTTP2(conn net.Conn) bool {
	secure, ok := conn.(*tls.Conn)
	return ok && secure.ConnectionState().NegotiatedProtocol == "h2"
}

func (x *exchange) wroteRequest(info httptrace.WroteRequestInfo) {
	if info.Err == nil {
		x.wrote.Store(int64(x.elapsed()))
	}
}

// died reports whether a request failed because its kept connection was closed,
// as receivers do with those that they think idle. Streams of HTTP/2 are left to
// the transport, which knows what the receiver has not looked at.
func (x *exchange) died(err error) bool {
	if !x.reused || x.first.Load() != 0 || !ended(err) {
		return false
	}
	return !isHTTP2(x.conn)
}

// alert returns the receiver's TLS alert where that is why a request failed, else the
// error: a write that failed for it may be what net/http tells of, while the
// connection knows better.
func (x *exchange) alert(err error) error {
	secure, ok := x.conn.(*tls.Conn)
	if !ok || !ended(err) || isHTTP2(x.conn) && !stillborn(err) {
		return err
	}
	_ = secure.SetReadDeadline(time.Unix(1, 0)) // nothing more is awaited
	_, known := secure.Read(make([]byte, 1))
	if e, ok := errors.AsType[*net.OpError](known); ok && e.Op == "remote error" {
		return known
	}
	return err
}

// ended reports whether an error is that of a connection that is over.
func ended(err error) bool {
	return broken(err) || errors.Is(err, net.ErrClosed) || strings.Contains(err.Error(), "server closed idle connection") || stillborn(err)
}

// stillborn reports whether a connection by HTTP/2 ended before its first request.
func stillborn(err error) bool {
	return strings.Contains(err.Error(), "client conn could not be established")
}

// errInterim ends an exchange whose receiver sends one interim answer after the
// other.
var errInterim = errors.New("too many interim answers")

func (x *exchange) gotInterim(int, textproto.MIMEHeader) error {
	if x.interim.Add(1) > maxInterim {
		return errInterim
	}
	return nil
}

func (x *exchange) firstByte() { x.first.Store(int64(x.elapsed())) }

// phase returns how far the exchange has come before its answer's head is there.
func (x *exchange) phase() phase {
	switch {
	case x.conn == nil:
		return phase(x.dialing.Load())
	case x.wrote.Load() == 0:
		return phaseSend
	}
	return phaseWait
}

// timings returns the phases measured. The opening of the connection counts
// only for the request that both opened and used it.
func (x *exchange) timings() iot.Timings {
	t := iot.Timings{Total: micros(x.elapsed())}
	if d := x.dialed.Load(); d != nil && (x.conn == nil || x.conn == d.conn) {
		t.DNS, t.Connect, t.TLS = micros(d.dns), micros(d.connect), micros(d.tls)
	}
	if first := time.Duration(x.first.Load()); first > 0 {
		// A receiver may answer before it has the whole request.
		sent := time.Duration(x.wrote.Load())
		if sent == 0 || sent > first {
			sent = x.connected
		}
		t.FirstByte = micros(first - sent)
	}
	return t
}

// micros rounds up, so that a phase that took place is never 0.
func micros(d time.Duration) int64 {
	return int64((max(d, 0) + time.Microsecond - 1) / time.Microsecond)
}

package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"thingpost/internal/iot"
)

// phase is the progress of an exchange.
type phase int32

const (
	phaseDNS phase = iota
	phaseConnect
	phaseTLS
	phaseSend
	phaseWait
)

// exchange is the context of one request, with its measurements. net/http dials for HTTP/2
// in goroutines that can outlive the request, so what they write is atomic.
type exchange struct {
	context.Context // ends at the timeout
	cancel          context.CancelFunc
	now             func() time.Time
	start           time.Time
	delivery        iot.ID

	dialing atomic.Int32           // a phase, until there is a connection
	dialed  atomic.Pointer[dialed] // the connection that this request opened
	wrote   atomic.Int64           // ns from start until the request was written; 0 before
	first   atomic.Int64           // ns from start until the answer's first byte; 0 before
	interim atomic.Int64           // interim answers (1xx) so far
	heads   atomic.Int64           // heads of requests written so far
	refused atomic.Bool            // by HTTP/2, as often as it may be sent
	asked   atomic.Bool            // the receiver asked for a client certificate

	conn      net.Conn // carries the request; nil before
	reused    bool     // it carried others before
	connected time.Duration
	trace     httptrace.ClientTrace

	mu    sync.Mutex
	given net.Conn // dialled by this exchange, and not used yet
	over  bool     // the exchange is
}

// dialed is a connection with the time it took to open.
type dialed struct {
	conn              net.Conn
	dns, connect, tls time.Duration
}

type exchangeKey struct{}

// Value returns the exchange itself. Being a context saves an allocation, and the
// transport's contexts need no goroutine to follow the timer.
func (x *exchange) Value(key any) any {
	if key == (exchangeKey{}) {
		return x
	}
	return x.Context.Value(key)
}

// Delivery returns the delivery that a request of Client.Do belongs to, from the
// request's context. The inspector, which sees only the request, needs it. Zero for any
// other context.
func Delivery(ctx context.Context) iot.ID {
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		return x.delivery
	}
	return iot.ID{}
}

// give leaves a connection to who takes it. When the exchange is over it is closed.
func (x *exchange) give(conn net.Conn) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over || x.given != nil {
		_ = conn.Close()
		return
	}
	x.given = conn
}

// take returns the connection that was given, or nil.
func (x *exchange) take() net.Conn {
	x.mu.Lock()
	defer x.mu.Unlock()
	conn := x.given
	x.given = nil
	return conn
}

// close ends the exchange.
func (x *exchange) close() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.over = true
	if x.given != nil {
		_ = x.given.Close()
		x.given = nil
	}
}

// traced returns the context to send with over HTTP/2.
func (x *exchange) traced() context.Context {
	x.trace.GotConn = x.gotConn
	x.trace.WroteHeaders = x.wroteHeaders
	x.trace.WroteRequest = x.wroteRequest
	x.trace.GotFirstResponseByte = x.firstByte
	x.trace.Got1xxResponse = x.gotInterim
	return httptrace.WithClientTrace(x, &x.trace)
}

func (x *exchange) elapsed() time.Duration { return x.now().Sub(x.start) }

// maxSends is how often a request can be sent in one attempt.
const maxSends = 2

// gotConn records the connection that carries the request. net/http itself sends a
// request that HTTP/2 refused up to eight times. The third is stopped here.
func (x *exchange) gotConn(info httptrace.GotConnInfo) {
	x.conn, x.reused = info.Conn, info.Reused
	x.connected = x.elapsed()
	if x.heads.Load() >= maxSends && isHTTP2(info.Conn) {
		x.refused.Store(true)
		x.cancel()
	}
}

func (x *exchange) wroteHeaders() { x.heads.Add(1) }

// sentTwice reports whether net/http itself sent the request again after HTTP/2 refused
// it. Over HTTP/1 it does so only if no byte was written.
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

// died reports whether a request failed because its kept connection was closed, as
// receivers do with idle ones. Streams of HTTP/2 are left to the transport, which knows
// which of them the receiver did not process.
func (x *exchange) died(err error) bool {
	if !x.reused || x.first.Load() != 0 || !ended(err) {
		return false
	}
	return !isHTTP2(x.conn)
}

// alert returns the receiver's TLS alert if that is why a request failed, and the error
// otherwise. net/http may report only the failed write, while the connection has the
// alert.
func (x *exchange) alert(err error) error {
	secure, ok := x.conn.(*tls.Conn)
	if !ok || !ended(err) || isHTTP2(x.conn) && !stillborn(err) {
		return err
	}
	_ = secure.SetReadDeadline(time.Unix(1, 0)) // waits for nothing
	_, known := secure.Read(make([]byte, 1))
	if e, ok := errors.AsType[*net.OpError](known); ok && e.Op == "remote error" {
		return known
	}
	return err
}

// ended reports whether an error is that of a closed connection.
func ended(err error) bool {
	return broken(err) || errors.Is(err, net.ErrClosed) || stillborn(err)
}

// stillborn reports whether an HTTP/2 connection ended before its first request.
func stillborn(err error) bool {
	return strings.Contains(err.Error(), "client conn could not be established")
}

// errInterim ends an exchange whose receiver sends too many interim answers.
var errInterim = errors.New("too many interim answers")

func (x *exchange) gotInterim(int, textproto.MIMEHeader) error {
	if x.interim.Add(1) > maxInterim {
		return errInterim
	}
	return nil
}

func (x *exchange) firstByte() { x.first.Store(int64(x.elapsed())) }

// phase returns the progress of the exchange before its answer's head.
func (x *exchange) phase() phase {
	switch {
	case x.conn == nil:
		return phase(x.dialing.Load())
	case x.wrote.Load() == 0:
		return phaseSend
	}
	return phaseWait
}

// timings returns the measured phases. Opening the connection counts only for a request
// that opened and used it.
func (x *exchange) timings() iot.Timings {
	t := iot.Timings{Total: micros(x.elapsed())}
	if d := x.dialed.Load(); d != nil && (x.conn == nil || x.conn == d.conn) {
		t.DNS, t.Connect, t.TLS = micros(d.dns), micros(d.connect), micros(d.tls)
	}
	if first := time.Duration(x.first.Load()); first > 0 {
		// A receiver can answer before it has the whole request.
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

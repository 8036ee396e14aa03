package egress

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// send sends a request. If its kept connection died it sends it once more, on a
// connection of its own, as another exchange, which it returns.
func (c *Client) send(x *exchange, req *http.Request, r Request) (*http.Response, *exchange, error) {
	if c.inspector != nil && c.inspects(x, r.URL) {
		x.dialing.Store(int32(phaseWait)) // no dial follows
		resp, err := c.inspector.RoundTrip(req)
		return resp, x, err
	}
	resp, err := c.roundTrip(x, req, false)
	if err == nil || !x.died(err) || x.Err() != nil {
		return resp, x, err
	}
	x.close()
	x = &exchange{Context: x.Context, cancel: x.cancel, now: c.now, start: x.start, delivery: r.Delivery}
	req, _ = newRequest(x, r) // the first request was valid
	resp, err = c.roundTrip(x, req, true)
	return resp, x, err
}

// errBadHeader is for requests that HTTP cannot carry; explain names the header.
var errBadHeader = errors.New("a header cannot be sent")

// roundTrip sends a request over a kept connection or, also if it must be fresh, over a
// new one. The protocol is what the connection speaks.
func (c *Client) roundTrip(x *exchange, req *http.Request, fresh bool) (*http.Response, error) {
	if _, bad := badHeader(req.Header); bad {
		return nil, errBadHeader
	}
	if err := x.Err(); err != nil {
		return nil, err // nothing is sent
	}
	host := hostKey{secure: req.URL.Scheme == "https", host: req.URL.Host}
	if !fresh {
		kept, http2 := c.pool.get(host)
		if kept != nil {
			return kept.roundTrip(x, req)
		}
		if http2 {
			resp, err := c.overHTTP2(x, req)
			if !errors.Is(err, errNotHTTP2) {
				return resp, err
			}
		}
	}
	stream := x.take()
	if stream == nil {
		dial := c.dialer.plain
		if host.secure {
			dial = c.dialer.secure
		}
		var err error
		if stream, err = dial(dialing{x}, "tcp", dialAddress(req.URL)); err != nil {
			return nil, err
		}
	}
	if host.secure {
		http2 := isHTTP2(stream)
		c.pool.speaks(host, http2)
		if http2 {
			x.give(stream)
			return c.overHTTP2(x, req)
		}
	}
	req.Close = fresh
	return newConn(stream, c.pool, host).roundTrip(x, req)
}

// dialing is the context of a dial of the exchange. It ends with the exchange.
type dialing struct{ *exchange }

// Deadline is later than that of the exchange, so that the end of the exchange is why a
// dial ends.
func (d dialing) Deadline() (time.Time, bool) {
	t, ok := d.exchange.Deadline()
	return t.Add(dialGrace), ok
}

// errNotHTTP2 means that a receiver did not choose HTTP/2. The exchange has the connection
// then.
var errNotHTTP2 = errors.New("the receiver does not speak HTTP/2")

// overHTTP2 sends a request over net/http's connection to the host. If that needs one
// more, it gets the one that the exchange has, or dials.
func (c *Client) overHTTP2(x *exchange, req *http.Request) (*http.Response, error) {
	return c.http2.RoundTrip(req.WithContext(x.traced()))
}

// dialHTTP2 returns a connection that speaks HTTP/2, for net/http, which can call it when
// the exchange is over.
func (c *Client) dialHTTP2(ctx context.Context, network, address string) (net.Conn, error) {
	x, ok := ctx.Value(exchangeKey{}).(*exchange)
	if !ok {
		return nil, errNoExchange
	}
	if stream := x.take(); stream != nil {
		return stream, nil
	}
	stream, err := c.dialer.secure(ctx, network, address)
	if err != nil || isHTTP2(stream) {
		return stream, err
	}
	x.give(stream)
	return nil, errNotHTTP2
}

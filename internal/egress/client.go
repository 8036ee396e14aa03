package egress

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"thingpost/internal/iot"
)

const (
	defaultTimeout = 10 * time.Second
	maxHeaderBytes = 64 << 10 // of an answer, and of each 1xx before it
	maxInterim     = 10       // 1xx answers before the final one
	maxDrainBytes  = 64 << 10 // read beyond the kept body to keep the connection
	maxDrainTime   = 250 * time.Millisecond
	smallAnswer    = 4 << 10 // of a body; needs no room
	idlePerHost    = 128
	idleTotal      = 1024
	idleTimeout    = time.Minute
)

// Options are the parts of a Client. Only Policy is required.
type Options struct {
	Policy *Policy
	// TLSConfig is the base of every connection's TLS settings; nil is Go's default. It
	// is copied.
	TLSConfig *tls.Config
	// Resolver looks up names; nil is Go's default.
	Resolver *net.Resolver
	// Inspector answers requests to URLs that Inspects knows, inside the process and
	// without dialling. Both or neither are set.
	Inspector http.RoundTripper
	Inspects  func(ctx context.Context, url string) bool
	// Room reserves memory for so many more bytes of an answer. If it returns false,
	// the answer is cut off. Result.Taken is the sum reserved. Nil means no bound.
	Room func(size int64) bool
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Client sends requests to receivers. It keeps connections open for reuse, follows no
// redirects, uses no proxy and decompresses nothing. It is safe for concurrent use.
type Client struct {
	dialer    *dialer
	pool      *pool           // for HTTP/1.1
	http2     *http.Transport // for HTTP/2 alone; see overHTTP2
	inspector http.RoundTripper
	inspects  func(ctx context.Context, url string) bool
	room      func(size int64) bool
	now       func() time.Time
}

// New returns a client. Without a policy it allows only the public internet.
func New(o Options) *Client {
	if o.Policy == nil {
		o.Policy = NewPolicy(nil)
	}
	c := &Client{inspector: o.Inspector, inspects: o.Inspects, room: o.Room, now: o.Now}
	if c.now == nil {
		c.now = time.Now
	}
	c.dialer, c.pool = newDialer(o.Policy, o.Resolver, tlsConfig(o.TLSConfig)), newPool(c.now)
	c.http2 = &http.Transport{
		// The policy would check a proxy instead of the target.
		Proxy:                  nil,
		DialContext:            c.dialer.plain, // never: only https is sent
		DialTLSContext:         c.dialHTTP2,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxIdleConns:           idleTotal,
		MaxIdleConnsPerHost:    idlePerHost,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
		HTTP2: &http.HTTP2Config{
			// This bounds what a receiver can send before we read it.
			MaxReceiveBufferPerConnection: 1 << 20,
			MaxReceiveBufferPerStream:     2 * iot.MaxResponseBody,
			// Pings find dead connections, which all requests to a host share.
			SendPingTimeout: 15 * time.Second,
			PingTimeout:     10 * time.Second,
		},
	}
	return c
}

func tlsConfig(conf *tls.Config) *tls.Config {
	if conf == nil {
		conf = &tls.Config{}
	}
	conf = conf.Clone()
	if conf.NextProtos == nil {
		conf.NextProtos = []string{"h2", "http/1.1"}
	}
	if conf.ClientSessionCache == nil {
		conf.ClientSessionCache = tls.NewLRUClientSessionCache(256)
	}
	return conf
}

// CloseIdle closes the connections that carry no request.
func (c *Client) CloseIdle() {
	c.pool.closeIdle()
	c.http2.CloseIdleConnections()
}

// Request is what to send. Do does not change it. Body must not be changed afterwards:
// it may be read for a moment after Do returns.
type Request struct {
	Method  string
	URL     string // absolute, http or https, without user:password@
	Headers iot.HeaderLines
	Body    []byte
	Timeout time.Duration // for the whole exchange; 0 is 10 s
	// Delivery is the delivery that the attempt belongs to. It is not sent; see
	// Delivery.
	Delivery iot.ID
}

// Result is the result of a request.
type Result struct {
	StartedAt time.Time // UTC
	Timings   iot.Timings
	Status    int             // 0 without an answer
	Headers   iot.HeaderLines // ordered by name
	Body      []byte          // the first iot.MaxResponseBody bytes, as received
	Truncated bool            // the body was longer
	Taken     int64           // bytes reserved by Options.Room for Body; the user of Body releases them
	// Resent means that the request was sent twice: the first got no answer, because
	// its kept connection closed or an HTTP/2 receiver refused it. The receiver may
	// have got it twice.
	Resent     bool
	RetryAfter time.Duration // from 429 or 503; at most 7 days, 0 if none
	// Class is "" after a 2xx, even if its body broke, and if Canceled.
	Class iot.ErrorClass
	// Note is a sentence about an answer whose body broke. The status counts all the
	// same. "" if the body was complete, or complete up to the kept part.
	Note string
	// Detail is a sentence about what happened and what to do. It has no path, query or
	// headers of the request, and no query of a Location header.
	Detail string
	// Canceled means that the caller's context ended before a 2xx arrived. It does not
	// count as an attempt.
	Canceled bool
}

// OK reports whether the receiver accepted the request.
func (r *Result) OK() bool { return r.Class == "" && !r.Canceled }

// Do sends a request and reads its answer. It returns within the timeout (and a
// moment), or when ctx ends. If the receiver closed the kept connection, the request is
// sent once more, on a connection of its own; see Result.Resent.
func (c *Client) Do(ctx context.Context, r Request) Result {
	if r.Timeout <= 0 {
		r.Timeout = defaultTimeout
	}
	limited, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	x := &exchange{Context: limited, cancel: cancel, now: c.now, start: c.now(), delivery: r.Delivery}
	defer func() { x.close() }()
	res := Result{StartedAt: x.start.UTC()}
	req, detail := newRequest(x, r)
	if detail != "" {
		res.Class, res.Detail = iot.ErrConfig, detail
		res.Timings = x.timings()
		return res
	}
	resp, last, err := c.send(x, req, r)
	res.Resent = last.sentTwice() || last != x && x.wrote.Load() != 0
	x = last
	if resp != nil {
		if x.first.Load() == 0 {
			x.firstByte() // the inspector answered
		}
		broke := res.read(resp, c.room)
		res.Timings = x.timings()
		res.judge(req, resp.Header, x.start.Add(x.elapsed()))
		if broke != nil {
			res.Note = bodyNote(broke, &res, resp.ContentLength, limited.Err() != nil, r.Timeout)
			if ctx.Err() != nil {
				res.cut()
			}
		}
		finish(resp, res.Truncated, cancel)
		return res
	}
	at := x.phase()
	res.Timings = x.timings()
	switch {
	case ctx.Err() != nil:
		res.Canceled = true
	case x.refused.Load():
		res.Class, res.Detail = iot.ErrConnect, printable(req.URL.Host)+" refused the request twice (HTTP/2) and did not answer it; check the "+
			"receiver and any proxy before it."
	case limited.Err() != nil:
		res.Class, res.Detail = iot.ErrTimeout, timeoutDetail(x, at, req.URL.Host, r.Timeout)
	default:
		res.Class, res.Detail = explain(err, req, x)
	}
	return res
}

// cut handles an answer whose body was interrupted by the caller's context. A 2xx
// counts all the same. Anything else is as if nothing had been sent.
func (r *Result) cut() {
	if r.OK() {
		r.Note = "Thingpost was stopped before the answer's body arrived. The status had arrived and counts."
		return
	}
	r.Canceled = true
	r.Class, r.Detail, r.Note = "", "", ""
}

// newRequest returns the request, or a sentence why there is none.
func newRequest(x *exchange, r Request) (*http.Request, string) {
	// The body must stay a bytes.Reader: only then does net/http know its length.
	req, err := http.NewRequestWithContext(x, r.Method, r.URL, bytes.NewReader(r.Body))
	switch {
	case err != nil:
		return nil, "The URL or method cannot be sent: check the webhook's URL and what its variables became."
	case req.URL.Scheme != "http" && req.URL.Scheme != "https":
		return nil, "The URL must begin with http:// or https://; change the webhook's URL."
	case req.URL.Hostname() == "":
		return nil, "The URL has no host; change the webhook's URL."
	case req.URL.User != nil:
		return nil, "The URL has a user name or password, which is not sent. Move it into an Authorization header."
	}
	header := make(http.Header, len(r.Headers))
	values := make([]string, len(r.Headers)) // one allocation for all
	for i, h := range r.Headers {
		name := http.CanonicalHeaderKey(h.Name)
		values[i] = h.Value
		if before := header[name]; before != nil {
			header[name] = append(before, h.Value)
			continue
		}
		header[name] = values[i : i+1 : i+1]
	}
	req.Header = header
	return req, ""
}

// read takes the answer's head and the start of its body. The error is how the body
// broke. Beyond smallAnswer it asks for room.
func (r *Result) read(resp *http.Response, room func(int64) bool) error {
	r.Status, r.Headers = resp.StatusCode, headerLines(resp.Header)
	if resp.StatusCode == http.StatusSwitchingProtocols || resp.ContentLength == 0 {
		return nil
	}
	size := 1 << 10
	if resp.ContentLength > 0 {
		size = int(min(resp.ContentLength, smallAnswer))
	}
	// One spare byte detects the end without growing the buffer.
	buf := make([]byte, 0, size+1)
	for {
		n, err := resp.Body.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if len(buf) > iot.MaxResponseBody {
			r.Body, r.Truncated = buf[:iot.MaxResponseBody:iot.MaxResponseBody], true
			return nil
		}
		if err != nil {
			r.Body = buf
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if len(buf) == cap(buf) {
			size := min(4*cap(buf), iot.MaxResponseBody+1)
			if size > smallAnswer+1 && room != nil {
				// The stored copy, with secrets masked, needs as much again.
				more := int64(2*size) - r.Taken
				if !room(more) {
					r.Body, r.Truncated = buf[:smallAnswer:smallAnswer], true
					return nil
				}
				r.Taken += more
			}
			grown := make([]byte, len(buf), size)
			copy(grown, buf)
			buf = grown
		}
	}
}

// headerLines returns the fields ordered by name.
func headerLines(h http.Header) iot.HeaderLines {
	lines := make(iot.HeaderLines, 0, len(h))
	for name, values := range h {
		for _, v := range values {
			lines = append(lines, iot.HeaderLine{Name: name, Value: v})
		}
	}
	slices.SortStableFunc(lines, func(a, b iot.HeaderLine) int { return strings.Compare(a.Name, b.Name) })
	return lines
}

// finish closes the answer. It reads a little more of a longer one, for a short time:
// an unread body costs the connection.
func finish(resp *http.Response, truncated bool, cancel context.CancelFunc) {
	if truncated && resp.ContentLength-iot.MaxResponseBody <= maxDrainBytes {
		timer := time.AfterFunc(maxDrainTime, cancel)
		// The result is known; errors from here on do not matter.
		_, _ = io.CopyN(io.Discard, resp.Body, maxDrainBytes)
		timer.Stop()
	}
	_ = resp.Body.Close()
}

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
	maxInterim     = 10       // answers 1xx before the one that counts
	maxDrainBytes  = 64 << 10 // read past the kept body to save the connection
	maxDrainTime   = 250 * time.Millisecond
	smallAnswer    = 4 << 10 // of a body, that always has room
	idlePerHost    = 128
	idleTotal      = 1024
	idleTimeout    = time.Minute
)

// Options are what a Client is made of. Only Policy must be given.
type Options struct {
	Policy *Policy
	// TLSConfig is the start of every connection's TLS settings; nil is Go's
	// own. It is copied.
	TLSConfig *tls.Config
	// Resolver looks up names; nil is Go's own.
	Resolver *net.Resolver
	// Inspector answers requests to the URLs that Inspects knows, inside the
	// process: nothing is dialled for them. Both or neither are set.
	Inspector http.RoundTripper
	Inspects  func(ctx context.Context, url string) bool
	// Room reports whether so many bytes more of an answer may be kept; where not, it
	// is cut off there. What it gave is Result.Taken. Nil has no bound.
	Room func(size int64) bool
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Client sends requests to receivers. It keeps connections open for reuse, does
// not follow redirects, uses no proxy, decompresses nothing, and is safe for
// concurrent use.
type Client struct {
	transport *http.Transport
	single    *http.Transport // one request a connection; see again
	inspector http.RoundTripper
	inspects  func(ctx context.Context, url string) bool
	room      func(size int64) bool
	now       func() time.Time
}

// New returns a client. Without a policy it allows the public internet only.
func New(o Options) *Client {
	if o.Policy == nil {
		o.Policy = NewPolicy(nil)
	}
	c := &Client{inspector: o.Inspector, inspects: o.Inspects, room: o.Room, now: o.Now}
	if c.now == nil {
		c.now = time.Now
	}
	d := newDialer(o.Policy, o.Resolver, tlsConfig(o.TLSConfig))
	c.transport = &http.Transport{
		// A proxy would be judged by the policy in the place of its target.
		Proxy:                  nil,
		DialContext:            d.plain,
		DialTLSContext:         d.secure,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxIdleConns:           idleTotal,
		MaxIdleConnsPerHost:    idlePerHost,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
		HTTP2: &http.HTTP2Config{
			// Bounds what a receiver can send ahead of our reading.
			MaxReceiveBufferPerConnection: 1 << 20,
			MaxReceiveBufferPerStream:     2 * iot.MaxResponseBody,
			// Finds dead connections, which all requests to a host share.
			SendPingTimeout: 15 * time.Second,
			PingTimeout:     10 * time.Second,
		},
	}
	c.single = c.transport.Clone()
	c.single.DisableKeepAlives = true
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
func (c *Client) CloseIdle() { c.transport.CloseIdleConnections() }

// Request is what to send. Do changes none of it, but may read Body a
// moment longer than it runs, so it must not be changed afterwards.
type Request struct {
	Method  string
	URL     string // absolute, http or https, without user:password@
	Headers iot.HeaderLines
	Body    []byte
	Timeout time.Duration // for the whole exchange; 0 is 10 s
	// Delivery is whose attempt it is. It is not sent; see Delivery.
	Delivery iot.ID
}

// Result is what came of a request.
type Result struct {
	StartedAt time.Time // UTC
	Timings   iot.Timings
	Status    int             // 0 if no answer came
	Headers   iot.HeaderLines // ordered by name
	Body      []byte          // the first iot.MaxResponseBody bytes, as they came
	Truncated bool            // there was more
	Taken     int64           // bytes that Options.Room gave for Body: whoever is done with it gives them back
	// Resent: the written request got no answer, because its kept connection ended
	// or an HTTP/2 receiver refused it, and was sent once more. The receiver may have
	// got it twice.
	Resent     bool
	RetryAfter time.Duration // asked for with 429 or 503; at most 7 days, 0 if not
	// Class is "" if a 2xx came, whatever became of its body, and if Canceled.
	Class iot.ErrorClass
	// Note says for people what broke of the answer's body, which changes nothing
	// of what its status means. "" if it came whole, or up to what is kept of it.
	Note string
	// Detail says for people what happened and what to do. It never holds the
	// request's path, query or headers; of a Location header it quotes no query.
	Detail string
	// Canceled: the caller's context ended first, and no 2xx had come. This counts
	// as no attempt.
	Canceled bool
}

// OK reports whether the receiver took the request.
func (r *Result) OK() bool { return r.Class == "" && !r.Canceled }

// Do sends a request and reads its answer. It always returns within the timeout
// (and a moment), or when ctx ends. A request that finds its kept connection
// closed by the receiver is sent once more, on a connection of its own; see
// Result.Resent.
func (c *Client) Do(ctx context.Context, r Request) Result {
	if r.Timeout <= 0 {
		r.Timeout = defaultTimeout
	}
	limited, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	x := &exchange{Context: limited, cancel: cancel, now: c.now, start: c.now(), delivery: r.Delivery}
	res := Result{StartedAt: x.start.UTC()}
	req, detail := newRequest(x, r)
	if detail != "" {
		res.Class, res.Detail = iot.ErrConfig, detail
		res.Timings = x.timings()
		return res
	}
	way := http.RoundTripper(c.transport)
	if c.inspector != nil && c.inspects(x, r.URL) {
		way = c.inspector
		x.dialing.Store(int32(phaseWait)) // nothing is dialled
	}
	resp, last, err := c.send(way, x, req, r)
	res.Resent = last.sentTwice() || last != x && x.wrote.Load() != 0
	x = last
	if resp != nil {
		if x.first.Load() == 0 {
			x.firstByte() // the inspector
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

// cut is called for an answer that the caller cut inside its body: a 2xx counts all
// the same, of anything else it is as if nothing had been sent.
func (r *Result) cut() {
	if r.OK() {
		r.Note = "Thingpost was stopped before the answer's body had come; the status had, and it counts."
		return
	}
	r.Canceled = true
	r.Class, r.Detail, r.Note = "", "", ""
}

// send sends a request. If its kept connection died it is sent once more, on a
// connection of its own, as another exchange, which is returned.
func (c *Client) send(way http.RoundTripper, x *exchange, req *http.Request, r Request) (*http.Response, *exchange, error) {
	resp, err := way.RoundTrip(req)
	if err == nil || !x.died(err) || x.Err() != nil {
		return resp, x, err
	}
	x = &exchange{Context: x.Context, cancel: x.cancel, now: c.now, start: x.start, delivery: r.Delivery}
	req, _ = newRequest(x, r) // it was fine before
	resp, err = c.single.RoundTrip(req)
	return resp, x, err
}

// newRequest returns the request, or a sentence that says why there is none.
func newRequest(x *exchange, r Request) (*http.Request, string) {
	// The body stays a bytes.Reader inside: only then does net/http know its
	// length, and send head and body in one write.
	req, err := http.NewRequestWithContext(x.traced(), r.Method, r.URL, bytes.NewReader(r.Body))
	switch {
	case err != nil:
		return nil, "The URL or method cannot be sent: check the webhook's URL and what its variables became."
	case req.URL.Scheme != "http" && req.URL.Scheme != "https":
		return nil, "The URL must begin with http:// or https://; change the webhook's URL."
	case req.URL.Hostname() == "":
		return nil, "The URL has no host; change the webhook's URL."
	case req.URL.User != nil:
		return nil, "The URL holds a user or password, which is not sent from there; move it into an Authorization header."
	}
	header := make(http.Header, len(r.Headers))
	values := make([]string, len(r.Headers)) // one allocation for all
	for i, h := range r.Headers {
		name := fieldName(h.Name)
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

// fieldName is how a field's name is sent. By the canonical form of these two
// net/http takes a request for one that it may send again by itself, as often as it
// finds a kept connection dead; send does that, once, and the attempt says so. In
// lower case, which is how HTTP/2 writes all names, they mean the same to receivers.
func fieldName(name string) string {
	name = http.CanonicalHeaderKey(name)
	if name == "Idempotency-Key" || name == "X-Idempotency-Key" {
		return strings.ToLower(name)
	}
	return name
}

// read takes over the answer's head and the start of its body. The error says how
// the body broke. Beyond smallAnswer it asks for room.
func (r *Result) read(resp *http.Response, room func(int64) bool) error {
	r.Status, r.Headers = resp.StatusCode, headerLines(resp.Header)
	if resp.StatusCode == http.StatusSwitchingProtocols || resp.ContentLength == 0 {
		return nil
	}
	size := 1 << 10
	if resp.ContentLength > 0 {
		size = int(min(resp.ContentLength, smallAnswer))
	}
	// One byte of room more finds the end without growing.
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
				// What is made of it, with secrets masked, takes as much again.
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

// finish closes the answer. Of one longer than what is kept it reads a little
// more, but not for long: an unread body costs the connection.
func finish(resp *http.Response, truncated bool, cancel context.CancelFunc) {
	if truncated && resp.ContentLength-iot.MaxResponseBody <= maxDrainBytes {
		timer := time.AfterFunc(maxDrainTime, cancel)
		// The answer is known, whatever the rest of it and closing say.
		_, _ = io.CopyN(io.Discard, resp.Body, maxDrainBytes)
		timer.Stop()
	}
	_ = resp.Body.Close()
}

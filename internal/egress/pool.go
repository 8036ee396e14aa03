package egress

import (
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/idna"
)

// sweepTime is how often idle connections are looked at. Receivers close them too, and what
// they closed should not stay. A look is a system call.
const sweepTime = 300 * time.Millisecond

// maxHTTP2Hosts bounds what is remembered of hosts.
const maxHTTP2Hosts = 4096

// hostKey is where a connection leads to.
type hostKey struct {
	secure bool   // https
	host   string // as in the URL, with its port
}

// pool has the idle connections for HTTP/1.1: at most idlePerHost for a host and
// idleTotal in all, each for idleTimeout. It knows which hosts speak HTTP/2. It is safe
// for concurrent use.
type pool struct {
	now           func() time.Time
	perHost, most int

	mu      sync.Mutex
	idle    map[hostKey][]*conn // ordered by since
	total   int
	http2   map[hostKey]bool // chose HTTP/2 the last time
	closing bool             // no connection is kept until the next request
	sweeper *time.Timer      // nil without idle connections
}

func newPool(now func() time.Time) *pool {
	return &pool{now: now, perHost: idlePerHost, most: idleTotal, idle: map[hostKey][]*conn{}, http2: map[hostKey]bool{}}
}

// get takes the connection to a host that was used last and is still good, or nil. It
// reports whether the host speaks HTTP/2, which needs none.
func (p *pool) get(host hostKey) (kept *conn, http2 bool) {
	for {
		c, http2 := p.last(host)
		if c == nil || c.quiet() {
			return c, http2
		}
		c.close()
	}
}

func (p *pool) last(host hostKey) (kept *conn, http2 bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closing = false
	if host.secure && p.http2[host] {
		return nil, true
	}
	list := p.idle[host]
	if len(list) == 0 {
		return nil, false
	}
	c := list[len(list)-1]
	p.remove(host, len(list)-1)
	return c, false
}

// remove takes a connection out. The caller has the lock.
func (p *pool) remove(host hostKey, i int) {
	list := p.idle[host]
	copy(list[i:], list[i+1:])
	list[len(list)-1] = nil
	p.idle[host] = list[:len(list)-1]
	p.total--
}

// put keeps a connection for reuse, or returns false. The oldest makes room for it.
func (p *pool) put(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closing || len(p.idle[c.host]) >= p.perHost {
		return false
	}
	if p.total >= p.most {
		oldest := p.oldest()
		p.idle[oldest][0].close()
		p.remove(oldest, 0)
	}
	c.since = p.now()
	p.idle[c.host] = append(p.idle[c.host], c)
	p.total++
	if p.sweeper == nil {
		p.sweeper = time.AfterFunc(sweepTime, p.sweep)
	}
	return true
}

func (p *pool) oldest() hostKey {
	var host hostKey
	var since time.Time
	for h, list := range p.idle {
		if len(list) > 0 && (since.IsZero() || list[0].since.Before(since)) {
			host, since = h, list[0].since
		}
	}
	return host
}

// sweep closes the idle connections whose time is over or that the receiver closed.
func (p *pool) sweep() {
	var gone []*conn
	p.mu.Lock()
	oldest := p.now().Add(-idleTimeout)
	for host, list := range p.idle {
		for i, c := range slices.Backward(list) {
			if c.since.Before(oldest) || readsAtOnce && !c.quiet() {
				gone = append(gone, c)
				p.remove(host, i)
			}
		}
		if len(p.idle[host]) == 0 {
			delete(p.idle, host)
		}
	}
	if p.sweeper != nil {
		p.sweeper.Stop()
		p.sweeper = nil
	}
	if p.total > 0 {
		p.sweeper = time.AfterFunc(sweepTime, p.sweep)
	}
	p.mu.Unlock()
	for _, c := range gone {
		c.close()
	}
}

// closeIdle closes the idle connections, and those that become idle before the next
// request.
func (p *pool) closeIdle() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.total, p.closing = map[hostKey][]*conn{}, 0, true
	if p.sweeper != nil {
		p.sweeper.Stop()
		p.sweeper = nil
	}
	p.mu.Unlock()
	for _, list := range idle {
		for _, c := range list {
			c.close()
		}
	}
}

// speaks remembers whether a host chose HTTP/2.
func (p *pool) speaks(host hostKey, http2 bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !http2 {
		delete(p.http2, host)
		return
	}
	if len(p.http2) >= maxHTTP2Hosts {
		clear(p.http2)
	}
	p.http2[host] = true
}

// dialAddress is the host and port to dial for a URL, the host in ASCII.
func dialAddress(u *url.URL) string {
	host, port := u.Hostname(), u.Port()
	if strings.ContainsFunc(host, func(r rune) bool { return r >= 0x80 }) {
		if ascii, err := idna.Lookup.ToASCII(host); err == nil {
			host = ascii
		}
	}
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(host, port)
}

package web

import (
	"container/list"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// DefaultConnections is the default of Options.MaxConnections: open connections of a
// listener.
const DefaultConnections = 8192

// connections bounds the open connections. Beyond the bound, the connection that has
// waited longest for a request, or for the rest of its head, is closed for a new one. A
// client that opens many and sends nothing loses only its own. It is safe for
// concurrent use.
type connections struct {
	most int

	mu      sync.Mutex
	open    map[net.Conn]*list.Element // nil while a request is answered
	waiting *list.List                 // of net.Conn, the longest waiting first
}

func newConnections(most int) *connections {
	if most <= 0 {
		most = DefaultConnections
	}
	return &connections{most: most, open: map[net.Conn]*list.Element{}, waiting: list.New()}
}

// hear is an http.Server's ConnState.
func (c *connections) hear(conn net.Conn, state http.ConnState) {
	if victim := c.note(conn, state); victim != nil {
		if t, ok := victim.(*tls.Conn); ok {
			victim = t.NetConn() // no closing message, which could block
		}
		_ = victim.Close()
	}
}

// note records the connection's state, and returns the connection to close.
func (c *connections) note(conn net.Conn, state http.ConnState) (victim net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.open[conn]; e != nil {
		c.waiting.Remove(e)
	}
	switch state {
	case http.StateClosed, http.StateHijacked:
		delete(c.open, conn)
		return nil
	case http.StateActive:
		c.open[conn] = nil
		return nil
	case http.StateNew, http.StateIdle:
	}
	c.open[conn] = c.waiting.PushBack(conn)
	if len(c.open) <= c.most {
		return nil
	}
	first, ok := c.waiting.Remove(c.waiting.Front()).(net.Conn)
	if ok { // it has only these
		delete(c.open, first)
	}
	return first
}

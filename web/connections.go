package web

import (
	"container/list"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// DefaultConnections is how many connections a listener has at once, unless
// Options.MaxConnections says otherwise.
const DefaultConnections = 8192

// connections bounds how many connections are open. Beyond the bound the one that
// has been silent, or slow to say what it wants, for the longest time makes room
// for a new one: whoever opens many and sends nothing takes them from nobody but
// themselves. It is safe for concurrent use.
type connections struct {
	most int

	mu      sync.Mutex
	open    map[net.Conn]*list.Element // nil while a request is answered
	waiting *list.List                 // of net.Conn, the longest first
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
			victim = t.NetConn() // no farewell, which could take its time
		}
		_ = victim.Close()
	}
}

// note keeps the connection's state, and returns the connection that is to go.
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
	if ok { // nothing else is in it
		delete(c.open, first)
	}
	return first
}

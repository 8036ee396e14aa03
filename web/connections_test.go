package web_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"testing"

	"thingpost/web"
)

// TestSilentConnectionsMakeRoom opens many more connections than allowed: silent ones
// are closed, the longest silent first, and one that is being answered stays.
func TestSilentConnectionsMakeRoom(t *testing.T) {
	const most, silent = 10, 100
	entered, leave := make(chan struct{}), make(chan struct{})
	s := web.New(web.Options{MaxConnections: most, API: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/wait" {
			entered <- struct{}{}
			<-leave
		}
		_, _ = io.WriteString(w, "here")
	})})
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Serve(ctx, l, nil) }()
	dial := func(text string) net.Conn {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
		must(t, err)
		_, err = io.WriteString(c, text)
		must(t, err)
		return c
	}
	busy := dial("GET /api/v1/wait HTTP/1.1\r\nHost: x\r\n\r\n")
	<-entered
	first := dial("GET / HTTP/1.1\r\nHost")
	slow := make([]net.Conn, silent)
	for i := range slow {
		slow[i] = dial("GET / HTTP/1.1\r\nX-Slow: ")
	}
	if _, err := first.Read(make([]byte, 1)); err == nil {
		t.Error("the first silent connection is still there")
	}
	ask := dial("GET /api/v1/x HTTP/1.1\r\nHost: x\r\n\r\n")
	if resp, err := http.ReadResponse(bufio.NewReader(ask), nil); err != nil || resp.Body.Close() != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("a new one is not served: %v", err)
	}
	close(leave)
	if resp, err := http.ReadResponse(bufio.NewReader(busy), nil); err != nil || resp.Body.Close() != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("the one that was answered is cut: %v", err)
	}
	for _, c := range slices.Concat(slow, []net.Conn{busy, ask}) {
		_ = c.Close()
	}
	stop()
	must(t, <-ended)
}

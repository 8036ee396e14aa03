package dashboard

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"thingpost/internal/iot"
)

// stream opens the project's events in a browser of the owner.
func (w *world) stream(ctx context.Context) *bufio.Reader {
	w.t.Helper()
	server := httptest.NewServer(w.handler)
	w.t.Cleanup(server.Close)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/projects/greenhouse-north/events", nil)
	w.must(err)
	r.AddCookie(w.as(w.owner).cookies[testCookie])
	res, err := server.Client().Do(r)
	w.must(err)
	w.t.Cleanup(func() { _ = res.Body.Close() })
	if got := res.Header.Get("Content-Type"); res.StatusCode != http.StatusOK || got != "text/event-stream" {
		w.t.Fatalf("status %d, content type %q", res.StatusCode, got)
	}
	return bufio.NewReader(res.Body)
}

// batch reads lines up to the event that ends a batch.
func (w *world) batch(b *bufio.Reader) string {
	w.t.Helper()
	var names []string
	for {
		line, err := b.ReadString('\n')
		w.must(err)
		if name, ok := strings.CutPrefix(line, "event: "); ok {
			names = append(names, strings.TrimSpace(name))
			if names[len(names)-1] == "changed" {
				return strings.Join(names, " ")
			}
		}
	}
}

func realTime(o *Options) { o.Now = time.Now }

func TestEventsSendNamesAndEndWithTheHub(t *testing.T) {
	w := openWorld(t, realTime)
	b := w.stream(t.Context())
	if got := <-w.hub.subscribed; got != w.project.Key {
		t.Errorf("subscribed to %d", got)
	}
	w.hub.events <- iot.MessagesChanged
	if got := w.batch(b); got != "messages changed" {
		t.Errorf("the first batch is %q", got)
	}
	// What comes in the pause after a batch makes one batch, without repeats.
	for _, name := range []iot.EventName{iot.DeliveriesChanged, iot.MessagesChanged, iot.DeliveriesChanged, iot.MessagesChanged} {
		w.hub.events <- name
	}
	if got := w.batch(b); got != "deliveries messages changed" {
		t.Errorf("the second batch is %q", got)
	}
	close(w.hub.events)
	for {
		if _, err := b.ReadString('\n'); err != nil {
			break
		}
	}
	<-w.hub.stopped
}

func TestEventsEndWithTheReader(t *testing.T) {
	w := openWorld(t, realTime)
	ctx, cancel := context.WithCancel(t.Context())
	w.stream(ctx)
	<-w.hub.subscribed
	cancel()
	<-w.hub.stopped
}

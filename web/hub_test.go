package web_test

import (
	"bytes"
	"log/slog"
	"sync"
	"testing"

	"thingpost/internal/iot"
	"thingpost/web"
)

type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *logBuffer) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// change is a commit that changed something in project 1.
func change(name iot.EventName) iot.Commit {
	return iot.Commit{Events: []iot.Event{{ProjectKey: 1, Name: name}}}
}

func TestHubTellsTheProjectsPagesOnly(t *testing.T) {
	h := web.NewHub()
	mine, stop := h.Subscribe(1)
	other, stopOther := h.Subscribe(2)
	defer stopOther()
	h.Publish(change(iot.WebhooksChanged))
	if got := <-mine; got != iot.WebhooksChanged {
		t.Errorf("got %s", got)
	}
	select {
	case got := <-other:
		t.Errorf("another project's page hears %s", got)
	default:
	}
	stop()
	stop() // twice is once
	if _, open := <-mine; open || h.Subscribers() != 1 {
		t.Errorf("open %v, %d subscribers", open, h.Subscribers())
	}
	h.Publish(change(iot.WebhooksChanged))
}

func TestHubDropsASlowReaderAndKeepsTheOthers(t *testing.T) {
	h := web.NewHub()
	slow, stopSlow := h.Subscribe(1)
	quick, stopQuick := h.Subscribe(1)
	defer stopQuick()
	heard := 0
	for range 1000 { // must not wait, or the test would hang
		h.Publish(change(iot.MessagesChanged))
		if _, open := <-quick; open {
			heard++
		}
	}
	if heard != 1000 || h.Subscribers() != 1 {
		t.Errorf("the quick reader heard %d, %d subscribers are left", heard, h.Subscribers())
	}
	waiting := 0
	for range slow {
		waiting++
	}
	if waiting == 0 || waiting > 64 {
		t.Errorf("%d events waited for the slow reader", waiting)
	}
	stopSlow()
}

func TestHubIsBoundedAndEnds(t *testing.T) {
	h := web.NewHub()
	for range 1000 {
		_, stop := h.Subscribe(1)
		defer stop()
	}
	events, stop := h.Subscribe(1)
	defer stop()
	if _, open := <-events; open {
		t.Error("there is room for more than a thousand pages")
	}
	h.Close()
	h.Close()
	events, _ = h.Subscribe(1)
	if _, open := <-events; open || h.Subscribers() != 0 {
		t.Error("a closed hub takes subscribers")
	}
}

func TestHubPublishesWhileOthersComeAndGo(t *testing.T) {
	h := web.NewHub()
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 200 {
				events, stop := h.Subscribe(1)
				h.Publish(change(iot.DevicesChanged))
				<-events
				stop()
			}
		})
	}
	wait.Wait()
	if n := h.Subscribers(); n != 0 {
		t.Errorf("%d subscribers are left", n)
	}
}

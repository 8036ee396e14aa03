package ingest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"thingpost/internal/iot"
)

// numbered are bodies of so many messages.
func numbered(n int) [][]byte {
	list := make([][]byte, n)
	for i := range list {
		list[i] = fmt.Appendf(nil, `{"payload":{"n":%d}}`, i)
	}
	return list
}

// commits counts messages by commit. "other" counts those of another device.
type commits struct {
	mu     sync.Mutex
	rows   []int // deliveries of each commit
	others int   // commits with another device's message, 0 or the first one's number
	device int64
}

func (c *commits) hear(v iot.Commit) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rows = append(c.rows, len(v.Queued))
	for _, q := range v.Queued {
		if q.Delivery.DeviceKey == c.device && c.others == 0 {
			c.others = len(c.rows)
		}
	}
}

func TestAMessageWaitsForNoArray(t *testing.T) {
	for _, of := range []struct{ messages, hooks int }{{5000, 1}, {60, 40}} {
		t.Run(fmt.Sprintf("%d to %d", of.messages, of.hooks), func(t *testing.T) {
			w := open(t)
			for n := range of.hooks - 1 {
				h := w.webhook.Clone()
				h.ID, h.Description = fmt.Sprint("hook-", n), "Hook"
				must(t, w.db.CreateWebhook(h, actor))
			}
			other := &iot.Device{ProjectKey: w.project.Key, ID: "other"}
			must(t, w.db.CreateDevice(other, "device-key-of-the-other", actor))
			seen, began, once := &commits{device: other.Key}, make(chan struct{}), sync.Once{}
			hear := func(c iot.Commit) {
				seen.hear(c)
				once.Do(func() { close(began) })
			}
			w.heard.Store(&hear)
			var group sync.WaitGroup
			for range 3 {
				group.Go(func() {
					list, err := w.Accept(t.Context(), w.sender(), numbered(of.messages)...)
					if err != nil {
						t.Error(err)
					}
					for n, r := range list {
						if r.Err != nil || n > 0 && list[n-1].ID.Key() >= r.ID.Key() {
							t.Fatalf("message %d: %+v after %+v", n, r, list[n-1])
						}
					}
				})
			}
			<-began
			if r := w.one(t, Sender{Project: w.project, Device: other}, `{"payload":1}`); r.Err != nil {
				t.Error(r.Err)
			}
			seen.mu.Lock()
			at := seen.others
			seen.mu.Unlock()
			group.Wait()
			if at == 0 || at >= len(seen.rows)-2 {
				t.Errorf("the message was on disk with commit %d of %d", at, len(seen.rows))
			}
			for n, rows := range seen.rows {
				if rows > 768 {
					t.Errorf("commit %d has %d deliveries", n, rows)
				}
			}
		})
	}
}

func TestAnArrayWhoseSenderHasGoneEnds(t *testing.T) {
	w := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	hear := func(iot.Commit) { cancel() }
	w.heard.Store(&hear)
	list, err := w.Accept(ctx, w.sender(), numbered(5000)...)
	must(t, err)
	stored := 0
	for n, r := range list {
		if r.Err == nil {
			stored++
		} else if iot.CodeOf(r.Err) != iot.Unavailable || !r.ID.IsZero() {
			t.Fatalf("message %d is %+v", n, r)
		}
	}
	if stored == 0 || stored == len(list) || list[0].Err != nil || list[len(list)-1].Err == nil {
		t.Errorf("%d of %d are stored", stored, len(list))
	}
}

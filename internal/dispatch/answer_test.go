package dispatch

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"thingpost/internal/iot"
)

// broken answers a status and the start of a body, and closes the connection.
func broken(t *testing.T, status func(n int64) int) (url string, got *atomic.Int64) {
	t.Helper()
	got = new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		n := got.Add(1)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d X\r\nContent-Length: 100\r\n\r\nhalf of", status(n))
		_ = conn.Close()
	}))
	t.Cleanup(s.Close)
	return s.URL, got
}

// TestABrokenBodyIsASuccess: everything is delivered at its first attempt, in order. The
// slots grow, and the attempt says what broke.
func TestABrokenBodyIsASuccess(t *testing.T) {
	for _, inOrder := range []bool{false, true} {
		t.Run(fmt.Sprintf("in order %v", inOrder), func(t *testing.T) {
			b := newBench(t)
			url, got := broken(t, func(int64) int { return 200 })
			w := b.webhook(url, func(w *iot.Webhook) { w.Settings.InOrder = inOrder })
			b.run()
			const all = 30
			ids := b.send(each, 0, all, w)
			for _, id := range ids {
				b.untilStatus(id, iot.Delivered, 1)
			}
			if got.Load() != all {
				t.Errorf("%d requests arrived", got.Load())
			}
			list, err := b.db.Attempts(t.Context(), ids[0], 10)
			b.must(err)
			if a := list[0]; a.Error != nil || a.Response == nil || a.Response.Body != "half of" ||
				!strings.Contains(a.Note, "200 OK came and counts as success, but the answer's body broke off after 7 of 100 bytes") {
				t.Errorf("the attempt is %+v", a)
			}
			q := b.d.queue(w.Key)
			q.mu.Lock()
			size := q.slots.size
			q.mu.Unlock()
			if size <= firstSlots {
				t.Errorf("%.1f slots after %d successes", size, all)
			}
			h, err := b.db.WebhookByKey(t.Context(), w.Key)
			b.must(err)
			if h.Health.Status != iot.Healthy {
				t.Errorf("its health is %+v", h.Health)
			}
		})
	}
}

// TestABrokenBodyKeepsTheClassOfItsStatus: the error of a failure names the status and
// the broken body.
func TestABrokenBodyKeepsTheClassOfItsStatus(t *testing.T) {
	for status, class := range map[int]iot.ErrorClass{400: iot.ErrHTTP4xx, 503: iot.ErrHTTP5xx} {
		b := newBench(t)
		url, _ := broken(t, func(int64) int { return status })
		w := b.webhook(url)
		b.run()
		id := b.send(0, 0, 1, w)[0]
		v := b.untilStatus(id, iot.Pending, 1)
		list, err := b.db.Attempts(t.Context(), id, 10)
		b.must(err)
		a := list[0]
		if v.Error != class || v.Code != iot.StatusCode(status) || strings.Contains(v.ErrorDetail, "broke off") || a.Error == nil ||
			a.Error.Detail != v.ErrorDetail || !strings.HasPrefix(a.Note, "The answer's body broke off") {
			t.Errorf("the delivery is %+v, its attempt %+v, %+v", v, a.Error, a.Note)
		}
	}
}

// TestALongRetryAfterIsFollowedByOneLastTry: a receiver asks for a wait beyond the
// delivery's life. At the last try it accepts the message or asks again.
func TestALongRetryAfterIsFollowedByOneLastTry(t *testing.T) {
	const life = 10 * time.Minute
	for _, well := range []bool{true, false} {
		t.Run(fmt.Sprintf("well %v", well), func(t *testing.T) {
			b := newBench(t)
			r := receive(t, func(n int, _ got) int { // 429 asks for an hour
				if n > 0 && well {
					return 200
				}
				return 429
			})
			w := b.webhook(r.URL, func(w *iot.Webhook) { w.Settings.GiveUpAfterMS = life.Milliseconds() })
			b.run()
			id := b.send(0, 0, 1, w)[0]
			v := b.untilStatus(id, iot.Pending, 1)
			if v.DueAt != v.CreatedAt.Add(life) || strings.Contains(v.ErrorDetail, "Given up") {
				t.Errorf("the last try is due %v after the delivery was made (%s)", v.DueAt.Sub(v.CreatedAt), v.ErrorDetail)
			}
			b.pass(life)
			if well {
				b.untilStatus(id, iot.Delivered, 2)
			} else if v = b.untilStatus(id, iot.Failed, 2); !strings.Contains(v.ErrorDetail, "Given up") {
				t.Errorf("detail is %q", v.ErrorDetail)
			}
		})
	}
}

// TestAnAbsurdRetryAfterIsNone: the schedule applies instead.
func TestAnAbsurdRetryAfterIsNone(t *testing.T) {
	for _, value := range []string{"604801", "1772366400", "-1", "18446744073709551617", "Thu, 01 Jan 1970 00:00:00 GMT",
		"Fri, 31 Dec 9999 23:59:59 GMT"} {
		b := newBench(t)
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", value)
			w.WriteHeader(http.StatusServiceUnavailable)
		}))
		w := b.webhook(s.URL)
		b.run()
		v := b.untilStatus(b.send(0, 0, 1, w)[0], iot.Pending, 1)
		if wait := v.DueAt.Sub(v.CreatedAt); wait < 5*time.Second || wait > time.Minute {
			t.Errorf("%s: the next try is due in %v, want about 5 s", value, wait)
		}
		b.stop()
		s.Close()
	}
}

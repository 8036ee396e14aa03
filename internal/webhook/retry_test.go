package webhook

import (
	"testing"
	"time"

	"thingpost/internal/iot"
)

func TestBackoff(t *testing.T) {
	for attempts, want := range map[int]time.Duration{
		1: 5 * time.Second, 2: 30 * time.Second, 3: 2 * time.Minute, 4: 10 * time.Minute, 5: 30 * time.Minute,
		6: time.Hour, 7: 2 * time.Hour, 8: 4 * time.Hour, 9: 8 * time.Hour, 10: 8 * time.Hour, 1000: 8 * time.Hour,
		0: 5 * time.Second, -1: 5 * time.Second,
	} {
		near := func(got time.Duration, share float64) bool {
			return (got - time.Duration(float64(want)*share)).Abs() <= time.Millisecond
		}
		if !near(Backoff(attempts, 0), 0.8) || !near(Backoff(attempts, 0.5), 1) || !near(Backoff(attempts, 0.999999999), 1.2) {
			t.Errorf("after %d attempts: %s, %s, %s; want around %s", attempts,
				Backoff(attempts, 0), Backoff(attempts, 0.5), Backoff(attempts, 0.999999999), want)
		}
	}
}

func TestRetry(t *testing.T) {
	all, some, none := sampleWebhook(), sampleWebhook(), sampleWebhook()
	none.Settings.NoRetry = true
	some.Settings.RetryOn = []iot.ErrorClass{iot.ErrTimeout, iot.ErrHTTP4xx, iot.ErrConfig}
	cases := []struct {
		class     iot.ErrorClass
		code      int
		all, some bool
	}{
		{iot.ErrTimeout, 0, true, true},
		{iot.ErrDNS, 0, true, false},
		{iot.ErrBlocked, 0, true, false},
		{iot.ErrRedirect, 302, true, false},
		{iot.ErrHTTP5xx, 503, true, false},
		{iot.ErrHTTP4xx, 404, true, true},
		{iot.ErrHTTP4xx, 410, false, false},
		{iot.ErrConfig, 0, false, false},
	}
	for _, c := range cases {
		if Retry(all, c.class, c.code) != c.all || Retry(some, c.class, c.code) != c.some || Retry(none, c.class, c.code) {
			t.Errorf("%s %d: all %v, some %v", c.class, c.code, Retry(all, c.class, c.code), Retry(some, c.class, c.code))
		}
	}
}

package webhook

import (
	"net/http"
	"slices"
	"time"

	"thingpost/internal/iot"
)

// Schedule returns the waits after the first, second, … failed attempt. The last one
// repeats.
func Schedule() []time.Duration {
	return []time.Duration{
		5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute,
		time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour,
	}
}

// Backoff returns the wait after so many failed attempts, from 1, plus or minus 20 %.
// jitter is a random number in [0, 1).
func Backoff(attempts int, jitter float64) time.Duration {
	waits := Schedule()
	wait := waits[min(max(attempts, 1), len(waits))-1]
	return time.Duration(float64(wait) * (0.8 + 0.4*min(max(jitter, 0), 1)))
}

// Retry reports whether a failed attempt with this class and HTTP status (0 for none)
// is tried again. 410 Gone and class config are not, nor is anything if the webhook
// disables retries.
func Retry(w *iot.Webhook, class iot.ErrorClass, code int) bool {
	if code == http.StatusGone || class == iot.ErrConfig || w.Settings.NoRetry {
		return false
	}
	return len(w.Settings.RetryOn) == 0 || slices.Contains(w.Settings.RetryOn, class)
}

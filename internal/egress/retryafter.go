package egress

import (
	"net/http"
	"strconv"
	"time"
)

// maxRetryAfter is the longest wait that a receiver can ask for. A longer one is a
// mistake, such as seconds since 1970 instead of a wait.
const maxRetryAfter = 7 * 24 * time.Hour

// retryAfter reads a Retry-After header: seconds or an HTTP date. It returns 0 for
// none, an unreadable one, the past, and more than 7 days.
func retryAfter(value string, now time.Time) time.Duration {
	wait := time.Duration(0)
	if n, err := strconv.ParseUint(value, 10, 32); err == nil {
		wait = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		wait = at.Sub(now)
	}
	if wait < 0 || wait > maxRetryAfter {
		return 0
	}
	return wait
}

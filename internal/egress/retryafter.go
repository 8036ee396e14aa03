package egress

import (
	"net/http"
	"strconv"
	"time"
)

// maxRetryAfter is the longest wait that a receiver can ask for. What asks for more
// is a mistake, such as the seconds since 1970 in the place of a wait.
const maxRetryAfter = 7 * 24 * time.Hour

// retryAfter reads a Retry-After header, seconds or an HTTP date. It returns 0
// for none, for one that cannot be read, for the past and for more than 7 days.
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

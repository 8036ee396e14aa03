package egress

import (
	"net/http"
	"strconv"
	"time"
)

// maxRetryAfter is the longest wait that a receiver can ask for.
const maxRetryAfter = 24 * time.Hour

// retryAfter reads a Retry-After header, seconds or an HTTP date. It returns 0
// for none, for one that cannot be read and for the past, and at most 24 h.
func retryAfter(value string, now time.Time) time.Duration {
	if value == "" {
		return 0
	}
	digits := true
	for i := range len(value) {
		digits = digits && value[i] >= '0' && value[i] <= '9'
	}
	if digits {
		n, err := strconv.ParseUint(value, 10, 64)
		if err != nil || n > uint64(maxRetryAfter/time.Second) {
			return maxRetryAfter
		}
		return time.Duration(n) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}

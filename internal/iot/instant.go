package iot

import (
	"math"
	"strconv"
	"time"
)

// Instant is a point in time in Unix milliseconds, UTC, as SQL stores it. Zero means
// "not yet" or "never": JSON null.
type Instant int64

// At returns the instant of t, truncated to milliseconds, or 0 for the zero time.
func At(t time.Time) Instant {
	if t.IsZero() {
		return 0
	}
	return Instant(t.UnixMilli())
}

// Time returns the instant as a time in UTC, or the zero time for 0.
func (i Instant) Time() time.Time {
	if i == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(i)).UTC()
}

// Add returns the instant d later. d is truncated to milliseconds.
func (i Instant) Add(d time.Duration) Instant { return i + Instant(d.Milliseconds()) }

// Sub returns the time from u to i.
func (i Instant) Sub(u Instant) time.Duration { return time.Duration(i-u) * time.Millisecond }

const instantLayout = "2006-01-02T15:04:05.000Z"

// String returns RFC 3339 with milliseconds, or "" for 0.
func (i Instant) String() string {
	if i == 0 {
		return ""
	}
	return i.Time().Format(instantLayout)
}

// MarshalJSON encodes RFC 3339 with milliseconds, or null for 0.
func (i Instant) MarshalJSON() ([]byte, error) {
	if i == 0 {
		return []byte("null"), nil
	}
	return i.Time().AppendFormat(nil, `"`+instantLayout+`"`), nil
}

// UnmarshalJSON accepts any RFC 3339 time, or null.
func (i *Instant) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*i = 0
		return nil
	}
	s, err := strconv.Unquote(string(b))
	if err != nil {
		return FieldError("time", "must be a time as a string, like 2026-01-31T08:00:00Z.")
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return FieldError("time", "must be a time like 2026-01-31T08:00:00Z.")
	}
	*i = At(t)
	return nil
}

// UnixTime reads a number in JSON's form as a time: seconds since 1970, which can have
// a fraction, or milliseconds from 100,000,000,000 on (as seconds, the year 5138). It
// returns false for any other text, for negative numbers and for times after the year
// 9999.
func UnixTime(number string) (time.Time, bool) {
	const leastMillis, most = 1e11, 253402300800e3
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !(n >= 0 && n < most) {
		return time.Time{}, false
	}
	if n < leastMillis {
		n *= 1000
	}
	return time.UnixMilli(int64(math.Round(n))).UTC(), true
}

package egress

import (
	"net/http"
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestRetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"":                               0,
		"0":                              0,
		"120":                            2 * time.Minute,
		"86400":                          24 * time.Hour,
		"86401":                          86401 * time.Second,
		"604800":                         7 * 24 * time.Hour,
		"604801":                         0,
		"1772366400":                     0, // the time itself, in seconds
		"1772366400000":                  0, // and in milliseconds
		"4294967297":                     0,
		"18446744073709551615":           0,
		"18446744073709551617":           0, // 2^64 + 1
		"99999999999999999999999":        0,
		"-5":                             0,
		"+5":                             0,
		"1.5":                            0,
		"1e3":                            0,
		" 5":                             0,
		"soon":                           0,
		"Sun, 01 Mar 2026 12:00:30 GMT":  30 * time.Second,
		"Sunday, 01-Mar-26 12:01:00 GMT": time.Minute,
		"Sun Mar  1 12:00:10 2026":       10 * time.Second,
		"Sun, 01 Mar 2026 11:00:00 GMT":  0,
		"Sun, 08 Mar 2026 12:00:00 GMT":  7 * 24 * time.Hour,
		"Sun, 08 Mar 2026 12:00:01 GMT":  0,
		"Thu, 01 Jan 1970 00:00:00 GMT":  0,
		"Fri, 31 Dec 9999 23:59:59 GMT":  0,
	} {
		if got := retryAfter(value, noon); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("120")
	f.Add("99999999999999999999")
	f.Add(noon.Format(http.TimeFormat))
	f.Fuzz(func(t *testing.T, value string) {
		if got := retryAfter(value, noon); got < 0 || got > 7*24*time.Hour {
			t.Fatalf("%q: %v", value, got)
		}
	})
}

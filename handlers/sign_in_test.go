package handlers

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"
)

func TestOneAddressCannotTryManyAccounts(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	s := NewSignIns(func() time.Time { return now })
	tries := 0
	for ; tries < 100; tries++ {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.RemoteAddr = "[2001:db8::" + strconv.Itoa(tries%10) + "]:4000" // a host has the whole /64
		if _, err := s.try(senderOf(r), strconv.Itoa(tries)); err != nil {
			break
		}
	}
	if tries != addressBurst {
		t.Errorf("%d tries before it is limited, want %d", tries, addressBurst)
	}
	now = now.Add(addressEvery)
	if _, err := s.try("2001:db8::/64", "another"); err != nil {
		t.Errorf("a second later: %v", err)
	}
}

func TestLimitersAreBounded(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	s := NewSignIns(func() time.Time { return now })
	for i := range 3 * maxLimiters {
		now = now.Add(time.Millisecond)
		_, _ = s.try(strconv.Itoa(i), strconv.Itoa(-i)) // whether it is limited does not matter here
		if len(s.addresses) > maxLimiters || len(s.accounts) > maxLimiters {
			t.Fatalf("%d and %d limiters", len(s.addresses), len(s.accounts))
		}
	}
}

func TestSenderOfAnAddress(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.7:80":           "192.0.2.7",
		"[::ffff:192.0.2.7]:80":  "192.0.2.7",
		"[2001:db8:1:2:3::4]:80": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:80":      "fe80::/64",
		"@":                      "@",
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = remote
		r.Header.Set("X-Forwarded-For", "203.0.113.9") // whoever sends it chooses it
		if got := senderOf(r); got != want {
			t.Errorf("%s is %s, want %s", remote, got, want)
		}
	}
}

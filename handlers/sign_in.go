package handlers

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"thingpost/internal/iot"
)

// SignIns limits tries to sign in by programs, by the sender's address and by the
// account, so that passwords cannot be guessed. It is safe for concurrent use.
type SignIns struct {
	now       func() time.Time
	mu        sync.Mutex
	addresses map[string]*rate.Limiter
	accounts  map[string]*rate.Limiter
}

const (
	addressEvery = time.Second
	addressBurst = 50
	accountEvery = 10 * time.Second
	accountBurst = 10
	maxLimiters  = 10_000 // in each map
)

// NewSignIns returns a limit that nobody has used yet. Doors that open to the same
// passwords share one.
func NewSignIns(now func() time.Time) *SignIns {
	return &SignIns{now: now, addresses: map[string]*rate.Limiter{}, accounts: map[string]*rate.Limiter{}}
}

// Try counts a request's try to sign in to an account, named by its email. If
// there were too many it returns a rate_limited error and how long to wait.
func (s *SignIns) Try(r *http.Request, email string) (wait time.Duration, err error) {
	return s.try(senderOf(r), accountOf(email))
}

func (s *SignIns) try(address, account string) (wait time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	a := limiter(s.addresses, address, addressEvery, addressBurst, now)
	b := limiter(s.accounts, account, accountEvery, accountBurst, now)
	switch {
	case a.TokensAt(now) < 1:
		return addressEvery, iot.NewError(iot.RateLimited, "Too many tries to sign in from this address. Wait a moment.")
	case b.TokensAt(now) < 1:
		return accountEvery, iot.NewError(iot.RateLimited, "Too many tries to sign in to this account. Wait a moment.")
	}
	a.AllowN(now, 1)
	b.AllowN(now, 1)
	return 0, nil
}

// Succeeded forgets the tries of an account after the right password.
func (s *SignIns) Succeeded(email string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.accounts, accountOf(email))
}

func limiter(m map[string]*rate.Limiter, key string, every time.Duration, burst int, now time.Time) *rate.Limiter {
	l := m[key]
	if l == nil {
		if len(m) >= maxLimiters {
			makeRoom(m, burst, now)
		}
		l = rate.NewLimiter(rate.Every(every), burst)
		m[key] = l
	}
	return l
}

// makeRoom drops limiters that limit nothing any more, else a tenth of them all.
func makeRoom(m map[string]*rate.Limiter, burst int, now time.Time) {
	for key, l := range m {
		if l.TokensAt(now) >= float64(burst) {
			delete(m, key)
		}
	}
	for key := range m {
		if len(m) < maxLimiters*9/10 {
			return
		}
		delete(m, key)
	}
}

// senderOf returns the address that tries are counted by: an IPv6 host has a
// whole /64.
func senderOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	if a = a.Unmap().WithZone(""); a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}

// accountOf returns the name that an account's tries are counted by. SQLite
// compares emails in ASCII without case.
func accountOf(email string) string { return strings.ToLower(email) }

package dashboard

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// attempts bounds how often a password can be guessed: from one address, and for
// one account.
type attempts struct {
	now      func() time.Time
	mu       sync.Mutex
	address  map[string]*rate.Limiter
	accounts map[string]*rate.Limiter
}

// The bounds: so many at once, and then one for each span of time.
const (
	addressBurst = 20
	addressEvery = 3 * time.Second
	accountBurst = 10
	accountEvery = 15 * time.Second
	maxWatched   = 10_000 // addresses, and accounts
)

func newAttempts(now func() time.Time) *attempts {
	return &attempts{now: now, address: map[string]*rate.Limiter{}, accounts: map[string]*rate.Limiter{}}
}

// allow counts an attempt and reports whether it may be made. An account need
// not exist.
func (a *attempts) allow(r *http.Request, email string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	byAddress := limiter(a.address, network(r), addressEvery, addressBurst, now)
	byAccount := limiter(a.accounts, strings.ToLower(email), accountEvery, accountBurst, now)
	return byAddress.AllowN(now, 1) && byAccount.AllowN(now, 1)
}

// succeeded forgets what was counted for an account.
func (a *attempts) succeeded(email string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.accounts, strings.ToLower(email))
}

func limiter(of map[string]*rate.Limiter, key string, every time.Duration, burst int, now time.Time) *rate.Limiter {
	if l, ok := of[key]; ok {
		return l
	}
	if len(of) >= maxWatched {
		for k, l := range of {
			if l.TokensAt(now) >= float64(burst) {
				delete(of, k)
			}
		}
		if len(of) >= maxWatched {
			clear(of)
		}
	}
	l := rate.NewLimiter(rate.Every(every), burst)
	of[key] = l
	return l
}

// network returns the address that a request came from; of IPv6 the network of
// one customer, who has many addresses.
func network(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	if addr = addr.Unmap().WithZone(""); addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.String()
		}
	}
	return addr.String()
}

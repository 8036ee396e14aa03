package handlers

import (
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"thingpost/internal/iot"
)

// Guesses limits wrong answers of a door that tells whether a secret is right: by
// the sender's address, and in all for addresses that have given no right one yet,
// so that nobody who knows one is kept out by others' guesses. It is safe for
// concurrent use.
type Guesses struct {
	now       func() time.Time
	mu        sync.Mutex
	all       *rate.Limiter
	addresses map[string]*rate.Limiter
	known     map[string]struct{} // addresses that gave a right one, at most maxLimiters
}

// Of one address a hundred wrong ones and one more each second, in all ten times
// that.
const (
	guessEvery = time.Second
	guessBurst = 100
	allEvery   = guessEvery / 10
	allBurst   = 10 * guessBurst
)

// NewGuesses returns a limit that nobody has used yet.
func NewGuesses(now func() time.Time) *Guesses {
	return &Guesses{now: now, all: rate.NewLimiter(rate.Every(allEvery), allBurst), addresses: map[string]*rate.Limiter{}, known: map[string]struct{}{}}
}

// Try returns a rate_limited error and how long to wait if a request's sender has
// given too many. Afterwards one of Wrong and Right is to be called.
func (g *Guesses) Try(r *http.Request) (wait time.Duration, err error) {
	from := senderOf(r)
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	_, known := g.known[from]
	if limiter(g.addresses, from, guessEvery, guessBurst, now).TokensAt(now) < 1 || !known && g.all.TokensAt(now) < 1 {
		return guessEvery, iot.NewError(iot.RateLimited, "Too many wrong keys. Wait a moment.")
	}
	return 0, nil
}

// Wrong counts a request whose secret was wrong.
func (g *Guesses) Wrong(r *http.Request) {
	from := senderOf(r)
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	limiter(g.addresses, from, guessEvery, guessBurst, now).AllowN(now, 1)
	g.all.AllowN(now, 1)
}

// Right notes that a request's secret was right.
func (g *Guesses) Right(r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.known) >= maxLimiters {
		clear(g.known)
	}
	g.known[senderOf(r)] = struct{}{}
}

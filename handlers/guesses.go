package handlers

import (
	"net/http"
	"sync"
	"time"

	"thingpost/internal/iot"
)

// Guesses limits wrong answers of a door that tells whether a secret is right: by
// the sender's address, and in all for addresses that have given no right one yet,
// so that nobody who knows one is kept out by others' guesses. It is safe for
// concurrent use.
type Guesses struct {
	addresses, all *Limiter

	mu    sync.Mutex
	known map[string]struct{} // addresses that gave a right one, at most maxKnown
}

// Of one address a hundred wrong ones and one more each second, in all ten times
// that.
const (
	guessEvery = time.Second
	guessBurst = 100
	maxKnown   = 10_000
)

// NewGuesses returns a limit that nobody has used yet.
func NewGuesses(now func() time.Time) *Guesses {
	return &Guesses{addresses: NewLimiter(now, guessEvery, guessBurst), all: NewLimiter(now, guessEvery/10, 10*guessBurst),
		known: map[string]struct{}{}}
}

// Guess is one that was counted.
type Guess struct {
	g     *Guesses
	from  string
	inAll bool
}

// Try counts a request's guess. If there were too many wrong ones it sets
// Retry-After and returns a rate_limited error: the secret is not to be looked at.
func (g *Guesses) Try(w http.ResponseWriter, r *http.Request) (*Guess, error) {
	v := &Guess{g: g, from: SenderOf(r)}
	g.mu.Lock()
	_, known := g.known[v.from]
	g.mu.Unlock()
	wait := g.addresses.Take(v.from)
	if wait == 0 && !known {
		if wait = g.all.Take(""); wait > 0 {
			g.addresses.Return(v.from)
		}
		v.inAll = true
	}
	if wait > 0 {
		w.Header().Set("Retry-After", seconds(wait))
		return nil, iot.NewError(iot.RateLimited, "Too many wrong keys. Wait "+seconds(wait)+" s, then try again.")
	}
	return v, nil
}

// Right says that the secret was right: the guess counts nowhere, and its address is
// known from now on.
func (v *Guess) Right() {
	v.g.addresses.Return(v.from)
	if v.inAll {
		v.g.all.Return("")
	}
	v.g.mu.Lock()
	defer v.g.mu.Unlock()
	if len(v.g.known) >= maxKnown {
		clear(v.g.known)
	}
	v.g.known[v.from] = struct{}{}
}

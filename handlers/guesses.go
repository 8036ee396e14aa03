package handlers

import (
	"net/http"
	"sync"
	"time"

	"thingpost/internal/iot"
)

// Guesses limits wrong answers at a door that reports whether a secret is right. It
// limits them by the sender's address, and in all for addresses that have sent no right
// one yet, so that others' guesses do not lock out a person who knows one. It is safe
// for concurrent use.
type Guesses struct {
	addresses, all *Limiter

	mu    sync.Mutex
	known map[string]struct{} // addresses that sent a right one, at most maxKnown
}

// An address has a hundred wrong ones and one more each second; in all there are ten
// times that.
const (
	guessEvery = time.Second
	guessBurst = 100
	maxKnown   = 10_000
)

// NewGuesses returns an unused limit.
func NewGuesses(now func() time.Time) *Guesses {
	return &Guesses{addresses: NewLimiter(now, guessEvery, guessBurst), all: NewLimiter(now, guessEvery/10, 10*guessBurst),
		known: map[string]struct{}{}}
}

// Guess is one counted guess.
type Guess struct {
	g     *Guesses
	from  string
	inAll bool
}

// Try counts a request's guess. After too many wrong ones it sets Retry-After and
// returns a rate_limited error: the secret must then not be checked.
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

// Right reports that the secret was right: the guess does not count, and its address is
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

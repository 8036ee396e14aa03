package handlers

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"thingpost/internal/iot"
)

// SignIns limits guesses of passwords, for all doors together, so that nobody finds a
// password and nobody locks another person out. It is safe for concurrent use.
//
// A source is an address, a browser or a session. Each source has its own tries at each
// account: guessing uses up only these. The sources that an account does not know share
// a ceiling of the account, so that many addresses do not avoid the limit. Each address
// also has a ceiling for all accounts. A browser or address that signed in to the
// account before, and a session of it, share a separate ceiling. Only sources that knew
// the password can reach that one.
type SignIns struct {
	o         SignInOptions
	sources   *Limiter // each source at each account
	addresses *Limiter // each address at all accounts
	strangers *Limiter // each account, by unknown sources
	friends   *Limiter // each account, by known sources
}

// SignInOptions of SignIns.
type SignInOptions struct {
	Now func() time.Time
	// Key signs the cookies that identify browsers, also after a restart. Empty: a
	// random one.
	Key iot.Secret
	// KnowsAddress reports whether an address has signed in to the account of an email
	// before. Nil: none has.
	KnowsAddress func(ctx context.Context, email, address string) (bool, error)
	Secure       bool // cookies only by HTTPS
}

const (
	sourceEvery, sourceBurst     = 10 * time.Second, 10
	addressEvery, addressBurst   = time.Second, 50
	strangerEvery, strangerBurst = 5 * time.Second, 30 // more than a single source has
	friendEvery, friendBurst     = 5 * time.Second, 100

	// knownBrowserLife is how long a browser is known after its last sign-in. Browsers
	// keep no cookie longer than 400 days.
	knownBrowserLife = 365 * 24 * time.Hour
)

// NewSignIns returns unused limits. Doors for the same passwords share one.
func NewSignIns(o SignInOptions) *SignIns {
	if o.Key == "" {
		o.Key = iot.NewToken()
	}
	return &SignIns{o: o,
		sources:   NewLimiter(o.Now, sourceEvery, sourceBurst),
		addresses: NewLimiter(o.Now, addressEvery, addressBurst),
		strangers: NewLimiter(o.Now, strangerEvery, strangerBurst),
		friends:   NewLimiter(o.Now, friendEvery, friendBurst),
	}
}

// SignIn is one counted try.
type SignIn struct {
	s                        *SignIns
	account, source, address string
	ceiling                  *Limiter
}

// Try counts a request's try at an account, named by its email. After too many it sets
// Retry-After and returns a rate_limited error: nothing was counted, and the password
// must not be checked.
func (s *SignIns) Try(w http.ResponseWriter, r *http.Request, email string) (*SignIn, error) {
	t := &SignIn{s: s, account: accountOf(email), ceiling: s.friends}
	address := SenderOf(r)
	if a := Account(r.Context()); a != nil && accountOf(a.Email) == t.account {
		t.source = "session"
	} else if browser, ok := s.browser(r, t.account); ok {
		t.source = "browser " + browser
	} else {
		t.source, t.address = "address "+address, address
		if wait := s.addresses.Take(address); wait > 0 {
			return nil, tooMany(w, wait, "from this address")
		}
		// If the store does not answer, the address counts as unknown; nobody is locked
		// out.
		if known, err := s.knowsAddress(r.Context(), email, address); err != nil || !known {
			t.ceiling = s.strangers
		}
	}
	t.source += "\n" + t.account
	if wait := s.sources.Take(t.source); wait > 0 {
		t.leave(false)
		return nil, tooMany(w, wait, "to this account")
	}
	if wait := t.ceiling.Take(t.account); wait > 0 {
		s.sources.Return(t.source)
		t.leave(false)
		return nil, tooMany(w, wait, "to this account")
	}
	return t, nil
}

// TryAddress counts a request that costs as much as a try, by its address only.
func (s *SignIns) TryAddress(w http.ResponseWriter, r *http.Request) error {
	if wait := s.addresses.Take(SenderOf(r)); wait > 0 {
		return tooMany(w, wait, "from this address")
	}
	return nil
}

// Succeeded reports that the password was right: the source's wrong tries are
// forgotten, and this try does not count.
func (t *SignIn) Succeeded() {
	t.s.sources.Forget(t.source)
	t.leave(true)
}

// leave removes a try from the shared ceilings: from the account's only if it was
// counted there.
func (t *SignIn) leave(counted bool) {
	if t.address != "" {
		t.s.addresses.Return(t.address)
	}
	if counted {
		t.ceiling.Return(t.account)
	}
}

func (s *SignIns) knowsAddress(ctx context.Context, email, address string) (bool, error) {
	if s.o.KnowsAddress == nil {
		return false, nil
	}
	return s.o.KnowsAddress(ctx, email, address)
}

func tooMany(w http.ResponseWriter, wait time.Duration, what string) error {
	w.Header().Set("Retry-After", seconds(wait))
	return iot.NewError(iot.RateLimited, "Too many tries to sign in "+what+". Wait "+seconds(wait)+" s, then try again.")
}

// seconds is a wait for Retry-After, rounded up.
func seconds(wait time.Duration) string {
	return strconv.Itoa(int((wait + time.Second - 1) / time.Second))
}

// Remember makes the browser known at its next sign-ins to the account.
func (s *SignIns) Remember(w http.ResponseWriter, email string) {
	account := accountOf(email)
	mark := make([]byte, browserID+8, browserID+8+sha256.Size)
	_, _ = rand.Read(mark[:browserID])
	binary.BigEndian.PutUint64(mark[browserID:], uint64(s.o.Now().Unix()))
	mark = append(mark, s.sum(account, mark)...)
	http.SetCookie(w, &http.Cookie{Name: s.cookieName(account), Value: base64.RawURLEncoding.EncodeToString(mark), Path: "/",
		MaxAge: int(knownBrowserLife / time.Second), HttpOnly: true, Secure: s.o.Secure, SameSite: http.SameSiteLaxMode})
}

// browserID is the length of the random part of a browser's cookie. The time of the
// sign-in follows, and a signature with the account.
const browserID = 16

// browser returns the id of a request's browser if it has signed in to the account.
func (s *SignIns) browser(r *http.Request, account string) (id string, ok bool) {
	for _, c := range r.CookiesNamed(s.cookieName(account)) {
		mark, err := base64.RawURLEncoding.DecodeString(c.Value)
		if err != nil || len(mark) != browserID+8+sha256.Size {
			continue
		}
		said, sum := mark[:browserID+8], mark[browserID+8:]
		age := s.o.Now().Unix() - int64(binary.BigEndian.Uint64(said[browserID:]))
		if hmac.Equal(sum, s.sum(account, said)) && age < int64(knownBrowserLife/time.Second) {
			return string(said[:browserID]), true
		}
	}
	return "", false
}

func (s *SignIns) sum(account string, mark []byte) []byte {
	h := hmac.New(sha256.New, []byte(s.o.Key.Reveal()))
	_, _ = h.Write(mark) // a hash accepts everything
	_, _ = h.Write([]byte(account))
	return h.Sum(nil)
}

// cookieName contains a part of the account's name, so that several people who share a
// browser are all known. The cookie is bound to the exact host if possible.
func (s *SignIns) cookieName(account string) string {
	sum := sha256.Sum256([]byte(account))
	name := "thingpost-known-" + hex.EncodeToString(sum[:6])
	if s.o.Secure {
		return "__Host-" + name
	}
	return name
}

// SenderOf returns the address by which tries are counted. An IPv6 host has a whole
// /64.
func SenderOf(r *http.Request) string {
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

// SameEmail reports whether two emails belong to one account.
func SameEmail(a, b string) bool { return accountOf(a) == accountOf(b) }

// accountOf returns the name by which an account's tries are counted. SQLite compares
// emails in ASCII without case.
func accountOf(email string) string { return strings.ToLower(email) }

package handlers

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"thingpost/internal/iot"
)

// guard is SignIns on a clock of its own, whose store of addresses is a set.
type guard struct {
	*testing.T
	*SignIns
	now   time.Time
	known map[string]bool
}

func newGuard(t *testing.T) *guard {
	t.Helper()
	g := &guard{T: t, now: time.Unix(1_800_000_000, 0), known: map[string]bool{}}
	g.SignIns = g.restarted()
	return g
}

// restarted has forgotten all counts.
func (g *guard) restarted() *SignIns {
	return NewSignIns(SignInOptions{Now: func() time.Time { return g.now }, Key: "a key",
		KnowsAddress: func(_ context.Context, email, address string) (bool, error) {
			return g.known[accountOf(email)+" "+address], nil
		}})
}

// guess tries a password from an address, with cookies and perhaps signed in. It
// returns how long to wait; 0 if the password was checked.
func (g *guard) guess(address, email string, right bool, set ...func(*http.Request)) (wait time.Duration) {
	g.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.RemoteAddr = address + ":4000"
	for _, f := range set {
		f(r)
	}
	w := httptest.NewRecorder()
	try, err := g.Try(w, r, email)
	if err != nil {
		seconds, e := strconv.Atoi(w.Header().Get("Retry-After"))
		if iot.CodeOf(err) != iot.RateLimited || e != nil || seconds < 1 {
			g.Fatalf("refused with %v, Retry-After %q", err, w.Header().Get("Retry-After"))
		}
		return time.Duration(seconds) * time.Second
	}
	if right {
		try.Succeeded()
		g.known[accountOf(email)+" "+SenderOf(r)] = true
	}
	return 0
}

// browser returns the cookies of a browser that has signed in to accounts.
func (g *guard) browser(emails ...string) func(*http.Request) {
	w := httptest.NewRecorder()
	for _, email := range emails {
		g.Remember(w, email)
	}
	cookies := w.Result().Cookies()
	return func(r *http.Request) {
		for _, c := range cookies {
			r.AddCookie(c)
		}
	}
}

func TestNobodyLocksAnotherOut(t *testing.T) {
	g := newGuard(t)
	const owner, attacker, used, fresh = "ada@example.org", "192.0.2.66", "198.51.100.7", "203.0.113.5"
	g.guess(used, owner, true)
	browser := g.browser(owner, "eve@example.org")
	guesses := 0
	for second := range 3600 {
		g.now = g.now.Add(time.Second)
		if g.guess(attacker, owner, false) == 0 {
			guesses++
		}
		if second%60 != 0 {
			continue
		}
		if second == 1800 {
			g.SignIns = g.restarted()
		}
		for name, wait := range map[string]time.Duration{
			"an address that she used":           g.guess(used, "Ada@Example.org", true),
			"a browser that she used":            g.guess(attacker, owner, true, browser), // at the attacker's own address
			"a browser at a new address":         g.guess(fresh, owner, true, browser),
			"a session at the attacker's":        g.guess(attacker, owner, true, signedIn(owner)),
			"an address of one more /64 of hers": g.guess("[2001:db8:0:"+strconv.Itoa(second)+"::1]", owner, true),
		} {
			if wait != 0 {
				t.Fatalf("after %d s from %s she waits %s", second, name, wait)
			}
		}
	}
	if most := 2*sourceBurst + int(time.Hour/sourceEvery); guesses > most {
		t.Errorf("the attacker's address guessed %d times in an hour, want at most %d", guesses, most)
	}
}

// signedIn is a request of a person's session.
func signedIn(email string) func(*http.Request) {
	return func(r *http.Request) { *r = *r.WithContext(WithAccount(r.Context(), &iot.Account{Email: email})) }
}

func TestManyAddressesShareACeiling(t *testing.T) {
	g := newGuard(t)
	const owner, used = "ada@example.org", "198.51.100.7"
	g.guess(used, owner, true)
	browser := g.browser(owner)
	guesses := 0
	for second := range 3600 {
		g.now = g.now.Add(time.Second)
		for n := range 5 {
			if g.guess(fmt.Sprintf("[2001:db8:%x:%x::1]", second, n), owner, false) == 0 {
				guesses++
			}
		}
		if second%60 == 0 {
			if a, b := g.guess(used, owner, true), g.guess("203.0.113.5", owner, true, browser); a+b != 0 {
				t.Fatalf("after %d s she waits %s at an address, %s in a browser that she used", second, a, b)
			}
		}
	}
	if most := strangerBurst + int(time.Hour/strangerEvery); guesses > most || guesses < most/2 {
		t.Errorf("strangers guessed %d times in an hour, want at most %d", guesses, most)
	}
	if wait := g.guess("203.0.113.9", owner, true); wait == 0 || wait > strangerEvery {
		t.Errorf("a new address waits %s, want at most %s", wait, strangerEvery)
	}
	if wait := g.guess("203.0.113.9", "bob@example.org", true); wait != 0 {
		t.Errorf("at another account it waits %s", wait)
	}
}

// TestWhatIsKnownIsBounded has a person who once had the password use many browsers.
func TestWhatIsKnownIsBounded(t *testing.T) {
	g := newGuard(t)
	guesses := 0
	for range 100 {
		browser := g.browser("ada@example.org")
		for n := range 2 * sourceBurst {
			wait := g.guess("192.0.2.66", "ada@example.org", false, browser)
			if wait == 0 {
				guesses++
			} else if n < sourceBurst && guesses < friendBurst {
				t.Fatalf("a known browser has %d tries, want %d", n, sourceBurst)
			}
		}
	}
	if guesses != friendBurst {
		t.Errorf("100 browsers have %d tries, want %d", guesses, friendBurst)
	}
}

func TestABrowserIsKnownByItsCookieAlone(t *testing.T) {
	g := newGuard(t)
	const owner, eve = "ada@example.org", "eve@example.org"
	known := func(set func(*http.Request)) bool {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		set(r)
		_, ok := g.SignIns.browser(r, owner)
		return ok
	}
	hers := g.browser(owner)
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	hers(r)
	cookie := r.Cookies()[0]
	w := httptest.NewRecorder()
	g.Remember(w, owner)
	if c := w.Result().Cookies()[0]; !c.HttpOnly || c.Secure || c.SameSite != http.SameSiteLaxMode || c.MaxAge < 300*24*60*60 ||
		strings.Contains(c.Value, "ada") {
		t.Errorf("the cookie is %v", c)
	}
	named := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.AddCookie(&http.Cookie{Name: name, Value: value}) }
	}
	changed := "A" + cookie.Value[1:]
	if changed == cookie.Value {
		changed = "B" + cookie.Value[1:]
	}
	other := httptest.NewRequest(http.MethodPost, "/", nil)
	g.browser(eve)(other)
	for name, c := range map[string]struct {
		set  func(*http.Request)
		want bool
	}{
		"hers": {hers, true}, "none": {func(*http.Request) {}, false}, "changed": {named(cookie.Name, changed), false},
		"cut":                {named(cookie.Name, cookie.Value[:40]), false},
		"of another account": {named(cookie.Name, other.Cookies()[0].Value), false}, "empty": {named(cookie.Name, ""), false},
	} {
		if got := known(c.set); got != c.want {
			t.Errorf("%s: known %v, want %v", name, got, c.want)
		}
	}
	g.SignIns = g.restarted()
	if !known(hers) {
		t.Error("it is not known after a restart")
	}
	g.now = g.now.Add(knownBrowserLife)
	if known(hers) {
		t.Error("it is known for ever")
	}
}

func TestOneAddressCannotTryManyAccounts(t *testing.T) {
	g := newGuard(t)
	tries := 0
	for ; tries < 100; tries++ { // a host has the whole /64
		if g.guess("[2001:db8::"+strconv.Itoa(tries%10)+"]", strconv.Itoa(tries), false) > 0 {
			break
		}
	}
	if tries != addressBurst {
		t.Errorf("%d tries before it is limited, want %d", tries, addressBurst)
	}
	g.now = g.now.Add(addressEvery)
	if wait := g.guess("[2001:db8::1]", "another", false); wait != 0 {
		t.Errorf("a second later it waits %s", wait)
	}
}

func TestLimitersAreBounded(t *testing.T) {
	g := newGuard(t)
	for range 2 * sourceBurst { // the most limited stays, whatever others do
		g.guess("192.0.2.66", "ada@example.org", false)
	}
	for i := range 3 * maxLimited {
		if i%100 == 0 {
			g.now = g.now.Add(time.Millisecond)
		}
		g.guess(fmt.Sprintf("[2001:db8:%x:%x::1]", i>>16, i&0xffff), strings.Repeat("x", 100)+strconv.Itoa(i), false)
		for name, l := range map[string]*Limiter{"sources": g.sources, "addresses": g.addresses, "strangers": g.strangers, "friends": g.friends} {
			if len(l.free) > maxLimited {
				t.Fatalf("%d %s", len(l.free), name)
			}
		}
	}
	if g.guess("192.0.2.66", "ada@example.org", false) == 0 {
		t.Error("many others have freed an address that had used up its tries")
	}
}

func TestLimiter(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	l := NewLimiter(func() time.Time { return now }, 10*time.Second, 3)
	take := func(want time.Duration) {
		t.Helper()
		if got := l.Take("a"); got != want {
			t.Errorf("waits %s, want %s", got, want)
		}
	}
	take(0)
	take(0)
	take(0)
	take(10 * time.Second)
	now = now.Add(4 * time.Second)
	take(6 * time.Second)
	l.Return("a")
	take(0)
	take(6 * time.Second)
	if l.Take("b") != 0 {
		t.Error("one name's use counts for another")
	}
	now = now.Add(time.Hour) // at most the burst accumulates
	take(0)
	take(0)
	take(0)
	take(10 * time.Second)
	l.Forget("a")
	l.Return("nobody")
	take(0)
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
		r.Header.Set("X-Forwarded-For", "203.0.113.9") // the sender chooses it
		if got := SenderOf(r); got != want {
			t.Errorf("%s is %s, want %s", remote, got, want)
		}
	}
}

package main

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"net/http"
	neturl "net/url"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// sessionCookie returns the session's cookie in an answer, nil if none.
func (s seen) sessionCookie() *http.Cookie {
	for _, c := range (&http.Response{Header: s.header}).Cookies() {
		if strings.HasSuffix(c.Name, "thingpost") {
			return c
		}
	}
	return nil
}

// opens reports whether a cookie opens the page of the account, without a jar.
func opens(t *testing.T, url string, c *http.Cookie) bool {
	t.Helper()
	s := visitor(t, url).tries("GET", "/settings", nil, "Cookie", c.Name+"="+c.Value)
	if s.status != http.StatusOK && s.status != http.StatusSeeOther {
		t.Errorf("the page of the account answers %d", s.status)
	}
	return s.status == http.StatusOK
}

func asks(email, password string) neturl.Values {
	return neturl.Values{"email": {email}, "password": {password}}
}

// TestSessionsCannotBeFixedStolenOrOutlived checks that no id from before a sign-in
// becomes a session, and that every end of a session removes it from the store.
func TestSessionsCannotBeFixedStolenOrOutlived(t *testing.T) {
	data := t.TempDir()
	p := serve(t, adminEnv(), "-data", data)
	defer p.end(t, syscall.SIGTERM)
	const email, password, other = "ada@example.org", "correct horse battery", "a changed long password"
	in := func(headers ...string) *http.Cookie {
		t.Helper()
		c := visitor(t, p.url).tries("POST", "/sign-in", asks(email, password), headers...).sessionCookie()
		if c == nil {
			t.Fatal("signing in gives no session")
		}
		return c
	}
	if c := visitor(t, p.url).tries("GET", "/sign-in", nil).sessionCookie(); c != nil {
		t.Errorf("there is a session before the sign-in: %s", c.Name)
	}
	planted := strings.Repeat("planted", 8)
	if c := in("Cookie", "thingpost="+planted); c.Value == planted || opens(t, p.url, &http.Cookie{Name: "thingpost", Value: planted}) {
		t.Error("a planted id became a session")
	}
	first := in()
	second := in("Cookie", "thingpost="+first.Value)
	if second.Value == first.Value || opens(t, p.url, first) || !opens(t, p.url, second) {
		t.Error("the id from before a second sign-in goes on")
	}
	if visitor(t, p.url).tries("GET", "/sign-out", nil, "Cookie", "thingpost="+second.Value); !opens(t, p.url, second) {
		t.Error("a link signs out")
	}
	out := visitor(t, p.url).tries("POST", "/sign-out", neturl.Values{}, "Cookie", "thingpost="+second.Value)
	if gone := out.sessionCookie(); gone == nil || gone.MaxAge >= 0 || opens(t, p.url, second) {
		t.Error("the cookie from before the sign-out opens the session")
	}
	// A changed password ends all other sessions, and tokens.
	mine, elsewhere, token := in(), in(), signIn(t, p.url)
	s := visitor(t, p.url).tries("POST", "/settings/password", neturl.Values{"current": {password}, "password": {other}}, "Cookie",
		"thingpost="+mine.Value)
	if s.status != http.StatusSeeOther || !opens(t, p.url, mine) || opens(t, p.url, elsewhere) {
		t.Errorf("after the password was changed (%d) other sessions go on", s.status)
	}
	token.call("GET", "/projects", nil, 401, nil)
	// A password set by the operator also ends the session in which it was changed
	// before.
	if status, out, complaint := run(t, password+"\n", nil, "user", "password", email, "-data", data); status != 0 {
		t.Fatal(out, complaint)
	}
	if opens(t, p.url, mine) {
		t.Error("a session outlives a password that the operator set")
	}
	// Removing a role ends what an open session can do.
	run(t, other+"\n", nil, "user", "add", "bob@example.org", "-role", "admin", "-data", data)
	bob := newReader(t, p.url)
	bob.signIn("bob@example.org", other)
	before := bob.tries("GET", "/projects/new", nil).status
	if status, out, complaint := run(t, "", nil, "user", "role", "bob@example.org", "none", "-data", data); status != 0 {
		t.Fatal(out, complaint)
	}
	made := bob.tries("POST", "/projects/new", neturl.Values{"name": {"After all"}})
	if before != 200 || made.status < 400 {
		t.Errorf("somebody without a role makes a project: %d, then %d", before, made.status)
	}
	t.Attr("figure", "9 ways to keep or plant a session, none works")
}

// TestSessionCookiesAreForThisHostAndHTTPSAlone looks at the flags of the cookies.
func TestSessionCookiesAreForThisHostAndHTTPSAlone(t *testing.T) {
	folder := t.TempDir()
	cert, key := filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	writeCertificate(t, cert, key, 1)
	address := freeAddress(t)
	for name, c := range map[string]struct {
		args         []string
		url          string // where it listens, if that differs from its URL
		secure, hsts bool
	}{
		"plain":         {},
		"TLS":           {args: []string{"-tls-cert", cert, "-tls-key", key}, secure: true, hsts: true},
		"behind a host": {args: []string{"-public-url", "https://hooks.example", "-listen", address}, url: "http://" + address, secure: true},
	} {
		p := serve(t, adminEnv(), append(c.args, "-data", t.TempDir())...)
		r := visitor(t, cmp.Or(c.url, p.url))
		r.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
		s := r.tries("POST", "/sign-in", asks("ada@example.org", "correct horse battery"))
		theme := r.tries("POST", "/theme", neturl.Values{"theme": {"dark"}})
		cookie := s.sessionCookie()
		if cookie == nil || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Secure != c.secure || cookie.Path != "/" ||
			cookie.Domain != "" ||
			len(cookie.Value) < 40 || strings.HasPrefix(cookie.Name, "__Host-") != c.secure {
			t.Errorf("%s: the session's cookie is %v", name, cookie)
		}
		for _, other := range (&http.Response{Header: theme.header}).Cookies() {
			if other.Secure != c.secure || other.SameSite == http.SameSiteNoneMode || other.Domain != "" {
				t.Errorf("%s: another cookie is %v", name, other)
			}
		}
		if hsts := s.header.Get("Strict-Transport-Security"); (hsts != "") != c.hsts {
			t.Errorf("%s: Strict-Transport-Security is %q", name, hsts)
		}
		p.end(t, syscall.SIGTERM)
	}
	t.Attr("figure", "HttpOnly, SameSite=Lax, no Domain; Secure and __Host- by TLS and by an https public address")
}

// TestSignInIsThrottledAndTellsNothing tries passwords at every door that accepts them:
// they share one bound, which no header loosens, and their answers do not reveal
// whether such an account exists.
func TestSignInIsThrottledAndTellsNothing(t *testing.T) {
	p := serve(t, adminEnv(), "-data", t.TempDir(), "-allow-registration")
	defer p.end(t, syscall.SIGTERM)
	r, c := visitor(t, p.url), &apiClient{t: t, url: p.url}
	doors := []func(email, password string, n int) seen{
		func(email, password string, n int) seen {
			return r.tries("POST", "/sign-in", asks(email, password), "X-Forwarded-For", fmt.Sprint("203.0.113.", n), "X-Real-IP",
				fmt.Sprint("203.0.113.", n), "Forwarded", fmt.Sprint("for=203.0.113.", n))
		},
		func(email, password string, n int) seen {
			status, body := c.exchange("POST", p.url+"/api/v1/tokens", fmt.Sprintf(`{"email":%q,"password":%q}`, email, password),
				map[string]string{"Content-Type": "application/json", "X-Forwarded-For": fmt.Sprint("198.51.100.", n)})
			return seen{status: status, body: body}
		},
		func(email, password string, n int) seen {
			status, body := c.exchange("POST", p.url+"/tokens", fmt.Sprintf(`{"email":%q,"password":%q}`, email, password),
				map[string]string{"Content-Type": "application/json", "X-Forwarded-For": fmt.Sprint("198.51.100.", n)})
			return seen{status: status, body: body}
		},
	}
	for i, door := range doors {
		known, unknown := door("ada@example.org", "not the password", 0), door("eve@example.org", "not the password", 0)
		known.body, unknown.body = strings.ReplaceAll(known.body, "ada@", "eve@"), strings.ReplaceAll(unknown.body, "ada@", "eve@")
		if known.status != unknown.status || known.status < 400 || known.body != unknown.body {
			t.Errorf("door %d tells who has an account: %d %s\n%d %s", i, known.status, known.body, unknown.status, unknown.body)
		}
	}
	for _, word := range []string{"short", "1234567890", "password123", "eve@example.org", "qwertyuiop"} {
		if status, body := c.exchange("POST", p.url+"/register", fmt.Sprintf(`{"user":{"email":"eve@example.org","password":%q}}`, word),
			map[string]string{"Content-Type": "application/json"}); status != 400 || !strings.Contains(body, "password") {
			t.Errorf("the password %s is taken: %d %s", word, status, body)
		}
	}
	tries := len(doors)
	for n := range 30 { // attempts at one account, by all doors in turn
		if doors[n%len(doors)]("ADA@example.org", "guess", n).status == http.StatusTooManyRequests {
			break
		}
		tries++
	}
	for i, door := range doors {
		if s := door("ada@example.org", "correct horse battery", 9); s.status != http.StatusTooManyRequests {
			t.Errorf("after %d wrong passwords door %d lets in the right one: %d", tries, i, s.status)
		}
	}
	accounts := 0
	for ; accounts < 100; accounts++ { // passwords at many accounts, from one address that claims to be many
		if doors[0](fmt.Sprintf("nobody-%d@example.org", accounts), strings.Repeat("x", 600), accounts).status == http.StatusTooManyRequests {
			break
		}
	}
	if tries > 12 || accounts > 60 {
		t.Errorf("%d tries at an account, %d accounts from an address", tries, accounts)
	}
	t.Attr("figure", fmt.Sprintf("%d tries at an account by 3 doors together, %d from an address, then 429; same words for accounts that "+
		"do not exist", tries, accounts))
}

package web_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"thingpost/db"
	"thingpost/handlers"
	"thingpost/internal/iot"
	"thingpost/web"
)

// site is a server over a store, with a dashboard that signs in and out and shows who
// is signed in.
type site struct {
	*httptest.Server
	db       *db.DB
	account  *iot.Account
	now      atomic.Int64
	sessions *web.Sessions
	ready    error
}

func newSite(t *testing.T, secure bool, set ...func(*web.Options)) *site {
	t.Helper()
	s := &site{account: &iot.Account{Email: "ada@example.org", Name: "Ada", PasswordHash: "x"}}
	s.now.Store(1_800_000_000_000)
	now := func() time.Time { return time.UnixMilli(s.now.Load()) }
	var err error
	s.db, err = db.Open(t.Context(), db.Options{Folder: t.TempDir(), Now: now})
	must(t, err)
	t.Cleanup(func() { must(t, s.db.Close()) })
	must(t, s.db.SetUp(s.account, &iot.Organization{Name: "Works"}))
	s.sessions = web.NewSessions(s.db, now, secure)
	o := web.Options{
		Sessions:  s.sessions,
		Dashboard: http.HandlerFunc(s.dashboard),
		API:       http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("api " + r.URL.Path)) }),
		Ready:     func(context.Context) error { return s.ready },
		Now:       now,
	}
	for _, f := range set {
		f(&o)
	}
	s.Server = httptest.NewServer(web.New(o).Handler())
	t.Cleanup(s.Close)
	return s
}

func (s *site) dashboard(w http.ResponseWriter, r *http.Request) {
	var err error
	switch r.URL.Path {
	case "/sign-in":
		err = s.sessions.SignIn(w, r, s.account)
	case "/sign-out":
		err = s.sessions.SignOut(w, r)
	case "/panic":
		panic("of a handler")
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if a := handlers.Account(r.Context()); a != nil {
		_, _ = w.Write([]byte(a.Email))
	}
}

// answer is the head of a response.
type answer struct {
	code    int
	status  string
	header  http.Header
	cookies []*http.Cookie
}

// do sends a request with cookies and headers ("Name: value") and returns the
// answer and its body.
func (s *site) do(t *testing.T, method, path string, cookies []*http.Cookie, headers ...string) (answer, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, http.NoBody)
	must(t, err)
	for _, c := range cookies {
		req.AddCookie(c)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	return answer{resp.StatusCode, resp.Status, resp.Header, resp.Cookies()}, string(body)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// signIn returns the cookies of a new session.
func (s *site) signIn(t *testing.T, with ...*http.Cookie) []*http.Cookie {
	t.Helper()
	resp, _ := s.do(t, http.MethodPost, "/sign-in", with)
	if resp.code != http.StatusOK || len(resp.cookies) != 1 {
		t.Fatalf("sign-in answers %s with cookies %v", resp.status, resp.cookies)
	}
	return resp.cookies
}

func (s *site) who(t *testing.T, cookies []*http.Cookie) string {
	t.Helper()
	_, body := s.do(t, http.MethodGet, "/", cookies)
	return body
}

func TestSignInAndOut(t *testing.T) {
	s := newSite(t, false)
	if got := s.who(t, nil); got != "" {
		t.Errorf("without a cookie: %q", got)
	}
	c := s.signIn(t)
	if got := s.who(t, c); got != "ada@example.org" {
		t.Errorf("signed in: %q", got)
	}
	resp, _ := s.do(t, http.MethodPost, "/sign-out", c)
	if gone := resp.cookies; len(gone) != 1 || gone[0].MaxAge >= 0 {
		t.Errorf("sign-out leaves the cookie: %v", gone)
	}
	if got := s.who(t, c); got != "" {
		t.Errorf("the old cookie still opens the session of %q", got)
	}
}

func TestSessionCookieIsKeptFromOthers(t *testing.T) {
	for _, secure := range []bool{false, true} {
		c := newSite(t, secure).signIn(t)[0]
		if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Secure != secure || c.Path != "/" || c.Domain != "" {
			t.Errorf("secure %v: %s", secure, c.Raw)
		}
		if strings.HasPrefix(c.Name, "__Host-") != secure {
			t.Errorf("secure %v: its name is %s", secure, c.Name)
		}
		if len(c.Value) < 40 {
			t.Errorf("its id is short: %d characters", len(c.Value))
		}
	}
}

func TestSignInMakesANewID(t *testing.T) {
	s := newSite(t, false)
	planted := &http.Cookie{Name: "thingpost", Value: "an-id-that-somebody-else-knows-and-has-put-there"}
	first := s.signIn(t, planted)
	if first[0].Value == planted.Value || s.who(t, []*http.Cookie{planted}) != "" {
		t.Fatal("a planted id became a session")
	}
	second := s.signIn(t, first...)
	if second[0].Value == first[0].Value {
		t.Error("the id is the same after a second sign-in")
	}
	if got := s.who(t, first); got != "" {
		t.Errorf("the id from before the sign-in is still %q", got)
	}
}

func TestSessionLivesOnWithUseAndEndsWithout(t *testing.T) {
	s := newSite(t, false)
	c := s.signIn(t)
	const day = 24 * time.Hour
	for _, step := range []struct {
		after   time.Duration
		renewed bool
		who     string
	}{
		{time.Hour, false, "ada@example.org"},
		{10 * day, true, "ada@example.org"},
		{time.Hour, false, "ada@example.org"},
		{13 * day, true, "ada@example.org"},
		{14*day + time.Second, false, ""},
	} {
		s.now.Add(step.after.Milliseconds())
		resp, body := s.do(t, http.MethodGet, "/", c)
		if body != step.who || (len(resp.cookies) == 1) != step.renewed {
			t.Errorf("%s later: %q, cookies %v", step.after, body, resp.cookies)
		}
	}
}

func TestSessionEndsWithAChangedPassword(t *testing.T) {
	s := newSite(t, false)
	mine, other := s.signIn(t), s.signIn(t)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
	r.AddCookie(mine[0])
	must(t, s.db.SetPassword(s.account.Key, "y", db.SessionHash(s.sessions.ID(r)), "ada@example.org"))
	if s.who(t, mine) == "" || s.who(t, other) != "" {
		t.Error("it should end all sessions but the one that changed it")
	}
}

// A store opened read-only accepts no writes.
func TestSignInWhileNothingCanBeStored(t *testing.T) {
	s := newSite(t, false)
	store, err := db.Open(t.Context(), db.Options{Folder: filepath.Dir(s.db.Path()), ReadOnly: true})
	must(t, err)
	t.Cleanup(func() { must(t, store.Close()) })
	s.sessions = web.NewSessions(store, func() time.Time { return time.UnixMilli(s.now.Load()) }, false)
	s.Server = httptest.NewServer(web.New(web.Options{Sessions: s.sessions, Dashboard: http.HandlerFunc(s.dashboard)}).Handler())
	t.Cleanup(s.Close)
	mine, other := s.signIn(t), s.signIn(t)
	if s.who(t, mine) == "" || s.who(t, other) == "" {
		t.Error("who signed in is not in")
	}
	if resp, _ := s.do(t, http.MethodPost, "/sign-out", other); resp.code != http.StatusOK || s.who(t, other) != "" {
		t.Errorf("signing out answers %s", resp.status)
	}
	must(t, s.db.SetPassword(s.account.Key, "y", nil, "ada@example.org"))
	if s.who(t, mine) != "" {
		t.Error("a session in memory outlives a changed password")
	}
}

func TestStoredSessionDoesNotOpenOne(t *testing.T) {
	s := newSite(t, false)
	c := s.signIn(t)
	file, err := os.ReadFile(s.db.Path() + "-wal")
	must(t, err)
	if strings.Contains(string(file), c[0].Value) {
		t.Error("the database holds the id that the browser sends")
	}
}

package dashboard

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"thingpost/db"
	"thingpost/handlers"
	"thingpost/internal/downlink"
	"thingpost/internal/egress"
	"thingpost/internal/ingest"
	"thingpost/internal/iot"
)

// world is a dashboard over a real store, with an owner, a project, a device and
// a webhook in it.
type world struct {
	t       testing.TB
	db      *db.DB
	ingest  *ingest.Ingest
	handler http.Handler
	clock   *clock
	hub     *testHub
	log     *bytes.Buffer
	// accepting is whether messages can be stored.
	accepting bool

	owner        *iot.Account
	organization *iot.Organization
	project      *iot.Project
	device       *iot.Device
	webhook      *iot.Webhook
}

const (
	setUpToken   = "tpt_setup"
	password     = "correct horse battery"
	deviceSecret = "tpd_secretofsoilprobe"
	headerSecret = "Bearer very-secret-header"
)

// clock is a time that a test sets.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// bareWorld is a dashboard that nobody has set up.
func bareWorld(t testing.TB, options ...func(*Options)) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{t: time.Date(2026, 11, 21, 10, 4, 0, 0, time.UTC)}, hub: newTestHub(), log: &bytes.Buffer{},
		accepting: true}
	var in *ingest.Ingest
	var mu sync.Mutex
	d, err := db.Open(t.Context(), db.Options{Folder: t.TempDir(), Now: w.clock.Now, OnCommit: func(c iot.Commit) {
		mu.Lock()
		defer mu.Unlock()
		if in != nil {
			in.Changed(c)
		}
	}})
	w.must(err)
	t.Cleanup(func() { w.must(d.Close()) })
	mu.Lock()
	in = ingest.New(d, ingest.Options{Now: w.clock.Now})
	mu.Unlock()
	w.db, w.ingest = d, in
	sessions := &testSessions{db: d, kept: map[string]int64{}}
	o := Options{DB: d, Ingest: in, Downlinks: downlink.New(downlink.Options{DB: d, Ingest: in, Now: w.clock.Now}),
		Passwords: iot.NewPasswords(), Sessions: sessions, Hub: w.hub, Policy: egress.NewPolicy(nil),
		SetupToken: setUpToken, PublicURL: "https://hooks.veldhuis.example", Version: "1.2.3", Now: w.clock.Now,
		Accepting: func(context.Context) bool { return w.accepting }, Log: slog.New(slog.NewTextHandler(w.log, nil))}
	for _, set := range options {
		set(&o)
	}
	w.handler = sessions.wrap(New(o))
	return w
}

// openWorld is a dashboard in use.
func openWorld(t testing.TB, options ...func(*Options)) *world {
	t.Helper()
	w := bareWorld(t, options...)
	w.owner = &iot.Account{Email: "marit@veldhuis.example", Name: "Marit Veldhuis", PasswordHash: hashOnce(t)}
	w.organization = &iot.Organization{Name: "Veldhuis Growers"}
	w.must(w.db.SetUp(w.owner, w.organization))
	w.project = &iot.Project{Name: "Greenhouse North", OrganizationKey: w.organization.Key, AutoRegister: true}
	w.must(w.db.CreateProject(w.project, w.owner.Email))
	w.device = &iot.Device{ProjectKey: w.project.Key, ID: "soil-probe-07", Name: "Soil probe, bay 3 south"}
	w.must(w.db.CreateDevice(w.device, deviceSecret, w.owner.Email))
	w.webhook = &iot.Webhook{ProjectKey: w.project.Key, Description: "ERP goods-in", URL: "https://erp.veldhuis.example/hook",
		Format:       iot.Envelope,
		MessageTypes: iot.Routes{iot.User: {}}, Settings: iot.DefaultSettings(),
		Headers: []iot.Header{{Name: "Authorization", Value: headerSecret, Secret: true}}}
	w.must(w.db.CreateWebhook(w.webhook, w.owner.Email))
	return w
}

var hashed struct {
	sync.Once
	hash iot.Secret
	err  error
}

// hashOnce hashes the password of all accounts of tests, which takes long.
func hashOnce(t testing.TB) iot.Secret {
	t.Helper()
	hashed.Do(func() { hashed.hash, hashed.err = iot.NewPasswords().Hash(t.Context(), password, "") })
	if hashed.err != nil {
		t.Fatal(hashed.err)
	}
	return hashed.hash
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// member adds an account with a role.
func (w *world) member(email string, role iot.Role) *iot.Account {
	w.t.Helper()
	a := &iot.Account{Email: email, Name: strings.ToUpper(email[:1]) + email[1:4], PasswordHash: hashOnce(w.t)}
	w.must(w.db.CreateAccount(a, w.owner.Email))
	if role != "" {
		w.must(w.db.SetMember(w.organization.Key, a.Key, role, w.owner.Email))
	}
	return a
}

// send stores a message of the device and returns its id.
func (w *world) send(body string) iot.ID {
	w.t.Helper()
	results, err := w.ingest.Accept(w.t.Context(), ingest.Sender{Project: w.project, Device: w.device}, []byte(body))
	w.must(err)
	w.must(results[0].Err)
	return results[0].ID
}

// client is a browser.
type client struct {
	w       *world
	cookies map[string]*http.Cookie
	remote  string
}

// anonymous is a browser that is not signed in.
func (w *world) anonymous() *client {
	return &client{w: w, cookies: map[string]*http.Cookie{}, remote: "192.0.2.7:4711"}
}

// as is a browser in which an account is signed in.
func (w *world) as(a *iot.Account) *client {
	w.t.Helper()
	c := w.anonymous()
	c.cookies[testCookie] = &http.Cookie{Name: testCookie, Value: w.handler.(*wrapped).sessions.begin(a.Key)}
	return c
}

// page is an answer.
type page struct {
	*goquery.Document
	t      testing.TB
	status int
	header http.Header
	body   string
}

func (c *client) get(path string, header ...string) *page {
	c.w.t.Helper()
	return c.do(httptest.NewRequest(http.MethodGet, path, nil), header)
}

// post sends a form of pairs of a field and its value.
func (c *client) post(path string, pairs ...string) *page {
	c.w.t.Helper()
	values := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(values.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return c.do(r, nil)
}

// fragment asks as htmx does for the element with an id.
func (c *client) fragment(path, id string) *page {
	c.w.t.Helper()
	return c.get(path, "HX-Request", "true", "HX-Target", id)
}

func (c *client) do(r *http.Request, header []string) *page {
	c.w.t.Helper()
	r.RemoteAddr = c.remote
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	for _, k := range c.cookies {
		r.AddCookie(k)
	}
	rec := httptest.NewRecorder()
	c.w.handler.ServeHTTP(rec, r)
	res := rec.Result()
	for _, k := range res.Cookies() {
		if k.MaxAge < 0 {
			delete(c.cookies, k.Name)
		} else {
			c.cookies[k.Name] = k
		}
	}
	body, err := io.ReadAll(res.Body)
	c.w.must(err)
	doc, err := goquery.NewDocumentFromReader(bytes.NewReader(body))
	c.w.must(err)
	return &page{Document: doc, t: c.w.t, status: res.StatusCode, header: res.Header, body: string(body)}
}

// is checks the status.
func (p *page) is(status int) *page {
	p.t.Helper()
	if p.status != status {
		p.t.Fatalf("status %d, want %d: %s", p.status, status, strings.TrimSpace(p.Find("main").Text()))
	}
	return p
}

// leadsTo checks a redirect.
func (p *page) leadsTo(path string) {
	p.t.Helper()
	if got := p.header.Get("Location"); p.status != http.StatusSeeOther || got != path {
		p.t.Fatalf("status %d to %q, want 303 to %q: %s", p.status, got, path, strings.TrimSpace(p.Find("main").Text()))
	}
}

// has checks that an element is there and holds a text.
func (p *page) has(selector, text string) *page {
	p.t.Helper()
	found := p.Find(selector)
	if found.Length() == 0 {
		p.t.Fatalf("no %s in %s", selector, words(p.Find("main").Text()))
	}
	if !strings.Contains(words(found.Text()), text) {
		p.t.Errorf("%s is %q, want %q in it", selector, words(found.Text()), text)
	}
	return p
}

// lacks checks that there is no such element.
func (p *page) lacks(selector string) *page {
	p.t.Helper()
	if found := p.Find(selector); found.Length() > 0 {
		p.t.Errorf("there is %s: %q", selector, words(found.Text()))
	}
	return p
}

// faulty checks the form's answer to a bad field: 422, the field marked, and the
// sentence beside it that the field points at.
func (p *page) faulty(field, text string) *page {
	p.t.Helper()
	p.is(http.StatusUnprocessableEntity)
	input := p.Find(`[name="` + field + `"][aria-invalid="true"]`)
	if input.Length() != 1 {
		p.t.Fatalf("field %s is not marked in %s", field, words(p.Find("main").Text()))
	}
	describedBy, _, _ := strings.Cut(input.AttrOr("aria-describedby", ""), " ")
	p.has("#"+describedBy, text)
	return p
}

func words(text string) string { return strings.Join(strings.Fields(text), " ") }

// testSessions are sessions in memory.
type testSessions struct {
	db   *db.DB
	mu   sync.Mutex
	next int
	kept map[string]int64
}

const testCookie = "session"

func (s *testSessions) begin(account int64) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	id := "session-" + strings.Repeat("x", s.next)
	s.kept[id] = account
	return id
}

func (s *testSessions) SignIn(w http.ResponseWriter, _ *http.Request, a *iot.Account) error {
	http.SetCookie(w, &http.Cookie{Name: testCookie, Value: s.begin(a.Key)})
	return nil
}

func (s *testSessions) SignOut(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.kept, s.ID(r).Reveal())
	http.SetCookie(w, &http.Cookie{Name: testCookie, MaxAge: -1})
	return nil
}

func (s *testSessions) ID(r *http.Request) iot.Secret {
	if c, err := r.Cookie(testCookie); err == nil {
		return iot.Secret(c.Value)
	}
	return ""
}

// wrapped tells the dashboard who is signed in, as the server does.
type wrapped struct {
	sessions *testSessions
	next     http.Handler
}

func (s *testSessions) wrap(next http.Handler) http.Handler { return &wrapped{s, next} }

func (x *wrapped) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x.sessions.mu.Lock()
	key, ok := x.sessions.kept[x.sessions.ID(r).Reveal()]
	x.sessions.mu.Unlock()
	if ok {
		if a, err := x.sessions.db.Account(r.Context(), key); err == nil {
			r = r.WithContext(handlers.WithAccount(r.Context(), a))
		}
	}
	x.next.ServeHTTP(w, r)
}

// testHub hands on what a test publishes, to one subscriber.
type testHub struct {
	events     chan iot.EventName
	subscribed chan int64
	stopped    chan struct{}
}

func newTestHub() *testHub {
	return &testHub{events: make(chan iot.EventName, 8), subscribed: make(chan int64, 1), stopped: make(chan struct{})}
}

func (h *testHub) Subscribe(project int64) (<-chan iot.EventName, func()) {
	h.subscribed <- project
	return h.events, sync.OnceFunc(func() { close(h.stopped) })
}

package api_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"thingpost/db"
	"thingpost/handlers/api"
	"thingpost/internal/downlink"
	"thingpost/internal/ingest"
	"thingpost/internal/iot"
)

// world is the whole API over a real store, with people, keys, a project with a device
// and a webhook, and a second project that belongs to others.
type world struct {
	*testing.T
	db        *db.DB
	api       http.Handler
	doc       *openapi3.T
	router    routers.Router
	passwords *iot.Passwords
	queues    *downlink.Queue

	owner, admin, editor, viewer, outsider string // tokens
	project, other                         *iot.Project
	device                                 *iot.Device
	deviceKey, otherDeviceKey              string
	fullKey, otherKey                      string

	mu     sync.Mutex
	queued []iot.Queued
	now    time.Time
}

const (
	email    = "ada@example.org"
	password = "correct horse battery"
	base     = api.Prefix + "/projects/greenhouse-north"
)

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, passwords: iot.NewPasswords(), now: time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)}
	var in *ingest.Ingest
	var queues *downlink.Queue
	d, err := db.Open(t.Context(), db.Options{Folder: t.TempDir(), Now: w.clock, OnCommit: func(c iot.Commit) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.queued = append(w.queued, c.Queued...)
		if in != nil {
			in.Changed(c)
			queues.Changed(c)
		}
	}})
	w.must(err)
	t.Cleanup(func() { w.must(d.Close()) })
	w.db = d
	w.mu.Lock()
	in = ingest.New(d, ingest.Options{Now: w.clock, PublicURL: "https://things.example", Version: "1.2.3"})
	queues = downlink.New(downlink.Options{DB: d, Ingest: in, Now: w.clock})
	w.mu.Unlock()
	w.queues = queues
	w.api = api.New(api.Options{DB: d, Ingest: in, Downlinks: queues, Passwords: w.passwords, Now: w.clock})
	w.people()
	w.device = &iot.Device{ProjectKey: w.project.Key, ID: "soil-probe-07", UUID: "7d1c3c5e-9b0a-4a37-8d51-0b6f6f6f6f01"}
	w.deviceKey, w.otherDeviceKey = "tpd_of-the-soil-probe", "tpd_of-another-device"
	w.must(d.CreateDevice(w.device, iot.Secret(w.deviceKey), email))
	w.must(d.CreateDevice(&iot.Device{ProjectKey: w.other.Key, ID: "soil-probe-07"}, iot.Secret(w.otherDeviceKey), email))
	w.fullKey = w.key(w.project, iot.AllKeyRights)
	w.otherKey = w.key(w.other, iot.AllKeyRights)
	w.readDocument()
	return w
}

func (w *world) people() {
	token := func(a *iot.Account) string {
		text := iot.NewToken()
		_, err := w.db.CreateToken(text, a.Key, 100*time.Hour)
		w.must(err)
		return text.Reveal()
	}
	owner := &iot.Account{Email: email, Name: "Ada", PasswordHash: "none"}
	org := &iot.Organization{Name: "Works"}
	w.must(w.db.SetUp(owner, org))
	w.owner = token(owner)
	for into, role := range map[*string]iot.Role{&w.admin: iot.Admin, &w.editor: iot.Editor, &w.viewer: iot.Viewer, &w.outsider: ""} {
		a := &iot.Account{Email: "the-" + string(role) + "@example.org"}
		w.must(w.db.CreateAccount(a, email))
		if role != "" {
			w.must(w.db.SetMember(org.Key, a.Key, role, email))
		} else {
			theirs := &iot.Organization{Name: "Elsewhere"}
			w.must(w.db.CreateOrganization(theirs, a))
			w.other = &iot.Project{Name: "Other place", OrganizationKey: theirs.Key, AutoRegister: true}
			w.must(w.db.CreateProject(w.other, a.Email))
		}
		*into = token(a)
	}
	w.project = &iot.Project{Name: "Greenhouse North", OrganizationKey: org.Key, AutoRegister: true}
	w.must(w.db.CreateProject(w.project, email))
}

// setPassword sets the owner's password; hashing takes a while.
func (w *world) setPassword() {
	w.Helper()
	hash, err := w.passwords.Hash(w.Context(), password, email)
	w.must(err)
	a, err := w.db.AccountByEmail(w.Context(), email)
	w.must(err)
	w.must(w.db.SetPassword(a.Key, hash, nil, email))
}

func (w *world) key(p *iot.Project, rights iot.Rights) string {
	w.Helper()
	id, secret, text := iot.NewAPIKey()
	w.must(w.db.CreateAPIKey(&iot.APIKey{ID: id, ProjectKey: p.Key, Name: "a key", Rights: rights}, secret, email))
	return text.Reveal()
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) readDocument() {
	r := httptest.NewRecorder()
	w.api.ServeHTTP(r, httptest.NewRequest(http.MethodGet, api.Prefix+"/openapi.json", nil))
	var err error
	w.doc, err = openapi3.NewLoader().LoadFromData(r.Body.Bytes())
	w.must(err)
	w.must(w.doc.Validate(w.Context()))
	w.router, err = legacy.NewRouter(w.doc)
	w.must(err)
}

// answer is the response to a request.
type answer struct {
	status int
	header http.Header
	body   string
}

// into decodes the answer.
func (a answer) into(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		t.Fatalf("%s: %v", a.body, err)
	}
}

// fault is the answer's error.
type fault struct {
	Code    iot.Code
	Message string
	Fields  map[string]string
}

func (a answer) fault(t testing.TB) fault {
	t.Helper()
	var v struct{ Error fault }
	a.into(t, &v)
	return v.Error
}

// send makes a request. Its answer must match the document, and so must the request if
// the answer is a success.
func (w *world) send(method, path, token, body string, set ...func(*http.Request)) answer {
	w.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, f := range set {
		f(r)
	}
	rec := httptest.NewRecorder()
	w.api.ServeHTTP(rec, r)
	a := answer{rec.Code, rec.Header(), rec.Body.String()}
	w.agrees(r, body, a)
	return a
}

func (w *world) agrees(r *http.Request, body string, a answer) {
	w.Helper()
	route, params, err := w.router.FindRoute(r)
	if err != nil {
		if a.status != http.StatusNotFound && a.status != http.StatusMethodNotAllowed {
			w.Fatalf("%s %s answers %d, but is not in the document: %v", r.Method, r.URL, a.status, err)
		}
		return
	}
	in := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true}}
	if a.status < 300 && !strings.Contains(body, "\n") && body != "" {
		r.Body = io.NopCloser(strings.NewReader(body))
		if err := openapi3filter.ValidateRequest(w.Context(), in); err != nil && !strings.Contains(a.body, `"error"`) {
			w.Errorf("%s %s was taken, but the document refuses %s: %v", r.Method, r.URL, body, err)
		}
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: a.status, Header: a.header,
		Body: io.NopCloser(strings.NewReader(a.body)), Options: in.Options}
	if err := openapi3filter.ValidateResponse(w.Context(), out); err != nil {
		w.Errorf("%s %s answers other than the document says: %v\n%s", r.Method, r.URL, err, a.body)
	}
}

// ok sends and expects a status.
func (w *world) ok(status int, method, path, token, body string) answer {
	w.Helper()
	a := w.send(method, path, token, body)
	if a.status != status {
		w.Fatalf("%s %s: %d, want %d\n%s", method, path, a.status, status, a.body)
	}
	return a
}

// refused sends and expects an error with a code, about the fields.
func (w *world) refused(code iot.Code, method, path, token, body string, fields ...string) {
	w.Helper()
	a := w.send(method, path, token, body)
	f := a.fault(w)
	if f.Code != code {
		w.Fatalf("%s %s with %.200s: %d %s, want %s", method, path, body, a.status, a.body, code)
	}
	for _, name := range fields {
		if f.Fields[name] == "" {
			w.Errorf("%s %s with %.200s: no word about %s: %v", method, path, body, name, f)
		}
	}
	if len(fields) > 0 && len(f.Fields) != len(fields) {
		w.Errorf("%s %s with %.200s: want a word about %v alone: %v", method, path, body, fields, f.Fields)
	}
}

// webhook creates a webhook from JSON fields beside description and URL.
func (w *world) webhook(id, more string) {
	w.Helper()
	w.ok(201, "POST", base+"/webhooks", w.editor, `{"id":"`+id+`","description":"ERP","url":"https://erp.example/hook","type":"user"`+more+`}`)
}

// message sends a message of the device and returns its id.
func (w *world) message(body string) iot.ID {
	w.Helper()
	var v struct{ ID iot.ID }
	w.ok(202, "POST", base+"/devices/soil-probe-07/messages", w.deviceKey, body).into(w, &v)
	return v.ID
}

// finish ends the delivery that was queued last.
func (w *world) finish(status iot.Status, code iot.StatusCode, class iot.ErrorClass) iot.ID {
	w.Helper()
	w.mu.Lock()
	q := w.queued[len(w.queued)-1]
	w.mu.Unlock()
	at := &iot.Attempt{DeliveryID: q.Delivery.ID, Number: 1, At: iot.At(w.clock()), DurationMS: 12, Timings: iot.Timings{Total: 12_000},
		Request: iot.Request{Method: "POST", URL: "https://erp.example/hook", Headers: iot.HeaderLines{{Name: "X-Key", Value: iot.Mask}}}}
	if code != 0 {
		at.Response = &iot.Response{Status: code, Headers: iot.HeaderLines{{Name: "Date", Value: "today"}}, Body: "well"}
	}
	if class != "" {
		at.Error = &iot.FailedError{Class: class, Detail: "It did not work."}
	}
	done := make(chan error, 1)
	w.db.Finish(&iot.Outcome{Delivery: q.Delivery, Attempt: at, Status: status}, func(err error) { done <- err })
	w.must(<-done)
	return q.Delivery.ID
}

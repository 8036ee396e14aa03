package mainflux_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"thingpost/db"
	"thingpost/handlers/mainflux"
	"thingpost/internal/downlink"
	"thingpost/internal/ingest"
	"thingpost/internal/iot"
)

// world is the dialect over a real store: an organization with a member of each
// role, a group with a profile and a thing, and another organization's group.
type world struct {
	*testing.T
	db        *db.DB
	h         http.Handler
	passwords *iot.Passwords
	downlinks *downlink.Queue

	owner, admin, editor, viewer, outsider string // tokens
	org                                    *iot.Organization
	project, other                         *iot.Project
	profile                                *iot.Profile
	device, otherDevice                    *iot.Device

	mu     sync.Mutex
	queued []iot.Queued
	now    time.Time
}

const (
	email    = "ada@example.org"
	password = "correct horse battery"
	thingKey = "tpd_of-the-soil-probe"
	nowhere  = "00000000-0000-4000-8000-000000000000"
)

func newWorld(t *testing.T, options ...func(*mainflux.Options)) *world {
	t.Helper()
	w := &world{T: t, passwords: iot.NewPasswords(), now: time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)}
	var in *ingest.Ingest
	d, err := db.Open(t.Context(), db.Options{Folder: t.TempDir(), Now: w.clock, OnCommit: func(c iot.Commit) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.queued = append(w.queued, c.Queued...)
		if in != nil {
			in.Changed(c)
		}
	}})
	w.must(err)
	t.Cleanup(func() { w.must(d.Close()) })
	w.db = d
	w.mu.Lock()
	in = ingest.New(d, ingest.Options{Now: w.clock})
	w.mu.Unlock()
	w.downlinks = downlink.New(downlink.Options{DB: d, Ingest: in, Now: w.clock})
	o := mainflux.Options{DB: d, Ingest: in, Downlinks: w.downlinks, Passwords: w.passwords, PublicURL: "https://things.example",
		Version: "1.2.3", Now: w.clock}
	for _, set := range options {
		set(&o)
	}
	w.h = mainflux.New(o)
	w.people()
	w.profile, err = d.Profile(t.Context(), w.project.Key, iot.DefaultProfile)
	w.must(err)
	w.device = &iot.Device{ProjectKey: w.project.Key, ID: "soil-probe-07", Name: "Soil probe", UUID: "7d1c3c5e-9b0a-4a37-8d51-0b6f6f6f6f01"}
	w.must(d.CreateDevice(w.device, thingKey, email))
	w.otherDevice = &iot.Device{ProjectKey: w.other.Key, ID: "soil-probe-07"}
	w.must(d.CreateDevice(w.otherDevice, "tpd_of-another", email))
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
	w.org = &iot.Organization{Name: "Works"}
	w.must(w.db.SetUp(owner, w.org))
	w.owner = token(owner)
	for into, role := range map[*string]iot.Role{&w.admin: iot.Admin, &w.editor: iot.Editor, &w.viewer: iot.Viewer, &w.outsider: ""} {
		a := &iot.Account{Email: "the-" + string(role) + "@example.org"}
		w.must(w.db.CreateAccount(a, email))
		if role != "" {
			w.must(w.db.SetMember(w.org.Key, a.Key, role, email))
		} else {
			theirs := &iot.Organization{Name: "Elsewhere"}
			w.must(w.db.CreateOrganization(theirs, a))
			w.other = &iot.Project{Name: "Other place", OrganizationKey: theirs.Key}
			w.must(w.db.CreateProject(w.other, a.Email))
		}
		*into = token(a)
	}
	w.project = &iot.Project{Name: "Greenhouse North", OrganizationKey: w.org.Key}
	w.must(w.db.CreateProject(w.project, email))
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// answer is the response to a request.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) into(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		t.Fatalf("%s: %v", a.body, err)
	}
}

// send makes a request as a person; set changes it.
func (w *world) send(method, path, token, body string, set ...func(*http.Request)) answer {
	w.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	r.Header.Set("Content-Type", "application/json")
	for _, f := range set {
		f(r)
	}
	rec := httptest.NewRecorder()
	w.h.ServeHTTP(rec, r)
	a := answer{rec.Code, rec.Header(), rec.Body.String()}
	if kind := a.header.Get("Content-Type"); a.body != "" && kind != "application/json" {
		w.Errorf("%s %s answers %s", method, path, kind)
	}
	return a
}

// ok sends and expects a status.
func (w *world) ok(status int, method, path, token, body string, set ...func(*http.Request)) answer {
	w.Helper()
	a := w.send(method, path, token, body, set...)
	if a.status != status {
		w.Fatalf("%s %s with %.300s: %d, want %d\n%s", method, path, body, a.status, status, a.body)
	}
	return a
}

// refused sends and expects a status and a text.
func (w *world) refused(status int, text, method, path, token, body string, set ...func(*http.Request)) {
	w.Helper()
	a := w.send(method, path, token, body, set...)
	var v struct{ Error string }
	_ = json.Unmarshal([]byte(a.body), &v)
	if a.status != status || v.Error != text {
		w.Errorf("%s %s with %.300s: %d %s, want %d %q", method, path, body, a.status, a.body, status, text)
	}
}

// publish sends a payload as the thing.
func (w *world) publish(path, contentType, body string) answer {
	w.Helper()
	return w.ok(202, "POST", path, "", body, func(r *http.Request) {
		r.Header.Set("Authorization", "Thing "+thingKey)
		r.Header.Set("Content-Type", contentType)
	})
}

// last returns what was queued last.
func (w *world) last() iot.Queued {
	w.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queued) == 0 {
		w.Fatal("nothing is queued")
	}
	return w.queued[len(w.queued)-1]
}

func (w *world) queuedCount() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.queued)
}

// hook is a webhook on the wire.
type hook struct {
	ID       string            `json:"id"`
	GroupID  string            `json:"group_id"`
	ThingID  string            `json:"thing_id"`
	Name     string            `json:"name"`
	URL      string            `json:"url"`
	Headers  map[string]string `json:"headers"`
	Metadata json.RawMessage   `json:"metadata"`
	Scope    string            `json:"scope"`
}

// hooks creates webhooks for the thing from JSON.
func (w *world) hooks(body string) []hook {
	w.Helper()
	var v struct{ Webhooks []hook }
	w.ok(201, "POST", "/svcwebhooks/things/"+w.device.UUID+"/webhooks", w.editor, body).into(w, &v)
	return v.Webhooks
}

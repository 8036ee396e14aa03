package inspect

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"thingpost/db"
	"thingpost/internal/egress"
	"thingpost/internal/iot"
)

// world is an inspector over a real store, with a project and a webhook that has
// secrets.
type world struct {
	t       *testing.T
	db      *db.DB
	project *iot.Project
	its     *iot.Inspector
	waited  []time.Duration
	*Inspector
}

const (
	headerSecret   = "Bearer canary-of-a-header"
	downlinkSecret = "canary-of-a-downlink"
)

func open(t *testing.T) *world {
	t.Helper()
	w := &world{t: t}
	var err error
	w.db, err = db.Open(t.Context(), db.Options{Folder: t.TempDir()})
	w.must(err)
	t.Cleanup(func() { w.must(w.db.Close()) })
	o := &iot.Organization{Name: "Works"}
	w.must(w.db.SetUp(&iot.Account{Email: "ada@example.org", PasswordHash: "x"}, o))
	w.project = &iot.Project{Name: "North", OrganizationKey: o.Key}
	w.must(w.db.CreateProject(w.project, "ada"))
	w.must(w.db.CreateWebhook(&iot.Webhook{ProjectKey: w.project.Key, Description: "ERP", URL: "https://erp.example", Format: iot.Envelope,
		MessageTypes: iot.Routes{iot.User: {}},
		Settings:     iot.DefaultSettings(), Headers: []iot.Header{{Name: "X-Site", Value: headerSecret, Secret: true}},
		DownlinkKey: downlinkSecret}, "ada"))
	w.its, err = w.db.CreateInspector(w.project.Key, "ada")
	w.must(err)
	w.Inspector = New(Options{DB: w.db, Wait: func(_ context.Context, d time.Duration) error {
		w.waited = append(w.waited, d)
		return nil
	}})
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// ask sends a request from outside.
func (w *world) ask(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(w.t.Context(), method, path, strings.NewReader(body))
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	return rec
}

// newest returns the latest request, complete.
func (w *world) newest() *iot.Inspection {
	w.t.Helper()
	list, err := w.db.Inspections(w.t.Context(), w.project.Key)
	w.must(err)
	if len(list) == 0 {
		w.t.Fatal("nothing was kept")
	}
	x, err := w.db.Inspection(w.t.Context(), w.project.Key, list[0].ID)
	w.must(err)
	return x
}

func TestKeepsWhatArrivesAndAnswers(t *testing.T) {
	w := open(t)
	rec := w.ask(http.MethodPut, w.its.Path()+"/up%2Fx/y?site=3&empty", `{"a": 1.50}`, "Content-Type", "application/json")
	if rec.Code != 200 || !strings.Contains(rec.Body.String(), `"inspector":"200 OK"`) {
		t.Errorf("answered %d %s", rec.Code, rec.Body)
	}
	x := w.newest()
	if x.Method != http.MethodPut || x.Path != "/up%2Fx/y" || x.Query != "site=3&empty" || string(x.Body) != `{"a": 1.50}` ||
		x.SizeBytes != 11 || x.Remote != "192.0.2.1" || !x.DeliveryID.IsZero() {
		t.Errorf("kept %+v", x)
	}
	names := ""
	for _, h := range x.Headers {
		names += h.Name + "=" + h.Value + ";"
	}
	if names != "Content-Length=11;Content-Type=application/json;Host=example.com;" {
		t.Errorf("headers %s", names)
	}
}

func TestAnswersAsConfigured(t *testing.T) {
	w := open(t)
	status, delay := iot.StatusCode(204), int64(7000)
	w.must(w.db.UpdateInspector(w.its, iot.InspectorUpdate{Status: &status, DelayMS: &delay}, "ada"))
	if rec := w.ask(http.MethodPost, w.its.Path(), "x"); rec.Code != 204 || rec.Body.Len() != 0 {
		t.Errorf("answered %d %q", rec.Code, rec.Body)
	}
	if len(w.waited) != 1 || w.waited[0] != 7*time.Second {
		t.Errorf("waited %v", w.waited)
	}
}

func TestAbsentAndTooLarge(t *testing.T) {
	w := open(t)
	for _, path := range []string{"/inspect/", "/inspect/nobody", w.its.Path() + "x"} {
		if rec := w.ask(http.MethodPost, path, "x"); rec.Code != 404 {
			t.Errorf("%s answered %d", path, rec.Code)
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, w.its.Path(), strings.NewReader(strings.Repeat("x", 200)))
	rec := httptest.NewRecorder()
	r.Body = http.MaxBytesReader(rec, r.Body, 100)
	w.ServeHTTP(rec, r)
	if rec.Code != 413 {
		t.Errorf("too large: %d", rec.Code)
	}
	if list, err := w.db.Inspections(t.Context(), w.project.Key); err != nil || len(list) > 0 {
		t.Errorf("kept %v, %v", list, err)
	}
	w.ask(http.MethodPost, w.its.Path(), strings.Repeat("y", iot.MaxInspectedBody+3))
	if x := w.newest(); !x.Truncated() || len(x.Body) != iot.MaxInspectedBody || x.SizeBytes != iot.MaxInspectedBody+3 {
		t.Errorf("kept %d of %d", len(x.Body), x.SizeBytes)
	}
}

func TestSecretsAreMaskedBeforeTheyAreKept(t *testing.T) {
	w := open(t)
	w.ask(http.MethodPost, w.its.Path()+"/canary-of-a-header/x?api_key=canary-1&note=canary-of-a-downlink&token=canary-2&plain=seen", "{}",
		"Authorization", "Basic canary-3", "Cookie", "id=canary-4", "X-Site", "canary-5", "X-Api-Key", "canary-6", "X-Custom", headerSecret,
		"Webhook-Signature", "v1,seen", "Idempotency-Key", "seen")
	x := w.newest()
	all := x.Path + x.Query
	for _, h := range x.Headers {
		all += " " + h.Name + "=" + h.Value
	}
	if strings.Contains(all, "canary") {
		t.Errorf("kept %s", all)
	}
	if strings.Count(all, "seen") != 3 || strings.Count(all, iot.Mask) != 9 {
		t.Errorf("kept %s", all)
	}
}

func TestAnswersInsideTheProcessAndKnowsTheDelivery(t *testing.T) {
	w := open(t)
	client := egress.New(egress.Options{Inspector: w.Inspector, Inspects: w.Owns})
	id := w.db.NewID()
	for _, host := range []string{"http://127.0.0.1:8080", "https://hooks.example.org"} {
		res := client.Do(t.Context(), egress.Request{Method: "POST", URL: host + w.its.Path() + "/in?x=1", Body: []byte(`{"a":1}`), Delivery: id,
			Headers: iot.HeaderLines{{Name: "Content-Type", Value: "application/json"}}})
		if !res.OK() || res.Status != 200 || !strings.Contains(string(res.Body), "200 OK") {
			t.Errorf("%s: %+v", host, res)
		}
		if x := w.newest(); x.DeliveryID != id || x.Remote != "" || x.Path != "/in" || string(x.Body) != `{"a":1}` {
			t.Errorf("kept %+v", x)
		}
	}
	if res := client.Do(t.Context(),
		egress.Request{Method: "POST", URL: "http://127.0.0.1:8080/inspect/nobodys"}); res.Class != iot.ErrBlocked {
		t.Errorf("an unknown token is not ours: %+v", res)
	}
	status := iot.StatusCode(500)
	w.must(w.db.UpdateInspector(w.its, iot.InspectorUpdate{Status: &status}, "ada"))
	if res := client.Do(t.Context(), egress.Request{Method: "POST", URL: "http://h" + w.its.Path()}); res.Class != iot.ErrHTTP5xx {
		t.Errorf("set to fail: %+v", res)
	}
}

func TestDelayedAnswersHaveABound(t *testing.T) {
	w := open(t)
	delay := int64(1000)
	w.must(w.db.UpdateInspector(w.its, iot.InspectorUpdate{DelayMS: &delay}, "ada"))
	entered, release := make(chan struct{}), make(chan struct{})
	w.o.Wait = func(context.Context, time.Duration) error {
		entered <- struct{}{}
		<-release
		return nil
	}
	codes := make(chan int, maxWaiting)
	for range maxWaiting {
		go func() { codes <- w.ask(http.MethodPost, w.its.Path(), "x").Code }()
		<-entered
	}
	if rec := w.ask(http.MethodPost, w.its.Path(), "x"); rec.Code != 503 {
		t.Errorf("one more waits: %d", rec.Code)
	}
	close(release)
	for range maxWaiting {
		if code := <-codes; code != 200 {
			t.Errorf("answered %d", code)
		}
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := wait(ctx, time.Hour); err == nil {
		t.Error("waited on")
	}
	if err := wait(t.Context(), time.Millisecond); err != nil {
		t.Error(err)
	}
}

func TestStoreThatIsGone(t *testing.T) {
	w := open(t)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://h"+w.its.Path(), io.NopCloser(strings.NewReader("x")))
	w.must(w.db.Close())
	if rec := w.ask(http.MethodPost, w.its.Path(), "x"); rec.Code != 503 || strings.Contains(rec.Body.String(), "sql") {
		t.Errorf("answered %d %s", rec.Code, rec.Body)
	}
	if _, err := w.RoundTrip(r); err == nil { //nolint:bodyclose // there is no answer
		t.Error("answered inside without a store")
	}
	if !w.Owns(t.Context(), "http://h"+w.its.Path()) {
		t.Error("without a store, an inspector's URL would be dialled")
	}
}

// TestSecretsOfATemplateAreMasked sends the secret fields of a template in a webhook's
// URL and a header.
func TestSecretsOfATemplateAreMasked(t *testing.T) {
	w := open(t)
	const inPath, inHeader = "path-secret-5512", "field-secret-9081"
	w.must(w.db.CreateWebhook(&iot.Webhook{ProjectKey: w.project.Key, Description: "Hidden", URL: "https://erp.example/" + iot.Mask,
		Format:       iot.Envelope,
		MessageTypes: iot.Routes{}, Settings: iot.DefaultSettings(), Hidden: map[string][]iot.Secret{iot.HiddenURL: {inPath}},
		TemplateFields: map[string]iot.TemplateValue{"token": {Value: inHeader, Secret: true}}}, "ada"))
	w.ask(http.MethodPost, w.its.Path()+"/"+inPath, `{}`, "X-Site-Name", "site "+inHeader)
	if x := w.newest(); strings.Contains(x.Path, inPath) || strings.Contains(fmt.Sprint(x.Headers), inHeader) {
		t.Errorf("it shows %s %v", x.Path, x.Headers)
	}
}

package dashboard

import (
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"thingpost/db"
	"thingpost/internal/iot"
	"thingpost/views/ui"
)

func TestHomeLeadsToTheOnlyProject(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	c.get("/").leadsTo("/projects/greenhouse-north")
	c.get("/?all=1").is(200).has("table", "Greenhouse North").has("table", "Veldhuis Growers")
	w.must(w.db.CreateProject(&iot.Project{Name: "Cold Store", OrganizationKey: w.organization.Key}, w.owner.Email))
	c.get("/").is(200).has("table", "Cold Store")
	w.as(w.member("eve@elsewhere.example", "")).get("/").is(200).has(".empty", "No projects yet").lacks(`main a[href="/projects/new"]`)
}

func TestCreateProject(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	organization := c.get("/projects/new").is(200).Find(`[name="organization"] option`).AttrOr("value", "")
	c.post("/projects/new", "organization", organization, "name", "").faulty("name", "Must have 1 to 1024 characters.")
	c.post("/projects/new", "organization", organization, "name", "X", "id", "Not a slug").faulty("id", "Must be 3 to 36")
	c.post("/projects/new", "organization", organization, "name", "X", "id", w.project.ID).faulty("id", "This id is taken.")
	c.post("/projects/new", "organization", "elsewhere", "name", "X").faulty("organization", "Choose an organization")
	c.post("/projects/new", "organization", organization, "name", "Cold Store", "auto_register", "on").leadsTo("/projects/cold-store")
	c.get("/projects/cold-store").is(200).has("h1", "Welcome to Cold Store").has("#add-device",
		"https://hooks.veldhuis.example/api/v1/projects/cold-store/devices").has("#toasts", "Cold Store was created.").has("#first-key", "")
	keys, err := w.db.APIKeys(t.Context(), w.projectOf("cold-store").Key)
	w.must(err)
	if len(keys) != 1 || keys[0].Rights.Has(iot.ManageKeys) || keys[0].ExpiresAt.Sub(iot.At(w.clock.Now())) != 24*time.Hour {
		t.Errorf("the key of the first steps is %+v", keys)
	}
	editor := w.as(w.member("editor@veldhuis.example", iot.Editor))
	editor.get("/projects/new").is(403)
	editor.post("/projects/new", "organization", organization, "name", "Orchard").is(403)
}

func (w *world) projectOf(slug string) *iot.Project {
	w.t.Helper()
	p, err := w.db.Project(w.t.Context(), slug)
	w.must(err)
	return p
}

func TestProjectSettings(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	c.get("/projects/greenhouse-north/settings").is(200).has(`[name="auto_register"][checked]`, "").has("main", w.project.UUID)
	c.post("/projects/greenhouse-north/settings", "name", strings.Repeat("x", 1025)).faulty("name", "Must have 1 to 1024 characters.")
	c.post("/projects/greenhouse-north/settings", "name", "Greenhouse South").leadsTo("/projects/greenhouse-north/settings")
	if p := w.projectOf("greenhouse-north"); p.Name != "Greenhouse South" || p.AutoRegister {
		t.Errorf("saved %+v", p)
	}
}

func TestDeleteProjectSaysWhatIsLost(t *testing.T) {
	w := openWorld(t)
	w.send(`{"payload":1}`)
	w.send(`{"payload":2}`)
	c := w.as(w.owner)
	page := c.get("/projects/greenhouse-north/delete").is(200)
	page.has("h1", "Delete Greenhouse North?").has("main", "1 device with their keys, 1 webhook").has("main",
		"2 pending deliveries will not be sent").has(".rail", "")
	dialog := c.fragment("/projects/greenhouse-north/delete", "dialog").is(200)
	dialog.has("#dialog-title", "Delete Greenhouse North?").has(`form[method="post"][action="/projects/greenhouse-north/delete"]`,
		"").lacks("h1").lacks(".rail")
	c.post("/projects/greenhouse-north/delete").leadsTo("/?all=1")
	c.get("/projects/greenhouse-north").is(404)
}

func TestFirstStepsFollowAlong(t *testing.T) {
	w := openWorld(t)
	p := &iot.Project{Name: "Cold Store", OrganizationKey: w.organization.Key}
	w.must(w.db.CreateProject(p, w.owner.Email))
	c := w.as(w.owner)
	c.get("/projects/cold-store").is(200).has(".steps li[data-now] h2", "Add a device").has("#first-state", "Waiting for the first message").
		has("#add-device", "$API_KEY").lacks("#first-key").has(`.app[data-events="/projects/cold-store/events"]`, "")
	w.must(w.db.CreateDevice(&iot.Device{ProjectKey: p.Key, ID: "door-1"}, iot.NewDeviceKey(), w.owner.Email))
	c.get("/projects/cold-store").has(".steps li[data-now] h2", "Add a webhook").has(".steps li[data-done] h2",
		"Add a device").has("#send-message", "/devices/door-1/messages")
	c.post("/projects/cold-store/first-key").leadsTo("/projects/cold-store")
	c.get("/projects/cold-store").has("#add-webhook", "NNSXS.").has("#first-state", "Listening")
	w.project, w.device = p, w.deviceOf(p, "door-1")
	w.send(`{"payload":{"door":"open"}}`)
	part := c.fragment("/projects/cold-store", "first-state").is(200)
	part.has("#first-state", "The first message").has(`#first-state a[href="/projects/cold-store"]`, "").lacks(".rail")
	c.get("/projects/cold-store").is(200).has("h1", "Overview")
}

func (w *world) deviceOf(p *iot.Project, slug string) *iot.Device {
	w.t.Helper()
	d, err := w.db.Device(w.t.Context(), p.Key, slug)
	w.must(err)
	return d
}

// finish ends a message's deliveries.
func (w *world) finish(message iot.ID, o iot.Outcome) {
	w.t.Helper()
	list, err := w.db.DeliveriesOf(w.t.Context(), w.project.Key, message)
	w.must(err)
	for i := range list {
		o.Delivery = &list[i]
		a := *o.Attempt
		a.DeliveryID, a.Number, a.At = list[i].ID, list[i].AttemptCount+1, iot.At(w.clock.Now())
		o.Attempt = &a
		done := make(chan error, 1)
		w.db.Finish(&o, func(err error) { done <- err })
		w.must(<-done)
	}
}

func delivered() iot.Outcome {
	return iot.Outcome{Status: iot.Delivered, Attempt: &iot.Attempt{DurationMS: 40, Response: &iot.Response{Status: 200}}}
}

func refused(due iot.Instant) iot.Outcome {
	return iot.Outcome{Status: iot.Pending, DueAt: due, Attempt: &iot.Attempt{DurationMS: 40, Response: &iot.Response{Status: 503},
		Error: &iot.FailedError{Class: iot.ErrHTTP5xx, Detail: "The receiver answered 503 Service Unavailable."}}}
}

func TestOverview(t *testing.T) {
	w := openWorld(t)
	for range 9 {
		w.finish(w.send(`{"payload":1}`), delivered())
	}
	w.finish(w.send(`{"payload":1}`), refused(iot.At(w.clock.Now()).Add(90*time.Second)))
	c := w.as(w.owner)
	p := c.get("/projects/greenhouse-north").is(200).has("h1", "Overview")
	stats := map[string]string{}
	p.Find("#figures .stats > div").Each(func(_ int, s *goquery.Selection) { stats[words(s.Find("dt").Text())] = words(s.Find("dd").Text()) })
	for label, want := range map[string]string{
		"Success, last hour": "90.0%", "Pending": "1", "Deliveries out": "of 1 webhook", "Messages in": "10 in 24 h",
		"Oldest undelivered": "next try in 1 min", "Disk": "iB",
	} {
		if !strings.Contains(stats[label], want) {
			t.Errorf("%s is %q, want %q in it", label, stats[label], want)
		}
	}
	p.has(".need b", "ERP goods-in is failing").has(".need small", "503 Service Unavailable, for less than 1 s, next try in 1 min")
	p.has("#figures table", "erp.veldhuis.example").has("#figures table", "Failing")
	if strings.Contains(p.body, "/hook") {
		t.Error("the webhook's path is shown")
	}
	part := c.fragment("/projects/greenhouse-north", "figures").is(200)
	part.has("#figures", "ERP goods-in").lacks(".rail").lacks("h1")

	w.clock.advance(20 * time.Minute)
	c.fragment("/projects/greenhouse-north", "figures").has("#figures", "Deliveries are waiting").has("#figures",
		"1 pending, the oldest for 20 min")
	gone := refused(0)
	gone.Status, gone.PauseReason = iot.Failed, "It answered 410 Gone."
	w.finish(w.send(`{"payload":1}`), gone)
	w.clock.advance(3 * time.Minute)
	c.fragment("/projects/greenhouse-north", "figures").has("#figures", "ERP goods-in is paused").has("#figures",
		"It answered 410 Gone 3 min ago").has("#figures", "0 of 1 webhook")
}

func TestRecentFiguresDoNotFallAtTheFullHour(t *testing.T) {
	at := iot.At(time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC))
	st := &db.Stats{Hours: make([]db.Hour, 24)}
	for i := range st.Hours {
		st.Hours[i] = db.Hour{At: at.Add(time.Duration(i-23) * time.Hour), Messages: 3600, Delivered: 1800, Retried: 180, Failed: 20}
	}
	st.Hours[23].Messages, st.Hours[23].Delivered = 1, 0
	if r := recentOf(st, at.Add(-time.Hour), at.Add(time.Second)); r.messages != 3600 || r.delivered != 1800 || r.failed != 400 ||
		r.seconds != 3600 {
		t.Errorf("recent figures %+v", r)
	}
	// Half of the hour before lies in the last sixty minutes; the project is ten minutes old.
	r := recentOf(st, at.Add(20*time.Minute), at.Add(30*time.Minute))
	if r.messages != 1801 || r.delivered != 900 || r.failed != 300 || r.seconds != 600 {
		t.Errorf("recent figures %+v", r)
	}
	r.seconds = 3601
	for n, want := range map[int64]ui.Part{
		0: {Value: "0", Unit: "/s"}, 1: {Value: "1.0", Unit: "/h"}, 40: {Value: "0.7", Unit: "/min"}, 3601: {Value: "1.0", Unit: "/s"},
		3601 * 1204: {Value: "1,204", Unit: "/s"},
	} {
		if got := r.perSecond(n); got != want {
			t.Errorf("%d is %+v, want %+v", n, got, want)
		}
	}
	if got := (recent{}).perSecond(3); got.Value != "0" {
		t.Errorf("without time %+v", got)
	}
}

func TestDeliveryBarsCountBackFromNow(t *testing.T) {
	at := iot.At(time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC))
	st := &db.Stats{Hours: make([]db.Hour, 24)}
	for i := range st.Hours {
		st.Hours[i] = db.Hour{At: at.Add(time.Duration(i-23) * time.Hour), Delivered: int64(i), Retried: 2, Failed: 1}
	}
	bars := deliveryBars(st)
	if b := bars[23]; b.Label != "now" || !b.Partial || b.Name != "This hour" || b.At != at || b.Values[0] != 23 || b.Values[1] != 2 ||
		b.Values[2] != 1 {
		t.Errorf("the last bar is %+v", b)
	}
	if b := bars[2]; b.Label != "−21 h" || b.Name != "21 h ago" || b.Partial {
		t.Errorf("a bar is %+v", b)
	}
	if len(deliverySeries()) != len(bars[0].Values) {
		t.Error("bars have other values than the series")
	}
}

func TestHostOf(t *testing.T) {
	for url, want := range map[string]string{
		"https://erp.example/hook?key=secret": "erp.example", "http://192.168.4.20:1880/tp": "192.168.4.20:1880",
		"https://u:p@erp.example/x": "erp.example",
		"https://erp.example{?x}":   "erp.example", "https://[2001:db8::1]:8443/x": "[2001:db8::1]:8443", "nonsense": "",
	} {
		if got := hostOf(url); got != want {
			t.Errorf("%s: %s", url, got)
		}
	}
}

func TestOverviewSaysWhatEndsSoonAndWhatGrows(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	for name, days := range map[string]int{"Old receiver": 6, "New receiver": 40} {
		id, secret, _ := iot.NewAPIKey()
		k := &iot.APIKey{ID: id, ProjectKey: w.project.Key, Name: name, Rights: iot.ReadTraffic,
			ExpiresAt: iot.At(w.clock.Now()).Add(time.Duration(days) * 24 * time.Hour)}
		w.must(w.db.CreateAPIKey(k, secret, w.owner.Email))
	}
	w.clock.advance(time.Hour)
	for range manyPending {
		w.send(`{"payload":1}`)
	}
	p := c.fragment("/projects/greenhouse-north", "figures").is(200)
	p.has("#figures", "The backlog is growing").has("#figures", "100 pending, 100 of them in the last hour").has("#figures",
		"+100 in the last hour")
	p.lacks(`a.need[href$="/keys"]`) // made for six days
	w.clock.advance(35 * 24 * time.Hour)
	p = c.fragment("/projects/greenhouse-north", "figures").is(200)
	p.has(`a.need[href$="/keys"]`, "The API key “New receiver” expires in").has("#figures", "Deliveries are waiting")
}

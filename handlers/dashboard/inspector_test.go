package dashboard

import (
	"strings"
	"testing"

	"thingpost/internal/iot"
)

const inspectorPath = "/projects/greenhouse-north/inspector"

func TestInspectorByOneClick(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	w.must(w.db.DeleteWebhook(w.webhook, w.owner.Email))
	panel := c.get("/projects/greenhouse-north/webhooks").is(200)
	panel.has(`.empty form[action="`+inspectorPath+`/webhook"] button`, "Use the built-in inspector").has(".empty a", "Paste a URL")
	c.get(inspectorPath).is(200).has(".empty", "No address yet").has(`.rail a[aria-current="page"]`, "Inspector")
	c.post(inspectorPath + "/webhook").leadsTo(inspectorPath)
	i, err := w.db.Inspector(t.Context(), w.project.Key)
	w.must(err)
	url := "https://hooks.veldhuis.example/inspect/" + i.Token
	p := c.get(inspectorPath).is(200).has(".empty", "No requests yet").has("main", "Webhooks that send here")
	if got := p.Find("#inspector-url").AttrOr("value", ""); got != url {
		t.Errorf("address %q", got)
	}
	hooks, err := w.db.Webhooks(t.Context(), w.project.Key)
	w.must(err)
	if len(hooks) != 1 || hooks[0].URL != url || len(hooks[0].MessageTypes) != len(iot.MessageTypes()) {
		t.Fatalf("webhooks %+v", hooks)
	}
	// Once is enough, and its address is no private network.
	c.post(inspectorPath + "/webhook").leadsTo(inspectorPath)
	if hooks, err = w.db.Webhooks(t.Context(), w.project.Key); err != nil || len(hooks) != 1 {
		t.Errorf("%d webhooks, %v", len(hooks), err)
	}
}

func TestInspectorURLGetsNoWordAboutTheNetworkPolicy(t *testing.T) {
	w := openWorld(t, func(o *Options) { o.PublicURL = "http://127.0.0.1:8080" })
	c := w.as(w.owner)
	c.post(inspectorPath + "/webhook")
	i, err := w.db.Inspector(t.Context(), w.project.Key)
	w.must(err)
	preview := func(url string) string {
		return words(c.post("/projects/greenhouse-north/webhooks/preview", "description", "x", "url", url, "message_types",
			"user").is(200).Find("main").Text())
	}
	if text := preview("http://127.0.0.1:8080" + i.Path() + "/below"); strings.Contains(text, "-allow-networks") {
		t.Error("the inspector is said to be out of reach")
	}
	if text := preview("http://127.0.0.1:8080/elsewhere"); !strings.Contains(text, "-allow-networks") {
		t.Error("another private address is not said to be out of reach")
	}
}

func TestInspectorShowsWhatArrives(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	c.post(inspectorPath).leadsTo(inspectorPath)
	delivery := w.db.NewID()
	first := &iot.Inspection{ProjectKey: w.project.Key, DeliveryID: delivery, Method: "POST", Path: "/up", Query: "x=1", Status: 200,
		Body: []byte(`{"vwc":11.42}`), SizeBytes: 13,
		Headers: iot.HeaderLines{{Name: "Authorization", Value: iot.Mask}, {Name: "Content-Type", Value: "application/json"}}}
	w.must(w.db.AddInspection(first))
	second := &iot.Inspection{ProjectKey: w.project.Key, Remote: "192.0.2.9", Method: "GET", Status: 503, DelayMS: 5000,
		Body: []byte{0xff, 0x00, 0x10}, SizeBytes: 3}
	w.must(w.db.AddInspection(second))

	p := c.get(inspectorPath).is(200).has("#inspections", "2 requests").has(`#inspections .need[aria-current]`, "GET /").has("#inspections",
		"outside, 192.0.2.9")
	p.has("#inspections", "503 Service Unavailable after 5 s").has("#inspection-body", "ff 00 10").has("#inspections .status", "Following")
	if trigger := p.Find("#inspections").AttrOr("data-hears", ""); !strings.Contains(trigger, "inspector") {
		t.Errorf("the section listens to %q", trigger)
	}
	at := inspectorPath + "?request=" + first.ID.String()
	p = c.get(at).is(200).has("#inspection-body", `"vwc": 11.42`).has("#inspection-raw", `{"vwc":11.42}`).has("#inspection-head",
		"Authorization: "+iot.Mask).has("#inspections", "Follow the newest")
	p.has(`#inspections a[href="/projects/greenhouse-north/deliveries/`+delivery.String()+`"]`, "delivery")
	if url := p.Find("#inspections").AttrOr("hx-get", ""); url != at {
		t.Errorf("the section would be refreshed from %q", url)
	}
	c.fragment(at, "inspections").is(200).has("#inspections", "POST /up?x=1").lacks(".rail")
	c.get(inspectorPath+"?request=nonsense").is(200).has("#inspections .empty", "no longer kept")

	c.get(inspectorPath+"/clear").is(200).has("main", "2 requests are deleted")
	c.post(inspectorPath + "/clear").leadsTo(inspectorPath)
	c.get(inspectorPath).has(".empty", "No requests yet")
}

func TestInspectorAnswerForm(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	c.post(inspectorPath+"/answer", "status", "500", "delay", "5").is(404)
	c.post(inspectorPath).leadsTo(inspectorPath)
	c.post(inspectorPath+"/answer", "status", "99", "delay", "5").faulty("status", "Must be 200 to 599.")
	c.post(inspectorPath+"/answer", "status", "500", "delay", "31").faulty("delay", "Must be 0 to 30 seconds.")
	c.post(inspectorPath+"/answer", "status", "503", "delay", "5").leadsTo(inspectorPath)
	c.get(inspectorPath).has(`[name="status"] option[selected]`, "503").has(`[name="delay"] option[selected]`, "After 5 s")
	if e := w.lastChange(); e.Action != "inspector.update" || !strings.Contains(e.Detail, "503") {
		t.Errorf("audit says %+v", e)
	}
	viewer := w.as(w.member("viewer@veldhuis.example", iot.Viewer))
	viewer.get(inspectorPath).is(200).has("main", "Answers 503 Service Unavailable after 5 s.").lacks("main form")
}

func TestInspectorWebhookBeyondTheLimit(t *testing.T) {
	w := openWorld(t, func(o *Options) { o.Limits = iot.Limits{Webhooks: 1, Headers: 5} })
	w.as(w.owner).get(inspectorPath).is(200).lacks(`form[action="` + inspectorPath + `/webhook"]`)
	if _, err := w.db.Inspector(t.Context(), w.project.Key); iot.CodeOf(err) != iot.NotFound {
		t.Errorf("looking has made an inspector: %v", err)
	}
}

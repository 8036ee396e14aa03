package mainflux_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"thingpost/internal/iot"
)

func TestWebhookUnderThreePrefixes(t *testing.T) {
	w := newWorld(t)
	const body = `[{"id":"","group_id":"","name":"%","url":"https://erp.example/hook","headers":{"X-Api-Key":"k1"},"metadata":{"b":1,` +
		`"a":"<&>"}}]`
	thing := "/things/" + w.device.UUID + "/webhooks"
	for prefix, name := range map[string]string{"": "bare", "/svcwebhooks": "service", "/webhooks": "document"} {
		a := w.ok(201, "POST", prefix+thing, w.editor, strings.ReplaceAll(body, "%", name))
		var list []hook
		if prefix == "/webhooks" {
			a.into(t, &list)
		} else {
			var v struct{ Webhooks []hook }
			a.into(t, &v)
			list = v.Webhooks
		}
		if len(list) != 1 {
			t.Fatalf("%s answers %s", prefix, a.body)
		}
		h := list[0]
		if !iot.LooksLikeUUID(h.ID) || h.Name != name || h.URL != "https://erp.example/hook" || h.Headers["X-Api-Key"] != "k1" ||
			string(h.Metadata) != `{"b":1,"a":"<&>"}` ||
			h.GroupID != w.project.UUID || h.ThingID != w.device.UUID || h.Scope != "group" {
			t.Errorf("%s answers %s", prefix, a.body)
		}
		var seen hook
		w.ok(200, "GET", prefix+"/webhooks/"+h.ID, w.viewer, "").into(t, &seen)
		if seen.ID != h.ID || seen.Name != name || seen.Headers["X-Api-Key"] != "k1" || string(seen.Metadata) != string(h.Metadata) {
			t.Errorf("%s shows %+v", prefix, seen)
		}
		if a := w.ok(200, "PUT", prefix+"/webhooks/"+h.ID, w.editor, `{"id":"","group_id":"","name":"`+name+
			`","url":"https://erp.example/v2","headers":null}`); a.body != "" {
			t.Errorf("an update answers %s", a.body)
		}
		seen = hook{}
		w.ok(200, "GET", prefix+"/webhooks/"+h.ID, w.viewer, "").into(t, &seen)
		if seen.URL != "https://erp.example/v2" || seen.Headers != nil || string(seen.Metadata) != string(h.Metadata) {
			t.Errorf("after the update: %+v", seen)
		}
		method := map[string]string{"": "PATCH", "/svcwebhooks": "DELETE", "/webhooks": "DELETE"}[prefix]
		if a := w.ok(204, method, prefix+"/webhooks", w.editor, `{"webhook_ids":["`+h.ID+`"]}`); a.body != "" {
			t.Errorf("a removal answers %s", a.body)
		}
		w.refused(404, "entity not found", "GET", prefix+"/webhooks/"+h.ID, w.viewer, "")
	}
}

// The same rows as everywhere else.
func TestWebhookIsTheSameInThePanel(t *testing.T) {
	w := newWorld(t)
	made := w.hooks(`[{"name":"Data pipeline","url":"https://ingest.example.com/mainflux","headers":{"B":"2","A":"1"}}]`)[0]
	h, err := w.db.Webhook(t.Context(), w.project.Key, made.ID)
	w.must(err)
	if _, ok := h.MessageTypes[iot.User]; !ok || len(h.MessageTypes) != 1 || h.Format != iot.Envelope || !h.PayloadOnly ||
		h.ID != "data-pipeline" || h.Device != "" ||
		len(h.Headers) != 2 || h.Headers[0].Name != "A" || h.Headers[0].Secret {
		t.Errorf("the store has %+v", h)
	}
	// What this dialect cannot express stays unchanged.
	h.Channel, h.Settings.InOrder, h.MessageTypes, h.PayloadOnly = "alarms", true, iot.Routes{iot.User: {Path: "in"}, iot.Iottly: {}}, false
	h.Headers = []iot.Header{{Name: "X-Secret", Value: "hidden", Secret: true}, {Name: "A", Value: "1"}}
	w.must(w.db.UpdateWebhook(h, email, ""))
	w.ok(200, "PUT", "/webhooks/"+made.ID, w.editor, `{"name":"Renamed","url":"https://ingest.example.com/v2","headers":{"A":"3",`+
		`"x-secret":"•••"}}`)
	now, err := w.db.Webhook(t.Context(), w.project.Key, made.ID)
	w.must(err)
	if now.Description != "Renamed" || now.Channel != "alarms" || !now.Settings.InOrder || len(now.MessageTypes) != 2 || now.PayloadOnly ||
		now.MessageTypes[iot.User].Path != "in" {
		t.Errorf("after an update the store has %+v", now)
	}
	if len(now.Headers) != 2 || now.Headers[0].Value.Reveal() != "hidden" || !now.Headers[0].Secret || now.Headers[1].Value.Reveal() != "3" {
		t.Errorf("after an update the headers are %+v", now.Headers)
	}
	if a := w.ok(200, "GET", "/webhooks/"+made.ID, w.viewer, ""); strings.Contains(a.body, "hidden") ||
		!strings.Contains(a.body, `"x-secret":"•••"`) {
		t.Errorf("shown: %s", a.body)
	}
	// A webhook created elsewhere is listed too, and belongs to no thing.
	elsewhere := &iot.Webhook{ProjectKey: w.project.Key, Description: "From the panel", URL: "https://a.example",
		MessageTypes: iot.Routes{iot.Iottly: {}}, Settings: iot.DefaultSettings(), Format: iot.Envelope}
	w.must(w.db.CreateWebhook(elsewhere, email))
	var seen hook
	w.ok(200, "GET", "/webhooks/"+elsewhere.UUID, w.viewer, "").into(t, &seen)
	if seen.ThingID != "" || seen.GroupID != w.project.UUID || seen.Name != "From the panel" {
		t.Errorf("the panel's own is %+v", seen)
	}
}

func TestASixthWebhookIsRefused(t *testing.T) {
	w := newWorld(t)
	w.hooks(`[{"name":"1","url":"https://a.example"},{"name":"2","url":"https://a.example"},{"name":"3","url":"https://a.example"},` +
		`{"name":"4","url":"https://a.example"}]`)
	path := "/things/" + w.device.UUID + "/webhooks"
	const two = `[{"name":"5","url":"https://a.example"},{"name":"6","url":"https://a.example"}]`
	w.refused(409, "webhook limit of the group reached", "POST", path, w.editor, two)
	if list, err := w.db.Webhooks(t.Context(), w.project.Key); err != nil || len(list) != 4 {
		t.Errorf("half of what was refused is there: %d, %v", len(list), err)
	}
	w.hooks(`[{"name":"5","url":"https://a.example"}]`)
	w.refused(409, "webhook limit of the group reached", "POST", path, w.editor, `[{"name":"6","url":"https://a.example"}]`)
}

func TestScope(t *testing.T) {
	w := newWorld(t)
	second := &iot.Device{ProjectKey: w.project.Key, Name: "Second"}
	w.must(w.db.CreateDevice(second, "tpd_second", email))
	list := w.hooks(`[{"name":"all","url":"https://a.example"},{"name":"one","url":"https://a.example","scope":"thing"}]`)
	if list[0].Scope != "group" || list[1].Scope != "thing" || list[1].ThingID != w.device.UUID {
		t.Errorf("made: %+v", list)
	}
	send := func(key string) int {
		before := w.queuedCount()
		w.ok(202, "POST", "/messages", "", `{"a":1}`, func(r *http.Request) { r.Header.Set("Authorization", "Thing "+key) })
		return w.queuedCount() - before
	}
	if got := [2]int{send(thingKey), send("tpd_second")}; got != [2]int{2, 1} {
		t.Errorf("deliveries: %v, want 2 and 1", got)
	}
	names := func(path string) (total int, names string) {
		var v struct {
			Total    int
			Webhooks []hook
		}
		w.ok(200, "GET", path+"?order=name&dir=asc", w.viewer, "").into(t, &v)
		for _, h := range v.Webhooks {
			names += h.Name + " "
		}
		return v.Total, names
	}
	if n, s := names("/things/" + second.UUID + "/webhooks"); n != 1 || s != "all " {
		t.Errorf("of the second thing: %d %s", n, s)
	}
	if n, s := names("/things/" + w.device.UUID + "/webhooks"); n != 2 || s != "all one " {
		t.Errorf("of the first thing: %d %s", n, s)
	}
	w.ok(200, "PUT", "/webhooks/"+list[1].ID, w.editor, `{"scope":"group"}`)
	w.ok(200, "PUT", "/webhooks/"+list[0].ID, w.editor, `{"scope":"thing"}`)
	if got := [2]int{send(thingKey), send("tpd_second")}; got != [2]int{2, 1} {
		t.Errorf("deliveries after they changed places: %v, want 2 and 1", got)
	}
	w.refused(400, "malformed entity specification", "PUT", "/webhooks/"+list[0].ID, w.editor, `{"scope":"org"}`)
}

func TestListsOfWebhooks(t *testing.T) {
	w := newWorld(t)
	made := w.hooks(`[{"name":"beta","url":"https://b.example/IN","metadata":{"site":{"id":7,"tags":["x","y"]}}},{"name":"Alpha",` +
		`"url":"https://a.example"},{"name":"gamma","url":"https://c.example","metadata":{"site":{"id":8}}}]`)
	type page struct {
		Total, Offset, Limit int
		Order, Dir, Name     string
		Webhooks             []hook
	}
	list := func(a answer) (page, string) {
		var p page
		a.into(t, &p)
		s := ""
		for _, h := range p.Webhooks {
			s += h.Name + " "
		}
		return p, s
	}
	group := "/groups/" + w.project.UUID + "/webhooks"
	for _, c := range []struct{ query, search, want string }{
		{"", ``, "gamma Alpha beta "}, // the ids grow: the newest first
		{"?dir=asc", `{"dir":"asc"}`, "beta Alpha gamma "},
		{"?order=name&dir=asc", `{"order":"name","dir":"asc"}`, "Alpha beta gamma "},
		{"?order=name", `{"order":"name"}`, "gamma beta Alpha "},
		{"?name=AL", `{"name":"AL"}`, "Alpha "},
		{"?url=/in", `{"url":"/in"}`, "beta "},
		{"?metadata=%7B%22site%22%3A%7B%22tags%22%3A%5B%22y%22%5D%7D%7D", `{"metadata":{"site":{"tags":["y"]}}}`, "beta "},
		{"?metadata=%7B%22site%22%3A%7B%22id%22%3A9%7D%7D", `{"metadata":{"site":{"id":9}}}`, ""},
		{"?limit=1&offset=1&total=0", `{"limit":1,"offset":1,"total":0}`, "Alpha "},
		{"?offset=9", `{"offset":9}`, ""},
	} {
		if p, s := list(w.ok(200, "GET", group+c.query, w.viewer, "")); s != c.want || p.Webhooks == nil {
			t.Errorf("%s lists %q, want %q", c.query, s, c.want)
		}
		noType := func(r *http.Request) { r.Header.Del("Content-Type") }
		if _, s := list(w.ok(200, "POST", group+"/search", w.viewer, c.search, noType)); s != c.want {
			t.Errorf("search %s lists %q, want %q", c.search, s, c.want)
		}
	}
	p, _ := list(w.ok(200, "GET", group+"?limit=2&order=name&dir=desc&name=a", w.viewer, ""))
	if p.Total != 3 || p.Limit != 2 || p.Offset != 0 || p.Order != "name" || p.Dir != "desc" || p.Name != "a" || len(p.Webhooks) != 2 {
		t.Errorf("the page is %+v", p)
	}
	if a := w.ok(200, "GET", "/groups/"+w.project.UUID+"/webhooks?name=zz", w.viewer, ""); !strings.Contains(a.body, `"webhooks":[]`) ||
		!strings.Contains(a.body, `"limit":10`) {
		t.Errorf("an empty page is %s", a.body)
	}
	w.ok(204, "PATCH", "/webhooks", w.editor, `{"webhook_ids":["`+made[0].ID+`","`+made[1].ID+`"]}`)
	if p, _ := list(w.ok(200, "GET", "/things/"+w.device.UUID+"/webhooks", w.viewer, "")); p.Total != 1 {
		t.Errorf("%d are left", p.Total)
	}
	// All of them, or none.
	w.refused(404, "entity not found", "PATCH", "/webhooks", w.editor, `{"webhook_ids":["`+made[2].ID+`","`+nowhere+`"]}`)
	w.ok(200, "GET", "/webhooks/"+made[2].ID, w.viewer, "")
}

// Each row is a measured request of a client.
func TestErrorsOfWebhooks(t *testing.T) {
	w := newWorld(t)
	path, group := "/things/"+w.device.UUID+"/webhooks", "/groups/"+w.project.UUID+"/webhooks"
	made := w.hooks(`[{"name":"taken","url":"https://a.example"},{"name":"other","url":"https://a.example"}]`)
	one := "/webhooks/" + made[1].ID
	const good = `[{"name":"n","url":"https://a.example"}]`
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	w.refused(401, "missing or invalid bearer user token", "GET", path, "", "")
	w.refused(401, "missing or invalid bearer user token", "GET", path, "", "", header("Authorization", "Thing "+thingKey))
	w.refused(401, "missing or invalid bearer user token", "GET", path, "", "", header("Authorization", "Bearer "))
	w.refused(401, "failed to validate token", "GET", path, "not-a-token", "")
	for _, c := range [][2]string{{"POST", path}, {"PUT", one}, {"PATCH", "/webhooks"}, {"DELETE", "/webhooks"}} {
		w.refused(415, "unsupported content type", c[0], c[1], w.editor, good, header("Content-Type", "text/plain"))
		w.refused(415, "unsupported content type", c[0], c[1], w.editor, good, header("Content-Type", ""))
		w.refused(400, "malformed entity specification", c[0], c[1], w.editor, `{"`)
	}
	w.refused(400, "malformed entity specification", "POST", path, w.editor, `[{"name":"n","url":"https://a.example","headers":{"A":1}}]`)
	w.refused(400, "malformed entity specification", "POST", path, w.editor, `{"webhooks":`+good+`}`)
	w.refused(400, "malformed entity specification", "POST", path, w.editor, `[{"name":"n","url":"https://a.example","metadata":[]}]`)
	w.refused(400, "malformed entity specification", "POST", path, w.editor, good+good)
	w.refused(400, "malformed entity specification", "PUT", one, w.editor, `{"name":7}`)
	w.refused(400, "empty list provided", "POST", path, w.editor, `[]`)
	w.refused(400, "empty list provided", "PATCH", "/webhooks", w.editor, `{"webhook_ids":[]}`)
	w.refused(400, "empty list provided", "PATCH", "/webhooks", w.editor, `{}`)
	w.refused(400, "missing webhook id", "PATCH", "/webhooks", w.editor, `{"webhook_ids":["`+made[0].ID+`",""]}`)
	for _, name := range []string{"", strings.Repeat("x", 255)} {
		w.refused(400, "invalid name size", "POST", path, w.editor, `[{"name":"`+name+`","url":"https://a.example"}]`)
		w.refused(400, "invalid name size", "PUT", one, w.editor, `{"name":"`+name+`","url":"https://a.example"}`)
	}
	for _, url := range []string{"", "erp.example", "/just/a/path", "ftp://a.example", "https://", "https://a.example/#f",
		"https://a.example/" + strings.Repeat("x", 2048)} {
		w.refused(400, "missing or invalid url", "POST", path, w.editor, `[{"name":"n","url":"`+url+`"}]`)
		w.refused(400, "missing or invalid url", "PUT", one, w.editor, `{"url":"`+url+`"}`)
	}
	w.refused(409, "entity already exists", "POST", path, w.editor, `[{"name":"taken","url":"https://a.example"}]`)
	w.refused(409, "entity already exists", "POST", path, w.editor, `[{"name":"twice","url":"https://a.example"},{"name":"twice",`+
		`"url":"https://a.example"}]`)
	for _, id := range []string{nowhere, "soil-probe-07", w.otherDevice.UUID} {
		w.refused(404, "entity not found", "POST", "/things/"+id+"/webhooks", w.editor, good)
		w.refused(404, "entity not found", "GET", "/things/"+id+"/webhooks", w.editor, "")
		w.refused(404, "entity not found", "GET", "/webhooks/"+id, w.editor, "")
		w.refused(404, "entity not found", "PUT", "/webhooks/"+id, w.editor, `{"name":"n","url":"https://a.example"}`)
		w.refused(404, "entity not found", "PATCH", "/webhooks", w.editor, `{"webhook_ids":["`+id+`"]}`)
	}
	w.refused(404, "entity not found", "GET", "/groups/"+w.other.UUID+"/webhooks", w.owner, "")
	for _, list := range []string{path, group} {
		w.refused(400, "invalid limit size", "GET", list+"?limit=201", w.viewer, "")
		w.refused(400, "invalid query parameters", "GET", list+"?limit=0", w.viewer, "")
		w.refused(400, "invalid query parameters", "GET", list+"?limit=-1", w.viewer, "")
		w.refused(400, "invalid query parameters", "GET", list+"?limit=ten", w.viewer, "")
		w.refused(400, "invalid query parameters", "GET", list+"?offset=-1", w.viewer, "")
		w.refused(400, "invalid query parameters", "GET", list+"?name=a&name=b", w.viewer, "")
		w.refused(400, "invalid query parameters", "GET", list+"?metadata=%7B", w.viewer, "")
		w.refused(400, "invalid list order provided", "GET", list+"?order=url", w.viewer, "")
		w.refused(400, "invalid list direction provided", "GET", list+"?dir=up", w.viewer, "")
		w.refused(400, "malformed entity specification", "POST", list+"/search", w.viewer, `{"limit":"1"}`)
		w.refused(400, "invalid limit size", "POST", list+"/search", w.viewer, `{"limit":201}`)
	}
	for _, c := range [][3]string{{"POST", path, good}, {"PUT", one, `{"name":"n"}`},
		{"PATCH", "/webhooks", `{"webhook_ids":["` + made[0].ID + `"]}`}} {
		w.refused(403, "failed to perform authorization over the entity", c[0], c[1], w.viewer, c[2])
	}
	w.refused(404, "404 page not found", "GET", "/webhooks/"+made[0].ID+"/more", w.owner, "")
	w.refused(404, "404 page not found", "GET", "/svcthings/nothing", w.owner, "")
	w.refused(405, "method not allowed", "PUT", "/webhooks", w.owner, good)
	six := make([]string, 6)
	for i := range six {
		six[i] = `"X-` + strconv.Itoa(i) + `":"v"`
	}
	w.refused(400, "headers: can be at most 5; there are 6.", "POST", path, w.editor, `[{"name":"n","url":"https://a.example","headers":{`+
		strings.Join(six, ",")+`}}]`)
	if list, err := w.db.Webhooks(t.Context(), w.project.Key); err != nil || len(list) != 2 {
		t.Errorf("%d webhooks are left, want 2: %v", len(list), err)
	}
}

// Mainflux's faults, and the right behaviour.
func TestWhatMainfluxGetsWrong(t *testing.T) {
	w := newWorld(t)
	list := w.hooks(`[{"name":"a","url":"https://a.example","headers":{"X-Key":"k"}},{"name":"b","url":"https://a.example"}]`)
	show := func(id string) (h hook) {
		w.ok(200, "GET", "/webhooks/"+id, w.viewer, "").into(t, &h)
		return h
	}
	// A URL of more than 254 characters is no failure.
	long := "https://a.example/" + strings.Repeat("x", 300)
	w.ok(200, "PUT", "/webhooks/"+list[0].ID, w.editor, `{"name":"a","url":"`+long+`"}`)
	// Absent values stay: a name, a URL, headers.
	w.ok(200, "PUT", "/webhooks/"+list[0].ID, w.editor, `{"url":"https://a.example/2"}`)
	w.ok(200, "PUT", "/webhooks/"+list[0].ID, w.editor, `{"name":"c"}`)
	if h := show(list[0].ID); h.Name != "c" || h.URL != "https://a.example/2" || h.Headers["X-Key"] != "k" {
		t.Errorf("after partial updates it is %+v", h)
	}
	// A name that is in use is a conflict, and its own name is not.
	w.refused(409, "entity already exists", "PUT", "/webhooks/"+list[1].ID, w.editor, `{"name":"c","url":"https://a.example"}`)
	w.ok(200, "PUT", "/webhooks/"+list[1].ID, w.editor, `{"name":"b","url":"https://b.example"}`)
	// An object, or null, removes all headers.
	w.ok(200, "PUT", "/webhooks/"+list[0].ID, w.editor, `{"headers":{}}`)
	if h := show(list[0].ID); len(h.Headers) != 0 {
		t.Errorf("headers are left: %v", h.Headers)
	}
	// The names of two things do not collide.
	second := &iot.Device{ProjectKey: w.project.Key, Name: "Second"}
	w.must(w.db.CreateDevice(second, "tpd_second", email))
	w.ok(201, "POST", "/things/"+second.UUID+"/webhooks", w.editor, `[{"name":"b","url":"https://a.example"}]`)
}

package api_test

import (
	"encoding/json"
	"strings"
	"testing"

	"thingpost/internal/iot"
)

// ids are the ids of a list's items.
type ids []string

// UnmarshalJSON keeps only the ids.
func (s *ids) UnmarshalJSON(b []byte) error {
	var items []struct{ ID string }
	err := json.Unmarshal(b, &items)
	for _, item := range items {
		*s = append(*s, item.ID)
	}
	return err
}

// TestBadInputIsNamed sends each kind of bad input. Nothing of it is stored.
func TestBadInputIsNamed(t *testing.T) {
	w := newWorld(t)
	w.webhook("erp", "")
	const hook = `{"description":"d","url":"https://a.example/","type":"user"`
	cases := []struct {
		method, path, body string
		fields             []string
	}{
		{"POST", "/webhooks", `{"description":"d","url":"https://a.example/",`, nil},
		{"POST", "/webhooks", hook + `} {}`, nil},
		{"POST", "/webhooks", `[]`, nil},
		{"POST", "/webhooks", ``, nil},
		{"POST", "/webhooks", `{}`, []string{"description", "url", "message_types"}},
		{"POST", "/webhooks", hook + `,"colour":1,"settings":{"foo":1,"timeout_ms":"5"},"headers":[{"name":"a","value":"b","foo":1}]}`,
			[]string{"colour", "settings.foo", "settings.timeout_ms", "headers.0.foo"}},
		{"POST", "/webhooks", hook + `,"message_types":{"user":{"foo":1}}}`, []string{"message_types.user.foo"}},
		{"POST", "/webhooks", hook + `,"channel":null,"payload_only":"yes","headers":{},"field_mask":[1]}`,
			[]string{"channel", "payload_only", "headers", "field_mask.0"}},
		{"POST", "/webhooks", hook + `,"channel":"a","channel":"b"}`, []string{"channel"}},
		{"POST", "/webhooks", hook + `,"message_types":{"user":{}}}`, []string{"type"}},
		{"POST", "/webhooks", `{"description":"d","url":"ftp://a.example/","type":"nonsense"}`, []string{"url", "type"}},
		{"POST", "/webhooks", `{"description":"d","url":"https://{devID}/","message_types":{"nonsense":{}}}`,
			[]string{"url", "message_types.nonsense"}},
		{"POST", "/webhooks", hook + `,"headers":[{"name":"A","value":"1\r\nB: 2"}]}`, []string{"headers.0.value"}},
		{"POST", "/webhooks", hook + `,"headers":[` + strings.Repeat(`{"name":"A","value":"1"},`, 5) + `{"name":"B","value":"1"}]}`,
			[]string{"headers", "headers.1.name", "headers.2.name", "headers.3.name", "headers.4.name"}},
		{"POST", "/webhooks", hook + `,"headers":[{"name":"Host","value":"a"}]}`, []string{"headers.0.name"}},
		{"POST", "/webhooks", hook + `,"device":"nobody-here"}`, []string{"device"}},
		{"POST", "/webhooks", hook + `,"id":"UPPER"}`, []string{"id"}},
		{"POST", "/webhooks", hook + `,"settings":{"timeout_ms":999,"max_in_flight":1.5}}`, []string{"settings.max_in_flight"}},
		{"POST", "/webhooks", hook + `,"settings":{"timeout_ms":999,"max_in_flight":65}}`,
			[]string{"settings.timeout_ms", "settings.max_in_flight"}},
		{"PATCH", "/webhooks/erp", `{"url":"","headers":"x"}`, []string{"headers"}},
		{"POST", "/webhooks/erp/pause", `{"why":"x"}`, []string{"why"}},
		{"POST", "/webhooks/erp/pause", `{"reason":"a\nb"}`, []string{"reason"}},
		{"POST", "/webhooks/erp/secret", `{"overlap_ms":-1}`, []string{"overlap_ms"}},
		{"POST", "/webhooks/erp/test", `{"force":true}`, []string{"force"}},
		{"POST", "/devices", `{}`, []string{"id"}},
		{"POST", "/devices", `{"id":"a b"}`, []string{"id"}},
		{"POST", "/devices", `{"id":"7d1c3c5e-9b0a-4a37-8d51-0b6f6f6f6f01"}`, []string{"id"}},
		{"POST", "/devices", `{"id":"new-one","uuid":"x"}`, []string{"uuid"}},
		{"POST", "/devices", `{"id":"new-one","profile":"nope-nope"}`, []string{"profile"}},
		{"POST", "/devices", `{"id":"new-one","dev_eui":"xyz","dev_addr":"1"}`, []string{"dev_eui", "dev_addr"}},
		{"PATCH", "/devices/soil-probe-07", `{"id":"new-one"}`, []string{"id"}},
		{"PATCH", "/devices/soil-probe-07", `{"expected_interval_ms":9999}`, []string{"expected_interval_ms"}},
		{"POST", "/profiles", `{"name":"Rare","expected_interval_ms":2592000001}`, []string{"expected_interval_ms"}},
		{"POST", "/profiles", `{"webhook":1}`, []string{"webhook"}},
		{"POST", "/profiles", `{}`, []string{"name"}},
		{"POST", "/keys", `{"name":"","rights":["RIGHT_APPLICATION_ALL"]}`, []string{"name"}},
		{"POST", "/keys", `{"name":"k","rights":[]}`, []string{"rights"}},
		{"POST", "/keys", `{"name":"k","rights":["RIGHT_NONSENSE"]}`, []string{"rights"}},
		{"POST", "/keys", `{"name":"k","rights":["RIGHT_APPLICATION_ALL"],"expires_at":"2020-01-01T00:00:00Z"}`, []string{"expires_at"}},
		{"POST", "/keys", `{"name":"k","rights":["RIGHT_APPLICATION_ALL"],"expires_at":"soon"}`, []string{"expires_at"}},
		{"PATCH", "", `{"name":""}`, []string{"name"}},
		{"PATCH", "", `{"id":"x"}`, []string{"id"}},
	}
	before := w.counts()
	for _, c := range cases {
		w.refused(iot.Invalid, c.method, base+c.path, w.owner, c.body, c.fields...)
	}
	w.refused(iot.TooLarge, "POST", base+"/webhooks", w.owner, strings.Repeat(" ", 1<<20)+"{")
	w.refused(iot.Invalid, "POST", "/api/v1/projects", w.owner, `{"name":"P","organization":"nope-nope"}`, "organization")
	w.refused(iot.Invalid, "POST", "/api/v1/tokens", "", `{"email":"a"}`, "password")
	if after := w.counts(); after != before {
		t.Errorf("something was stored: %v, before %v", after, before)
	}
}

// counts returns how many of each noun exist.
func (w *world) counts() (n [5]int) {
	w.Helper()
	for i, noun := range []string{"/webhooks", "/devices", "/profiles", "/keys", "/audit"} {
		var v struct{ Items ids }
		w.ok(200, "GET", base+noun+"?limit=200", w.owner, "").into(w, &v)
		n[i] = len(v.Items)
	}
	return n
}

func TestTakenNamesConflict(t *testing.T) {
	w := newWorld(t)
	w.webhook("erp", "")
	w.refused(iot.Conflict, "POST", base+"/webhooks", w.editor, `{"id":"erp","description":"d","url":"https://a.example/","type":"user"}`,
		"id")
	w.refused(iot.Conflict, "POST", base+"/devices", w.editor, `{"id":"soil-probe-07"}`, "id")
	w.refused(iot.Conflict, "POST", base+"/devices", w.editor, `{"id":"new-one","uuid":"`+w.device.UUID+`"}`, "uuid")
	w.refused(iot.Conflict, "POST", base+"/profiles", w.editor, `{"id":"default","name":"x"}`, "id")
	w.refused(iot.Conflict, "DELETE", base+"/profiles/default", w.editor, "")
	w.refused(iot.Conflict, "POST", "/api/v1/projects", w.owner, `{"id":"greenhouse-north","name":"x"}`, "id")
}

func TestSettingsAreMadeAndChanged(t *testing.T) {
	w := newWorld(t)
	var d struct{ ID, UUID, DevEUI, Profile, Key string }
	w.ok(201, "POST", base+"/profiles", w.editor, `{"name":"Quiet ones","webhook":false}`)
	a := w.ok(201, "POST", base+"/devices", w.editor, `{"name":"Boiler 3","uuid":"7D1C3C5E-9B0A-4A37-8D51-0B6F6F6F6F02",`+
		`"dev_eui":"00ff00ff00ff00ff","profile":"quiet-ones"}`)
	if a.into(t, &d); d.ID != "boiler-3" || d.UUID != "7d1c3c5e-9b0a-4a37-8d51-0b6f6f6f6f02" || d.Profile != "quiet-ones" ||
		!strings.HasPrefix(d.Key, "tpd_") || !strings.Contains(a.body, `"00FF00FF00FF00FF"`) {
		t.Errorf("%s", a.body)
	}
	if a := w.ok(200, "GET", base+"/devices/"+d.UUID, w.viewer, ""); strings.Contains(a.body, d.Key) {
		t.Errorf("the key is shown again: %s", a.body)
	}
	w.ok(200, "PATCH", base+"/devices/boiler-3", w.editor, `{"name":"Boiler","dev_eui":"","profile":"default"}`).into(t, &d)
	if d.Profile != "default" {
		t.Errorf("%+v", d)
	}
	var list struct{ Items ids }
	w.ok(200, "GET", base+"/devices?search=BOIL", w.viewer, "").into(t, &list)
	if len(list.Items) != 1 || list.Items[0] != "boiler-3" {
		t.Errorf("%v", list)
	}
	w.ok(200, "PATCH", base+"/profiles/quiet-ones", w.editor, `{"write":false}`)
	w.ok(204, "DELETE", base+"/profiles/quiet-ones", w.editor, "")
	w.ok(200, "PATCH", base, w.admin, `{"name":"Greenhouse"}`)
	var p struct{ Organization, Role, Name string }
	w.ok(200, "GET", "/api/v1/projects/"+strings.ToUpper(w.project.UUID), w.viewer, "").into(t, &p)
	if p.Organization != "works" || p.Role != "viewer" || p.Name != "Greenhouse" {
		t.Errorf("%+v", p)
	}
	w.ok(200, "GET", "/api/v1/projects", w.fullKey, "").into(t, &list)
	w.refused(iot.Forbidden, "POST", "/api/v1/projects", w.editor, `{"name":"Mine","organization":"works"}`)
	var made struct{ Organization, ID string }
	w.ok(201, "POST", "/api/v1/projects", w.admin, `{"name":"Mine","organization":"works"}`).into(t, &made)
	if made.Organization != "works" || made.ID != "mine" {
		t.Errorf("%+v", made)
	}
}

// TestProjectWithoutAnOrganization creates projects in the organization that the person
// owns, never in one where the person became a member first.
func TestProjectWithoutAnOrganization(t *testing.T) {
	w := newWorld(t)
	w.refused(iot.Invalid, "POST", "/api/v1/projects", w.admin, `{"name":"Mine"}`, "organization")
	w.refused(iot.Invalid, "POST", "/api/v1/projects", w.viewer, `{"name":"Mine"}`, "organization")
	outsider, err := w.db.AccountByEmail(t.Context(), "the-@example.org")
	w.must(err)
	p, err := w.db.Project(t.Context(), w.project.ID)
	w.must(err)
	w.must(w.db.SetMember(p.OrganizationKey, outsider.Key, iot.Admin, email)) // the older organization, not the owned one
	var made struct{ Organization, ID string }
	w.ok(201, "POST", "/api/v1/projects", w.outsider, `{"name":"Mine"}`).into(t, &made)
	if made.Organization != "elsewhere" {
		t.Errorf("made in %s, want the organization that the person owns", made.Organization)
	}
	w.must(w.db.CreateOrganization(&iot.Organization{Name: "Second"}, outsider))
	a := w.send("POST", "/api/v1/projects", w.outsider, `{"name":"Other"}`)
	if text := a.fault(t).Fields["organization"]; !strings.Contains(text, "elsewhere, second") {
		t.Errorf("refused with %q, want the ids that can be named", text)
	}
	w.ok(201, "POST", "/api/v1/projects", w.outsider, `{"name":"Other","organization":"second"}`)
}

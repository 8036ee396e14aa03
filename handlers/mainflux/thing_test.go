package mainflux_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"thingpost/db"
	"thingpost/handlers/mainflux"
	"thingpost/internal/iot"
)

// The recorded calls of the command line tool: bodies, headers and parameters in its
// form.
func TestRecordedCalls(t *testing.T) {
	w := newWorld(t, func(o *mainflux.Options) { o.AllowRegistration = true })
	const zero = `"created_at":"0001-01-01T00:00:00Z","updated_at":"0001-01-01T00:00:00Z"`
	const users, auth, things, webhooks, adapter = "/svcusers", "/svcauth", "/svcthings", "/svcwebhooks", "/http"
	register := w.ok(201, "POST", users+"/register", "", `{"user":{"email":"cli@example.org","password":"`+password+`"},"redirect_path":"/x"}`)
	if !strings.HasPrefix(register.header.Get("Location"), "/users/") {
		t.Errorf("registered at %s", register.header.Get("Location"))
	}
	var token struct{ Token string }
	w.ok(201, "POST", users+"/tokens", "", `{"email":"cli@example.org","password":"`+password+`"}`).into(t, &token)

	a := w.ok(201, "POST", auth+"/orgs", token.Token, `{"name":"o1",`+zero+`}`)
	if a.body != "" {
		t.Errorf("an org answers %s", a.body)
	}
	var orgs struct {
		Limit, Offset, Total int
		Order, Dir           string
		Orgs                 []map[string]any
	}
	w.ok(200, "GET", auth+"/orgs?limit=100&offset=0&total=0", token.Token, "").into(t, &orgs)
	if orgs.Total != 1 || orgs.Limit != 100 || orgs.Order != "id" || orgs.Dir != "desc" ||
		a.header.Get("Location") != "/orgs/"+orgs.Orgs[0]["id"].(string) ||
		orgs.Orgs[0]["owner_id"] != strings.TrimPrefix(register.header.Get("Location"), "/users/") || orgs.Orgs[0]["name"] != "o1" ||
		orgs.Orgs[0]["created_at"] == nil || orgs.Orgs[0]["updated_at"] == nil {
		t.Errorf("orgs are %+v at %s", orgs, a.header.Get("Location"))
	}
	org := orgs.Orgs[0]["id"].(string)

	var groups struct{ Groups []map[string]any }
	w.ok(201, "POST", things+"/orgs/"+org+"/groups", token.Token, `[{"name":"g1",`+zero+`}]`).into(t, &groups)
	group := groups.Groups[0]["id"].(string)
	if groups.Groups[0]["org_id"] != org || groups.Groups[0]["name"] != "g1" {
		t.Errorf("groups are %v", groups)
	}
	var profiles struct{ Profiles []map[string]any }
	w.ok(201, "POST", things+"/groups/"+group+"/profiles", token.Token, `[{"name":"p1","config":{"content_type":"application/json",`+
		`"write":true,"webhook":true}}]`).into(t, &profiles)
	profile := profiles.Profiles[0]["id"].(string)
	var made struct {
		Things []struct{ ID, GroupID, Name, Type, Key string }
	}
	w.ok(201, "POST", things+"/profiles/"+profile+"/things", token.Token, `[{"name":"t1","type":"sensor"}]`).into(t, &made)
	thing := made.Things[0]
	if thing.Name != "t1" || thing.Type != "sensor" || thing.Key == "" {
		t.Errorf("things are %+v", made)
	}

	var hooks struct{ Webhooks []hook }
	w.ok(201, "POST", webhooks+"/things/"+thing.ID+"/webhooks", token.Token,
		`[{"id":"","group_id":"","name":"w1","url":"https://a.example/hook","headers":{"X-Key":"v"}}]`).into(t, &hooks)
	id := hooks.Webhooks[0].ID
	for _, path := range []string{"/things/" + thing.ID + "/webhooks", "/groups/" + group + "/webhooks"} {
		var page struct {
			Total    int
			Webhooks []hook
		}
		w.ok(200, "GET", webhooks+path, token.Token, "").into(t, &page)
		if page.Total != 1 || page.Webhooks[0].ID != id || page.Webhooks[0].Headers["X-Key"] != "v" {
			t.Errorf("%s lists %+v", path, page)
		}
	}
	w.ok(200, "GET", webhooks+"/webhooks/"+id, token.Token, "")
	w.ok(200, "PUT", webhooks+"/webhooks/"+id, token.Token,
		`{"id":"","group_id":"","name":"w2","url":"https://a.example/hook","headers":null}`)
	for _, path := range []string{"/messages/", "/messages/sub/topic"} {
		w.ok(202, "POST", adapter+path, "", `{"t":1}`, func(r *http.Request) {
			r.Header.Set("Authorization", "Thing "+thing.Key)
			r.Header.Set("Content-Type", "application/senml+json")
		})
	}
	if q := w.last(); q.Message.Channel != "sub.topic" || string(q.Message.Payload) != `{"t":1}` {
		t.Errorf("queued is %+v", q.Message)
	}
	for _, path := range []string{things + "/things?limit=100&offset=0&total=0", things + "/profiles?limit=100&offset=0&total=0",
		"/groups?limit=100&offset=0"} {
		if a := w.ok(200, "GET", path, token.Token, ""); !strings.Contains(a.body, `"limit":100`) {
			t.Errorf("%s: %s", path, a.body)
		}
	}
	var health map[string]string
	w.ok(200, "GET", things+"/health", "", "").into(t, &health)
	if health["status"] != "pass" || health["version"] != "1.2.3" || health["description"] != "things service" {
		t.Errorf("health is %v", health)
	}
	w.ok(204, "PATCH", webhooks+"/webhooks", token.Token, `{"webhook_ids":["`+id+`"]}`)
}

func TestTokensAndRegistration(t *testing.T) {
	w := newWorld(t)
	hash, err := w.passwords.Hash(t.Context(), password, email)
	w.must(err)
	a, err := w.db.AccountByEmail(t.Context(), email)
	w.must(err)
	w.must(w.db.SetPassword(a.Key, hash, nil, email))
	const good = `{"user":{"email":"new@example.org","password":"` + password + `"}}`
	w.refused(403, "failed to perform authorization over the entity", "POST", "/register", "", good)
	w.refused(401, "failed to perform authentication over the entity", "POST", "/tokens", "",
		`{"email":"ada@example.org","password":"wrong password"}`)
	w.refused(401, "failed to perform authentication over the entity", "POST", "/tokens", "", `{"email":"nobody@example.org","password":"`+
		password+`"}`)
	w.refused(400, "missing email", "POST", "/tokens", "", `{}`)
	w.refused(400, "missing password", "POST", "/tokens", "", `{"email":"a"}`)
	w.refused(400, "malformed entity specification", "POST", "/tokens", "", `[]`)
	var v struct{ Token string }
	w.ok(201, "POST", "/tokens", "", `{"email":"Ada@example.org","password":"`+password+`"}`).into(t, &v)
	w.ok(200, "GET", "/orgs", v.Token, "")
	for range 10 {
		w.send("POST", "/tokens", "", `{"email":"ada@example.org","password":"wrong password"}`)
	}
	if a := w.send("POST", "/tokens", "", `{"email":"ada@example.org","password":"`+password+`"}`); a.status != 429 ||
		a.header.Get("Retry-After") == "" {
		t.Errorf("after ten wrong ones: %d %s", a.status, a.body)
	}

	open := newWorld(t, func(o *mainflux.Options) { o.AllowRegistration = true })
	open.refused(400, "malformed entity specification", "POST", "/register", "", `{"email":"new@example.org","password":"`+password+`"}`)
	open.ok(201, "POST", "/register", "", good)
	open.refused(409, "entity already exists", "POST", "/register", "", good)
	if a := open.send("POST", "/register", "", `{"user":{"email":"new2@example.org","password":"short"}}`); a.status != 400 {
		t.Errorf("a short password: %d %s", a.status, a.body)
	}
	if a := open.send("POST", "/register", "", `{"user":{"email":"new2","password":"`+password+`"}}`); a.status != 400 {
		t.Errorf("no email: %d %s", a.status, a.body)
	}
}

func TestOrgsAndMemberships(t *testing.T) {
	w := newWorld(t)
	path := "/orgs/" + w.org.UUID
	w.ok(200, "PUT", path, w.admin, `{"name":"Works 2","description":"d","metadata":{"a":1}}`)
	if a := w.ok(200, "GET", path, w.viewer, ""); !strings.Contains(a.body, `"name":"Works 2"`) ||
		!strings.Contains(a.body, `"description":"d"`) || !strings.Contains(a.body, `"metadata":{"a":1}`) {
		t.Errorf("shown: %s", a.body)
	}
	w.refused(400, "invalid name size", "POST", "/orgs", w.viewer, `{"name":""}`)
	w.refused(403, "failed to perform authorization over the entity", "POST", "/orgs", w.admin, `{"name":"Mine"}`)
	w.refused(403, "failed to perform authorization over the entity", "PUT", path, w.editor, `{"name":"x"}`)
	w.refused(404, "entity not found", "GET", path, w.outsider, "")
	w.refused(404, "entity not found", "GET", "/orgs/"+w.org.ID, w.owner, "")

	newcomer := &iot.Account{Email: "new@example.org"}
	w.must(w.db.CreateAccount(newcomer, email))
	members := path + "/memberships"
	role := func() string {
		r, err := w.db.Role(t.Context(), w.org.Key, newcomer.Key)
		w.must(err)
		return string(r)
	}
	w.refused(403, "failed to perform authorization over the entity", "POST", members, w.editor,
		`{"org_memberships":[{"email":"new@example.org"}]}`)
	w.refused(403, "failed to perform authorization over the entity", "POST", members, w.admin,
		`{"org_memberships":[{"email":"new@example.org","role":"owner"}]}`)
	w.refused(404, "entity not found", "POST", members, w.admin, `{"org_memberships":[{"member_id":"`+newcomer.ID.String()+`"}]}`)
	var invited struct {
		Invitations []struct {
			OrgID string `json:"org_id"`
			Email string
			Role  iot.Role
			Link  string
		} `json:"org_invitations"`
	}
	w.ok(200, "POST", members, w.admin,
		`{"org_memberships":[{"email":"new@example.org"},{"email":"nobody@example.org","role":"editor"}]}`).into(t, &invited)
	if len(invited.Invitations) != 2 || invited.Invitations[0].Role != iot.Viewer || invited.Invitations[1].Email != "nobody@example.org" ||
		invited.Invitations[0].OrgID != w.org.UUID {
		t.Errorf("the answer is %+v", invited)
	}
	if role() != "" {
		t.Errorf("somebody is %s unasked", role())
	}
	_, token, ok := strings.Cut(invited.Invitations[0].Link, "https://things.example/invitation?token=")
	i, err := w.db.Invitation(t.Context(), iot.Secret(token))
	if !ok || err != nil {
		t.Fatalf("the link is %q: %v", invited.Invitations[0].Link, err)
	}
	w.must(w.db.AcceptInvitation(i.ID, iot.Secret(token), newcomer))
	if role() != "viewer" {
		t.Errorf("the role is %q", role())
	}
	w.refused(409, "entity already exists", "POST", members, w.admin, `{"org_memberships":[{"email":"new@example.org","role":"editor"}]}`)
	w.ok(200, "PUT", members, w.admin, `{"org_memberships":[{"member_id":"`+newcomer.ID.String()+`","role":"editor"}]}`)
	if role() != "editor" {
		t.Errorf("the role is %q", role())
	}
	w.refused(403, "failed to perform authorization over the entity", "PUT", members, w.admin,
		`{"org_memberships":[{"email":"new@example.org","role":"owner"}]}`)
	w.refused(403, "failed to perform authorization over the entity", "PUT", members, w.editor,
		`{"org_memberships":[{"email":"new@example.org","role":"viewer"}]}`)
	w.refused(400, "invalid role", "PUT", members, w.admin, `{"org_memberships":[{"email":"new@example.org","role":"king"}]}`)
	w.refused(404, "entity not found", "PUT", members, w.admin, `{"org_memberships":[{"email":"nobody@example.org","role":"viewer"}]}`)
	w.refused(400, "empty list provided", "PUT", members, w.admin, `{}`)
	var page struct {
		Total       int
		Memberships []struct {
			MemberID string `json:"member_id"`
			OrgID    string `json:"org_id"`
			Email    string
			Role     string
		} `json:"org_memberships"`
	}
	w.ok(200, "GET", members+"?email=NEW@", w.viewer, "").into(t, &page)
	if page.Total != 1 || page.Memberships[0].MemberID != newcomer.ID.String() || page.Memberships[0].OrgID != w.org.UUID ||
		page.Memberships[0].Role != "editor" {
		t.Errorf("members are %+v", page)
	}
	if a := w.ok(200, "GET", path+"/members/"+newcomer.ID.String(), w.viewer, ""); !strings.Contains(a.body, `"role":"editor"`) {
		t.Errorf("a member: %s", a.body)
	}
	if a := w.ok(200, "GET", "/groups/"+w.project.UUID+"/memberships", w.viewer, ""); !strings.Contains(a.body, `"group_memberships":[`) ||
		!strings.Contains(a.body, `"total":5`) {
		t.Errorf("a group's members: %s", a.body)
	}
	w.ok(204, "PATCH", members, w.admin, `{"member_ids":["`+newcomer.ID.String()+`"]}`)
	if role() != "" {
		t.Errorf("the role is %q", role())
	}
	owner, err := w.db.AccountByEmail(t.Context(), email)
	w.must(err)
	if a := w.send("PATCH", members, w.owner, `{"member_ids":["`+owner.ID.String()+`"]}`); a.status != 409 {
		t.Errorf("the last owner leaves: %d %s", a.status, a.body)
	}
	w.refused(403, "failed to perform authorization over the entity", "DELETE", path, w.admin, "")
	w.ok(204, "DELETE", path, w.owner, "")
	w.refused(404, "entity not found", "GET", path, w.owner, "")
	w.refused(404, "entity not found", "GET", "/groups/"+w.project.UUID, w.owner, "")
	w.refused(404, "entity not found", "POST", "/messages", "", `{}`,
		func(r *http.Request) { r.Header.Set("Authorization", "Thing "+thingKey) })
}

func TestGroupsProfilesAndThings(t *testing.T) {
	w := newWorld(t)
	group := "/groups/" + w.project.UUID
	w.ok(200, "PUT", group, w.admin, `{"name":"North","description":"d","metadata":{"a":[1]}}`)
	for _, path := range []string{group, "/things/" + w.device.UUID + "/groups", "/profiles/" + w.profile.UUID + "/groups"} {
		if a := w.ok(200, "GET", path, w.viewer, ""); !strings.Contains(a.body, `"name":"North"`) ||
			!strings.Contains(a.body, `"metadata":{"a":[1]}`) || !strings.Contains(a.body, `"org_id":"`+w.org.UUID) {
			t.Errorf("%s: %s", path, a.body)
		}
	}
	w.refused(403, "failed to perform authorization over the entity", "POST", "/orgs/"+w.org.UUID+"/groups", w.editor, `[{"name":"g"}]`)
	w.refused(400, "invalid name size", "POST", "/orgs/"+w.org.UUID+"/groups", w.admin, `[{"name":"g"},{}]`)
	if a := w.ok(200, "GET", "/orgs/"+w.org.UUID+"/groups", w.viewer, ""); !strings.Contains(a.body, `"total":1`) {
		t.Errorf("half of a batch is there: %s", a.body)
	}

	const uuid, key = "6f1c3c5e-9b0a-4a37-8d51-0b6f6f6f6f0a", "my-own-key/of-16"
	things := "/profiles/" + w.profile.UUID + "/things"
	made := w.ok(201, "POST", things, w.editor, `[{"id":"`+uuid+`","name":"Gate","type":"gateway","key":"`+key+
		`","metadata":{"floor":2}},{"name":"Eye","type":"sensor"}]`)
	if !strings.Contains(made.body, `"key":"`+key+`"`) || !strings.Contains(made.body, `"id":"`+uuid+`"`) {
		t.Errorf("made: %s", made.body)
	}
	w.refused(409, "entity already exists", "POST", things, w.editor, `[{"id":"`+uuid+`","name":"Again","type":"sensor"}]`)
	w.refused(409, "entity already exists", "POST", things, w.editor, `[{"key":"`+key+`","name":"Again","type":"sensor"}]`)
	w.refused(400, "malformed entity specification", "POST", things, w.editor, `[{"id":"no uuid","name":"Again","type":"sensor"}]`)
	w.refused(400, "invalid thing type", "POST", things, w.editor, `[{"name":"Again"}]`)
	w.refused(400, "invalid name size", "POST", things, w.editor, `[{"type":"sensor"}]`)
	w.refused(403, "failed to perform authorization over the entity", "POST", things, w.viewer, `[{"name":"Again","type":"sensor"}]`)

	// A key is never shown again.
	for _, who := range []string{w.owner, w.editor, w.viewer} {
		if a := w.ok(200, "GET", "/things/"+uuid, who, ""); !strings.Contains(a.body, `"key":"•••"`) ||
			!strings.Contains(a.body, `"profile_id":"`+w.profile.UUID) {
			t.Errorf("shown: %s", a.body)
		}
	}
	for path, want := range map[string]string{
		"/things?order=name&dir=asc":                  `"Eye" "Gate" "Soil probe"`,
		"/things?name=E&limit=1&order=name":           `"Soil probe"`,
		"/things?metadata=%7B%22floor%22:2%7D":        `"Gate"`,
		group + "/things?order=name&dir=asc&offset=1": `"Gate" "Soil probe"`,
		"/orgs/" + w.org.UUID + "/things?name=ey":     `"Eye"`,
		things + "?name=gate":                         `"Gate"`,
	} {
		var page struct{ Things []struct{ Name, Key string } }
		w.ok(200, "GET", path, w.editor, "").into(t, &page)
		var names []string
		for _, v := range page.Things {
			names = append(names, `"`+v.Name+`"`)
			if v.Key != "•••" {
				t.Errorf("%s shows a key", path)
			}
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s lists %s, want %s", path, got, want)
		}
	}
	if a := w.ok(200, "POST", "/things/search", w.viewer, `{"metadata":{"floor":2}}`); !strings.Contains(a.body, `"total":1`) {
		t.Errorf("search: %s", a.body)
	}
	var id struct{ ID string }
	w.ok(200, "POST", "/identify", "", `{"key":"`+key+`","type":"internal"}`).into(t, &id)
	if id.ID != uuid {
		t.Errorf("identified as %s", id.ID)
	}
	w.refused(404, "entity not found", "POST", "/identify", "", `{"key":"unknown","type":"internal"}`)
	w.refused(400, "invalid thing key type", "POST", "/identify", "", `{"key":"`+key+`","type":"gold"}`)
	w.refused(415, "unsupported content type", "POST", "/identify", "", `{"key":"`+key+`"}`,
		func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") })

	// Sending an answer back unchanged changes nothing.
	shown := w.ok(200, "GET", "/things/"+uuid, w.editor, "").body
	w.ok(200, "PUT", "/things/"+uuid, w.editor, shown)
	if a := w.ok(200, "GET", "/things/"+uuid, w.editor, ""); a.body != shown {
		t.Errorf("after writing it back: %s", a.body)
	}
	w.ok(200, "POST", "/identify", "", `{"key":"`+key+`"}`)
	w.ok(200, "PUT", "/things/"+uuid, w.editor, `{"name":"Gate 2","key":"another-key-of-theirs"}`)
	w.ok(200, "POST", "/identify", "", `{"key":"another-key-of-theirs"}`)
	if a := w.send("DELETE", "/profiles/"+w.profile.UUID, w.editor, ""); a.status != 409 {
		t.Errorf("a profile in use: %d %s", a.status, a.body)
	}
	w.ok(204, "DELETE", "/things/"+uuid, w.editor, "")
	w.ok(204, "PATCH", "/things", w.editor, `{"thing_ids":["`+w.device.UUID+`"]}`)
	w.refused(404, "entity not found", "GET", "/things/"+w.device.UUID, w.editor, "")
	w.refused(403, "failed to perform authorization over the entity", "PATCH", "/groups", w.editor, `{"group_ids":["`+w.project.UUID+`"]}`)
	w.ok(204, "PATCH", "/groups", w.admin, `{"group_ids":["`+w.project.UUID+`"]}`)
	w.refused(404, "entity not found", "GET", group, w.admin, "")
}

// TestNamesAreBoundedAsTheServicesBoundThem checks bounds in bytes.
func TestNamesAreBoundedAsTheServicesBoundThem(t *testing.T) {
	w := newWorld(t)
	name := func(bytes int) string {
		return `{"type":"sensor","url":"https://a.example","name":"` + strings.Repeat("ä", bytes/2) + `"}`
	}
	for path, most := range map[string]int{
		"/orgs/" + w.org.UUID + "/groups":         1024,
		"/groups/" + w.project.UUID + "/profiles": 1024,
		"/profiles/" + w.profile.UUID + "/things": 1024,
		"/things/" + w.device.UUID + "/webhooks":  254,
		"PUT /groups/" + w.project.UUID:           1024,
		"PUT /profiles/" + w.profile.UUID:         1024,
		"PUT /things/" + w.device.UUID:            1024,
		"PUT /orgs/" + w.org.UUID:                 254,
		"POST /orgs":                              254,
	} {
		method, to, single := strings.Cut(path, " ")
		body, status := name, 200
		if !single {
			method, to = "POST", path
			body = func(bytes int) string { return "[" + name(bytes) + "]" }
		}
		if method == "POST" {
			status = 201
		}
		w.ok(status, method, to, w.owner, body(most))
		w.refused(400, "invalid name size", method, to, w.owner, body(most+2))
	}
}

func TestProfileConfig(t *testing.T) {
	w := newWorld(t)
	path := "/groups/" + w.project.UUID + "/profiles"
	type config struct {
		ContentType    string          `json:"content_type"`
		Transformer    iot.Transformer `json:"transformer"`
		Write          bool            `json:"write"`
		WriteEnabled   bool            `json:"write_enabled"`
		Webhook        bool            `json:"webhook"`
		WebhookEnabled bool            `json:"webhook_enabled"`
		RuleEnabled    bool            `json:"rule_enabled"`
		SMTPID         string          `json:"smtp_id"`
	}
	type profile struct {
		ID, Name string
		GroupID  string `json:"group_id"`
		Config   config
	}
	create := func(more string) profile {
		var v struct{ Profiles []profile }
		w.ok(201, "POST", path, w.editor, `[{"name":"p"`+more+`}]`).into(t, &v)
		return v.Profiles[0]
	}
	for more, want := range map[string]config{
		``:               {Write: true, WriteEnabled: true, Webhook: true, WebhookEnabled: true},
		`,"config":null`: {Write: true, WriteEnabled: true, Webhook: true, WebhookEnabled: true},
		`,"config":{}`:   {},
		`,"config":{"content_type":"application/json","write":true,"webhook":true,"smtp_id":"s"}`: {ContentType: "application/json", Write: true,
			WriteEnabled: true, Webhook: true, WebhookEnabled: true, SMTPID: "s"},
		`,"config":{"write_enabled":true,"rule_enabled":true}`: {Write: true, WriteEnabled: true, RuleEnabled: true},
		`,"config":{"webhook":false,"webhook_enabled":true}`:   {Webhook: true, WebhookEnabled: true},
	} {
		p := create(more)
		p.Config.Transformer = iot.Transformer{}
		if got, wanted := p.Config, want; got.ContentType != wanted.ContentType || got.Write != wanted.Write ||
			got.WriteEnabled != wanted.WriteEnabled ||
			got.Webhook != wanted.Webhook || got.WebhookEnabled != wanted.WebhookEnabled || got.RuleEnabled != wanted.RuleEnabled ||
			got.SMTPID != wanted.SMTPID {
			t.Errorf("%s: %+v, want %+v", more, got, wanted)
		}
	}
	p := create(`,"config":{"content_type":"application/json","webhook":true,"write":true,"transformer":{"data_filters":["a","b.c"],` +
		`"data_field":"d","time_field":"t","time_format":"unix_ms","time_location":"Europe/Rome"}}`)
	one := "/profiles/" + p.ID
	show := func() (v profile) {
		w.ok(200, "GET", one, w.viewer, "").into(t, &v)
		return v
	}
	v := show()
	if tr := v.Config.Transformer; strings.Join(tr.DataFilters, " ") != "a b.c" || tr.DataField != "d" || tr.TimeField != "t" ||
		tr.TimeFormat != "unix_ms" || tr.TimeLocation != "Europe/Rome" || v.GroupID != w.project.UUID {
		t.Errorf("shown: %+v", v)
	}
	// A client that knows one name of a flag sends the other back unchanged.
	w.ok(200, "PUT", one, w.editor, `{"name":"p","config":{"webhook":false,"webhook_enabled":true,"write":true,"write_enabled":true}}`)
	if v := show(); v.Config.Webhook || !v.Config.Write || v.Config.ContentType != "" {
		t.Errorf("after switching one off: %+v", v)
	}
	w.ok(200, "PUT", one, w.editor, `{"config":{"webhook":false,"webhook_enabled":true}}`)
	if v := show(); !v.Config.Webhook || v.Config.Write {
		t.Errorf("after switching it on again: %+v", v)
	}
	w.ok(200, "PUT", one, w.editor, `{"name":"renamed"}`)
	if v := show(); v.Name != "renamed" || !v.Config.Webhook {
		t.Errorf("after a new name: %+v", v)
	}
	if a := w.ok(200, "GET", "/things/"+w.device.UUID+"/profiles", w.viewer, ""); !strings.Contains(a.body, `"id":"`+w.profile.UUID) ||
		strings.Contains(a.body, `"profiles"`) {
		t.Errorf("of a thing: %s", a.body)
	}
	for _, config := range []string{`{"content_type":"text/plain"}`, `{"webhook":1}`, `[]`, `{"transformer":{"data_field":"a..b"}}`,
		`{"transformer":{"data_filters":[""]}}`,
		`{"transformer":{"time_field":"t","time_format":"no layout"}}`, `{"transformer":{"time_location":"Nowhere/City"}}`} {
		w.refused(400, "malformed entity specification", "POST", path, w.editor, `[{"name":"p","config":`+config+`}]`)
	}
	w.refused(403, "failed to perform authorization over the entity", "POST", path, w.viewer, `[{"name":"p"}]`)
	w.ok(204, "PATCH", "/profiles", w.editor, `{"profile_ids":["`+p.ID+`"]}`)
	w.refused(404, "entity not found", "GET", one, w.viewer, "")
}

// TestKeysOfTwoTenants sets an equal key in two organizations. Both get the same
// answer. The first has the key at the doors without a project, and the second never
// inherits it.
func TestKeysOfTwoTenants(t *testing.T) {
	w := newWorld(t)
	const key = "5a3c3c5e-9b0a-4a37-8d51-0b6f6f6f6f0a"
	named := func() (id string) {
		t.Helper()
		a := w.send("POST", "/identify", "", `{"key":"`+key+`"}`)
		var v struct{ ID string }
		if a.status == 200 {
			a.into(t, &v)
		}
		return v.ID
	}
	set := func(d *iot.Device, token string) string {
		return w.ok(200, "PUT", "/things/"+d.UUID, token, `{"key":"`+key+`"}`).body
	}
	first := set(w.otherDevice, w.outsider)
	if second := set(w.device, w.editor); second != first {
		t.Errorf("one is answered %q, the other %q", first, second)
	}
	if got := named(); got != w.otherDevice.UUID {
		t.Errorf("the key names %s, want the one that had it first", got)
	}
	w.ok(202, "POST", "/messages", "", `{}`, func(r *http.Request) { r.Header.Set("Authorization", "Thing "+key) })
	page, err := w.db.Messages(t.Context(), db.MessageFilter{ProjectKey: w.other.Key, Limit: 5})
	w.must(err)
	if len(page.Items) != 1 {
		t.Errorf("the first's project has %d messages, want 1", len(page.Items))
	}
	for name, want := range map[string]string{w.project.ID: w.device.UUID, w.other.UUID: w.otherDevice.UUID} {
		if d, err := w.db.DeviceByKeyIn(t.Context(), name, key); err != nil || d.UUID != want {
			t.Errorf("in %s the key is %+v's: %v", name, d, err)
		}
	}
	// Within its own project the error says that the key is taken.
	profile, err := w.db.Profile(t.Context(), w.project.Key, iot.DefaultProfile)
	w.must(err)
	w.refused(409, "entity already exists", "POST", "/profiles/"+profile.UUID+"/things", w.editor,
		`[{"key":"`+key+`","name":"Again","type":"sensor"}]`)
	theirs, err := w.db.Profile(t.Context(), w.other.Key, iot.DefaultProfile)
	w.must(err)
	w.ok(201, "POST", "/profiles/"+theirs.UUID+"/things", w.outsider, `[{"key":"`+key+`x","name":"Another","type":"sensor"}]`)
	w.ok(201, "POST", "/profiles/"+profile.UUID+"/things", w.editor, `[{"key":"`+key+`x","name":"Another","type":"sensor"}]`)

	w.must(w.db.DeleteDevice(w.otherDevice, email))
	if got := named(); got != "" {
		t.Errorf("with its device gone the key names %s", got)
	}
	set(w.device, w.editor) // the present value: no change
	if got := named(); got != "" {
		t.Errorf("the later one has inherited the key: %s", got)
	}
	w.ok(200, "PUT", "/things/"+w.device.UUID, w.editor, `{"key":"for-a-moment-another"}`)
	set(w.device, w.editor)
	if got := named(); got != w.device.UUID {
		t.Errorf("set anew, the key names %q", got)
	}
}

func TestKeysThatAreRefused(t *testing.T) {
	w := newWorld(t)
	thing := "/things/" + w.device.UUID
	for _, key := range []string{"a key", "fifteen-letters", strings.Repeat("x", 129), "sixteen letters!", "sixteen-létters-",
		"NNSXS.ABCDEFGHIJKLMNOP", "tpd_of-the-soil-probe2",
		"TPT_of-the-soil-probe", "•••••••••••••••"} {
		b, err := json.Marshal(map[string]string{"name": "changed", "key": key})
		w.must(err)
		w.refused(400, "malformed entity specification", "PUT", thing, w.editor, string(b))
		w.refused(400, "malformed entity specification", "POST", "/profiles/"+w.profile.UUID+"/things", w.editor,
			`[{"type":"sensor",`+string(b[1:])+`]`)
	}
	if a := w.ok(200, "GET", thing, w.editor, ""); strings.Contains(a.body, "changed") {
		t.Errorf("half of a refused update is there: %s", a.body)
	}
	w.ok(200, "PUT", thing, w.editor, `{"key":"`+thingKey+`"}`) // the present value can stay
	w.ok(200, "PUT", thing, w.editor, `{"key":"sixteen-letters!"}`)
}

// TestIdentifyIsThrottled guesses at keys; a person who knows one continues from
// another address.
func TestIdentifyIsThrottled(t *testing.T) {
	w := newWorld(t)
	from := func(address string) func(*http.Request) {
		return func(r *http.Request) { r.RemoteAddr = address + ":4000" }
	}
	right := func(address string) int {
		return w.send("POST", "/identify", "", `{"key":"`+thingKey+`"}`, from(address)).status
	}
	if right("192.0.2.200") != 200 {
		t.Fatal("a right key is refused")
	}
	guess := func(address string) (n int) {
		for ; n < 150; n++ {
			if w.send("POST", "/identify", "", `{"key":"`+strings.Repeat("x", n)+`y"}`, from(address)).status == 429 {
				break
			}
		}
		return n
	}
	if n := guess("192.0.2.1"); n != 100 {
		t.Errorf("%d guesses before it is limited, want 100", n)
	}
	if a := w.send("POST", "/identify", "", `{"key":"`+thingKey+`"}`, from("192.0.2.1")); a.status != 429 ||
		a.header.Get("Retry-After") == "" {
		t.Errorf("the next one, which is right, is answered %d %v", a.status, a.header)
	}
	for i := range 9 {
		guess("192.0.2." + strconv.Itoa(i+2))
	}
	if n := guess("192.0.2.99"); n != 0 {
		t.Errorf("%d more guesses from one address more", n)
	}
	if got := right("192.0.2.200"); got != 200 {
		t.Errorf("who gave a right key before is answered %d", got)
	}
}

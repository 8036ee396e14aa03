package dashboard

import (
	"strings"
	"testing"
	"time"

	"thingpost/internal/iot"
)

const keysPath = "/projects/greenhouse-north/keys"

func TestAPIKeys(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	c.get(keysPath).is(200).has(".empty", "No API keys")
	c.get(keysPath+"/new").is(200).has("fieldset", "Send messages")
	none := c.post(keysPath+"/new", "name", "Barn", "days", "0").is(422)
	none.has(`fieldset[aria-invalid="true"]`, "").has("#rights-error", "Choose at least one right.").has(`[name="name"][value="Barn"]`, "")
	c.post(keysPath+"/new", "name", "", "days", "0", "rights", "RIGHT_APPLICATION_ALL").faulty("name", "Must not be empty.")
	c.post(keysPath+"/new", "name", "Barn", "days", "-1", "rights", "RIGHT_APPLICATION_ALL").faulty("days", "Must be 0 to 3,650 days.")
	c.post(keysPath+"/new", "name", "Barn", "days", "0", "rights", "RIGHT_TO_ALL").is(422)
	c.post(keysPath+"/new", "name", "Barn", "days", "30", "rights", "RIGHT_APPLICATION_TRAFFIC_UP_WRITE", "rights",
		"RIGHT_APPLICATION_DEVICES_READ").leadsTo(keysPath)
	p := c.get(keysPath).is(200).has("table", "Send messages, Read devices").has(".once", "it is not shown again")
	text := p.Find("#new-key").AttrOr("value", "")
	id, secret, ok := iot.ParseAPIKey(text)
	if !ok {
		t.Fatalf("the key is %q", text)
	}
	k, err := w.db.APIKey(t.Context(), id, secret)
	w.must(err)
	if k.Rights != iot.SendMessages|iot.ReadDevices || k.ExpiresAt.Sub(iot.At(w.clock.Now())) != 30*24*time.Hour {
		t.Errorf("made %+v", k)
	}
	again := c.get(keysPath).is(200).lacks("#new-key")
	if strings.Contains(again.body, secret.Reveal()) {
		t.Error("the key is shown twice")
	}
	w.clock.advance(31 * 24 * time.Hour)
	c.get(keysPath).has("table", "Expired")
	c.get(keysPath+"/"+id+"/delete").is(200).has("h1", "Revoke Barn?")
	c.post(keysPath + "/" + id + "/delete").leadsTo(keysPath)
	c.get(keysPath).has(".empty", "No API keys").has("#toasts", "Barn was revoked.")
	c.post(keysPath + "/" + id + "/delete").is(404)
}

const profilesPath = "/projects/greenhouse-north/profiles"

func TestProfiles(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	c.get(profilesPath).is(200).has("table", "Default").has("table", "Sent to webhooks")
	c.get(profilesPath+"/new").is(200).has(`[name="webhook"][checked]`, "").has(`[name="write"][checked]`, "")
	c.post(profilesPath+"/new", "name", "").faulty("name", "Must not be empty.")
	c.post(profilesPath+"/new", "name", "Other", "id", "default").faulty("id", "This id is taken.")
	c.post(profilesPath+"/new", "name", "Test bench", "write", "on").leadsTo(profilesPath)
	c.get(profilesPath).has("table", "Not sent to webhooks").has("#toasts", "Test bench was added.")
	c.get(profilesPath+"/test-bench").is(200).has("h1", "Test bench").lacks(`[name="webhook"][checked]`).
		has(`a[href="/projects/greenhouse-north/profiles/test-bench/delete"]`, "Delete")
	c.post(profilesPath+"/test-bench", "name", "", "webhook", "on").faulty("name", "Must have 1 to 1024 characters.")
	c.post(profilesPath+"/test-bench", "name", "Bench", "webhook", "on").leadsTo(profilesPath)
	p, err := w.db.Profile(t.Context(), w.project.Key, "test-bench")
	w.must(err)
	if p.Name != "Bench" || !p.Webhook || p.Write {
		t.Errorf("saved %+v", p)
	}
	c.get(profilesPath + "/default").is(200).lacks(`a[href="/projects/greenhouse-north/profiles/default/delete"]`)
	c.post(devicePath+"/edit", "name", "x", "profile", "test-bench").leadsTo(devicePath)
	c.post(profilesPath+"/test-bench/delete").is(409).has("h1", "Delete Bench?").has(".alert", "")
	c.post(devicePath+"/edit", "name", "x", "profile", "default").leadsTo(devicePath)
	c.get(profilesPath+"/test-bench/delete").is(200).has("h1", "Delete Bench?")
	c.post(profilesPath + "/test-bench/delete").leadsTo(profilesPath)
	c.get(profilesPath + "/test-bench").is(404)
}

const membersPath = "/settings/organizations/veldhuis-growers/members"

func TestMembers(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	c.get(membersPath).is(200).has("table", w.owner.Email).has(".rail", "Members")
	c.get(membersPath+"?project=greenhouse-north").is(200).has(".rail", "Configure webhooks")
	c.get(membersPath + "?project=none").is(200)

	c.post(membersPath, "email", "bram", "role", "viewer").faulty("email", "Must be an email address")
	c.post(membersPath, "email", "bram@veldhuis.example", "role", "king").faulty("role", "Choose a role.")
	// a password is none of the inviter's business
	c.post(membersPath, "email", "bram@veldhuis.example", "role", "viewer", "password", password).leadsTo(membersPath)
	link := w.linkOf(c)
	if w.role("bram@veldhuis.example") != "" {
		t.Error("somebody is a member unasked")
	}
	w.anonymous().post("/sign-in", "email", "bram@veldhuis.example", "password", password).is(422)
	w.anonymous().post("/invitation", "token", link, "name", "Bram", "password", password).leadsTo("/?all=1")
	c.post(membersPath, "email", "Bram@veldhuis.example", "role", "admin").faulty("email", "This account is a member already.")
	w.anonymous().post("/sign-in", "email", "bram@veldhuis.example", "password", password).leadsTo("/")

	bram, err := w.db.AccountByEmail(t.Context(), "bram@veldhuis.example")
	w.must(err)
	one := membersPath + "/" + bram.ID.String()
	c.post(one, "role", "admin").leadsTo(membersPath)
	c.get(membersPath).has("#toasts", "bram@veldhuis.example is now Admin.")

	admin := w.as(bram)
	mine := membersPath + "/" + w.owner.ID.String()
	admin.post(mine, "role", "viewer").is(403)
	admin.post(mine + "/remove").is(403)
	admin.post(one, "role", "owner").is(400).has("main", "Only an owner can make another person an owner.")
	admin.post(membersPath, "email", "x@veldhuis.example", "role", "owner").faulty("role", "Only an owner")
	existing := w.member("carla@veldhuis.example", "")
	admin.post(membersPath, "email", existing.Email, "role", "editor").leadsTo(membersPath)
	if w.role(existing.Email) != "" {
		t.Error("an account is a member unasked")
	}

	c.post(mine, "role", "viewer").is(409).has("main", "An organization needs an owner.")
	c.get(one+"/remove").is(200).has("h1", "Remove bram@veldhuis.example?")
	c.post(one + "/remove").leadsTo(membersPath)
	admin.get("/projects/greenhouse-north").is(404)
	admin.get(membersPath).is(404)
	c.post(one + "/remove").is(404)
}

func TestAudit(t *testing.T) {
	w := openWorld(t)
	for range auditPerPage {
		w.must(w.db.UpdateProject(w.project, iot.ProjectUpdate{}, w.owner.Email))
	}
	c := w.as(w.owner)
	p := c.get("/projects/greenhouse-north/audit").is(200).has("tbody", "Project changed").has("tbody", w.owner.Email)
	if rows := p.Find("tbody tr").Length(); rows != auditPerPage {
		t.Errorf("%d rows", rows)
	}
	older := p.Find(".pager a").AttrOr("href", "")
	if !strings.HasPrefix(older, "/projects/greenhouse-north/audit?before=") {
		t.Fatalf("older is %q", older)
	}
	c.get(older).is(200).has("tbody", "Device added").has("tbody", "Webhook added").has(".pager a", "Newest")
	c.get("/projects/greenhouse-north/audit?before=x").is(400)
	c.get("/projects/greenhouse-north/audit?what=webhook").is(200).has("tbody", "Webhook added").lacks("tbody tr:nth-child(2)")
	c.get("/projects/greenhouse-north/audit?who=NOBODY").is(200).has(".empty", "No changes match").has(".empty a", "Clear filters")
	c.get("/projects/greenhouse-north/audit?who=MARIT@").is(200).has("tbody", "Project changed")
	w.as(w.member("ed@veldhuis.example", iot.Editor)).get("/projects/greenhouse-north").lacks(`.rail a[href$="/audit"]`)
}

func TestAuditOfOrganizationAndInstance(t *testing.T) {
	w := openWorld(t)
	carla := w.member("carla@veldhuis.example", iot.Admin)
	w.member("eve@elsewhere.example", "")
	other := &iot.Organization{Name: "Elsewhere"}
	w.must(w.db.CreateOrganization(other, carla))
	const mine = "/settings/organizations/veldhuis-growers/audit"
	p := w.as(carla).get(mine).is(200).has("tbody", "Member role changed").has("tbody", "carla@veldhuis.example").has("tbody",
		"Webhook added").has("tbody", "greenhouse-north")
	if text := words(p.Find("tbody").Text()); strings.Contains(text, "elsewhere") || strings.Contains(text, "eve@") {
		t.Errorf("an organization sees what is others': %s", text)
	}
	p.has(`.rail a[aria-current="page"]`, "Audit").lacks(`.rail a[href^="/settings/storage"]`)
	w.as(w.member("ed@veldhuis.example", iot.Editor)).get(mine).is(403)
	all := w.as(w.owner).get("/settings/audit?project=greenhouse-north").is(200).has("tbody", "elsewhere").has("tbody",
		"eve@elsewhere.example").has("tbody", "Organization added")
	all.has(`.rail a[aria-current="page"]`, "All changes").has(".rail", "Configure webhooks")
	if hidden := all.Find(`.filters input[name="project"]`).AttrOr("value", ""); hidden != "greenhouse-north" {
		t.Errorf("the filter would lose the project: %q", hidden)
	}
	w.as(w.owner).get("/settings/audit?what=account").is(200).has("tbody", "Account added").lacks(`tbody td:contains("Member")`)
}

func TestProfilePreviewIsWhatADeviceWouldGet(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	c.get(profilesPath+"/new").is(200).has("#preview-came", "temperature").has("#profile-preview", "byte for byte")
	send := func(fields ...string) *page {
		return c.post(profilesPath+"/preview", append([]string{"name", "x"}, fields...)...)
	}
	send("content_type", "application/json", "transformer.data_field", "data", "transformer.data_filters", "humidity",
		"transformer.time_field", "time").
		is(200).has("#preview-made", `{ "humidity": 40 }`).has("#profile-preview", "2023-11-14T22:13:20Z")
	send("content_type", "application/json", "transformer.data_field", "nothing").has("#profile-preview",
		"would be rejected").has("#profile-preview", "at nothing")
	send("content_type", "application/senml+json").has("#preview-made", "greenhouse:temperature")
	send("content_type", "application/json", "transformer.time_format", "no layout").has("#profile-preview", "No preview yet")
	c.post(profilesPath+"/new", "name", "Extract", "content_type", "application/json", "transformer.data_filters",
		"a..b").is(422).has("#profile-form [role=alert]", "Must be names joined by dots")
	c.post(profilesPath+"/new", "name", "Extract", "content_type", "application/json", "transformer.data_filters", "a\nb.c",
		"transformer.time_zone", "").leadsTo(profilesPath)
	c.get(profilesPath+"/extract").is(200).has(`[name="transformer.data_filters"]`, "b.c").has(`option[value="application/json"][selected]`,
		"JSON objects")

	// What a profile has made of a message is not shown as one that is refused.
	standard, err := w.db.Profile(t.Context(), w.project.Key, iot.DefaultProfile)
	w.must(err)
	kind, take := iot.JSONObjects, iot.Transformer{DataField: "data"}
	w.must(w.db.UpdateProfile(standard, iot.ProfileUpdate{ContentType: &kind, Transformer: &take}, "ada@veldhuis.example"))
	id := w.send(`{"payload":{"data":{"t":1}}}`)
	send("content_type", "application/json", "transformer.data_field", "data", "message", id.String()).is(200).has("#preview-came", `"t": 1`).
		has("#profile-preview", "Already transformed by a profile").lacks(`#profile-preview h3:contains("would be rejected")`)
}

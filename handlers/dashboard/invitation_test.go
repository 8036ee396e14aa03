package dashboard

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"thingpost/handlers"
	"thingpost/internal/iot"
)

// linkOf returns the token of the link that the page of the members shows once.
func (w *world) linkOf(c *client) string {
	w.t.Helper()
	link := c.get(membersPath).is(200).Find("#new-invitation").AttrOr("value", "")
	token, ok := strings.CutPrefix(link, "https://hooks.veldhuis.example/invitation?token=")
	if !ok || c.get(membersPath).Find("#new-invitation").Length() != 0 {
		w.t.Fatalf("the link is %q, or it is shown again", link)
	}
	return token
}

// invite invites somebody, and returns the token of the link.
func (w *world) invite(c *client, email string, role iot.Role) string {
	w.t.Helper()
	c.post(membersPath, "email", email, "role", string(role)).leadsTo(membersPath)
	return w.linkOf(c)
}

// role is the role of an email's account in the organization, "" if there is none.
func (w *world) role(email string) iot.Role {
	w.t.Helper()
	a, err := w.db.AccountByEmail(w.t.Context(), email)
	if iot.CodeOf(err) == iot.NotFound {
		return ""
	}
	w.must(err)
	role, err := w.db.Role(w.t.Context(), w.organization.Key, a.Key)
	w.must(err)
	return role
}

func invitationPath(token string) string { return "/invitation?token=" + token }

func TestInvitationOfSomebodyNew(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	token := w.invite(c, "bram@veldhuis.example", iot.Editor)
	c.get(membersPath).has("table", "bram@veldhuis.example").has("table", "28 Nov")
	c.get(invitationPath(token)).is(403).has("main", "This invitation is for someone else.")
	bram := w.anonymous()
	p := bram.get(invitationPath(token)).is(200).has("h1", "Join Veldhuis Growers").has("main", "bram@veldhuis.example").has("main",
		w.owner.Email).has("main", "Editor")
	p.lacks(`input[name="email"]`)
	bram.post("/invitation", "token", token, "name", "", "password", password).faulty("name", "Must not be empty.")
	bram.post("/invitation", "token", token, "name", "Bram", "password", "short").faulty("password", "Must have at least 10 characters.")
	bram.post("/invitation", "token", token, "name", "Bram", "password", password, "email", "marit@elsewhere.example").leadsTo("/?all=1")
	bram.get("/projects/greenhouse-north").is(200)
	if role := w.role("bram@veldhuis.example"); role != iot.Editor {
		t.Errorf("the role is %q", role)
	}
	again := w.anonymous()
	again.get(invitationPath(token)).is(404).has("main", "no longer open")
	again.post("/invitation", "token", token, "name", "Eve", "password", password).is(404)
	for _, no := range []string{"", "tpt_guess"} {
		again.get(invitationPath(no)).is(404)
	}
	c.get("/settings/organizations/veldhuis-growers/audit").has("tbody", "Invitation created").has("tbody", "Invitation accepted")
	// The administrator's word is that the email is his: he need not have the link of the next one.
	w.must(w.db.SetMember(w.organization.Key, mustAccount(w, "bram@veldhuis.example").Key, "", w.owner.Email))
	w.invite(c, "bram@veldhuis.example", iot.Viewer)
	bram.get("/").is(200).has("main", "You are invited")
}

func mustAccount(w *world, email string) *iot.Account {
	w.t.Helper()
	a, err := w.db.AccountByEmail(w.t.Context(), email)
	w.must(err)
	return a
}

func TestInvitationOfAnAccount(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	carla, eve := w.member("carla@veldhuis.example", ""), w.member("eve@elsewhere.example", "")
	w.must(w.db.ConfirmAccount(carla.Key))
	w.must(w.db.ConfirmAccount(eve.Key))
	token := w.invite(c, "Carla@veldhuis.example", iot.Viewer)
	other := w.as(eve)
	other.get(invitationPath(token)).is(403).has("main", "You are signed in as eve@elsewhere.example").has("form", "Sign out")
	other.post("/invitation", "token", token, "answer", "accept").is(403)
	other.get("/settings").lacks(`form[action^="/settings/invitations/"]`)

	anonymous := w.anonymous()
	href := anonymous.get(invitationPath(token)).is(200).has("main", "Sign in with its password").Find("main a.btn").AttrOr("href", "")
	if href != "/sign-in?next="+url.QueryEscape(invitationPath(token)) {
		t.Fatalf("it leads to %q", href)
	}
	anonymous.post("/invitation", "token", token, "name", "Mine", "password", "another long one").is(422) // no way around her password
	w.anonymous().post("/sign-in", "email", carla.Email, "password", "another long one").is(422)
	anonymous.post("/sign-in", "email", carla.Email, "password", password, "next", invitationPath(token)).leadsTo(invitationPath(token))
	anonymous.get(invitationPath(token)).is(200).has("form button", "Accept").has("form", "Decline")
	anonymous.post("/invitation", "token", token, "answer", "x").is(400)
	if w.role(carla.Email) != "" {
		t.Error("she is a member unasked")
	}
	anonymous.post("/invitation", "token", token, "answer", "decline").leadsTo("/settings")
	anonymous.post("/invitation", "token", token, "answer", "accept").is(404)

	// On her own pages, without the link.
	w.invite(c, carla.Email, iot.Editor)
	hers := w.as(carla)
	action := hers.get("/").is(200).has("main", "You are invited").has("main",
		"Veldhuis Growers").Find(`form[action^="/settings/invitations/"]`).AttrOr("action", "")
	hers.get("/settings").has("main", "You are invited")
	other.post(action, "answer", "accept").is(404)
	w.anonymous().post(action, "answer", "accept").leadsTo("/sign-in")
	hers.post(action, "answer", "accept").leadsTo("/?all=1")
	hers.post(action, "answer", "accept").is(404)
	if role := w.role(carla.Email); role != iot.Editor {
		t.Errorf("the role is %q", role)
	}
}

// TestAFirstPasswordOpensNothing is what somebody gains who makes an account for
// another's email, and then waits until its owner is invited: nothing.
func TestAFirstPasswordOpensNothing(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	ed := w.member("ed@veldhuis.example", iot.Admin) // may invite, and looks after no host
	w.as(ed).post(membersPath, "email", "victim@elsewhere.example", "role", "viewer").leadsTo(membersPath)
	token := w.linkOf(w.as(ed))
	squatter := w.anonymous()
	squatter.post("/invitation", "token", token, "name", "Not the victim", "password", password).leadsTo("/?all=1")
	theirs := &iot.Organization{Name: "Theirs"}
	w.must(w.db.CreateOrganization(theirs, w.owner))
	const theirMembers = "/settings/organizations/theirs/members"
	c.post(theirMembers, "email", "victim@elsewhere.example", "role", "admin").leadsTo(theirMembers)
	list, err := w.db.InvitationsOf(t.Context(), theirs.Key)
	w.must(err)
	squatter.get("/settings").is(200).lacks(`form[action^="/settings/invitations/"]`)
	squatter.post("/settings/invitations/"+list[0].ID.String(), "answer", "accept").is(404)
	squatter.get("/settings/organizations/theirs/members").is(404)
	if err := w.db.AcceptInvitation(list[0].ID, "", mustAccount(w, "victim@elsewhere.example")); iot.CodeOf(err) != iot.NotFound {
		t.Errorf("accepted without the link: %v", err)
	}
}

func TestInvitationsThatAreNotOpenAnyMore(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	gone := func(token, why string) {
		t.Helper()
		if p := w.anonymous().get(invitationPath(token)); p.status != 404 {
			t.Errorf("%s: the link answers %d", why, p.status)
		}
		w.anonymous().post("/invitation", "token", token, "name", "Bram", "password", password).is(404)
	}
	const email = "bram@veldhuis.example"
	first := w.invite(c, email, iot.Admin)
	second := w.invite(c, strings.ToUpper(email), iot.Viewer)
	gone(first, "replaced")
	revoke := c.get(membersPath).Find(`a[href*="/invitations/"]`).AttrOr("href", "")
	w.as(w.member("vera@veldhuis.example", iot.Editor)).post(revoke).is(403)
	c.get(revoke).is(200).has("h1", "Revoke the invitation of BRAM@VELDHUIS.EXAMPLE?")
	c.post(revoke).leadsTo(membersPath)
	c.post(revoke).is(404)
	gone(second, "revoked")

	admin := w.member("ada@veldhuis.example", iot.Admin)
	byAdmin := w.as(admin)
	demoted := w.invite(byAdmin, email, iot.Viewer)
	c.post(membersPath+"/"+admin.ID.String(), "role", "editor").leadsTo(membersPath)
	gone(demoted, "its inviter is an editor now")
	c.get("/settings/organizations/veldhuis-growers/audit").has("tbody", "its inviter may not invite any more")
	c.post(membersPath+"/"+admin.ID.String(), "role", "admin").leadsTo(membersPath)
	gone(demoted, "its inviter is an admin again")

	old := w.invite(c, email, iot.Viewer)
	w.clock.advance(7*24*time.Hour - time.Second)
	w.anonymous().get(invitationPath(old)).is(200)
	w.clock.advance(time.Second)
	gone(old, "seven days old")
	w.as(w.owner).get(membersPath).lacks(`a[href*="/invitations/"]`)

	owned := w.invite(w.as(w.owner), email, iot.Viewer)
	w.must(w.db.DeleteOrganization(w.organization, w.owner.Email))
	gone(owned, "its organization is deleted")
}

func TestAcceptingKeepsTheHigherRole(t *testing.T) {
	w := openWorld(t)
	for was, want := range map[iot.Role]iot.Role{iot.Viewer: iot.Editor, iot.Editor: iot.Editor, iot.Admin: iot.Admin, iot.Owner: iot.Owner} {
		a := w.member(string(was)+"-to-be@veldhuis.example", "")
		w.must(w.db.ConfirmAccount(a.Key))
		a.Confirmed = true
		i := &iot.Invitation{Email: a.Email, Role: iot.Editor}
		w.must(w.db.CreateInvitations(w.organization, []*iot.Invitation{i}, w.owner))
		w.must(w.db.SetMember(w.organization.Key, a.Key, was, "thingpost user")) // meanwhile
		w.must(w.db.AcceptInvitation(i.ID, "", a))
		if role := w.role(a.Email); role != want {
			t.Errorf("a %s who accepts editor is %s, want %s", was, role, want)
		}
	}
	editor := w.member("ed@veldhuis.example", iot.Editor)
	for _, by := range []*iot.Account{editor, w.member("alone@elsewhere.example", "")} {
		if err := w.db.CreateInvitations(w.organization, []*iot.Invitation{{Email: "x@veldhuis.example", Role: iot.Viewer}},
			by); iot.CodeOf(err) != iot.Forbidden {
			t.Errorf("%s invites: %v", by.Email, err)
		}
	}
}

func TestOnlyTheAdministratorMakesOrganizations(t *testing.T) {
	w := openWorld(t)
	viewer := w.as(w.member("vera@veldhuis.example", iot.Viewer))
	viewer.get("/settings").is(200).lacks(`form[action="/settings/organizations"]`)
	viewer.post("/settings/organizations", "organization", "Mine").is(403)
	w.as(w.owner).get("/settings").has(`form[action="/settings/organizations"]`, "Name")
}

// TestInvitationIsMailed shows on the page what becomes of a mail, beside the link, which
// is shown once all the same.
func TestInvitationIsMailed(t *testing.T) {
	var links []string
	var last *iot.Invitation
	var refusal string
	w := openWorld(t, func(o *Options) {
		d := o.DB
		o.Inviter = handlers.NewInviter(handlers.InviterOptions{Create: d.CreateInvitations, PublicURL: o.PublicURL, Now: o.Now,
			Mail: func(v *iot.Invitation, link string) string {
				last, links = v, append(links, link)
				return refusal
			},
			Done: func(id iot.ID, failure string) {
				if err := d.MailDone(id, failure); err != nil {
					t.Error(err)
				}
			}})
	})
	c := w.as(w.owner)
	c.get(membersPath).has("form button", "Create invitation").has("main", "The person is mailed a link")
	c.post(membersPath, "email", "bram@veldhuis.example", "role", "editor").leadsTo(membersPath)
	// The section that asks again does not take the link from the page.
	part := c.get(membersPath, "HX-Request", "true", "HX-Target", "invitations").is(200).has("#invitations", "The mail is being sent.")
	part.lacks("html main")
	page := c.get(membersPath).is(200).has("#invitations", "The mail is being sent.").has("body", "The link is being mailed.")
	if page.Find("#new-invitation").AttrOr("value", "") != links[0] || page.Find("#invitations").AttrOr("hx-get", "") != membersPath {
		t.Errorf("the page shows no link, or does not ask again; mailed %q", links)
	}
	c.get(membersPath).lacks("#new-invitation")
	w.must(w.db.MailDone(last.ID, ""))
	page = c.get(membersPath).has("#invitations", "Mailed: the mail server has accepted it.")
	if page.Find("#invitations[hx-get]").Length() != 0 {
		t.Error("it asks again for nothing")
	}
	w.must(w.db.MailDone(last.ID, "The mail server refuses this address (550 5.1.1)."))
	c.get(membersPath).has("#invitations", "Not mailed. The mail server refuses this address (550 5.1.1).")

	refusal = "Too many mails are waiting to be sent."
	c.post(membersPath, "email", "ann@veldhuis.example", "role", "editor").leadsTo(membersPath)
	c.get(membersPath).has("#invitations", "Not mailed. Too many mails are waiting to be sent.").has("body",
		"It could not be mailed: hand on the link.").has("main", "Link of the invitation")
}

func TestInvitationIsHandedOnWithoutMail(t *testing.T) {
	w := openWorld(t)
	c := w.as(w.owner)
	c.get(membersPath).has("main", "You get a link to pass on")
	w.invite(c, "bram@veldhuis.example", iot.Editor)
	if text := c.get(membersPath).Find("#invitations").Text(); !strings.Contains(text, "bram@veldhuis.example") ||
		strings.Contains(strings.ToLower(text), "mailed") {
		t.Errorf("%q", text)
	}
}

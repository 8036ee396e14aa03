package api_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"thingpost/db"
	"thingpost/handlers"
	"thingpost/handlers/api"
	"thingpost/internal/iot"
)

const invitations = api.Prefix + "/organizations/works/invitations"

// invited is an invitation as the API answers it.
type invited struct {
	ID                  iot.ID
	Email, Organization string
	Role                iot.Role
	InvitedBy           string      `json:"invited_by"`
	ExpiresAt           iot.Instant `json:"expires_at"`
	Mail                iot.MailState
	MailFailure         string `json:"mail_failure"`
	Link                string
}

// withMail is the API of a host that mails.
func (w *world) withMail(mail func(*iot.Invitation, string) string) {
	w.api = api.New(api.Options{DB: w.db, Passwords: w.passwords, Now: w.clock, PublicURL: "https://things.example",
		Inviter: handlers.NewInviter(handlers.InviterOptions{Create: w.db.CreateInvitations, PublicURL: "https://things.example", Now: w.clock,
			Mail: mail, Done: func(id iot.ID, failure string) { w.must(w.db.MailDone(id, failure)) }})})
}

func TestInvitations(t *testing.T) {
	w := newWorld(t)
	var first, second, shown invited
	a := w.ok(201, "POST", invitations, w.admin, `{"email":"bram@example.org","role":"editor"}`)
	a.into(t, &first)
	token, ok := strings.CutPrefix(first.Link, "/invitation?token=")
	if !ok || first.Email != "bram@example.org" || first.Role != iot.Editor || first.Organization != "works" ||
		first.InvitedBy != "the-admin@example.org" || first.ExpiresAt != iot.At(w.clock().Add(7*24*time.Hour)) || first.Mail != iot.MailNone ||
		a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s", a.body)
	}
	w.ok(201, "POST", invitations, w.owner, `{"email":"ann@example.org","role":"owner"}`).into(t, &second)
	var list struct {
		Items []invited
		Next  string
	}
	a = w.ok(200, "GET", invitations+"?limit=1", w.admin, "")
	a.into(t, &list)
	if len(list.Items) != 1 || list.Items[0].ID != second.ID || list.Next == "" {
		t.Errorf("the first page: %s", a.body)
	}
	a = w.ok(200, "GET", invitations+"?limit=1&cursor="+list.Next, w.admin, "")
	a.into(t, &list)
	if len(list.Items) != 1 || list.Items[0].ID != first.ID || list.Next != "" {
		t.Errorf("the second page: %s", a.body)
	}
	one := w.ok(200, "GET", invitations+"/"+first.ID.String(), w.admin, "")
	one.into(t, &shown)
	if shown.Email != first.Email || strings.Contains(a.body+one.body, "token") || strings.Contains(a.body+one.body, token) ||
		strings.Contains(a.body+one.body, "link") {
		t.Errorf("the link is shown again, or it is another's: %s %s", a.body, one.body)
	}
	if v, err := w.db.Invitation(t.Context(), iot.Secret(token)); err != nil || v.ID != first.ID {
		t.Errorf("the link opens %+v, %v", v, err)
	}
	w.ok(204, "DELETE", invitations+"/"+first.ID.String(), w.admin, "")
	w.refused(iot.NotFound, "DELETE", invitations+"/"+first.ID.String(), w.admin, "")
	w.refused(iot.NotFound, "GET", invitations+"/"+first.ID.String(), w.admin, "")
	if _, err := w.db.Invitation(t.Context(), iot.Secret(token)); iot.CodeOf(err) != iot.NotFound {
		t.Errorf("a revoked link: %v", err)
	}
	entries, err := w.db.Audit(t.Context(), db.AuditFilter{OrganizationKey: w.project.OrganizationKey, Limit: 50})
	w.must(err)
	var actions []string
	for _, e := range entries.Items {
		actions = append(actions, e.Actor+" "+e.Action+" "+e.Subject)
	}
	for _, want := range []string{"the-admin@example.org invitation.create bram@example.org",
		"the-admin@example.org invitation.revoke bram@example.org",
		email + " invitation.create ann@example.org"} {
		if !slices.Contains(actions, want) {
			t.Errorf("the audit log has no %q: %q", want, actions)
		}
	}
}

func TestInvitationsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	for _, email := range []string{"", "bram", "bram@example.org, eve@example.org", "bram@example.org\\r\\nBcc: eve@example.org"} {
		w.refused(iot.Invalid, "POST", invitations, w.admin, `{"email":"`+email+`","role":"viewer"}`, "email")
	}
	for _, role := range []string{"", "root", "owner"} { // an admin makes no owner
		w.refused(iot.Invalid, "POST", invitations, w.admin, `{"email":"bram@example.org","role":"`+role+`"}`, "role")
	}
	w.refused(iot.Invalid, "POST", invitations, w.admin, `{"email":"bram@example.org","role":"viewer","token":"mine"}`, "token")
	w.refused(iot.Conflict, "POST", invitations, w.admin, `{"email":"THE-viewer@example.org","role":"editor"}`, "email")
	w.refused(iot.NotFound, "DELETE", invitations+"/nothing-here", w.admin, "")
	// Another organization's invitation does not exist here.
	var v invited
	w.ok(201, "POST", api.Prefix+"/organizations/elsewhere/invitations", w.outsider,
		`{"email":"bram@example.org","role":"viewer"}`).into(t, &v)
	w.refused(iot.NotFound, "GET", invitations+"/"+v.ID.String(), w.owner, "")
	w.refused(iot.NotFound, "DELETE", invitations+"/"+v.ID.String(), w.owner, "")
	w.ok(204, "DELETE", api.Prefix+"/organizations/elsewhere/invitations/"+v.ID.String(), w.outsider, "")
}

func TestWhatBecomesOfMails(t *testing.T) {
	w := newWorld(t)
	type mailed struct {
		v    iot.Invitation
		link string
	}
	var mails []mailed
	var refusal string
	w.withMail(func(v *iot.Invitation, link string) string {
		mails = append(mails, mailed{*v, link})
		return refusal
	})
	invite := func(email string) (v invited) {
		t.Helper()
		w.send("POST", invitations, w.admin, `{"email":"`+email+`","role":"viewer"}`).into(t, &v)
		return v
	}
	state := func(v invited) (s invited) {
		t.Helper()
		w.ok(200, "GET", invitations+"/"+v.ID.String(), w.admin, "").into(t, &s)
		return s
	}
	v := invite("bram@example.org")
	if len(mails) != 1 || mails[0].link != v.Link || !strings.HasPrefix(v.Link, "https://things.example/invitation?token=tpt_") ||
		mails[0].v.ID != v.ID || v.Mail != iot.MailSending || state(v).Mail != iot.MailSending {
		t.Errorf("%+v, mailed %+v", v, mails)
	}
	w.must(w.db.MailDone(v.ID, ""))
	if s := state(v); s.Mail != iot.MailSent || s.MailFailure != "" {
		t.Errorf("sent: %+v", s)
	}
	w.must(w.db.MailDone(v.ID, "The mail server refuses this address (550 5.1.1)."))
	if s := state(v); s.Mail != iot.MailFailed || s.MailFailure != "The mail server refuses this address (550 5.1.1)." {
		t.Errorf("failed: %+v", s)
	}
	refusal = "Too many mails are waiting to be sent."
	if v = invite("ann@example.org"); v.Mail != iot.MailFailed || v.MailFailure != refusal || v.Link == "" || state(v).Mail != v.Mail {
		t.Errorf("not taken over: %+v", v)
	}
	// What was being sent when the server ended has failed.
	refusal = ""
	v = invite("cor@example.org")
	w.must(w.db.FailMails("The server ended before it was sent."))
	if s := state(v); s.Mail != iot.MailFailed || s.MailFailure != "The server ended before it was sent." {
		t.Errorf("after a restart: %+v", s)
	}
	// Whoever is refused has nothing mailed.
	mails = nil
	w.refused(iot.Forbidden, "POST", invitations, w.editor, `{"email":"bram@example.org","role":"viewer"}`)
	w.refused(iot.Conflict, "POST", invitations, w.admin, `{"email":"the-viewer@example.org","role":"viewer"}`)
	if len(mails) != 0 {
		t.Errorf("mailed %+v", mails)
	}
}

func TestMailsAreLimited(t *testing.T) {
	w := newWorld(t)
	mails := 0
	w.withMail(func(*iot.Invitation, string) string { mails++; return "" })
	invite := func(token, email string) (v invited) {
		t.Helper()
		w.ok(201, "POST", invitations, token, `{"email":"`+email+`","role":"viewer"}`).into(t, &v)
		return v
	}
	for n, email := range []string{"bram@example.org", "Bram@example.org", "BRAM@example.org"} {
		if v := invite(w.admin, email); v.Mail != iot.MailSending || mails != n+1 {
			t.Errorf("%s: %+v", email, v)
		}
	}
	if v := invite(w.owner, "bram@example.org"); v.Mail != iot.MailFailed || !strings.Contains(v.MailFailure, "several times") ||
		v.Link == "" {
		t.Errorf("a fourth to the same email, by another: %+v", v)
	}
	w.pass(time.Hour)
	if v := invite(w.owner, "bram@example.org"); v.Mail != iot.MailSending {
		t.Errorf("an hour later: %+v", v)
	}
	mails = 0
	for n := range 40 {
		v := invite(w.admin, strings.Repeat("b", n+1)+"@example.org")
		if failed := n >= 30; (v.Mail == iot.MailFailed) != failed || failed != strings.Contains(v.MailFailure, "many people") {
			t.Errorf("number %d: %+v", n+1, v)
		}
	}
	if v := invite(w.owner, "ann@example.org"); v.Mail != iot.MailSending || mails != 31 {
		t.Errorf("another inviter: %+v, %d mails", v, mails)
	}
}

package dashboard

import (
	"net/http"

	"thingpost/handlers"
	"thingpost/internal/iot"
	"thingpost/views/pages"
	"thingpost/views/ui"
)

// invitationRoutes are by whom people are invited, and where they answer.
func (s *site) invitationRoutes() []route {
	const o = "/settings/organizations/{organization}"
	return []route{
		{post, o + "/members", inOrganization, iot.ManageMembers, s.invite},
		{get, o + "/invitations/{invitation}/revoke", inOrganization, iot.ManageMembers, s.confirmRevokeInvitation},
		{post, o + "/invitations/{invitation}/revoke", inOrganization, iot.ManageMembers, s.revokeInvitation},
		{get, iot.InvitationPath, anyone, 0, s.showInvitation},
		{post, iot.InvitationPath, anyone, 0, s.answerInvitation},
		{post, "/settings/invitations/{invitation}", person, 0, s.answerOwnInvitation},
	}
}

const invitationSubject = "invitation "

// invite invites somebody by email; the next page shows the link once.
func (s *site) invite(w http.ResponseWriter, r *http.Request, v *visit) error {
	f, err := form(w, r)
	if err != nil {
		return err
	}
	i := &iot.Invitation{Email: f.Value("email"), Role: iot.Role(f.Value("role"))}
	if err := s.Inviter.Invite(v.organization, []*iot.Invitation{i}, v.account); err != nil {
		if f.Fail(err, "email", "role") {
			return s.membersPage(w, r, v, http.StatusUnprocessableEntity, f)
		}
		return err
	}
	s.shown.keep(v.account.Key, invitationSubject+v.organization.UUID, i.Token)
	return s.done(w, r, membersOf(v).Members(), i.Email+" is invited. "+whatNext(i))
}

// whatNext says how whoever was invited comes to the link.
func whatNext(i *iot.Invitation) string {
	switch i.Mail {
	case iot.MailSending, iot.MailSent:
		return "The link is being mailed."
	case iot.MailFailed:
		return "It could not be mailed: hand on the link."
	case iot.MailNone:
	}
	return "Hand on the link."
}

// invitation finds the organization's invitation of the address.
func (s *site) invitation(r *http.Request, v *visit) (*iot.Invitation, error) {
	list, err := s.DB.InvitationsOf(r.Context(), v.organization.Key)
	if err != nil {
		return nil, err
	}
	return handlers.InvitationOf(list, r.PathValue("invitation"))
}

// confirmRevokeInvitation asks before an invitation is revoked.
func (s *site) confirmRevokeInvitation(w http.ResponseWriter, r *http.Request, v *visit) error {
	i, err := s.invitation(r, v)
	if err != nil {
		return err
	}
	o := membersOf(v)
	return s.confirm(w, r, v, shellFor{title: "Revoke invitation", here: o.Members()}, http.StatusOK, ui.ConfirmProps{
		Title: "Revoke the invitation of " + i.Email + "?", Lead: "Its link stops working immediately. You can invite them again.",
		Action: o.RevokeInvitation(i.ID.String()), Confirm: "Revoke it", Icon: ui.IconBan, Danger: true, Keep: "Keep it", Back: o.Members(),
	})
}

// revokeInvitation revokes an invitation.
func (s *site) revokeInvitation(w http.ResponseWriter, r *http.Request, v *visit) error {
	i, err := s.invitation(r, v)
	if err != nil {
		return err
	}
	if err := s.DB.RevokeInvitation(v.organization.Key, i.ID, v.actor()); err != nil {
		return err
	}
	return s.done(w, r, membersOf(v).Members(), "The invitation of "+i.Email+" is revoked.")
}

// showInvitation shows what a link invites to, with what the person may do: accept
// or decline it, sign in first, or make the account.
func (s *site) showInvitation(w http.ResponseWriter, r *http.Request, v *visit) error {
	token := r.URL.Query().Get("token")
	i, err := s.DB.Invitation(r.Context(), iot.Secret(token))
	if err != nil {
		return err
	}
	return s.invitationPage(w, r, v, http.StatusOK, i, handlers.NewForm("token", token))
}

func (s *site) invitationPage(w http.ResponseWriter, r *http.Request, v *visit, status int, i *iot.Invitation, f *handlers.Form) error {
	p := pages.InvitationPage{Bare: s.bare(r, "Join "+i.OrganizationName, s.host(r)), Form: f, Invitation: i, Now: s.now()}
	_, err := s.DB.AccountByEmail(r.Context(), i.Email)
	switch {
	case v.account != nil && isFor(i, v.account):
		p.State = pages.InvitationIsYours
	case v.account != nil:
		p.State, p.As = pages.InvitationIsAnothers, v.account.Email
		status = http.StatusForbidden
	case err == nil:
		p.State = pages.InvitationNeedsSignIn
	case iot.CodeOf(err) == iot.NotFound:
		p.State = pages.InvitationNeedsAccount
	default:
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return handlers.Render(w, r, status, pages.Join(p))
}

func isFor(i *iot.Invitation, a *iot.Account) bool { return handlers.SameEmail(i.Email, a.Email) }

// answerInvitation accepts or declines an invitation by its link, or makes the
// account of whom it was given to.
func (s *site) answerInvitation(w http.ResponseWriter, r *http.Request, v *visit) error {
	f, err := form(w, r)
	if err != nil {
		return err
	}
	token := iot.Secret(f.Value("token"))
	i, err := s.DB.Invitation(r.Context(), token)
	if err != nil {
		return err
	}
	if v.account != nil {
		if !isFor(i, v.account) {
			return s.invitationPage(w, r, v, http.StatusForbidden, i, f)
		}
		return s.answer(w, r, v, i, token, f)
	}
	a := &iot.Account{Email: i.Email, Name: f.Value("name")}
	var faults iot.Faults
	checkText(&faults, "name", a.Name)
	if a.PasswordHash, err = s.hash(r, &faults, f.Raw("password"), a.Email); err == nil {
		err = s.DB.JoinByInvitation(token, a)
	}
	if err != nil {
		// An account that has come to be meanwhile is asked to sign in.
		if iot.CodeOf(err) != iot.NotFound && f.Fail(err, "name", "password", "email") {
			return s.invitationPage(w, r, v, http.StatusUnprocessableEntity, i, f)
		}
		return err
	}
	if err := s.enter(w, r, a); err != nil {
		return err
	}
	return s.done(w, r, pages.AllProjectsPath, "You are now a member of "+i.OrganizationName+".")
}

// answerOwnInvitation accepts or declines an invitation that an account finds on
// its own pages.
func (s *site) answerOwnInvitation(w http.ResponseWriter, r *http.Request, v *visit) error {
	f, err := form(w, r)
	if err != nil {
		return err
	}
	list, err := s.DB.InvitationsFor(r.Context(), v.account)
	if err != nil {
		return err
	}
	for i := range list {
		if list[i].ID.String() == r.PathValue("invitation") {
			return s.answer(w, r, v, &list[i], "", f)
		}
	}
	return iot.NewError(iot.NotFound, "You have no such invitation, or it is no longer open.")
}

// answer accepts or declines an invitation, as the pressed button says.
func (s *site) answer(w http.ResponseWriter, r *http.Request, v *visit, i *iot.Invitation, token iot.Secret, f *handlers.Form) error {
	switch f.Value("answer") {
	case "accept":
		if err := s.DB.AcceptInvitation(i.ID, token, v.account); err != nil {
			return err
		}
		return s.done(w, r, pages.AllProjectsPath, "You are now a member of "+i.OrganizationName+".")
	case "decline":
		if err := s.DB.DeclineInvitation(i.ID, token, v.account); err != nil {
			return err
		}
		return s.done(w, r, pages.AccountPath, "The invitation to "+i.OrganizationName+" is declined.")
	}
	return iot.FieldError("answer", "Accept or decline the invitation.")
}

package dashboard

import (
	"net/http"

	"thingpost/handlers"
	"thingpost/internal/iot"
	"thingpost/views/pages"
	"thingpost/views/ui"
)

// listMembers lists an organization's members, and shows the form to invite somebody.
func (s *site) listMembers(w http.ResponseWriter, r *http.Request, v *visit) error {
	return s.membersPage(w, r, v, http.StatusOK, handlers.NewForm("role", string(iot.Viewer)))
}

func (s *site) membersPage(w http.ResponseWriter, r *http.Request, v *visit, status int, f *handlers.Form) error {
	members, err := s.DB.Members(r.Context(), v.organization.Key)
	if err != nil {
		return err
	}
	o := membersOf(v)
	p := pages.MembersPage{At: o, Mails: s.Inviter.Mails(), Organization: v.organization, Members: members, Form: f,
		Roles: grantable(v), Now: s.now(), MayChange: v.may(iot.ManageMembers), MayOwners: v.may(iot.ManageOrganization), You: v.account.ID}
	if p.MayChange {
		if p.Invitations, err = s.DB.InvitationsOf(r.Context(), v.organization.Key); err != nil {
			return err
		}
		if handlers.IsFragment(r, pages.InvitationsID) { // takes no link, which the page shows
			return handlers.Render(w, r, status, pages.Invitations(p))
		}
		if token := s.shown.take(v.account.Key, invitationSubject+v.organization.UUID); token != "" {
			p.Link = (&iot.Invitation{Token: token}).Link(s.publicURL(r))
		}
	}
	if p.Shell, err = s.shell(w, r, v, shellFor{title: "Members", here: o.Members()}); err != nil {
		return err
	}
	return handlers.Render(w, r, status, pages.Members(p))
}

// grantable returns the roles that a visit may give: only an owner makes owners.
func grantable(v *visit) []iot.Role {
	if v.may(iot.ManageOrganization) {
		return iot.Roles()
	}
	return []iot.Role{iot.Viewer, iot.Editor, iot.Admin}
}

// member finds the member of the address. Only an owner changes an owner.
func (s *site) member(r *http.Request, v *visit) (*iot.Member, error) {
	members, err := s.DB.Members(r.Context(), v.organization.Key)
	if err != nil {
		return nil, err
	}
	for i := range members {
		if members[i].Account.ID.String() != r.PathValue("member") {
			continue
		}
		if members[i].Role == iot.Owner && !v.may(iot.ManageOrganization) {
			return nil, iot.NewError(iot.Forbidden, "Only an owner can change the role of an owner.")
		}
		return &members[i], nil
	}
	return nil, iot.NewError(iot.NotFound, "There is no such member.")
}

// setRole changes a member's role.
func (s *site) setRole(w http.ResponseWriter, r *http.Request, v *visit) error {
	m, err := s.member(r, v)
	if err != nil {
		return err
	}
	f, err := form(w, r)
	if err != nil {
		return err
	}
	role := iot.Role(f.Value("role"))
	if err := v.organization.Role.CheckGive(role); err != nil {
		return err
	}
	if err := s.DB.ChangeMember(v.organization.Key, m.Account.Key, role, v.actor()); err != nil {
		return err
	}
	return s.done(w, r, membersOf(v).Members(), m.Account.Email+" is now "+pages.RoleName(role)+".")
}

// confirmRemoveMember asks before a member is taken out.
func (s *site) confirmRemoveMember(w http.ResponseWriter, r *http.Request, v *visit) error {
	m, err := s.member(r, v)
	if err != nil {
		return err
	}
	o := membersOf(v)
	return s.confirm(w, r, v, shellFor{title: "Remove member", here: o.Members()}, http.StatusOK, ui.ConfirmProps{
		Title: "Remove " + m.Account.Email + "?", Lead: "They can no longer see the projects of " + v.organization.Name +
			". Their account stays, and API keys that they created still work.",
		Action: o.RemoveMember(m.Account.ID.String()), Confirm: "Remove", Icon: ui.IconTrash, Danger: true, Keep: "Keep them", Back: o.Members(),
	})
}

// removeMember takes a member out.
func (s *site) removeMember(w http.ResponseWriter, r *http.Request, v *visit) error {
	m, err := s.member(r, v)
	if err != nil {
		return err
	}
	if err := s.DB.ChangeMember(v.organization.Key, m.Account.Key, "", v.actor()); err != nil {
		return err
	}
	if m.Account.Key == v.account.Key {
		return s.done(w, r, pages.AccountPath, "You have left "+v.organization.Name+".")
	}
	return s.done(w, r, membersOf(v).Members(), m.Account.Email+" is no longer a member.")
}

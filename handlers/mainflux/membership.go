package mainflux

import (
	"net/http"
	"slices"

	"thingpost/handlers"
	"thingpost/internal/iot"
)

// membershipJSON is a member of an organization on the wire. Roles of the organization
// apply in all of its groups.
type membershipJSON struct {
	MemberID  iot.ID      `json:"member_id"`
	OrgID     string      `json:"org_id,omitempty"`
	GroupID   string      `json:"group_id,omitempty"`
	Email     string      `json:"email"`
	Role      iot.Role    `json:"role"`
	CreatedAt iot.Instant `json:"created_at"`
	UpdatedAt iot.Instant `json:"updated_at"`
}

// members returns a page of an organization's members.
func (s *server) members(r *http.Request, organization int64) (pageHead, []membershipJSON, error) {
	q, err := readQuery(r)
	if err != nil {
		return pageHead{}, nil, err
	}
	all, err := s.DB.Members(r.Context(), organization)
	if err != nil {
		return pageHead{}, nil, err
	}
	email := r.URL.Query().Get("email")
	all = slices.DeleteFunc(all, func(m iot.Member) bool { return !containsFold(m.Account.Email, email) })
	page, total := cut(&q, all, func(m iot.Member) (string, string) { return m.Account.ID.String(), m.Account.Email })
	list := make([]membershipJSON, len(page))
	for i, m := range page {
		list[i] = membershipJSON{MemberID: m.Account.ID, Email: m.Account.Email, Role: m.Role, CreatedAt: m.AddedAt, UpdatedAt: m.AddedAt}
	}
	return q.head(total), list, nil
}

func (s *server) listMemberships(w http.ResponseWriter, r *http.Request, c *caller) error {
	o, err := s.org(r, c, iot.ReadTraffic)
	if err != nil {
		return err
	}
	head, list, err := s.members(r, o.Key)
	if err != nil {
		return err
	}
	for i := range list {
		list[i].OrgID = o.UUID
	}
	return handlers.WriteJSON(w, http.StatusOK, struct {
		pageHead
		Memberships []membershipJSON `json:"org_memberships"`
	}{head, list})
}

func (s *server) listGroupMemberships(w http.ResponseWriter, r *http.Request, c *caller) error {
	p, err := s.DB.OwnedProject(r.Context(), c.account.Key, r.PathValue("id"))
	if err != nil {
		return err
	}
	head, list, err := s.members(r, p.OrganizationKey)
	if err != nil {
		return err
	}
	for i := range list {
		list[i].GroupID = p.UUID
	}
	return handlers.WriteJSON(w, http.StatusOK, struct {
		pageHead
		Memberships []membershipJSON `json:"group_memberships"`
	}{head, list})
}

// member returns a member of an organization by the account's id.
func (s *server) member(r *http.Request, o *iot.Organization, id string) (*iot.Member, error) {
	all, err := s.DB.Members(r.Context(), o.Key)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].Account.ID.String() == id {
			return &all[i], nil
		}
	}
	return nil, notFound()
}

func (s *server) showMembership(w http.ResponseWriter, r *http.Request, c *caller) error {
	o, err := s.org(r, c, iot.ReadTraffic)
	if err != nil {
		return err
	}
	m, err := s.member(r, o, r.PathValue("member"))
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, membershipJSON{MemberID: m.Account.ID, OrgID: o.UUID, Email: m.Account.Email, Role: m.Role,
		CreatedAt: m.AddedAt, UpdatedAt: m.AddedAt})
}

// membershipsBody has the given members, by email or id. The default role is viewer.
type membershipsBody struct {
	Memberships []struct {
		MemberID string   `json:"member_id"`
		Email    string   `json:"email"`
		Role     iot.Role `json:"role"`
	} `json:"org_memberships"`
}

func (b *membershipsBody) read(r *http.Request) error {
	if err := decode(r, b); err != nil {
		return err
	}
	if err := checkCount(len(b.Memberships)); err != nil {
		return err
	}
	for i := range b.Memberships {
		m := &b.Memberships[i]
		if m.Role == "" {
			m.Role = iot.Viewer
		}
		if !m.Role.Valid() {
			return badRequest(textRole)
		}
	}
	return nil
}

// invitationJSON is an invitation on the wire, with its link.
type invitationJSON struct {
	ID        iot.ID      `json:"id"`
	OrgID     string      `json:"org_id"`
	Email     string      `json:"email"`
	Role      iot.Role    `json:"role"`
	ExpiresAt iot.Instant `json:"expires_at"`
	Link      string      `json:"link"`
	// What that system has not: what becomes of the mail.
	Mail        iot.MailState `json:"mail,omitempty"`
	MailFailure string        `json:"mail_failure,omitempty"`
}

// createMemberships invites people, all or none. Mainflux makes them members at once.
// Here they become members when they accept. The answer has the links.
func (s *server) createMemberships(w http.ResponseWriter, r *http.Request, c *caller) error {
	var body membershipsBody
	if err := body.read(r); err != nil {
		return err
	}
	o, err := s.org(r, c, iot.ManageMembers)
	if err != nil {
		return err
	}
	list := make([]*iot.Invitation, len(body.Memberships))
	for i, m := range body.Memberships {
		if m.Role == iot.Owner { // refused as that system does
			if err := may(o.Role, iot.ManageOrganization); err != nil {
				return err
			}
		}
		if m.Email == "" { // ids are visible to members only
			if _, err := s.member(r, o, m.MemberID); err != nil {
				return err
			}
			return &fault{status: http.StatusConflict, text: textConflict}
		}
		list[i] = &iot.Invitation{Email: m.Email, Role: m.Role}
	}
	if err := s.Inviter.Invite(o, list, c.account); err != nil {
		return err
	}
	answer := make([]invitationJSON, len(list))
	for i, v := range list {
		answer[i] = invitationJSON{v.ID, o.UUID, v.Email, v.Role, v.ExpiresAt, v.Link(s.PublicURL), v.Mail, v.MailFailure}
	}
	w.Header().Set("Cache-Control", "no-store")
	return handlers.WriteJSON(w, http.StatusOK, map[string]any{"org_invitations": answer})
}

// updateMemberships changes the roles of members.
func (s *server) updateMemberships(w http.ResponseWriter, r *http.Request, c *caller) error {
	var body membershipsBody
	if err := body.read(r); err != nil {
		return err
	}
	o, err := s.org(r, c, iot.ManageMembers)
	if err != nil {
		return err
	}
	accounts := make([]int64, len(body.Memberships))
	for i, m := range body.Memberships {
		account, now, err := s.accountOf(r, o, m.MemberID, m.Email)
		if err != nil {
			return err
		}
		if now == "" {
			return notFound()
		}
		// Only an owner can appoint or change owners.
		if m.Role == iot.Owner || now == iot.Owner {
			if err := may(o.Role, iot.ManageOrganization); err != nil {
				return err
			}
		}
		accounts[i] = account.Key
	}
	for i, account := range accounts {
		if err := s.DB.ChangeMember(o.Key, account, body.Memberships[i].Role, c.actor()); err != nil {
			return err
		}
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// accountOf finds an account by its id or email, and its present role.
func (s *server) accountOf(r *http.Request, o *iot.Organization, id, email string) (*iot.Account, iot.Role, error) {
	members, err := s.DB.Members(r.Context(), o.Key)
	if err != nil {
		return nil, "", err
	}
	var a *iot.Account
	if email != "" {
		if a, err = s.DB.AccountByEmail(r.Context(), email); err != nil {
			return nil, "", err
		}
	}
	for i := range members {
		m := &members[i]
		if a != nil && m.Account.Key == a.Key || a == nil && m.Account.ID.String() == id {
			return &m.Account, m.Role, nil
		}
	}
	if a == nil {
		return nil, "", notFound()
	}
	return a, "", nil
}

func (s *server) removeMemberships(w http.ResponseWriter, r *http.Request, c *caller) error {
	ids, err := decodeIDs(r, "member_ids", "missing member id")
	if err != nil {
		return err
	}
	o, err := s.org(r, c, iot.ManageMembers)
	if err != nil {
		return err
	}
	var accounts []int64
	for _, id := range ids {
		m, err := s.member(r, o, id)
		if err != nil {
			return err
		}
		if m.Role == iot.Owner {
			if err := may(o.Role, iot.ManageOrganization); err != nil {
				return err
			}
		}
		accounts = append(accounts, m.Account.Key)
	}
	for _, account := range accounts {
		if err := s.DB.ChangeMember(o.Key, account, "", c.actor()); err != nil {
			return err
		}
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

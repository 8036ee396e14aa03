package api

import (
	"net/http"

	"thingpost/handlers"
	"thingpost/internal/iot"
)

func (s *server) listInvitations(w http.ResponseWriter, r *http.Request, c *caller) error {
	_, page, err := handlers.Query(r)
	if err != nil {
		return err
	}
	all, err := s.DB.InvitationsOf(r.Context(), c.organization.Key)
	if err != nil {
		return err
	}
	list, err := handlers.Cut(all, page, func(v iot.Invitation) string { return v.ID.String() })
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, list)
}

// createInvitation invites somebody. The answer alone has the link.
func (s *server) createInvitation(w http.ResponseWriter, r *http.Request, c *caller) error {
	var body struct {
		Email string   `json:"email"`
		Role  iot.Role `json:"role"`
	}
	if err := handlers.DecodeJSON(r, &body, handlers.MaxJSONBytes); err != nil {
		return err
	}
	v := &iot.Invitation{Email: body.Email, Role: body.Role}
	if err := s.Inviter.Invite(c.organization, []*iot.Invitation{v}, c.account); err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusCreated, struct {
		*iot.Invitation
		Link string `json:"link"`
	}{v, v.Link(s.PublicURL)})
}

// invitation finds the organization's open invitation of the path.
func (s *server) invitation(r *http.Request, c *caller) (*iot.Invitation, error) {
	list, err := s.DB.InvitationsOf(r.Context(), c.organization.Key)
	if err != nil {
		return nil, err
	}
	return handlers.InvitationOf(list, r.PathValue("invitation"))
}

func (s *server) showInvitation(w http.ResponseWriter, r *http.Request, c *caller) error {
	v, err := s.invitation(r, c)
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, v)
}

func (s *server) revokeInvitation(w http.ResponseWriter, r *http.Request, c *caller) error {
	v, err := s.invitation(r, c)
	if err != nil {
		return err
	}
	if err := s.DB.RevokeInvitation(c.organization.Key, v.ID, c.actor()); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

package api

import (
	"context"
	"net/http"
	"strings"

	"thingpost/handlers"
	"thingpost/internal/iot"
)

func (s *server) listProjects(w http.ResponseWriter, r *http.Request, c *caller) error {
	_, page, err := handlers.Query(r)
	if err != nil {
		return err
	}
	var all []iot.Project
	if c.key != nil {
		all = []iot.Project{*c.project}
	} else if all, err = s.DB.Projects(r.Context(), c.account.Key); err != nil {
		return err
	}
	list, err := handlers.Cut(all, page, func(p iot.Project) string { return p.UUID })
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, list)
}

func (s *server) createProject(w http.ResponseWriter, r *http.Request, c *caller) error {
	var body struct {
		ID           string `json:"id"`
		Name         string `json:"name"`
		Organization string `json:"organization"`
		AutoRegister *bool  `json:"auto_register"`
	}
	if err := handlers.DecodeJSON(r, &body, handlers.MaxJSONBytes); err != nil {
		return err
	}
	o, err := s.organization(r.Context(), c.account, body.Organization)
	if err != nil {
		return err
	}
	if !o.Role.Rights().Has(iot.ManageProject) {
		return iot.NewError(iot.Forbidden,
			"Creating a project needs the role admin in the organization "+o.ID+". Your role is "+string(o.Role)+".")
	}
	p := &iot.Project{ID: body.ID, Name: body.Name, OrganizationKey: o.Key, AutoRegister: true, Role: o.Role}
	if body.AutoRegister != nil {
		p.AutoRegister = *body.AutoRegister
	}
	if err := s.DB.CreateProject(p, c.actor()); err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusCreated, p)
}

// organization returns the account's organization of a name, or for an empty name the
// only one that it owns. It does not guess: invalid if the account owns several, or
// none.
func (s *server) organization(ctx context.Context, a *iot.Account, name string) (*iot.Organization, error) {
	if name != "" {
		o, err := s.DB.Organization(ctx, a.Key, name)
		if iot.CodeOf(err) == iot.NotFound {
			err = iot.FieldError("organization", "You are not a member of such an organization.")
		}
		return o, err
	}
	all, err := s.DB.Organizations(ctx, a.Key)
	if err != nil {
		return nil, err
	}
	var owned []string
	var only *iot.Organization
	for i := range all {
		if all[i].Role == iot.Owner {
			owned, only = append(owned, all[i].ID), &all[i]
		}
	}
	switch len(owned) {
	case 1:
		return only, nil
	case 0:
		return nil, iot.FieldError("organization", "You own no organization. Name one of which you are an admin.")
	}
	return nil, iot.FieldError("organization", "You own several organizations. Name the one for the project: "+strings.Join(owned,
		", ")+".")
}

func (s *server) showProject(w http.ResponseWriter, _ *http.Request, c *caller) error {
	return handlers.WriteJSON(w, http.StatusOK, c.project)
}

func (s *server) updateProject(w http.ResponseWriter, r *http.Request, c *caller) error {
	var u iot.ProjectUpdate
	if err := handlers.DecodeJSON(r, &u, handlers.MaxJSONBytes); err != nil {
		return err
	}
	if err := s.DB.UpdateProject(c.project, u, c.actor()); err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, c.project)
}

func (s *server) deleteProject(w http.ResponseWriter, _ *http.Request, c *caller) error {
	if err := s.DB.DeleteProject(c.project, c.actor()); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

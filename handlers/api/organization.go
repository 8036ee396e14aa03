package api

import (
	"net/http"

	"thingpost/handlers"
	"thingpost/internal/iot"
)

func (s *server) listOrganizations(w http.ResponseWriter, r *http.Request, c *caller) error {
	_, page, err := handlers.Query(r)
	if err != nil {
		return err
	}
	all, err := s.DB.Organizations(r.Context(), c.account.Key)
	if err != nil {
		return err
	}
	list, err := handlers.Cut(all, page, func(o iot.Organization) string { return o.UUID })
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, list)
}

func (s *server) createOrganization(w http.ResponseWriter, r *http.Request, c *caller) error {
	if err := c.account.MayMakeOrganizations(s.AllowRegistration); err != nil {
		return err
	}
	var body struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	if err := handlers.DecodeJSON(r, &body, handlers.MaxJSONBytes); err != nil {
		return err
	}
	if err := (iot.ProjectUpdate{Name: &body.Name}).Check(); err != nil {
		return err
	}
	o := &iot.Organization{ID: body.ID, Name: body.Name}
	if err := s.DB.CreateOrganization(o, c.account); err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusCreated, o)
}

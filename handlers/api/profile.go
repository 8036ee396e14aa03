package api

import (
	"net/http"

	"thingpost/handlers"
	"thingpost/internal/iot"
)

func (s *server) listProfiles(w http.ResponseWriter, r *http.Request, c *caller) error {
	_, page, err := handlers.Query(r)
	if err != nil {
		return err
	}
	all, err := s.DB.Profiles(r.Context(), c.project.Key)
	if err != nil {
		return err
	}
	list, err := handlers.Cut(all, page, func(p iot.Profile) string { return p.UUID })
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, list)
}

func (s *server) createProfile(w http.ResponseWriter, r *http.Request, c *caller) error {
	var body struct {
		ID      string `json:"id"`
		Name    string `json:"name"`
		Webhook *bool  `json:"webhook"`
		Write   *bool  `json:"write"`

		ContentType        iot.ContentType `json:"content_type"`
		Transformer        iot.Transformer `json:"transformer"`
		ExpectedIntervalMS int64           `json:"expected_interval_ms"`
	}
	if err := handlers.DecodeJSON(r, &body, handlers.MaxJSONBytes); err != nil {
		return err
	}
	p := &iot.Profile{ProjectKey: c.project.Key, ID: body.ID, Name: body.Name, Webhook: true, Write: true,
		ContentType: body.ContentType, Transformer: body.Transformer, ExpectedIntervalMS: body.ExpectedIntervalMS}
	if body.Webhook != nil {
		p.Webhook = *body.Webhook
	}
	if body.Write != nil {
		p.Write = *body.Write
	}
	if err := s.DB.CreateProfile(p, c.actor()); err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusCreated, p)
}

func (s *server) profile(r *http.Request, c *caller) (*iot.Profile, error) {
	return s.DB.Profile(r.Context(), c.project.Key, r.PathValue("profile"))
}

func (s *server) showProfile(w http.ResponseWriter, r *http.Request, c *caller) error {
	p, err := s.profile(r, c)
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, p)
}

func (s *server) updateProfile(w http.ResponseWriter, r *http.Request, c *caller) error {
	p, err := s.profile(r, c)
	if err != nil {
		return err
	}
	var u iot.ProfileUpdate
	if err := handlers.DecodeJSON(r, &u, handlers.MaxJSONBytes); err != nil {
		return err
	}
	if err := s.DB.UpdateProfile(p, u, c.actor()); err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, p)
}

func (s *server) deleteProfile(w http.ResponseWriter, r *http.Request, c *caller) error {
	p, err := s.profile(r, c)
	if err != nil {
		return err
	}
	if err := s.DB.DeleteProfile(p, c.actor()); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

package api

import (
	"net/http"

	"thingpost/handlers"
	"thingpost/internal/iot"
)

func (s *server) listKeys(w http.ResponseWriter, r *http.Request, c *caller) error {
	_, page, err := handlers.Query(r)
	if err != nil {
		return err
	}
	all, err := s.DB.APIKeys(r.Context(), c.project.Key)
	if err != nil {
		return err
	}
	list, err := handlers.Cut(all, page, func(k iot.APIKey) string { return k.ID })
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, list)
}

func (s *server) createKey(w http.ResponseWriter, r *http.Request, c *caller) error {
	var body struct {
		Name      string      `json:"name"`
		Rights    []string    `json:"rights"`
		ExpiresAt iot.Instant `json:"expires_at"`
	}
	if err := handlers.DecodeJSON(r, &body, handlers.MaxJSONBytes); err != nil {
		return err
	}
	rights, err := iot.ParseRights(body.Rights)
	if err != nil {
		return err
	}
	id, secret, text := iot.NewAPIKey()
	k := &iot.APIKey{ID: id, ProjectKey: c.project.Key, Name: body.Name, Rights: rights, ExpiresAt: body.ExpiresAt}
	if c.key != nil {
		err = s.DB.CreateAPIKeyBy(k, secret, c.key)
	} else if err = c.made().MayMake(k); err == nil {
		err = s.DB.CreateAPIKey(k, secret, c.actor())
	}
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusCreated, struct {
		*iot.APIKey
		Key string `json:"key"`
	}{k, text.Reveal()})
}

func (s *server) deleteKey(w http.ResponseWriter, r *http.Request, c *caller) error {
	if err := s.DB.DeleteAPIKey(c.project.Key, r.PathValue("key"), c.actor()); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

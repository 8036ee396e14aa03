package api

import (
	"net/http"

	"thingpost/handlers"
	"thingpost/internal/iot"
)

// commandID returns the id in the path; not_found if it is not an id.
func commandID(r *http.Request) (iot.ID, error) {
	id, ok := iot.ParseID(r.PathValue("command"))
	if !ok {
		return id, iot.NewError(iot.NotFound, "There is no such command in this project.")
	}
	return id, nil
}

func (s *server) listCommands(w http.ResponseWriter, r *http.Request, c *caller) error {
	_, page, err := handlers.Query(r)
	if err != nil {
		return err
	}
	before, err := page.ID()
	if err != nil {
		return err
	}
	list, err := s.DB.Commands(r.Context(), c.project.Key, before, page.Limit+1)
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, handlers.First(list, page.Limit, func(c iot.Command) string { return c.ID.String() }))
}

func (s *server) showCommand(w http.ResponseWriter, r *http.Request, c *caller) error {
	id, err := commandID(r)
	if err != nil {
		return err
	}
	v, err := s.DB.Command(r.Context(), c.project.Key, id)
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, v)
}

func (s *server) stopCommand(w http.ResponseWriter, r *http.Request, c *caller) error {
	id, err := commandID(r)
	if err == nil {
		err = emptyBody(r)
	}
	if err != nil {
		return err
	}
	v, err := s.DB.StopCommand(r.Context(), c.project.Key, id, c.actor())
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, v)
}

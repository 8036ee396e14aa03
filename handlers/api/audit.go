package api

import (
	"net/http"

	"thingpost/handlers"
	"thingpost/internal/iot"
)

func (s *server) listAudit(w http.ResponseWriter, r *http.Request, c *caller) error {
	_, page, err := handlers.Query(r)
	if err != nil {
		return err
	}
	before, err := page.ID()
	if err != nil {
		return err
	}
	all, err := s.DB.Audit(r.Context(), c.project.Key, before, page.Limit+1)
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, handlers.First(all, page.Limit, func(e iot.AuditEntry) string { return e.ID.String() }))
}

package api

import (
	"net/http"

	"thingpost/db"
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
	found, err := s.DB.Audit(r.Context(), db.AuditFilter{ProjectKey: c.project.Key, Before: before, Limit: page.Limit + 1})
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK,
		handlers.First(found.Items, page.Limit, func(e iot.AuditEntry) string { return e.ID.String() }))
}

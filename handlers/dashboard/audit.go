package dashboard

import (
	"net/http"

	"thingpost/handlers"
	"thingpost/internal/iot"
	"thingpost/views/pages"
)

// auditPerPage is how many changes a page shows.
const auditPerPage = 50

// listAudit lists who changed what, newest first.
func (s *site) listAudit(w http.ResponseWriter, r *http.Request, v *visit) error {
	var before iot.ID
	if text := r.URL.Query().Get("before"); text != "" {
		id, ok := iot.ParseID(text)
		if !ok {
			return iot.NewError(iot.Invalid, "This page of the audit log does not exist. Begin with the newest entries.")
		}
		before = id
	}
	entries, err := s.DB.Audit(r.Context(), v.project.Key, before, auditPerPage+1)
	if err != nil {
		return err
	}
	p := pages.AuditPage{In: v.in(), Now: s.now(), First: before.IsZero()}
	if len(entries) > auditPerPage {
		entries = entries[:auditPerPage]
		p.Next = entries[auditPerPage-1].ID.String()
	}
	p.Entries = entries
	if p.Shell, err = s.shell(w, r, v, shellFor{title: "Audit", here: v.in().Audit()}); err != nil {
		return err
	}
	return handlers.Render(w, r, http.StatusOK, pages.Audit(p))
}

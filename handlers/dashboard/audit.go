package dashboard

import (
	"net/http"
	"slices"

	"thingpost/db"
	"thingpost/handlers"
	"thingpost/internal/iot"
	"thingpost/views/pages"
)

// auditPerPage is how many changes a page shows.
const auditPerPage = 50

// listAudit lists who changed what in the project, newest first.
func (s *site) listAudit(w http.ResponseWriter, r *http.Request, v *visit) error {
	return s.auditPage(w, r, v, db.AuditFilter{ProjectKey: v.project.Key}, pages.AuditPage{Path: v.in().Audit, Here: v.in().Audit(),
		Lead: "Who changed what in this project, and when."})
}

// listOrganizationAudit lists who changed what in an organization and all of its
// projects.
func (s *site) listOrganizationAudit(w http.ResponseWriter, r *http.Request, v *visit) error {
	o := membersOf(v)
	return s.auditPage(w, r, v, db.AuditFilter{OrganizationKey: v.organization.Key},
		pages.AuditPage{Path: o.Audit, Here: o.Audit(), WithProject: true,
			Lead: "Who changed what in " + v.organization.Name + ": its members, and all of its projects."})
}

// listInstanceAudit lists all changes of this host.
func (s *site) listInstanceAudit(w http.ResponseWriter, r *http.Request, v *visit) error {
	i := instanceOf(v)
	return s.auditPage(w, r, v, db.AuditFilter{}, pages.AuditPage{Path: i.Audit, Here: i.Audit(), WithProject: true,
		Lead: "Who changed what on this host: accounts, organizations, and all projects."})
}

func (s *site) auditPage(w http.ResponseWriter, r *http.Request, v *visit, f db.AuditFilter, p pages.AuditPage) error {
	q := r.URL.Query()
	if text := q.Get("before"); text != "" {
		id, ok := iot.ParseID(text)
		if !ok {
			return iot.NewError(iot.Invalid, "This page of the audit log does not exist. Start with the newest entries.")
		}
		f.Before = id
	}
	f.Actor, f.Limit = q.Get(pages.ParamActor), auditPerPage
	if noun := q.Get(pages.ParamNoun); slices.Contains(pages.AuditNouns(), noun) {
		f.Noun = noun
	}
	found, err := s.DB.Audit(r.Context(), f)
	if err != nil {
		return err
	}
	p.Entries, p.LookedBackTo, p.Now = found.Items, found.LookedBackTo, s.now()
	p.First, p.Next, p.Actor, p.Noun = f.Before.IsZero(), found.Next.String(), f.Actor, f.Noun
	if v.project != nil {
		p.Project = v.project.ID
	}
	if p.Shell, err = s.shell(w, r, v, shellFor{title: "Audit", here: p.Here}); err != nil {
		return err
	}
	return handlers.Render(w, r, http.StatusOK, pages.Audit(p))
}

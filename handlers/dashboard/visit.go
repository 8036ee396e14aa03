package dashboard

import (
	"net/http"

	"thingpost/handlers"
	"thingpost/internal/iot"
	"thingpost/views/pages"
)

// access says whom a route is for.
type access int

const (
	anyone         access = iota // signed in or not
	person                       // signed in
	inProject                    // signed in, with a role in {project}'s organization
	inOrganization               // signed in, with a role in {organization}
	administrator                // signed in as an administrator of the instance
)

// route is a line of the table of routes.
type route struct {
	method, pattern string
	access          access
	needs           iot.Rights // of inProject and inOrganization
	handle          func(w http.ResponseWriter, r *http.Request, v *visit) error
}

// visit is who asks, where, and what they may do there.
type visit struct {
	account      *iot.Account // nil if nobody is signed in
	project      *iot.Project // of inProject, with the account's role; elsewhere, if the page was opened from one
	organization *iot.Organization
	rights       iot.Rights
}

// may reports whether all of these rights are there.
func (v *visit) may(need iot.Rights) bool { return v.rights.Has(need) }

// in is the project's addresses.
func (v *visit) in() pages.In { return pages.In(v.project.ID) }

// name is how the account is named on pages and as who paused a webhook.
func (v *visit) name() string {
	if v.account.Name != "" {
		return v.account.Name
	}
	return v.account.Email
}

// actor is how the account is named in the audit log.
func (v *visit) actor() string { return v.account.Email }

// admit finds where a request leads and whether its account may go there. What
// belongs to others is not_found.
func (s *site) admit(r *http.Request, rt route, v *visit) error {
	if rt.access == anyone {
		return nil
	}
	if v.account == nil {
		return iot.NewError(iot.Unauthorized, "Sign in first.")
	}
	switch rt.access {
	case inProject:
		p, err := s.DB.Project(r.Context(), r.PathValue("project"))
		if err != nil {
			return err
		}
		role, err := s.DB.Role(r.Context(), p.OrganizationKey, v.account.Key)
		if err != nil {
			return err
		}
		if role == "" {
			return iot.NewError(iot.NotFound, "There is no such project.")
		}
		p.Role = role
		v.project, v.rights = p, role.Rights()
	case inOrganization:
		o, err := s.DB.Organization(r.Context(), v.account.Key, r.PathValue("organization"))
		if err != nil {
			return err
		}
		v.organization, v.rights = o, o.Role.Rights()
		s.openedFrom(r, v)
		if v.project != nil && v.project.OrganizationKey != o.Key {
			v.project = nil
		}
	case administrator:
		if !v.account.Administrator {
			return iot.NewError(iot.Forbidden, "Only the administrator of this host can see this.")
		}
		s.openedFrom(r, v)
	case anyone, person:
	}
	if !v.rights.Has(rt.needs) {
		return iot.NewError(iot.Forbidden, "Your role in this organization does not allow this. Ask one of its admins.")
	}
	return nil
}

// openedFrom finds the project that a page was opened from, whose navigation
// stays beside it, if the account has a role in it.
func (s *site) openedFrom(r *http.Request, v *visit) {
	name := r.URL.Query().Get("project")
	if name == "" {
		return
	}
	p, err := s.DB.Project(r.Context(), name)
	if err != nil {
		return
	}
	if p.Role, err = s.DB.Role(r.Context(), p.OrganizationKey, v.account.Key); err == nil && p.Role != "" {
		v.project = p
		if v.organization == nil {
			v.rights = p.Role.Rights()
		}
	}
}

// form reads what was posted.
func form(w http.ResponseWriter, r *http.Request) (*handlers.Form, error) {
	return handlers.ReadForm(w, r)
}

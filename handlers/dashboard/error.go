package dashboard

import (
	"net/http"

	"github.com/a-h/templ"

	"thingpost/handlers"
	"thingpost/views/layout"
	"thingpost/views/pages"
	"thingpost/views/ui"
)

// failure returns the page about a problem of a visit: within the shell for who
// is signed in.
func (s *site) failure(v *visit) func(*http.Request, handlers.Problem) templ.Component {
	return func(r *http.Request, p handlers.Problem) templ.Component {
		e := pages.ErrorPage{Status: p.Status, Title: p.Title, Message: p.Message, Again: p.Status >= http.StatusInternalServerError}
		if v.account == nil {
			e.Bare = layout.BareProps{Title: p.Title, Lead: p.Message, Theme: theme(r)}
			return pages.BareError(e)
		}
		e.Shell = s.bareShell(r, v, p.Title)
		if v.project != nil {
			e.Shell.Project = layout.Switcher{Name: v.project.Name, Group: v.project.Organization, All: pages.AllProjectsPath}
			e.Shell.Nav = projectNav(v, "", "")
			e.Back = ui.Crumb{Label: "Back to " + v.project.Name, Href: v.in().Overview()}
		} else {
			e.Shell.Nav = accountNav(v)
			e.Back = ui.Crumb{Label: "All projects", Href: pages.AllProjectsPath}
		}
		return pages.Error(e)
	}
}

func failureToast(p handlers.Problem) templ.Component {
	return ui.Toast(ui.ToastProps{Tone: ui.Danger, Title: p.Title + ".", Text: p.Message})
}

package dashboard

import (
	"log/slog"
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

// Failure answers with a page, or for htmx with a notice, about an error that kept a
// request from the dashboard. It logs nothing, and shows no account: there may be none.
func Failure(w http.ResponseWriter, r *http.Request, err error) {
	handlers.HTML(func(http.ResponseWriter, *http.Request) error { return err }, handlers.HTMLOptions{Log: slog.New(slog.DiscardHandler),
		Page: new(site).failure(new(visit)), Toast: failureToast, ToastsID: ui.ToastsID, SignIn: pages.SignInPath}).ServeHTTP(w, r)
}

func failureToast(p handlers.Problem) templ.Component {
	return ui.Toast(ui.ToastProps{Tone: ui.Danger, Title: p.Title + ".", Text: p.Message})
}

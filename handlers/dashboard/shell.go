package dashboard

import (
	"net/http"
	"strconv"

	"thingpost/handlers"
	"thingpost/internal/iot"
	"thingpost/views/layout"
	"thingpost/views/pages"
	"thingpost/views/ui"
)

// shellFor is what a page tells about itself to have a shell.
type shellFor struct {
	title string
	// here is the address of the line of the navigation that is marked.
	here string
	wide bool // the whole width: the log
	live bool // has sections that listen to events
}

// shell returns what stands around a page of someone who is signed in. It takes
// the notice that was left for the page.
func (s *site) shell(w http.ResponseWriter, r *http.Request, v *visit, f shellFor) (layout.Props, error) {
	p := s.bareShell(r, v, f.title)
	p.Wide = f.wide
	projects, err := s.DB.Projects(r.Context(), v.account.Key)
	if err != nil {
		return p, err
	}
	if v.project != nil {
		if err := s.projectShell(r, v, f, &p, projects); err != nil {
			return p, err
		}
	} else {
		p.Nav = marked(f.here, accountNav(v))
	}
	p.Toasts = s.toasts(w, r)
	return p, nil
}

// bareShell needs no store, so that it can stand around any error.
func (s *site) bareShell(r *http.Request, v *visit, title string) layout.Props {
	p := layout.Props{Title: title, Theme: theme(r), Home: pages.HomePath, Status: s.accepting(r)}
	p.Account = layout.Account{Name: v.name(), Note: v.account.Email, Theme: pages.ThemePath, SignOut: pages.SignOutPath,
		Back: r.URL.RequestURI(),
		Links: []ui.MenuItem{
			{Label: "Account and organizations", Icon: ui.IconUser, Href: pages.AccountPath},
			{Label: "API documentation", Icon: ui.IconBookOpen, Href: pages.DocumentationPath},
		}}
	if r.Method != http.MethodGet {
		p.Account.Back = pages.HomePath
	}
	if v.project != nil {
		p.Account.Note = pages.RoleName(v.project.Role)
	}
	return p
}

func (s *site) projectShell(r *http.Request, v *visit, f shellFor, p *layout.Props, projects []iot.Project) error {
	in := v.in()
	devices, err := s.DB.CountDevices(r.Context(), v.project.Key)
	if err != nil {
		return err
	}
	hooks, err := s.DB.Webhooks(r.Context(), v.project.Key)
	if err != nil {
		return err
	}
	o, err := s.DB.Organization(r.Context(), v.account.Key, v.project.Organization)
	if err != nil {
		return err
	}
	p.Project = layout.Switcher{Name: v.project.Name, Group: o.Name, New: pages.NewProjectPath, All: pages.AllProjectsPath}
	for _, other := range projects {
		if other.OrganizationKey != v.project.OrganizationKey {
			continue
		}
		item := ui.MenuItem{Label: other.Name, Href: pages.In(other.ID).Overview()}
		if other.Key == v.project.Key {
			item.Icon, item.Current = ui.IconCheck, true
		}
		p.Project.Links = append(p.Project.Links, item)
	}
	p.Nav = marked(f.here, projectNav(v, ui.Count(int64(devices)), strconv.Itoa(len(hooks))+"/"+strconv.Itoa(s.Limits.Webhooks)))
	p.Search = in.Deliveries()
	if f.live {
		p.Events = in.Events()
	}
	return nil
}

// projectNav is the navigation of a project, with notes about its devices and
// webhooks.
func projectNav(v *visit, devices, hooks string) []layout.NavGroup {
	in := v.in()
	return append([]layout.NavGroup{
		{Links: []layout.NavLink{
			{Label: "Overview", Icon: ui.IconOverview, Href: in.Overview(), Key: "o"},
			{Label: "Deliveries", Icon: ui.IconSend, Href: in.Deliveries(), Key: "d"},
			{Label: "Messages", Icon: ui.IconInbox, Href: in.Messages(), Key: "m"},
			{Label: "Devices", Icon: ui.IconDevice, Href: in.Devices(), Note: devices},
			{Label: "Inspector", Icon: ui.IconInspector, Href: in.Inspector()},
		}},
		{Title: "Settings", Links: []layout.NavLink{
			{Label: "Configure webhooks", Icon: ui.IconWebhook, Href: in.Webhooks(), Note: hooks, Key: "w"},
			{Label: "Templates", Icon: ui.IconTemplate, Href: in.Templates()},
			{Label: "API keys", Icon: ui.IconKey, Href: ifMay(v, iot.ManageKeys, in.Keys())},
			{Label: "Profiles", Icon: ui.IconSliders, Href: in.Profiles()},
			{Label: "Members", Icon: ui.IconUsers, Href: membersOf(v).Members()},
			{Label: "Audit", Icon: ui.IconAudit, Href: ifMay(v, iot.ManageKeys, in.Audit())},
			{Label: "Project", Icon: ui.IconFolder, Href: ifMay(v, iot.ManageProject, in.Settings())},
		}},
	}, instanceNav(v)...)
}

// instanceNav is the navigation of the whole host, for its administrator.
func instanceNav(v *visit) []layout.NavGroup {
	if v.account == nil || !v.account.Administrator {
		return nil
	}
	i := instanceOf(v)
	return []layout.NavGroup{{Title: "Instance", Links: []layout.NavLink{
		{Label: "Storage", Icon: ui.IconStorage, Href: i.Storage()},
		{Label: "System", Icon: ui.IconActivity, Href: i.System()},
		{Label: "All changes", Icon: ui.IconAudit, Href: i.Audit()},
	}}}
}

// instanceOf is this host, seen from the project if the visit is in one.
func instanceOf(v *visit) pages.Instance {
	if v.project != nil {
		return pages.Instance{Project: v.project.ID}
	}
	return pages.Instance{}
}

// membersOf is the organization of a visit, seen from the project if it is in
// one.
func membersOf(v *visit) pages.Organization {
	o := pages.Organization{}
	if v.organization != nil {
		o.ID = v.organization.ID
	}
	if v.project != nil {
		o.ID, o.Project = v.project.Organization, v.project.ID
	}
	return o
}

func accountNav(v *visit) []layout.NavGroup {
	nav := []layout.NavGroup{{Links: []layout.NavLink{
		{Label: "Projects", Icon: ui.IconFolder, Href: pages.AllProjectsPath},
		{Label: "Account", Icon: ui.IconUser, Href: pages.AccountPath},
	}}}
	if v.organization != nil {
		nav = append(nav, layout.NavGroup{Title: v.organization.Name, Links: []layout.NavLink{
			{Label: "Members", Icon: ui.IconUsers, Href: membersOf(v).Members()},
			{Label: "Audit", Icon: ui.IconAudit, Href: ifMay(v, iot.ManageMembers, membersOf(v).Audit())},
		}})
	}
	return append(nav, instanceNav(v)...)
}

func marked(here string, nav []layout.NavGroup) []layout.NavGroup {
	for _, g := range nav {
		for i := range g.Links {
			g.Links[i].Current = g.Links[i].Href == here
		}
	}
	return nav
}

// ifMay returns the address for those who have the rights, "" for others.
func ifMay(v *visit, need iot.Rights, href string) string {
	if v.may(need) {
		return href
	}
	return ""
}

func (s *site) accepting(r *http.Request) ui.StatusProps {
	switch {
	case s.Accepting == nil:
		return ui.StatusProps{}
	case s.Accepting(r.Context()):
		return ui.StatusProps{Label: "Accepting", Tone: ui.Success, Live: true}
	}
	return ui.StatusProps{Label: "Not accepting", Tone: ui.Danger, Shape: ui.Square}
}

// themeCookie holds the theme that a person chose.
const themeCookie = "theme"

func theme(r *http.Request) layout.Theme {
	if c, err := r.Cookie(themeCookie); err == nil {
		return layout.ParseTheme(c.Value)
	}
	return layout.System
}

// setTheme keeps the chosen theme for a year.
func (s *site) setTheme(w http.ResponseWriter, r *http.Request, _ *visit) error {
	f, err := form(w, r)
	if err != nil {
		return err
	}
	http.SetCookie(w, s.cookie(themeCookie, string(layout.ParseTheme(f.Value("theme"))), 365*24*60*60))
	if handlers.IsHTMX(r) {
		w.WriteHeader(http.StatusNoContent) // the page shows it already
		return nil
	}
	http.Redirect(w, r, handlers.LocalPath(f.Value("back")), http.StatusSeeOther)
	return nil
}

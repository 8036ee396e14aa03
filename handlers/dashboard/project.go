package dashboard

import (
	"net/http"

	"thingpost/db"
	"thingpost/handlers"
	"thingpost/internal/iot"
	"thingpost/views/pages"
	"thingpost/views/ui"
)

// home lists the projects, or leads to the only one.
func (s *site) home(w http.ResponseWriter, r *http.Request, v *visit) error {
	projects, err := s.DB.Projects(r.Context(), v.account.Key)
	if err != nil {
		return err
	}
	invitations, err := s.DB.InvitationsFor(r.Context(), v.account)
	if err != nil {
		return err
	}
	if len(projects) == 1 && len(invitations) == 0 && r.URL.Query().Get("all") == "" {
		return handlers.Redirect(w, r, pages.In(projects[0].ID).Overview())
	}
	shell, err := s.shell(w, r, v, shellFor{title: "Projects", here: pages.AllProjectsPath})
	if err != nil {
		return err
	}
	organizations, err := s.DB.Organizations(r.Context(), v.account.Key)
	if err != nil {
		return err
	}
	return handlers.Render(w, r, http.StatusOK, pages.Projects(pages.ProjectsPage{
		Shell: shell, Projects: projects, Organizations: names(organizations), Invitations: invitations, MayCreate: len(owned(organizations)) > 0,
		Now: s.now(),
	}))
}

// names returns the names of organizations by their slugs.
func names(list []iot.Organization) map[string]string {
	m := map[string]string{}
	for _, o := range list {
		m[o.ID] = o.Name
	}
	return m
}

// owned returns the organizations in which the account may make projects.
func owned(list []iot.Organization) []iot.Organization {
	var out []iot.Organization
	for _, o := range list {
		if o.Role.Rights().Has(iot.ManageProject) {
			out = append(out, o)
		}
	}
	return out
}

// newProject shows the empty form.
func (s *site) newProject(w http.ResponseWriter, r *http.Request, v *visit) error {
	return s.projectForm(w, r, v, http.StatusOK, handlers.NewForm("auto_register", "on"))
}

func (s *site) projectForm(w http.ResponseWriter, r *http.Request, v *visit, status int, f *handlers.Form) error {
	organizations, err := s.DB.Organizations(r.Context(), v.account.Key)
	if err != nil {
		return err
	}
	if organizations = owned(organizations); len(organizations) == 0 {
		return iot.NewError(iot.Forbidden, "Only an admin of an organization can create projects. Ask an admin of yours.")
	}
	shell, err := s.shell(w, r, v, shellFor{title: "New project"})
	if err != nil {
		return err
	}
	return handlers.Render(w, r, status, pages.NewProject(pages.NewProjectPage{Shell: shell, Form: f, Organizations: organizations}))
}

// createProject makes a project with a key for its first steps.
func (s *site) createProject(w http.ResponseWriter, r *http.Request, v *visit) error {
	f, err := form(w, r)
	if err != nil {
		return err
	}
	o, err := s.DB.Organization(r.Context(), v.account.Key, f.Value("organization"))
	if iot.CodeOf(err) == iot.NotFound || err == nil && !o.Role.Rights().Has(iot.ManageProject) {
		err = iot.FieldError("organization", "Choose an organization in which you are an admin.")
	}
	p := &iot.Project{ID: f.Value("id"), Name: f.Value("name"), AutoRegister: f.Checked("auto_register")}
	if err == nil {
		p.OrganizationKey = o.Key
		err = s.DB.CreateProject(p, v.actor())
	}
	if err != nil {
		if f.Fail(err, "organization", "name", "id") {
			return s.projectForm(w, r, v, http.StatusUnprocessableEntity, f)
		}
		return err
	}
	v.project = p
	if err := s.makeFirstKey(v); err != nil {
		return err
	}
	return s.done(w, r, v.in().Overview(), p.Name+" was created.")
}

// editProject shows the settings of the project itself.
func (s *site) editProject(w http.ResponseWriter, r *http.Request, v *visit) error {
	return s.projectSettings(w, r, v, http.StatusOK, nil, nil)
}

// projectSettings shows the forms of a project's settings; nil is one as it is
// stored.
func (s *site) projectSettings(w http.ResponseWriter, r *http.Request, v *visit, status int, f, upstream *handlers.Form) error {
	if f == nil {
		f = handlers.NewForm("name", v.project.Name)
		setFlag(f, "auto_register", v.project.AutoRegister)
	}
	have, err := s.upstream(r, v)
	if err != nil {
		return err
	}
	if upstream == nil {
		upstream = upstreamForm(have)
	}
	shell, err := s.shell(w, r, v, shellFor{title: "Project settings", here: v.in().Settings()})
	if err != nil {
		return err
	}
	return handlers.Render(w, r, status, pages.ProjectSettings(pages.ProjectSettingsPage{Shell: shell, In: v.in(), Project: v.project, Form: f,
		Upstream: upstream, HasUpstream: have != nil, Now: s.now()}))
}

// updateProject saves the settings.
func (s *site) updateProject(w http.ResponseWriter, r *http.Request, v *visit) error {
	f, err := form(w, r)
	if err != nil {
		return err
	}
	name, register := f.Value("name"), f.Checked("auto_register")
	changed := *v.project
	if err := s.DB.UpdateProject(&changed, iot.ProjectUpdate{Name: &name, AutoRegister: &register}, v.actor()); err != nil {
		if f.Fail(err, "name") {
			return s.projectSettings(w, r, v, http.StatusUnprocessableEntity, f, nil)
		}
		return err
	}
	return s.done(w, r, v.in().Settings(), "Saved.")
}

// confirmDeleteProject asks before a project is deleted, and says what is lost.
func (s *site) confirmDeleteProject(w http.ResponseWriter, r *http.Request, v *visit) error {
	devices, err := s.DB.CountDevices(r.Context(), v.project.Key)
	if err != nil {
		return err
	}
	hooks, err := s.DB.Webhooks(r.Context(), v.project.Key)
	if err != nil {
		return err
	}
	stats, err := s.DB.ProjectStats(r.Context(), v.project.Key)
	if err != nil {
		return err
	}
	return s.confirm(w, r, v, shellFor{title: "Delete project", here: v.in().Settings()}, http.StatusOK, ui.ConfirmProps{
		Title:  "Delete " + v.project.Name + "?",
		Lead:   projectLoss(devices, len(hooks), stats),
		Action: v.in().Delete(), Confirm: "Delete the project", Icon: ui.IconTrash, Danger: true, Keep: "Keep it", Back: v.in().Settings(),
	})
}

func projectLoss(devices, hooks int, st *db.Stats) string {
	text := ui.Plural(int64(devices), "device", "devices") + " with their keys, " + ui.Plural(int64(hooks), "webhook", "webhooks") +
		", the API keys, the messages and the log are lost"
	if n := st.Counters.Pending; n > 0 {
		text += ", and " + ui.Plural(n, "pending delivery", "pending deliveries") + " will not be sent"
	}
	return text + ". This cannot be undone."
}

// deleteProject deletes the project.
func (s *site) deleteProject(w http.ResponseWriter, r *http.Request, v *visit) error {
	if err := s.DB.DeleteProject(v.project, v.actor()); err != nil {
		return err
	}
	return s.done(w, r, pages.AllProjectsPath, v.project.Name+" was deleted.")
}

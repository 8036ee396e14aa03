package dashboard

import (
	"net/http"
	"time"

	"thingpost/handlers"
	"thingpost/internal/iot"
	"thingpost/views/pages"
)

// home lists the projects, or leads to the only one.
func (s *site) home(w http.ResponseWriter, r *http.Request, v *visit) error {
	projects, err := s.DB.Projects(r.Context(), v.account.Key)
	if err != nil {
		return err
	}
	if len(projects) == 1 && r.URL.Query().Get("all") == "" {
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
		Shell: shell, Projects: projects, Organizations: names(organizations), MayCreate: len(owned(organizations)) > 0, Now: s.now(),
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

// firstKeyRights are what the commands of the first steps need.
const firstKeyRights = iot.SendMessages | iot.ReadTraffic | iot.ReadDevices | iot.WriteDevices | iot.ChangeSettings

const firstKeyLifetime = 24 * time.Hour

// makeFirstKey makes a key for the commands of a new project's overview, which
// shows it once.
func (s *site) makeFirstKey(v *visit) error {
	id, secret, text := iot.NewAPIKey()
	k := &iot.APIKey{ID: id, ProjectID: v.project.Key, Name: "First steps", Rights: firstKeyRights, ExpiresAt: s.now().Add(firstKeyLifetime)}
	if err := s.DB.CreateAPIKey(k, secret, v.actor()); err != nil {
		return err
	}
	s.shown.keep(v.account.Key, "first-key "+v.project.UUID, text)
	return nil
}

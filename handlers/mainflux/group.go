package mainflux

import (
	"encoding/json"
	"net/http"
	"slices"

	"thingpost/handlers"
	"thingpost/internal/iot"
)

// groupJSON is a project on the wire.
type groupJSON struct {
	ID          string          `json:"id"`
	OrgID       string          `json:"org_id"`
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Metadata    json.RawMessage `json:"metadata,omitempty"`
	CreatedAt   iot.Instant     `json:"created_at"`
	UpdatedAt   iot.Instant     `json:"updated_at"`
}

func groupOf(p *iot.Project, org string) groupJSON {
	return groupJSON{p.UUID, org, p.Name, p.Description, rawOf(p.Metadata), p.CreatedAt, p.UpdatedAt}
}

func (s *server) createGroups(w http.ResponseWriter, r *http.Request, c *caller) error {
	list, err := decodeList[namedBody](r)
	if err != nil {
		return err
	}
	o, err := s.org(r, c, iot.ManageProject)
	if err != nil {
		return err
	}
	projects := make([]*iot.Project, len(list))
	for i, body := range list {
		if err := body.check(true, iot.MaxThingName); err != nil {
			return err
		}
		projects[i] = &iot.Project{OrganizationKey: o.Key, Name: body.Name.value, Description: body.Description.value,
			Metadata: string(body.Metadata.value), AutoRegister: true}
	}
	if err := s.DB.CreateProjects(projects, c.actor()); err != nil {
		return err
	}
	answers := make([]groupJSON, len(projects))
	for i, p := range projects {
		answers[i] = groupOf(p, o.UUID)
	}
	return handlers.WriteJSON(w, http.StatusCreated, map[string]any{"groups": answers})
}

// orgIDs returns the UUIDs of the caller's organizations by their keys.
func (s *server) orgIDs(r *http.Request, c *caller) (map[int64]string, error) {
	all, err := s.DB.Organizations(r.Context(), c.account.Key)
	if err != nil {
		return nil, err
	}
	ids := make(map[int64]string, len(all))
	for _, o := range all {
		ids[o.Key] = o.UUID
	}
	return ids, nil
}

// listGroups lists the groups of an organization, or all of the caller's.
func (s *server) listGroups(w http.ResponseWriter, r *http.Request, c *caller) error {
	var only int64
	if r.PathValue("id") != "" {
		o, err := s.org(r, c, iot.ReadTraffic)
		if err != nil {
			return err
		}
		only = o.Key
	}
	q, err := readQuery(r)
	if err != nil {
		return err
	}
	all, err := s.DB.Projects(r.Context(), c.account.Key)
	if err != nil {
		return err
	}
	orgs, err := s.orgIDs(r, c)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(p iot.Project) bool {
		return only != 0 && p.OrganizationKey != only || !q.keeps(p.Name, p.Metadata)
	})
	page, total := cut(&q, all, func(p iot.Project) (string, string) { return p.UUID, p.Name })
	list := make([]groupJSON, len(page))
	for i := range page {
		list[i] = groupOf(&page[i], orgs[page[i].OrganizationKey])
	}
	return handlers.WriteJSON(w, http.StatusOK, struct {
		pageHead
		Groups []groupJSON `json:"groups"`
	}{q.head(total), list})
}

func (s *server) answerGroup(w http.ResponseWriter, r *http.Request, c *caller, p *iot.Project) error {
	orgs, err := s.orgIDs(r, c)
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, groupOf(p, orgs[p.OrganizationKey]))
}

func (s *server) showGroup(w http.ResponseWriter, r *http.Request, c *caller) error {
	p, err := s.DB.OwnedProject(r.Context(), c.account.Key, r.PathValue("id"))
	if err != nil {
		return err
	}
	return s.answerGroup(w, r, c, p)
}

func (s *server) showThingGroup(w http.ResponseWriter, r *http.Request, c *caller) error {
	_, p, err := s.DB.OwnedDevice(r.Context(), c.account.Key, r.PathValue("id"))
	if err != nil {
		return err
	}
	return s.answerGroup(w, r, c, p)
}

func (s *server) showProfileGroup(w http.ResponseWriter, r *http.Request, c *caller) error {
	_, p, err := s.DB.OwnedProfile(r.Context(), c.account.Key, r.PathValue("id"))
	if err != nil {
		return err
	}
	return s.answerGroup(w, r, c, p)
}

func (s *server) updateGroup(w http.ResponseWriter, r *http.Request, c *caller) error {
	var body namedBody
	if err := decode(r, &body); err != nil {
		return err
	}
	if err := body.check(false, iot.MaxThingName); err != nil {
		return err
	}
	p, err := s.DB.OwnedProject(r.Context(), c.account.Key, r.PathValue("id"))
	if err != nil {
		return err
	}
	if err := may(p.Role, iot.ManageProject); err != nil {
		return err
	}
	u := iot.ProjectUpdate{Name: body.Name.pointer(), Description: body.Description.pointer(), Metadata: textOf(body.Metadata)}
	if err := s.DB.UpdateProject(p, u, c.actor()); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// removeGroupsOf deletes projects, after checking that the caller may delete each.
func (s *server) removeGroupsOf(w http.ResponseWriter, r *http.Request, c *caller, ids []string) error {
	list := make([]*iot.Project, len(ids))
	for i, id := range ids {
		p, err := s.DB.OwnedProject(r.Context(), c.account.Key, id)
		if err != nil {
			return err
		}
		if err := may(p.Role, iot.ManageProject); err != nil {
			return err
		}
		list[i] = p
	}
	for _, p := range list {
		if err := s.DB.DeleteProject(p, c.actor()); err != nil {
			return err
		}
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *server) removeGroup(w http.ResponseWriter, r *http.Request, c *caller) error {
	return s.removeGroupsOf(w, r, c, []string{r.PathValue("id")})
}

func (s *server) removeGroups(w http.ResponseWriter, r *http.Request, c *caller) error {
	ids, err := decodeIDs(r, "group_ids", "missing group id")
	if err != nil {
		return err
	}
	return s.removeGroupsOf(w, r, c, ids)
}

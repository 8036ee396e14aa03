package mainflux

import (
	"encoding/json"
	"net/http"
	"slices"

	"thingpost/handlers"
	"thingpost/internal/iot"
)

// orgJSON is an organization on the wire.
type orgJSON struct {
	ID          string          `json:"id"`
	Name        string          `json:"name"`
	OwnerID     iot.ID          `json:"owner_id"`
	Description string          `json:"description,omitempty"`
	Metadata    json.RawMessage `json:"metadata,omitempty"`
	CreatedAt   iot.Instant     `json:"created_at"`
	UpdatedAt   iot.Instant     `json:"updated_at"`
}

func orgOf(o *iot.Organization) orgJSON {
	return orgJSON{o.UUID, o.Name, o.OwnerID, o.Description, rawOf(o.Metadata), o.CreatedAt, max(o.CreatedAt, o.UpdatedAt)}
}

// namedBody has the given values of an organization or a group.
type namedBody struct {
	Name        optional[string] `json:"name"`
	Description optional[string] `json:"description"`
	Metadata    optional[object] `json:"metadata"`
}

// check checks a name of at most so many bytes. Something new must have one.
func (b *namedBody) check(isNew bool, most int) error {
	if isNew || b.Name.set {
		return checkName(b.Name.value, most)
	}
	return nil
}

// org returns the caller's organization in the path, if the role has a right.
func (s *server) org(r *http.Request, c *caller, need iot.Rights) (*iot.Organization, error) {
	id := r.PathValue("id")
	if !iot.LooksLikeUUID(id) {
		return nil, notFound()
	}
	o, err := s.DB.Organization(r.Context(), c.account.Key, id)
	if err != nil {
		return nil, err
	}
	return o, may(o.Role, need)
}

func (s *server) createOrg(w http.ResponseWriter, r *http.Request, c *caller) error {
	var body namedBody
	if err := decode(r, &body); err != nil {
		return err
	}
	if err := body.check(true, iot.MaxName); err != nil {
		return err
	}
	if err := c.account.MayMakeOrganizations(s.AllowRegistration); err != nil {
		return err
	}
	o := &iot.Organization{Name: body.Name.value, Description: body.Description.value, Metadata: string(body.Metadata.value)}
	if err := (iot.OrganizationUpdate{Name: &o.Name}).Check(); err != nil {
		return err
	}
	if err := s.DB.CreateOrganization(o, c.account); err != nil {
		return err
	}
	w.Header().Set("Location", "/orgs/"+o.UUID)
	w.WriteHeader(http.StatusCreated)
	return nil
}

func (s *server) listOrgs(w http.ResponseWriter, r *http.Request, c *caller) error {
	q, err := readQuery(r)
	if err != nil {
		return err
	}
	all, err := s.DB.Organizations(r.Context(), c.account.Key)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(o iot.Organization) bool { return !q.keeps(o.Name, o.Metadata) })
	page, total := cut(&q, all, func(o iot.Organization) (string, string) { return o.UUID, o.Name })
	head := q.head(total)
	if head.Order == "" {
		head.Order = "id"
	}
	if head.Dir == "" {
		head.Dir = "desc"
	}
	list := make([]orgJSON, len(page))
	for i := range page {
		list[i] = orgOf(&page[i])
	}
	return handlers.WriteJSON(w, http.StatusOK, struct {
		pageHead
		Orgs []orgJSON `json:"orgs"`
	}{head, list})
}

func (s *server) showOrg(w http.ResponseWriter, r *http.Request, c *caller) error {
	o, err := s.org(r, c, iot.ReadTraffic)
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, orgOf(o))
}

func (s *server) updateOrg(w http.ResponseWriter, r *http.Request, c *caller) error {
	var body namedBody
	if err := decode(r, &body); err != nil {
		return err
	}
	if err := body.check(false, iot.MaxName); err != nil {
		return err
	}
	o, err := s.org(r, c, iot.ManageProject)
	if err != nil {
		return err
	}
	u := iot.OrganizationUpdate{Name: body.Name.pointer(), Description: body.Description.pointer(), Metadata: textOf(body.Metadata)}
	if err := s.DB.UpdateOrganization(o, u, c.actor()); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

func (s *server) removeOrg(w http.ResponseWriter, r *http.Request, c *caller) error {
	o, err := s.org(r, c, iot.ManageOrganization)
	if err != nil {
		return err
	}
	if err := s.DB.DeleteOrganization(o, c.actor()); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

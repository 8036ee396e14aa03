package api

import (
	"net/http"
	"strings"

	"thingpost/handlers"
	"thingpost/internal/iot"
)

// caller is the caller of a request, and its project: one of account, key and device is
// set, or none if Anyone is allowed.
type caller struct {
	account *iot.Account
	key     *iot.APIKey
	device  *iot.Device
	// project is the path's; nil if the path names none. A key's and a device's is
	// shared and must not be changed.
	project      *iot.Project
	organization *iot.Organization // the path's; nil if it names none
	role         iot.Role          // of the account in either
	rights       iot.Rights        // in either
}

// actor is the caller's name in the audit log.
func (c *caller) actor() string {
	if c.key != nil {
		return c.key.Name
	}
	return c.account.Email
}

// name is the caller's name for people.
func (c *caller) name() string {
	switch {
	case c.key != nil:
		return c.key.Name
	case c.account.Name != "":
		return c.account.Name
	}
	return c.account.Email
}

// made is the caller as a maker of keys: a key is itself, and a person has the rights
// of the role, without expiry.
func (c *caller) made() *iot.APIKey {
	if c.key != nil {
		return c.key
	}
	return &iot.APIKey{Rights: c.rights}
}

// authenticated allows the callers of the route.
func (s *server) authenticated(rt Route) handlers.Func {
	return func(w http.ResponseWriter, r *http.Request) error {
		c := &caller{}
		if rt.Who != Anyone {
			if err := s.identify(c, r, rt.Who); err != nil {
				return err
			}
			if c.device == nil {
				if err := s.mayDo(c, rt); err != nil {
					return err
				}
			}
		}
		handlers.Share(r, c.project)
		return rt.handle(s, w, r, c)
	}
}

// identify returns the caller and the path's project. A project of others does not
// exist for the caller.
func (s *server) identify(c *caller, r *http.Request, who Who) (err error) {
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	text = strings.TrimSpace(text)
	if !strings.EqualFold(scheme, "Bearer") || text == "" {
		return iot.NewError(iot.Unauthorized, "Send a token or key in the header Authorization: Bearer ….")
	}
	switch {
	case strings.HasPrefix(text, "NNSXS."):
		if c.key, c.project, err = s.Ingest.APIKey(r.Context(), iot.Secret(text)); err != nil {
			return err
		}
		if who&ProjectKey == 0 {
			return iot.NewError(iot.Forbidden, "This needs a person's token. An API key of a project cannot do it.")
		}
		c.rights = c.key.Rights
		return ownProject(r, c.project)
	case strings.HasPrefix(text, "tpt_"):
		return s.identifyUser(c, r, iot.Secret(text))
	}
	if c.device, c.project, err = s.deviceOf(r, iot.Secret(text)); err != nil {
		if iot.CodeOf(err) == iot.Unauthorized {
			return iot.NewError(iot.Unauthorized, "This token or key is unknown, expired or revoked.")
		}
		return err
	}
	if who&DeviceKey == 0 {
		return iot.NewError(iot.Forbidden, "A device's key can only send messages as its device and take its downlinks. Use a person's token "+
			"or an API key.")
	}
	return ownProject(r, c.project)
}

// deviceOf returns the device of a key, in the path's project if that has it.
func (s *server) deviceOf(r *http.Request, key iot.Secret) (*iot.Device, *iot.Project, error) {
	if name := r.PathValue("project"); name != "" {
		return s.Ingest.DeviceIn(r.Context(), name, key)
	}
	return s.Ingest.Device(r.Context(), key)
}

func (s *server) identifyUser(c *caller, r *http.Request, token iot.Secret) (err error) {
	c.account, err = s.DB.TokenAccount(r.Context(), token)
	if iot.CodeOf(err) == iot.NotFound {
		return iot.NewError(iot.Unauthorized, "This token is unknown or has expired. Get a new one with POST "+Prefix+"/tokens.")
	}
	if err != nil {
		return err
	}
	if name := r.PathValue("organization"); name != "" {
		if c.organization, err = s.DB.Organization(r.Context(), c.account.Key, name); err != nil {
			return err
		}
		c.role = c.organization.Role
		c.rights = c.role.Rights()
		return nil
	}
	name := r.PathValue("project")
	if name == "" {
		return nil
	}
	if c.project, err = s.DB.Project(r.Context(), name); err != nil {
		return err
	}
	if c.role, err = s.DB.Role(r.Context(), c.project.OrganizationKey, c.account.Key); err != nil {
		return err
	}
	if c.role == "" {
		return noProject()
	}
	c.project.Role = c.role
	c.rights = c.role.Rights()
	return nil
}

func noProject() error { return iot.NewError(iot.NotFound, "There is no such project.") }

// ownProject refuses a path that names another project than p.
func ownProject(r *http.Request, p *iot.Project) error {
	if name := r.PathValue("project"); name != "" && name != p.ID && !strings.EqualFold(name, p.UUID) {
		return noProject()
	}
	return nil
}

// mayDo returns a Forbidden error that names the missing right.
func (s *server) mayDo(c *caller, rt Route) error {
	if rt.OneOf == 0 || c.rights&rt.OneOf != 0 {
		return nil
	}
	return lacks(c, rt.OneOf)
}

func lacks(c *caller, oneOf iot.Rights) error {
	needed := strings.Join(oneOf.Names(), " or ")
	if c.key != nil {
		return iot.NewError(iot.Forbidden, "This needs the right "+needed+", which this API key does not have.")
	}
	least := iot.Owner
	for _, role := range iot.Roles() {
		if role.Rights()&oneOf != 0 {
			least = role
			break
		}
	}
	message := "This needs the role " + string(least) + ". Your role is " + string(c.role) + "."
	if needed != "" {
		message = "This needs the right " + needed + ", which the role " + string(c.role) + " does not have. The role " + string(least) +
			" has it."
	}
	return iot.NewError(iot.Forbidden, message)
}

package mainflux

import (
	"encoding/json"
	"net/http"
	"slices"

	"thingpost/handlers"
	"thingpost/internal/iot"
)

// profileJSON is a profile on the wire.
type profileJSON struct {
	ID       string          `json:"id"`
	GroupID  string          `json:"group_id"`
	Name     string          `json:"name"`
	Config   configJSON      `json:"config"`
	Metadata json.RawMessage `json:"metadata,omitempty"`
}

// configJSON is a profile's config in an answer: each flag by the name of Mainflux's
// document and by that of its service.
type configJSON struct {
	ContentType    iot.ContentType `json:"content_type"`
	Transformer    iot.Transformer `json:"transformer"`
	Write          bool            `json:"write"`
	WriteEnabled   bool            `json:"write_enabled"`
	Webhook        bool            `json:"webhook"`
	WebhookEnabled bool            `json:"webhook_enabled"`
	RuleEnabled    bool            `json:"rule_enabled"`
	SMTPID         string          `json:"smtp_id"`
}

func profileOf(p *iot.Profile, group string) profileJSON {
	c := configJSON{p.ContentType, p.Transformer, p.Write, p.Write, p.Webhook, p.Webhook, p.Rules, p.SMTPID}
	return profileJSON{p.UUID, group, p.Name, c, rawOf(p.Metadata)}
}

// configBody is the given config. It replaces the whole config: an absent flag is off.
type configBody struct {
	ContentType    iot.ContentType `json:"content_type"`
	Transformer    iot.Transformer `json:"transformer"`
	Write          optional[bool]  `json:"write"`
	WriteEnabled   optional[bool]  `json:"write_enabled"`
	Webhook        optional[bool]  `json:"webhook"`
	WebhookEnabled optional[bool]  `json:"webhook_enabled"`
	RuleEnabled    bool            `json:"rule_enabled"`
	SMTPID         string          `json:"smtp_id"`
}

// flag returns the new value of a flag with two names. If both are given and differ, a
// client has changed one and sent back the other. The changed one counts.
func flag(was bool, a, b optional[bool]) bool {
	if a.set && b.set && a.value != b.value {
		return !was
	}
	return a.value || b.value
}

// apply changes a profile by the config.
func (b *configBody) apply(p *iot.Profile, isNew bool) {
	p.ContentType, p.Transformer, p.Rules, p.SMTPID = b.ContentType, b.Transformer, b.RuleEnabled, b.SMTPID
	p.Write = flag(p.Write && !isNew, b.Write, b.WriteEnabled)
	p.Webhook = flag(p.Webhook && !isNew, b.Webhook, b.WebhookEnabled)
}

type profileBody struct {
	ID       string                `json:"id"`
	Name     optional[string]      `json:"name"`
	Config   optional[*configBody] `json:"config"`
	Metadata optional[object]      `json:"metadata"`
}

func (s *server) createProfiles(w http.ResponseWriter, r *http.Request, c *caller) error {
	list, err := decodeList[profileBody](r)
	if err != nil {
		return err
	}
	g, err := s.DB.OwnedProject(r.Context(), c.account.Key, r.PathValue("id"))
	if err != nil {
		return err
	}
	if err := may(g.Role, iot.ChangeSettings); err != nil {
		return err
	}
	profiles := make([]*iot.Profile, len(list))
	for i, body := range list {
		if err := checkName(body.Name.value, iot.MaxThingName); err != nil {
			return err
		}
		p := &iot.Profile{ProjectKey: g.Key, UUID: body.ID, Name: body.Name.value, Webhook: true, Write: true,
			Metadata: string(body.Metadata.value)}
		if body.Config.value != nil {
			body.Config.value.apply(p, true)
		}
		profiles[i] = p
	}
	if err := s.DB.CreateProfiles(profiles, c.actor()); err != nil {
		return malformedOf(err)
	}
	answers := make([]profileJSON, len(profiles))
	for i, p := range profiles {
		answers[i] = profileOf(p, g.UUID)
	}
	return handlers.WriteJSON(w, http.StatusCreated, map[string]any{"profiles": answers})
}

// malformedOf gives an invalid entity the text that clients know.
func malformedOf(err error) error {
	if iot.CodeOf(err) == iot.Invalid {
		return malformed(handlers.ErrorOf(err).Message)
	}
	return err
}

// profileIn is a profile with its group's UUID.
type profileIn struct {
	iot.Profile
	group string
}

// answerProfiles lists the profiles of projects.
func (s *server) answerProfiles(w http.ResponseWriter, r *http.Request, groups []iot.Project) error {
	q, err := readQuery(r)
	if err != nil {
		return err
	}
	var all []profileIn
	for _, g := range groups {
		list, err := s.DB.Profiles(r.Context(), g.Key)
		if err != nil {
			return err
		}
		for _, p := range list {
			if q.keeps(p.Name, p.Metadata) {
				all = append(all, profileIn{p, g.UUID})
			}
		}
	}
	page, total := cut(&q, all, func(p profileIn) (string, string) { return p.UUID, p.Name })
	list := make([]profileJSON, len(page))
	for i := range page {
		list[i] = profileOf(&page[i].Profile, page[i].group)
	}
	return handlers.WriteJSON(w, http.StatusOK, struct {
		pageHead
		Profiles []profileJSON `json:"profiles"`
	}{q.head(total), list})
}

func (s *server) listProfiles(w http.ResponseWriter, r *http.Request, c *caller) error {
	g, err := s.DB.OwnedProject(r.Context(), c.account.Key, r.PathValue("id"))
	if err != nil {
		return err
	}
	return s.answerProfiles(w, r, []iot.Project{*g})
}

func (s *server) listOrgProfiles(w http.ResponseWriter, r *http.Request, c *caller) error {
	o, err := s.org(r, c, iot.ReadDevices)
	if err != nil {
		return err
	}
	groups, err := s.DB.Projects(r.Context(), c.account.Key)
	if err != nil {
		return err
	}
	return s.answerProfiles(w, r, slices.DeleteFunc(groups, func(p iot.Project) bool { return p.OrganizationKey != o.Key }))
}

func (s *server) listAllProfiles(w http.ResponseWriter, r *http.Request, c *caller) error {
	groups, err := s.DB.Projects(r.Context(), c.account.Key)
	if err != nil {
		return err
	}
	return s.answerProfiles(w, r, groups)
}

func (s *server) showProfile(w http.ResponseWriter, r *http.Request, c *caller) error {
	p, g, err := s.DB.OwnedProfile(r.Context(), c.account.Key, r.PathValue("id"))
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, profileOf(p, g.UUID))
}

func (s *server) showThingProfile(w http.ResponseWriter, r *http.Request, c *caller) error {
	d, g, err := s.DB.OwnedDevice(r.Context(), c.account.Key, r.PathValue("id"))
	if err != nil {
		return err
	}
	p, err := s.DB.Profile(r.Context(), g.Key, d.Profile)
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, profileOf(p, g.UUID))
}

func (s *server) updateProfile(w http.ResponseWriter, r *http.Request, c *caller) error {
	var body profileBody
	if err := decode(r, &body); err != nil {
		return err
	}
	p, g, err := s.DB.OwnedProfile(r.Context(), c.account.Key, r.PathValue("id"))
	if err != nil {
		return err
	}
	if err := may(g.Role, iot.ChangeSettings); err != nil {
		return err
	}
	u := iot.ProfileUpdate{Name: body.Name.pointer(), Metadata: textOf(body.Metadata)}
	if body.Name.set {
		if err := checkName(body.Name.value, iot.MaxThingName); err != nil {
			return err
		}
	}
	if config := body.Config.value; config != nil {
		v := *p
		config.apply(&v, false)
		u.ContentType, u.Transformer, u.Write, u.Webhook, u.Rules, u.SMTPID = &v.ContentType, &v.Transformer, &v.Write, &v.Webhook, &v.Rules,
			&v.SMTPID
	}
	if err := s.DB.UpdateProfile(p, u, c.actor()); err != nil {
		return malformedOf(err)
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// removeProfilesOf deletes profiles without devices, after checking that the caller may
// delete each.
func (s *server) removeProfilesOf(w http.ResponseWriter, r *http.Request, c *caller, ids []string) error {
	list := make([]*iot.Profile, len(ids))
	for i, id := range ids {
		p, g, err := s.DB.OwnedProfile(r.Context(), c.account.Key, id)
		if err != nil {
			return err
		}
		if err := may(g.Role, iot.ChangeSettings); err != nil {
			return err
		}
		list[i] = p
	}
	for _, p := range list {
		if err := s.DB.DeleteProfile(p, c.actor()); err != nil {
			return err
		}
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *server) removeProfile(w http.ResponseWriter, r *http.Request, c *caller) error {
	return s.removeProfilesOf(w, r, c, []string{r.PathValue("id")})
}

func (s *server) removeProfiles(w http.ResponseWriter, r *http.Request, c *caller) error {
	ids, err := decodeIDs(r, "profile_ids", "missing profile id")
	if err != nil {
		return err
	}
	return s.removeProfilesOf(w, r, c, ids)
}

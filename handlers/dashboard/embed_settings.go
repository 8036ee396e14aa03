package dashboard

import (
	"net/http"
	"strconv"
	"time"

	"thingpost/handlers"
	"thingpost/internal/iot"
	"thingpost/views/layout"
	"thingpost/views/pages"
	"thingpost/views/ui"
)

// embedSettingsRoutes are the links to embedded logs of a project.
func (s *site) embedSettingsRoutes() []route {
	const all = "/projects/{project}/embeds"
	return []route{
		{get, all, inProject, iot.ManageProject, s.listEmbeds},
		{post, all, inProject, iot.ManageProject, s.createEmbed},
		{get, all + "/{embed}/revoke", inProject, iot.ManageProject, s.confirmRevokeEmbed},
		{post, all + "/{embed}/revoke", inProject, iot.ManageProject, s.revokeEmbed},
	}
}

const embedSubject = "embed "

// listEmbeds lists the links, with the form for a new one, and shows the one that
// was made just now.
func (s *site) listEmbeds(w http.ResponseWriter, r *http.Request, v *visit) error {
	return s.embedsPage(w, r, v, http.StatusOK, handlers.NewForm("days", "90"))
}

func (s *site) embedsPage(w http.ResponseWriter, r *http.Request, v *visit, status int, f *handlers.Form) error {
	p := pages.EmbedsPage{In: v.in(), Now: s.now(), Form: f}
	var err error
	if p.Embeds, err = s.DB.Embeds(r.Context(), v.project.Key); err != nil {
		return err
	}
	if p.Webhooks, err = s.DB.Webhooks(r.Context(), v.project.Key); err != nil {
		return err
	}
	if token := s.shown.take(v.account.Key, embedSubject+v.project.UUID); token != "" {
		p.New = s.publicURL(r) + pages.EmbedPath{Token: token.Reveal(), Theme: layout.System}.Log()
	}
	if p.Shell, err = s.shell(w, r, v, shellFor{title: "Embedded log", here: v.in().Settings()}); err != nil {
		return err
	}
	return handlers.Render(w, r, status, pages.Embeds(p))
}

// createEmbed makes a link, which the next page shows once.
func (s *site) createEmbed(w http.ResponseWriter, r *http.Request, v *visit) error {
	f, err := form(w, r)
	if err != nil {
		return err
	}
	token, err := s.makeEmbed(r, v, f)
	if err != nil {
		if f.Fail(err, "name", pages.ParamWebhook, "origins", "days") {
			return s.embedsPage(w, r, v, http.StatusUnprocessableEntity, f)
		}
		return err
	}
	s.shown.keep(v.account.Key, embedSubject+v.project.UUID, token)
	return handlers.Redirect(w, r, v.in().Embeds())
}

func (s *site) makeEmbed(r *http.Request, v *visit, f *handlers.Form) (iot.Secret, error) {
	e := &iot.Embed{ProjectKey: v.project.Key, Name: f.Value("name")}
	var faults iot.Faults
	checkText(&faults, "name", e.Name)
	var ok bool
	e.Origins, ok = iot.ParseOrigins(f.Value("origins"))
	faults.Check(ok, "origins", "must be 1 to 10 sites, each with only scheme and host, like https://portal.example.")
	days, err := strconv.Atoi(f.Value("days"))
	faults.Check(err == nil && days >= 1 && days <= maxKeyDays, "days", "must be 1 to 3,650 days.")
	if name := f.Value(pages.ParamWebhook); name != "" {
		h, err := s.DB.Webhook(r.Context(), v.project.Key, name)
		if err != nil && iot.CodeOf(err) != iot.NotFound {
			return "", err
		}
		if faults.Check(err == nil, pages.ParamWebhook, "Choose a webhook of this project."); err == nil {
			e.WebhookKey = h.Key
		}
	}
	if err := faults.Err(); err != nil {
		return "", err
	}
	e.ExpiresAt = s.now().Add(time.Duration(days) * 24 * time.Hour)
	return s.DB.CreateEmbed(e, v.actor())
}

// embed finds the link of the address.
func (s *site) embed(r *http.Request, v *visit) (*iot.Embed, error) {
	list, err := s.DB.Embeds(r.Context(), v.project.Key)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if list[i].ID.String() == r.PathValue("embed") && list[i].RevokedAt == 0 {
			return &list[i], nil
		}
	}
	return nil, iot.NewError(iot.NotFound, "There is no such link, or it is already revoked.")
}

// confirmRevokeEmbed asks before a link is revoked.
func (s *site) confirmRevokeEmbed(w http.ResponseWriter, r *http.Request, v *visit) error {
	e, err := s.embed(r, v)
	if err != nil {
		return err
	}
	return s.confirm(w, r, v, shellFor{title: "Revoke link", here: v.in().Settings()}, http.StatusOK, ui.ConfirmProps{
		Title: "Revoke " + e.Name + "?", Lead: "Sites that show this log immediately show an error instead. This cannot be undone.",
		Action: v.in().RevokeEmbed(e.ID.String()), Confirm: "Revoke the link", Icon: ui.IconBan, Danger: true, Keep: "Keep it",
		Back: v.in().Embeds(),
	})
}

// revokeEmbed revokes a link.
func (s *site) revokeEmbed(w http.ResponseWriter, r *http.Request, v *visit) error {
	e, err := s.embed(r, v)
	if err != nil {
		return err
	}
	if err := s.DB.RevokeEmbed(r.Context(), v.project.Key, e.ID, v.actor()); err != nil {
		return err
	}
	return s.done(w, r, v.in().Embeds(), e.Name+" was revoked.")
}

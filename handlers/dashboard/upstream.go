package dashboard

import (
	"net/http"

	"thingpost/handlers"
	"thingpost/internal/iot"
	"thingpost/views/ui"
)

func (s *site) upstreamRoutes() []route {
	const settings = "/projects/{project}/settings"
	return []route{
		{post, settings + "/upstream", inProject, iot.ManageProject, s.setUpstream},
		{get, settings + "/upstream/remove", inProject, iot.ManageProject, s.confirmRemoveUpstream},
		{post, settings + "/upstream/remove", inProject, iot.ManageProject, s.removeUpstream},
	}
}

// upstream returns where a project's downlinks go on to, nil if nowhere.
func (s *site) upstream(r *http.Request, v *visit) (*iot.Webhook, error) {
	h, err := s.DB.Upstream(r.Context(), v.project)
	if iot.CodeOf(err) == iot.NotFound {
		return nil, nil
	}
	return h, err
}

// upstreamForm is the form of an upstream as it is stored, without its key.
func upstreamForm(h *iot.Webhook) *handlers.Form {
	if h == nil {
		return handlers.NewForm()
	}
	return handlers.NewForm("url", h.URL)
}

// setUpstream saves where a project's downlinks go on to. Without a key the
// present one stays, but goes to no other host.
func (s *site) setUpstream(w http.ResponseWriter, r *http.Request, v *visit) error {
	f, err := form(w, r)
	if err != nil {
		return err
	}
	have, err := s.upstream(r, v)
	if err != nil {
		return err
	}
	u := iot.Upstream{URL: f.Value("url"), Key: iot.Secret(f.Value("key"))}
	if u.Key == "" && have != nil {
		u.Key, err = u.KeptKey(have.URL, have.Headers[0].Value.Reveal())
	}
	if err == nil {
		err = s.DB.SetUpstream(v.project, nil, u, v.actor())
	}
	if err != nil {
		if f.Fail(err, "url", "key") {
			return s.projectSettings(w, r, v, http.StatusUnprocessableEntity, nil, f)
		}
		return err
	}
	return s.done(w, r, v.in().Settings(), "Downlinks are now forwarded to "+hostOf(u.URL)+".")
}

// confirmRemoveUpstream says what becomes of downlinks without it.
func (s *site) confirmRemoveUpstream(w http.ResponseWriter, r *http.Request, v *visit) error {
	h, err := s.DB.Upstream(r.Context(), v.project)
	if err != nil {
		return err
	}
	return s.confirm(w, r, v, shellFor{title: "Remove the upstream", here: v.in().Settings()}, http.StatusOK, ui.ConfirmProps{
		Title: "Keep downlinks here?",
		Lead: "They are no longer forwarded to " + hostOf(h.URL) +
			". Downlinks that have not reached it are not sent. Devices fetch new ones here.",
		Action: v.in().RemoveUpstream(), Confirm: "Remove the upstream", Icon: ui.IconTrash, Danger: true, Keep: "Keep it",
		Back: v.in().Settings(),
	})
}

// removeUpstream lets a project's downlinks go on to nowhere.
func (s *site) removeUpstream(w http.ResponseWriter, r *http.Request, v *visit) error {
	if err := s.DB.ClearUpstream(v.project, v.actor()); err != nil {
		return err
	}
	return s.done(w, r, v.in().Settings(), "Downlinks are no longer forwarded.")
}

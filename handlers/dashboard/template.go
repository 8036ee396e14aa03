package dashboard

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"thingpost/handlers"
	"thingpost/internal/iot"
	"thingpost/internal/settings"
	"thingpost/internal/webhook"
	"thingpost/views/pages"
)

// templateRoutes are the gallery of templates and the form of each.
func (s *site) templateRoutes() []route {
	const all, one = "/projects/{project}/templates", "/projects/{project}/templates/{template}"
	return []route{
		{get, "/templates", person, 0, s.chooseTemplates},
		{get, all, inProject, iot.ReadTraffic, s.listTemplates},
		{get, one, inProject, iot.ReadTraffic, s.showTemplate},
		{post, one, inProject, iot.ChangeSettings, s.useTemplate},
		{post, one + "/preview", inProject, iot.ChangeSettings, s.previewTemplate},
	}
}

// chooseTemplates leads to the gallery of the only project, or to the list of
// projects.
func (s *site) chooseTemplates(w http.ResponseWriter, r *http.Request, v *visit) error {
	projects, err := s.DB.Projects(r.Context(), v.account.Key)
	if err != nil {
		return err
	}
	to := pages.AllProjectsPath
	if len(projects) == 1 {
		to = pages.In(projects[0].ID).Templates()
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// listTemplates shows the templates that a search finds.
func (s *site) listTemplates(w http.ResponseWriter, r *http.Request, v *visit) error {
	q := r.URL.Query()
	search, kind := strings.TrimSpace(q.Get("q")), q.Get("kind")
	hooks, err := s.DB.Webhooks(r.Context(), v.project.Key)
	if err != nil {
		return err
	}
	all := s.Templates.Templates()
	p := pages.TemplatesPage{Project: v.in(), Search: search, Kind: kind, Kinds: s.Templates.Kinds(), All: len(all),
		CanAdd: v.may(iot.ChangeSettings) && len(hooks) < s.Limits.Webhooks}
	for _, t := range s.Templates.Search(search, kind) {
		p.Cards = append(p.Cards, pages.TemplateCard{Template: t, Hue: slices.Index(all, t),
			InUse: slices.ContainsFunc(hooks, func(h *iot.Webhook) bool { return h.Template == t.ID })})
	}
	if handlers.IsFragment(r, pages.TemplatesID) {
		return handlers.Render(w, r, http.StatusOK, pages.TemplateGallery(p))
	}
	if p.Shell, err = s.shell(w, r, v, shellFor{title: "Templates", here: v.in().Templates()}); err != nil {
		return err
	}
	return handlers.Render(w, r, http.StatusOK, pages.Templates(p))
}

// showTemplate shows the form of a template, with its defaults.
func (s *site) showTemplate(w http.ResponseWriter, r *http.Request, v *visit) error {
	t, err := s.Templates.Template(r.PathValue("template"))
	if err != nil {
		return err
	}
	f := handlers.NewForm("description", t.Name)
	for _, field := range t.Fields {
		f.Set(pages.TemplateField(field.ID), field.DefaultValue)
	}
	if chosen, ok := r.URL.Query()[pages.FieldMessage]; ok {
		f.Set(pages.FieldMessage, chosen...)
	}
	return s.templatePage(w, r, v, http.StatusOK, t, f)
}

// templatePage shows a template's form and preview.
func (s *site) templatePage(w http.ResponseWriter, r *http.Request, v *visit, status int, t *iot.Template, f *handlers.Form) error {
	hooks, err := s.DB.Webhooks(r.Context(), v.project.Key)
	if err != nil {
		return err
	}
	p := pages.TemplatePage{Project: v.in(), Template: t, Hue: slices.Index(s.Templates.Templates(), t), Form: f,
		CanEdit: v.may(iot.ChangeSettings), Limit: s.Limits.Webhooks,
		Full: len(hooks) >= s.Limits.Webhooks}
	if p.Preview, err = s.templatePreview(r, v, t, f); err != nil {
		return err
	}
	if p.Shell, err = s.shell(w, r, v, shellFor{title: t.Name, here: v.in().Templates()}); err != nil {
		return err
	}
	return handlers.Render(w, r, status, pages.TemplateView(p))
}

// instance returns the webhook that a template's form describes, not saved.
func (s *site) instance(v *visit, t *iot.Template, f *handlers.Form) (*iot.Webhook, error) {
	values := make(map[string]string, len(t.Fields))
	for _, field := range t.Fields {
		values[field.ID] = f.Value(pages.TemplateField(field.ID))
	}
	h, err := webhook.Instantiate(t, "", values)
	if err != nil {
		return nil, err
	}
	h.ProjectKey, h.Description = v.project.Key, f.Value("description")
	draft, err := s.Webhooks.Draft(settings.Draft{Webhook: h})
	return draft.Webhook, err
}

// previewTemplate shows what the posted form would do with a message: the
// section alone, or the whole page where no script asks.
func (s *site) previewTemplate(w http.ResponseWriter, r *http.Request, v *visit) error {
	t, err := s.Templates.Template(r.PathValue("template"))
	if err != nil {
		return err
	}
	f, err := form(w, r)
	if err != nil {
		return err
	}
	if !handlers.IsFragment(r, pages.WebhookPreviewID) {
		return s.templatePage(w, r, v, http.StatusOK, t, f)
	}
	p, err := s.templatePreview(r, v, t, f)
	if err != nil {
		return err
	}
	return handlers.Render(w, r, http.StatusOK, pages.WebhookPreviewView(p))
}

func (s *site) templatePreview(r *http.Request, v *visit, t *iot.Template, f *handlers.Form) (pages.WebhookPreview, error) {
	p := pages.WebhookPreview{Project: v.in(), Action: v.in().PreviewTemplate(t.ID)}
	if !v.may(iot.ChangeSettings) {
		p.Look = v.in().Template(t.ID)
	}
	h, err := s.instance(v, t, f)
	if h == nil {
		h = &iot.Webhook{}
	} else if t.CreateDownlinkKey {
		h.ID, h.DownlinkKey = iot.MakeSlug(h.Description, nil), "created when you save" // shown as a mask
	}
	p, failed := s.previewOf(r, v, p, f, h, inTemplateWords(t, err))
	if e, ok := asError(err); ok && onlyEmpty(e) {
		p.Faults = []string{"Fill in the fields to see what would be sent."}
	}
	return p, failed
}

// onlyEmpty reports whether nothing is wrong but fields that are empty yet.
func onlyEmpty(e *iot.Error) bool {
	for _, text := range e.Fields {
		if text != "must not be empty." {
			return false
		}
	}
	return len(e.Fields) > 0
}

// inTemplateWords names faults of fields as the form does.
func inTemplateWords(t *iot.Template, err error) error {
	e, ok := errors.AsType[*iot.Error](err)
	if !ok {
		return err
	}
	named := &iot.Error{Code: e.Code, Message: e.Message, Fields: map[string]string{}}
	for place, text := range e.Fields {
		if id, ok := strings.CutPrefix(place, "fields."); ok {
			if i := slices.IndexFunc(t.Fields, func(f iot.TemplateField) bool { return f.ID == id }); i >= 0 {
				place = t.Fields[i].Label()
			}
		}
		named.Fields[place] = text
	}
	return named
}

// useTemplate makes a webhook of a template.
func (s *site) useTemplate(w http.ResponseWriter, r *http.Request, v *visit) error {
	t, err := s.Templates.Template(r.PathValue("template"))
	if err != nil {
		return err
	}
	f, err := form(w, r)
	if err != nil {
		return err
	}
	h, err := s.instance(v, t, f)
	if err == nil {
		_, err = s.Webhooks.CreateFromTemplate(h, t, settings.Maker{Name: v.actor(), Rights: v.rights})
	}
	if err == nil {
		return s.done(w, r, v.in().Webhooks(), h.Description+" was added.")
	}
	fields := []string{"description"}
	for _, field := range t.Fields {
		fields = append(fields, pages.TemplateField(field.ID))
	}
	if !f.Fail(err, fields...) {
		return err
	}
	status := http.StatusUnprocessableEntity
	if iot.CodeOf(err) != iot.Invalid {
		status = http.StatusConflict
	}
	return s.templatePage(w, r, v, status, t, f)
}

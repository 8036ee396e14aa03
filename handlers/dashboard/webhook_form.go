package dashboard

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"thingpost/db"
	"thingpost/handlers"
	"thingpost/internal/iot"
	"thingpost/internal/lorawan"
	"thingpost/internal/settings"
	"thingpost/internal/webhook"
	"thingpost/views/pages"
)

// asError returns the iot.Error in an error.
func asError(err error) (*iot.Error, bool) { return errors.AsType[*iot.Error](err) }

// blankWebhook is a new webhook as the form first shows it. Its format follows
// from its message types.
func blankWebhook(v *visit) *iot.Webhook {
	return &iot.Webhook{ProjectKey: v.project.Key, MessageTypes: iot.Routes{iot.User: {}}, Settings: iot.DefaultSettings()}
}

// newWebhook shows the form of a new webhook, empty or with the settings of
// another, whose secrets stay masked.
func (s *site) newWebhook(w http.ResponseWriter, r *http.Request, v *visit) error {
	f := webhookForm(blankWebhook(v))
	if name := r.URL.Query().Get(pages.FieldCopy); name != "" {
		from, err := s.DB.Webhook(r.Context(), v.project.Key, name)
		if err != nil {
			return err
		}
		f = webhookForm(from)
		f.Set("description", from.Description+" (copy)")
		f.Set(pages.FieldCopy, from.ID)
	}
	return s.webhookPage(w, r, v, http.StatusOK, webhookEdit{form: f})
}

// webhookEdit is a form of a webhook and what it is about.
type webhookEdit struct {
	form *handlers.Form
	// webhook is the one that is edited, nil for a new one.
	webhook *iot.Webhook
	// stored is what masks stand for: webhook, or the one that is copied.
	stored *iot.Webhook
	// added is the row of a header that was just added, from 1.
	added int
	// path says that a path was just added to the field mask.
	path bool
}

// readWebhookEdit reads the posted form of a webhook, nil for a new one.
func (s *site) readWebhookEdit(w http.ResponseWriter, r *http.Request, v *visit, h *iot.Webhook) (webhookEdit, error) {
	f, err := form(w, r)
	if err != nil {
		return webhookEdit{}, err
	}
	e := webhookEdit{form: f, webhook: h, stored: h}
	if name := f.Value(pages.FieldCopy); h == nil && name != "" {
		e.stored, err = s.DB.Webhook(r.Context(), v.project.Key, name)
		if iot.CodeOf(err) == iot.NotFound {
			e.stored, err = nil, nil // deleted meanwhile: its secrets are gone
		}
	}
	return e, err
}

// draft returns the webhook that the form describes. unnamed is its description if
// the form has none: a preview needs no name.
func (e webhookEdit) draft(v *visit, unnamed string) settings.Draft {
	d := settings.Draft{Webhook: e.webhook, Secrets: e.stored, Own: true, Apply: func(h *iot.Webhook, f *iot.Faults) error {
		applyForm(e.form, h, e.stored, f)
		h.Description = cmp.Or(h.Description, unnamed)
		return nil
	}}
	if d.Webhook == nil {
		d.Webhook = blankWebhook(v)
	}
	return d
}

// headerButton does what a button of the rows of headers asks for, and reports
// whether one was pressed.
func (e *webhookEdit) headerButton(limit int) bool {
	rows := headerRows(e.form)
	if e.form.Value(pages.ButtonAdd) != "" {
		if len(rows) < limit {
			rows = append(rows, headerRow{})
		}
		e.added = len(rows)
		setHeaderRows(e.form, rows)
		return true
	}
	i, err := strconv.Atoi(e.form.Value(pages.ButtonRemove))
	if err != nil {
		return false
	}
	if i >= 0 && i < len(rows) {
		setHeaderRows(e.form, append(rows[:i:i], rows[i+1:]...))
	}
	return true
}

// maskButton adds the path that was typed to the field mask, also if the form is
// saved with it, and reports whether the button for it was pressed.
func (e *webhookEdit) maskButton() bool {
	if path := e.form.Value(pages.FieldMaskAdd); path != "" {
		lines := maskOf(e.form)
		if !slices.Contains(lines, path) {
			lines = append(lines, path)
		}
		e.form.Set(pages.FieldMask, strings.Join(lines, "\n"))
		e.form.Set(pages.FieldMaskAdd)
	}
	e.path = e.form.Value(pages.ButtonMask) != ""
	return e.path
}

// webhookMask shows the paths of the field mask after one was added.
func (s *site) webhookMask(w http.ResponseWriter, r *http.Request, v *visit, e webhookEdit) error {
	if !handlers.IsFragment(r, pages.WebhookMaskID) {
		return s.webhookPage(w, r, v, http.StatusOK, e)
	}
	w.Header().Set("HX-Trigger-After-Swap", pages.WebhookPreviewEvent)
	return handlers.Render(w, r, http.StatusOK, pages.WebhookMask(s.webhookFormPage(v, e)))
}

// editWebhook shows the form of a webhook. The address can name the message of
// the preview, for those who may look only.
func (s *site) editWebhook(w http.ResponseWriter, r *http.Request, v *visit) error {
	h, err := s.webhook(r, v)
	if err != nil {
		return err
	}
	f := webhookForm(h)
	if chosen, ok := r.URL.Query()[pages.FieldMessage]; ok {
		f.Set(pages.FieldMessage, chosen...)
	}
	return s.webhookPage(w, r, v, http.StatusOK, webhookEdit{form: f, webhook: h, stored: h})
}

// createWebhook adds a webhook.
func (s *site) createWebhook(w http.ResponseWriter, r *http.Request, v *visit) error {
	e, err := s.readWebhookEdit(w, r, v, nil)
	if err != nil {
		return err
	}
	if e.headerButton(s.Limits.Headers) {
		return s.webhookHeaders(w, r, v, e)
	}
	if e.maskButton() {
		return s.webhookMask(w, r, v, e)
	}
	setHeaderRows(e.form, filledRows(e.form)) // so that faults stand at their rows
	made, err := s.Webhooks.Create(e.draft(v, ""), v.actor())
	if err != nil {
		return s.webhookFault(w, r, v, e, err)
	}
	return s.webhookSaved(w, r, v, made, made.Description+" was added.")
}

// updateWebhook saves a webhook.
func (s *site) updateWebhook(w http.ResponseWriter, r *http.Request, v *visit) error {
	old, err := s.webhook(r, v)
	if err != nil {
		return err
	}
	e, err := s.readWebhookEdit(w, r, v, old)
	if err != nil {
		return err
	}
	if e.headerButton(s.Limits.Headers) {
		return s.webhookHeaders(w, r, v, e)
	}
	if e.maskButton() {
		return s.webhookMask(w, r, v, e)
	}
	setHeaderRows(e.form, filledRows(e.form)) // so that faults stand at their rows
	if e.form.Value(pages.FieldVersion) != strconv.FormatInt(old.Version, 10) {
		return s.webhookFault(w, r, v, e, iot.NewError(iot.Conflict, "Somebody has changed this webhook since you opened it. "+
			"You see your version. Save again to replace the other change, or reload the page to see it."))
	}
	changed, err := s.Webhooks.Change(e.draft(v, ""), v.actor())
	if err != nil {
		return s.webhookFault(w, r, v, e, err)
	}
	return s.webhookSaved(w, r, v, changed, changed.Description+" was saved.")
}

// webhookSaved leads to the panel, or to where a new signing secret is shown.
func (s *site) webhookSaved(w http.ResponseWriter, r *http.Request, v *visit, h settings.Result, notice string) error {
	to := v.in().Webhooks()
	if h.NewSecret != "" {
		s.shown.keep(v.account.Key, signingSubject(h.Webhook), h.NewSecret)
		to = v.in().Webhook(h.ID)
	}
	return s.done(w, r, to, notice)
}

// webhookFault shows the form again with what is wrong, or passes on an error
// that no form can show.
func (s *site) webhookFault(w http.ResponseWriter, r *http.Request, v *visit, e webhookEdit, err error) error {
	err = inFormWords(err)
	if !e.form.Fail(err, pages.WebhookFields(pages.HeaderRows(e.form))...) {
		return err
	}
	status := http.StatusUnprocessableEntity
	if iot.CodeOf(err) != iot.Invalid {
		status = http.StatusConflict
	}
	return s.webhookPage(w, r, v, status, e)
}

// webhookHeaders shows the rows of headers after one came or went.
func (s *site) webhookHeaders(w http.ResponseWriter, r *http.Request, v *visit, e webhookEdit) error {
	if !handlers.IsFragment(r, pages.WebhookHeadersID) {
		return s.webhookPage(w, r, v, http.StatusOK, e)
	}
	w.Header().Set("HX-Trigger-After-Swap", pages.WebhookPreviewEvent)
	return handlers.Render(w, r, http.StatusOK, pages.WebhookHeaders(s.webhookFormPage(v, e)))
}

func (s *site) webhookFormPage(v *visit, e webhookEdit) pages.WebhookFormPage {
	p := pages.WebhookFormPage{Project: v.in(), Form: e.form, Webhook: e.webhook, Reader: v.name(), Now: s.now(),
		CanEdit:     v.may(iot.ChangeSettings),
		HeaderLimit: s.Limits.Headers, HeaderFocus: e.added, MaskFocus: e.path,
		MaskPaths: lorawan.MaskPaths(), Schedule: webhook.Schedule()}
	for _, x := range webhook.Variables() {
		p.Variables = append(p.Variables, pages.Variable{Name: x.Name, Text: x.Description})
	}
	return p
}

// webhookPage shows the form with its preview. A new webhook that the limit does
// not let in gets no form.
func (s *site) webhookPage(w http.ResponseWriter, r *http.Request, v *visit, status int, e webhookEdit) error {
	p := s.webhookFormPage(v, e)
	if e.webhook == nil {
		all, err := s.DB.Webhooks(r.Context(), v.project.Key)
		if err != nil {
			return err
		}
		if len(all) >= s.Limits.Webhooks {
			return iot.NewError(iot.LimitReached, "This project has "+strconv.Itoa(len(all))+" of "+strconv.Itoa(s.Limits.Webhooks)+
				" webhooks, the most that this host allows. Delete one first, or ask the operator to raise -max-webhooks.")
		}
	}
	title := "Add a webhook"
	if e.webhook != nil {
		title = e.webhook.Description
		if e.webhook.Template != "" {
			_, err := s.Templates.Template(e.webhook.Template)
			p.TemplateKnown = err == nil
		}
		p.Secret = s.shown.take(v.account.Key, signingSubject(e.webhook))
	}
	var err error
	if p.Devices, err = s.someDevices(r.Context(), v); err != nil {
		return err
	}
	if p.Preview, err = s.preview(r, v, e); err != nil {
		return err
	}
	if p.Shell, err = s.shell(w, r, v, shellFor{title: title, here: v.in().Webhooks()}); err != nil {
		return err
	}
	return handlers.Render(w, r, status, pages.WebhookFormView(p))
}

// someDevices returns slugs of the project's devices to choose from, at most 100.
func (s *site) someDevices(ctx context.Context, v *visit) ([]string, error) {
	const most = 100
	list, err := s.DB.Devices(ctx, db.DeviceFilter{ProjectKey: v.project.Key, Limit: most})
	slugs := make([]string, len(list))
	for i := range list {
		slugs[i] = list[i].ID
	}
	return slugs, err
}

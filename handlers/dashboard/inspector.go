package dashboard

import (
	"context"
	"net/http"
	"strconv"

	"thingpost/handlers"
	"thingpost/internal/iot"
	"thingpost/internal/settings"
	"thingpost/views/pages"
	"thingpost/views/ui"
)

// inspectorRoutes are the built-in receiver's page and what is done there. What
// arrives comes by another door, which the server has.
func (s *site) inspectorRoutes() []route {
	const p = "/projects/{project}/inspector"
	return []route{
		{get, p, inProject, iot.ReadTraffic, s.showInspector},
		{post, p, inProject, iot.ChangeSettings, s.createInspector},
		{post, p + "/answer", inProject, iot.ChangeSettings, s.updateInspector},
		{post, p + "/webhook", inProject, iot.ChangeSettings, s.createInspectorWebhook},
		{get, p + "/clear", inProject, iot.ChangeSettings, s.confirmClearInspector},
		{post, p + "/clear", inProject, iot.ChangeSettings, s.clearInspector},
	}
}

// inspector returns the project's inspector, nil if it has none yet.
func (s *site) inspector(ctx context.Context, v *visit) (*iot.Inspector, error) {
	i, err := s.DB.Inspector(ctx, v.project.Key)
	if iot.CodeOf(err) == iot.NotFound {
		return nil, nil
	}
	return i, err
}

// leadsToInspector reports whether a webhook's URL leads to the project's own
// inspector, which is reached whatever the network policy says.
func (s *site) leadsToInspector(ctx context.Context, v *visit, url string) (bool, error) {
	i, err := s.inspector(ctx, v)
	return i != nil && i.IsAt(url), err
}

// inspectorWebhooks returns the webhooks that lead to an inspector, and whether
// one more webhook fits.
func (s *site) inspectorWebhooks(ctx context.Context, v *visit, i *iot.Inspector) (list []*iot.Webhook, room bool, err error) {
	all, err := s.DB.Webhooks(ctx, v.project.Key)
	for _, w := range all {
		if i != nil && i.IsAt(w.URL) {
			list = append(list, w)
		}
	}
	return list, len(all) < s.Limits.Webhooks, err
}

// showInspector shows what arrived, or the section of it that refreshes itself.
func (s *site) showInspector(w http.ResponseWriter, r *http.Request, v *visit) error {
	i, err := s.inspector(r.Context(), v)
	if err != nil {
		return err
	}
	f := handlers.NewForm()
	if i != nil {
		f = handlers.NewForm(pages.FieldStatus, strconv.Itoa(int(i.Status)), pages.FieldDelay, strconv.FormatInt(i.DelayMS/1000, 10))
	}
	return s.inspectorPage(w, r, v, http.StatusOK, i, f)
}

func (s *site) inspectorPage(w http.ResponseWriter, r *http.Request, v *visit, status int, i *iot.Inspector, f *handlers.Form) error {
	p := pages.InspectorPage{In: v.in(), Now: s.now(), Inspector: i, CanEdit: v.may(iot.ChangeSettings), Form: f}
	var err error
	if p.Webhooks, p.CanAdd, err = s.inspectorWebhooks(r.Context(), v, i); err != nil {
		return err
	}
	if i != nil {
		p.URL = s.publicURL(r) + i.Path()
		if err := s.fillInspector(r, v, &p); err != nil {
			return err
		}
	}
	if handlers.IsFragment(r, pages.InspectorID) && i != nil {
		return handlers.Render(w, r, status, pages.InspectorRequests(p))
	}
	if p.Shell, err = s.shell(w, r, v, shellFor{title: "Inspector", here: v.in().Inspector(), live: true}); err != nil {
		return err
	}
	return handlers.Render(w, r, status, pages.Inspector(p))
}

// fillInspector reads what arrived: the list, and the chosen request or the
// newest whole.
func (s *site) fillInspector(r *http.Request, v *visit, p *pages.InspectorPage) error {
	var err error
	if p.Requests, err = s.DB.Inspections(r.Context(), v.project.Key); err != nil || len(p.Requests) == 0 {
		return err
	}
	id := p.Requests[0].ID
	if text := r.URL.Query().Get("request"); text != "" {
		p.Pinned = true
		chosen, ok := iot.ParseID(text)
		if !ok {
			return nil
		}
		id = chosen
	}
	p.Chosen, err = s.DB.Inspection(r.Context(), v.project.Key, id)
	if iot.CodeOf(err) == iot.NotFound { // let go of, perhaps just now
		p.Chosen = nil
		return nil
	}
	return err
}

// createInspector gives the project its inspector.
func (s *site) createInspector(w http.ResponseWriter, r *http.Request, v *visit) error {
	if _, err := s.DB.CreateInspector(v.project.Key, v.actor()); err != nil {
		return err
	}
	return s.done(w, r, v.in().Inspector(), "The inspector now has an address.")
}

// updateInspector sets what the inspector answers.
func (s *site) updateInspector(w http.ResponseWriter, r *http.Request, v *visit) error {
	i, err := s.DB.Inspector(r.Context(), v.project.Key)
	if err != nil {
		return err
	}
	f, err := form(w, r)
	if err != nil {
		return err
	}
	u, err := inspectorUpdate(f)
	if err == nil {
		err = s.DB.UpdateInspector(i, u, v.actor())
	}
	if err != nil {
		if f.Fail(err, pages.FieldStatus, pages.FieldDelay) {
			return s.inspectorPage(w, r, v, http.StatusUnprocessableEntity, i, f)
		}
		return err
	}
	return s.done(w, r, v.in().Inspector(), "The inspector now answers "+i.Status.Text()+".")
}

func inspectorUpdate(f *handlers.Form) (iot.InspectorUpdate, error) {
	number, err := strconv.Atoi(f.Value(pages.FieldStatus))
	if err != nil {
		number = 0 // out of bounds
	}
	seconds, err := strconv.ParseInt(f.Value(pages.FieldDelay), 10, 16)
	if err != nil {
		seconds = -1
	}
	status, delay := iot.StatusCode(number), seconds*1000
	u := iot.InspectorUpdate{Status: &status, DelayMS: &delay}
	return u, u.Check()
}

// createInspectorWebhook makes a webhook that leads to the inspector, and the
// inspector if there is none. If a webhook leads there already, that will do.
func (s *site) createInspectorWebhook(w http.ResponseWriter, r *http.Request, v *visit) error {
	i, err := s.DB.CreateInspector(v.project.Key, v.actor())
	if err != nil {
		return err
	}
	list, _, err := s.inspectorWebhooks(r.Context(), v, i)
	if err != nil {
		return err
	}
	if len(list) > 0 {
		return s.done(w, r, v.in().Inspector(), list[0].Description+" already sends here.")
	}
	h := blankWebhook(v)
	h.Description, h.URL, h.MessageTypes = "Inspector", s.publicURL(r)+i.Path(), iot.Routes{}
	for _, kind := range iot.MessageTypes() {
		h.MessageTypes[kind] = iot.Route{}
	}
	if _, err := s.Webhooks.Create(settings.Draft{Webhook: h, Own: true}, v.actor()); err != nil {
		return err
	}
	return s.done(w, r, v.in().Inspector(), "A webhook now sends all messages here.")
}

// confirmClearInspector asks before the requests are forgotten.
func (s *site) confirmClearInspector(w http.ResponseWriter, r *http.Request, v *visit) error {
	list, err := s.DB.Inspections(r.Context(), v.project.Key)
	if err != nil {
		return err
	}
	return s.confirm(w, r, v, shellFor{title: "Clear the inspector", here: v.in().Inspector()}, http.StatusOK, ui.ConfirmProps{
		Title: "Clear the inspector?", Lead: ui.Plural(int64(len(list)), "request is", "requests are") +
			" deleted. Messages, deliveries and the address stay.",
		Action: v.in().ClearInspector(), Confirm: "Clear", Icon: ui.IconTrash, Danger: true, Keep: "Keep them", Back: v.in().Inspector(),
	})
}

// clearInspector forgets the requests.
func (s *site) clearInspector(w http.ResponseWriter, r *http.Request, v *visit) error {
	if err := s.DB.ClearInspector(v.project.Key, v.actor()); err != nil {
		return err
	}
	return s.done(w, r, v.in().Inspector(), "The inspector was cleared.")
}

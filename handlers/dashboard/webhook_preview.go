package dashboard

import (
	"net/http"
	"slices"
	"strings"

	"thingpost/db"
	"thingpost/handlers"
	"thingpost/internal/ingest"
	"thingpost/internal/iot"
	"thingpost/internal/webhook"
	"thingpost/views/pages"
	"thingpost/views/ui"
)

// previewMessages is how many of the sample messages a preview can be made with.
const previewMessages = 20

// previewWebhook shows what the posted form would do with a message: the section
// alone, or the whole page where no script asks.
func (s *site) previewWebhook(w http.ResponseWriter, r *http.Request, v *visit) error {
	f, err := form(w, r)
	if err != nil {
		return err
	}
	var h *iot.Webhook
	if name := f.Value(pages.FieldPreviewOf); name != "" {
		if h, err = s.DB.Webhook(r.Context(), v.project.Key, name); err != nil {
			return err
		}
	}
	e, err := s.readWebhookEdit(w, r, v, h)
	if err != nil {
		return err
	}
	if !handlers.IsFragment(r, pages.WebhookPreviewID) {
		return s.webhookPage(w, r, v, http.StatusOK, e)
	}
	p, err := s.preview(r, v, e)
	if err != nil {
		return err
	}
	return handlers.Render(w, r, http.StatusOK, pages.WebhookPreviewView(p))
}

// preview returns what the form's webhook would do with the chosen message: the
// sample that it wants, if none is chosen yet.
func (s *site) preview(r *http.Request, v *visit, e webhookEdit) (pages.WebhookPreview, error) {
	p := pages.WebhookPreview{Project: v.in()}
	if e.webhook != nil && !v.may(iot.ChangeSettings) {
		p.Look = v.in().Webhook(e.webhook.ID)
	}
	draft, fault := s.Webhooks.Draft(e.draft(v, "Webhook"))
	return s.previewOf(r, v, p, e.form, draft.Webhook, inFormWords(fault))
}

// previewOf completes a preview of the webhook that a form describes. fault is
// what is wrong with the form.
func (s *site) previewOf(r *http.Request, v *visit, p pages.WebhookPreview, form *handlers.Form, h *iot.Webhook,
	fault error) (pages.WebhookPreview, error) {
	list, err := s.DB.Messages(r.Context(), db.MessageFilter{ProjectKey: v.project.Key, Limit: previewMessages})
	if err != nil {
		return p, err
	}
	mine, err := s.leadsToInspector(r.Context(), v, h.URL)
	if err != nil {
		return p, err
	}
	if s.Policy != nil && h.URL != "" && !mine {
		p.Hint = s.Policy.Hint(h.URL)
	}
	if x, ok := asError(fault); ok {
		p.Faults = faultLines(x)
		if h.URL == "" && p.Action == "" {
			p.Faults = []string{"Enter a URL to see what would be sent to it."}
		}
		p.Messages = s.messageOptions(list.Items, chosenMessage(form, list.Items))
		return p, nil
	} else if fault != nil {
		return p, fault
	}
	if err := s.resolveDevice(r, h, &p); err != nil {
		return p, err
	}
	id := chosenMessage(form, list.Items)
	if len(form.All(pages.FieldMessage)) == 0 {
		for i := range list.Items {
			found, err := s.Ingest.Preview(r.Context(), v.project, h, &list.Items[i])
			if err != nil {
				return p, err
			}
			if found.Why.Wanted {
				id = list.Items[i].ID.String()
				break
			}
		}
	}
	p.Messages = s.messageOptions(list.Items, id)
	m := ingest.SampleMessage(v.project, h, s.now())
	if i := slices.IndexFunc(list.Items, func(m iot.Message) bool { return m.ID.String() == id }); i >= 0 {
		m = &list.Items[i]
	}
	found, err := s.Ingest.Preview(r.Context(), v.project, h, m)
	if err != nil {
		return p, err
	}
	showPreview(&p, found)
	h.Signed = form.Checked("signed") // it is made when the form is saved
	p.Signing = pages.SignedNote(h, p.Body)
	return p, nil
}

// resolveDevice finds the device that the form names, as saving does.
func (s *site) resolveDevice(r *http.Request, h *iot.Webhook, p *pages.WebhookPreview) error {
	h.DeviceKey = 0
	if h.Device == "" {
		return nil
	}
	d, err := s.DB.Device(r.Context(), h.ProjectKey, h.Device)
	if iot.CodeOf(err) == iot.NotFound {
		p.Faults = append(p.Faults, "Device: There is no such device in this project.")
		return nil
	}
	if err == nil {
		h.DeviceKey, h.Device = d.Key, d.ID
	}
	return err
}

// chosenMessage is the id of the message that the form chose, or of the sample.
func chosenMessage(f *handlers.Form, list []iot.Message) string {
	if chosen := f.All(pages.FieldMessage); len(chosen) > 0 {
		return chosen[len(chosen)-1]
	}
	if len(list) > 0 {
		return list[0].ID.String()
	}
	return ""
}

func (s *site) messageOptions(list []iot.Message, chosen string) []pages.MessageOption {
	var options []pages.MessageOption
	sample := true
	for i := range list {
		m := &list[i]
		words := []string{ui.AgoText(m.ReceivedAt, s.now()), m.Device, string(m.Type), pages.Plain(m.Channel)}
		o := pages.MessageOption{ID: m.ID.String(), Label: strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), ", "),
			Chosen: m.ID.String() == chosen}
		sample = sample && !o.Chosen
		options = append(options, o)
	}
	return append(options, pages.MessageOption{Label: "A test message", Chosen: sample})
}

// faultLines are faults in lines that name their fields.
func faultLines(e *iot.Error) []string {
	if len(e.Fields) == 0 {
		return []string{e.Message}
	}
	var lines []string
	for name, text := range e.Fields {
		lines = append(lines, fieldLabel(name)+": "+text)
	}
	slices.Sort(lines)
	return lines
}

// fieldLabel names a field of the JSON as the form does.
func fieldLabel(name string) string {
	switch name {
	case "url":
		return "URL"
	case "message_types":
		return "Type"
	case "settings.timeout_ms":
		return "Timeout"
	case "settings.give_up_after_ms":
		return "Give up after"
	case "settings.max_in_flight":
		return "In flight"
	case "settings.max_per_second":
		return "Per second"
	case "settings.retry_on":
		return "Retry on"
	case "payload":
		return "Payload"
	case pages.FieldContentType:
		return "What devices send"
	case pages.FieldDataField:
		return "Field"
	case pages.FieldDataFilters:
		return "Only these"
	case pages.FieldTimeField:
		return "Device time"
	case pages.FieldTimeFormat:
		return "Time format"
	case pages.FieldTimeLocation:
		return "Time zone"
	}
	if kind, ok := strings.CutPrefix(name, "message_types."); ok {
		return "Path of " + strings.TrimSuffix(kind, ".path")
	}
	if strings.HasPrefix(name, "headers.") {
		return "Headers"
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

// showPreview puts what was found into the form's words. Secrets are masked.
func showPreview(p *pages.WebhookPreview, found ingest.Preview) {
	p.Matches, p.Checks, p.Skip = found.Why.Wanted, checks(found.Why), found.Skip
	if found.Err != nil {
		p.Problem = problem(found.Err)
	}
	if found.Request != nil {
		p.Request, p.Body = masked(found.Request), found.Request.Body
	}
}

// masked is a request as people may see it.
func masked(r *webhook.Request) *iot.Request {
	return &iot.Request{Method: r.Method, URL: r.MaskedURL(), Headers: r.Masked()}
}

// checks are the rules' findings as a list of pages.
func checks(why webhook.Why) []ui.Check {
	var list []ui.Check
	for _, f := range why.Checks {
		list = append(list, ui.Check{No: !f.OK, Text: pages.Plain(f.Text)})
	}
	return list
}

// problem is an error in words for people.
func problem(err error) string {
	if e, ok := asError(err); ok {
		return e.Message
	}
	return "No request could be created."
}

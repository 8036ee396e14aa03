package dashboard

import (
	"net/http"
	"strings"
	"time"

	"github.com/a-h/templ"

	"thingpost/db"
	"thingpost/handlers"
	"thingpost/internal/iot"
	"thingpost/views/pages"
	"thingpost/views/ui"
)

// webhookRoutes are the panel "Configure webhooks" and what is done there.
func (s *site) webhookRoutes() []route {
	const all, one = "/projects/{project}/webhooks", "/projects/{project}/webhooks/{webhook}"
	return append([]route{
		{get, all, inProject, iot.ReadTraffic, s.listWebhooks},
		{get, all + "/new", inProject, iot.ChangeSettings, s.newWebhook},
		{post, all + "/new", inProject, iot.ChangeSettings, s.createWebhook},
		{post, all + "/preview", inProject, iot.ChangeSettings, s.previewWebhook},
		{get, one, inProject, iot.ReadTraffic, s.editWebhook},
		{post, one, inProject, iot.ChangeSettings, s.updateWebhook},
		{get, one + "/delete", inProject, iot.ChangeSettings, s.confirmDeleteWebhook},
		{post, one + "/delete", inProject, iot.ChangeSettings, s.deleteWebhook},
		{get, one + "/pause", inProject, iot.ChangeSettings, s.confirmPauseWebhook},
		{post, one + "/pause", inProject, iot.ChangeSettings, s.pauseWebhook},
		{post, one + "/resume", inProject, iot.ChangeSettings, s.resumeWebhook},
		{post, one + "/test", inProject, iot.ChangeSettings, s.testWebhook},
		{post, one + "/secret", inProject, iot.ChangeSettings, s.rotateSecret},
	}, s.templateRoutes()...)
}

// webhook returns the webhook that the path names; not_found.
func (s *site) webhook(r *http.Request, v *visit) (*iot.Webhook, error) {
	return s.DB.Webhook(r.Context(), v.project.Key, r.PathValue("webhook"))
}

// listWebhooks shows the panel, or the section of it that refreshes itself.
func (s *site) listWebhooks(w http.ResponseWriter, r *http.Request, v *visit) error {
	hooks, err := s.DB.Webhooks(r.Context(), v.project.Key)
	if err != nil {
		return err
	}
	figures, err := s.DB.WebhookStats(r.Context(), v.project.Key)
	if err != nil {
		return err
	}
	p := pages.WebhooksPage{Project: v.in(), Now: s.now(), Limit: s.Limits.Webhooks, CanEdit: v.may(iot.ChangeSettings), Reader: v.name(),
		Series: deliverySeries()}
	for _, h := range hooks {
		row, err := s.webhookRow(r, h, figures[h.Key])
		if err != nil {
			return err
		}
		p.Rows = append(p.Rows, row)
	}
	if handlers.IsFragment(r, pages.WebhooksID) {
		return handlers.Render(w, r, http.StatusOK, pages.WebhookList(p))
	}
	p.Shell, err = s.shell(w, r, v, shellFor{title: "Configure webhooks", here: v.in().Webhooks(), live: true})
	if err != nil {
		return err
	}
	return handlers.Render(w, r, http.StatusOK, pages.Webhooks(p))
}

// webhookRow returns a webhook with its figures; nil figures are of one that was
// made in this moment.
func (s *site) webhookRow(r *http.Request, h *iot.Webhook, st *db.Stats) (pages.WebhookRow, error) {
	row := pages.WebhookRow{Webhook: h, URL: maskedURL(h)}
	if st != nil {
		sum := sumHours(st)
		row.Hours, row.Good, row.All = deliveryBars(st), sum.Delivered, sum.Delivered+sum.Failed+sum.Retried
		row.P95, row.Backlog, row.NextDueAt = milliseconds(st.P95MS), st.Counters.Pending, st.NextDueAt
	}
	if h.Health.Status != iot.Failing || h.Paused {
		return row, nil
	}
	last, err := s.DB.Deliveries(r.Context(), db.DeliveryFilter{ProjectKey: h.ProjectKey, WebhookKey: h.Key, Errors: iot.ErrorClasses(),
		Limit: 1})
	if err != nil {
		return row, err
	}
	if len(last.Items) > 0 {
		row.LastFailure = last.Items[0].ID
	}
	return row, nil
}

// maskedURL returns a webhook's URL without text that is a secret of it
// elsewhere too, as in a header.
func maskedURL(h *iot.Webhook) string {
	url := h.URL
	const shortest = 6 // what is shorter would mask words by chance
	for _, header := range h.Headers {
		if text := header.Value.Reveal(); header.Secret && len(text) >= shortest {
			url = strings.ReplaceAll(url, text, iot.Mask)
		}
	}
	if key := h.DownlinkKey.Reveal(); len(key) >= shortest {
		url = strings.ReplaceAll(url, key, iot.Mask)
	}
	return url
}

// question asks before something is done: in the dialog if that is what asks,
// else on a page.
func (s *site) question(w http.ResponseWriter, r *http.Request, v *visit, f shellFor, status int,
	body func(inDialog bool) templ.Component) error {
	if handlers.IsFragment(r, ui.DialogID) {
		return handlers.Render(w, r, status, body(true))
	}
	shell, err := s.shell(w, r, v, f)
	if err != nil {
		return err
	}
	return handlers.Render(w, r, status, pages.Question(shell, body(false)))
}

// webhookConfirm reads what a question about a webhook says.
func (s *site) webhookConfirm(r *http.Request, v *visit) (pages.WebhookConfirm, error) {
	h, err := s.webhook(r, v)
	if err != nil {
		return pages.WebhookConfirm{}, err
	}
	figures, err := s.DB.WebhookStats(r.Context(), v.project.Key)
	if err != nil {
		return pages.WebhookConfirm{}, err
	}
	c := pages.WebhookConfirm{Project: v.in(), Webhook: h, Form: handlers.NewForm()}
	if st := figures[h.Key]; st != nil {
		c.Pending = st.Counters.Pending
	}
	return c, nil
}

// confirmDeleteWebhook says what is lost with a webhook.
func (s *site) confirmDeleteWebhook(w http.ResponseWriter, r *http.Request, v *visit) error {
	c, err := s.webhookConfirm(r, v)
	if err != nil {
		return err
	}
	return s.question(w, r, v, shellFor{title: "Delete " + c.Webhook.Description, here: v.in().Webhooks()}, http.StatusOK,
		func(inDialog bool) templ.Component {
			c.InDialog = inDialog
			return pages.DeleteWebhook(c)
		})
}

// deleteWebhook removes a webhook and cancels what it owes.
func (s *site) deleteWebhook(w http.ResponseWriter, r *http.Request, v *visit) error {
	h, err := s.webhook(r, v)
	if err != nil {
		return err
	}
	if err := s.DB.DeleteWebhook(h, v.actor()); err != nil {
		return err
	}
	return s.done(w, r, v.in().Webhooks(), h.Description+" was deleted.")
}

// confirmPauseWebhook asks for a reason.
func (s *site) confirmPauseWebhook(w http.ResponseWriter, r *http.Request, v *visit) error {
	c, err := s.webhookConfirm(r, v)
	if err != nil {
		return err
	}
	return s.pauseQuestion(w, r, v, http.StatusOK, c)
}

func (s *site) pauseQuestion(w http.ResponseWriter, r *http.Request, v *visit, status int, c pages.WebhookConfirm) error {
	return s.question(w, r, v, shellFor{title: "Pause " + c.Webhook.Description, here: v.in().Webhooks()}, status,
		func(inDialog bool) templ.Component {
			c.InDialog = inDialog
			return pages.PauseWebhook(c)
		})
}

// pauseWebhook stops a webhook, with a person's name and reason.
func (s *site) pauseWebhook(w http.ResponseWriter, r *http.Request, v *visit) error {
	c, err := s.webhookConfirm(r, v)
	if err != nil {
		return err
	}
	f, err := form(w, r)
	if err != nil {
		return err
	}
	reason := f.Value("reason")
	if iot.TextLength(reason) > pages.MaxPauseReason || iot.HasControl(reason) {
		f.Fail(iot.FieldError("reason", "must be a single line of at most 254 characters."), "reason")
		c.Form = f
		return s.pauseQuestion(w, r, v, http.StatusUnprocessableEntity, c)
	}
	if err := s.DB.PauseWebhook(c.Webhook, v.name(), reason, v.actor()); err != nil {
		return err
	}
	return s.done(w, r, v.in().Webhooks(), c.Webhook.Description+" was paused.")
}

// resumeWebhook lets a paused webhook go on.
func (s *site) resumeWebhook(w http.ResponseWriter, r *http.Request, v *visit) error {
	h, err := s.webhook(r, v)
	if err != nil {
		return err
	}
	if err := s.DB.ResumeWebhook(h, v.actor()); err != nil {
		return err
	}
	return s.done(w, r, v.in().Webhooks(), h.Description+" was resumed.")
}

// testWebhook sends a test message and shows its delivery.
func (s *site) testWebhook(w http.ResponseWriter, r *http.Request, v *visit) error {
	h, err := s.webhook(r, v)
	if err != nil {
		return err
	}
	id, err := s.Ingest.Test(r.Context(), v.project, h)
	if err != nil {
		return err
	}
	return s.done(w, r, v.in().Delivery(id.String()), "A test message is on its way to "+h.Description+".")
}

// secretOverlap is how long an old signing secret signs beside the new one.
const secretOverlap = 24 * time.Hour

// rotateSecret makes a new signing secret, which the next page shows once.
func (s *site) rotateSecret(w http.ResponseWriter, r *http.Request, v *visit) error {
	h, err := s.webhook(r, v)
	if err != nil {
		return err
	}
	secret, err := s.Webhooks.RotateSecret(h, secretOverlap, v.actor())
	if err != nil {
		return err
	}
	s.shown.keep(v.account.Key, signingSubject(h), secret)
	return s.done(w, r, v.in().Webhook(h.ID), "A new signing secret was created.")
}

// signingSubject names a webhook's new secret until it is shown.
func signingSubject(h *iot.Webhook) string { return "signing " + h.UUID }

package dashboard

import (
	"context"
	"net/http"

	"github.com/a-h/templ"

	"thingpost/db"
	"thingpost/handlers"
	"thingpost/internal/iot"
	"thingpost/internal/webhook"
	"thingpost/views/pages"
)

// replayRoutes are the list of replays, one replay, and its stop; and messages
// that are sent to one webhook.
func (s *site) replayRoutes() []route {
	const all, one = "/projects/{project}/replays", "/projects/{project}/replays/{replay}"
	const send = "/projects/{project}/messages/send"
	return []route{
		{get, all, inProject, iot.ReadTraffic, s.listReplays},
		{get, one, inProject, iot.ReadTraffic, s.showReplay},
		{post, one + "/stop", inProject, iot.ChangeSettings, s.stopReplay},
		{get, send, inProject, iot.ChangeSettings, s.confirmSendAll},
		{post, send, inProject, iot.ChangeSettings, s.sendAll},
	}
}

// listReplays shows the replays, or the part of the log's page that shows those
// that run.
func (s *site) listReplays(w http.ResponseWriter, r *http.Request, v *visit) error {
	if handlers.IsFragment(r, pages.RunningReplaysID) {
		section, err := s.runningReplays(r.Context(), v)
		if err != nil {
			return err
		}
		return handlers.Render(w, r, http.StatusOK, pages.RunningReplays(section))
	}
	p := pages.ReplaysPage{Project: v.in(), Now: s.now()}
	before, ok := iot.ParseID(r.URL.Query().Get(pages.ParamBefore))
	if ok {
		p.Before = before.String()
	}
	list, err := s.DB.Replays(r.Context(), v.project.Key, before, perPage+1)
	if err != nil {
		return err
	}
	page := handlers.First(list, perPage, func(r iot.Replay) string { return r.ID.String() })
	p.Replays, p.Next = page.Items, page.Next
	if handlers.IsFragment(r, pages.ReplayListID) {
		return handlers.Render(w, r, http.StatusOK, pages.ReplayList(p))
	}
	if p.Shell, err = s.shell(w, r, v, shellFor{title: "Replays", here: v.in().Deliveries(), live: p.Before == ""}); err != nil {
		return err
	}
	return handlers.Render(w, r, http.StatusOK, pages.Replays(p))
}

// runningReplays is what the log shows of the replays that run.
func (s *site) runningReplays(ctx context.Context, v *visit) (pages.RunningReplaysSection, error) {
	running, err := s.DB.Running(ctx, v.project.Key)
	return pages.RunningReplaysSection{Project: v.in(), Now: s.now(), CanEdit: v.may(iot.ChangeSettings), Running: running}, err
}

// replayID returns the id that the path names; not_found for what is none.
func replayID(r *http.Request) (iot.ID, error) {
	id, ok := iot.ParseID(r.PathValue("replay"))
	if !ok {
		return id, iot.NewError(iot.NotFound, "There is no such replay in this project.")
	}
	return id, nil
}

// showReplay shows one replay, or the section of it that refreshes itself.
func (s *site) showReplay(w http.ResponseWriter, r *http.Request, v *visit) error {
	id, err := replayID(r)
	if err != nil {
		return err
	}
	job, err := s.DB.Replay(r.Context(), v.project.Key, id)
	if err != nil {
		return err
	}
	p := pages.ReplayDetail{Project: v.in(), Now: s.now(), CanEdit: v.may(iot.ChangeSettings), Replay: job}
	if handlers.IsFragment(r, pages.ReplayID) {
		return handlers.Render(w, r, http.StatusOK, pages.ReplayView(p))
	}
	if p.Shell, err = s.shell(w, r, v, shellFor{title: "Replay", here: v.in().Deliveries(), live: job.Running()}); err != nil {
		return err
	}
	return handlers.Render(w, r, http.StatusOK, pages.Replay(p))
}

// stopReplay ends a replay where it is.
func (s *site) stopReplay(w http.ResponseWriter, r *http.Request, v *visit) error {
	id, err := replayID(r)
	if err != nil {
		return err
	}
	if _, err := s.DB.StopReplay(r.Context(), v.project.Key, id, v.actor()); err != nil {
		return err
	}
	return s.done(w, r, v.in().Replay(id.String()), "The replay was stopped.")
}

// confirmSendAll asks to which webhook all messages that match a filter are sent;
// when it is chosen, it counts them.
func (s *site) confirmSendAll(w http.ResponseWriter, r *http.Request, v *visit) error {
	given := r.URL.Query()
	f := handlers.NewForm()
	if given.Has(pages.ParamWebhook) {
		for _, name := range []string{pages.ParamWebhook, pages.ParamMissing, pages.ParamWanted} {
			f.Set(name, given.Get(name))
		}
		return s.askSendAll(w, r, v, http.StatusOK, f)
	}
	f.Set(pages.ParamMissing, "1")
	f.Set(pages.ParamWanted, "1")
	return s.askSendAll(w, r, v, http.StatusOK, f)
}

func (s *site) askSendAll(w http.ResponseWriter, r *http.Request, v *visit, status int, f *handlers.Form) error {
	p, spec, err := s.sendAllPage(r, v, f)
	if err != nil {
		return err
	}
	if p.Chosen == nil && f.Faulty() {
		status = http.StatusUnprocessableEntity
	}
	if p.Chosen != nil {
		n, more, err := s.DB.CountReplay(r.Context(), spec, webhook.Selector(p.Chosen), pages.MaxCounted)
		if err != nil {
			return err
		}
		p.Count, p.More = int64(n), more
	}
	return s.question(w, r, v, shellFor{title: "Send messages", here: v.in().Messages()}, status, func(inDialog bool) templ.Component {
		p.InDialog = inDialog
		return pages.SendAllQuestion(p)
	})
}

// sendAllPage reads the filter and what was chosen. A webhook that does not exist
// is a fault of the form.
func (s *site) sendAllPage(r *http.Request, v *visit, f *handlers.Form) (p pages.SendAllPage, spec db.ReplaySpec, err error) {
	// The webhook is not a part of the list's filter.
	q, ignored := messageQuery(r.URL.Query())
	if len(ignored) > 0 {
		return p, spec, iot.NewError(iot.Invalid, "The filter is not valid. Go back to the messages and choose it again.")
	}
	p = pages.SendAllPage{Project: v.in(), Query: q, Form: f}
	if p.Webhooks, err = s.DB.Webhooks(r.Context(), v.project.Key); err != nil {
		return p, spec, err
	}
	filter, none, err := s.messageFilter(r.Context(), v, q)
	if err != nil {
		return p, spec, err
	}
	if none {
		filter.Until = 1 // a device that does not exist: nothing matches
	}
	if filter.Before.IsZero() {
		filter.Before = s.DB.NewID()
		p.Query.Before = filter.Before.String()
	}
	for _, h := range p.Webhooks {
		if h.ID == f.Value(pages.ParamWebhook) {
			p.Chosen = h
		}
	}
	if p.Chosen == nil {
		if f.Value(pages.ParamWebhook) != "" || r.URL.Query().Has(pages.ParamWebhook) {
			f.Fail(iot.FieldError(pages.ParamWebhook, "Choose a webhook."), pages.ParamWebhook)
		}
		return p, spec, nil
	}
	spec = db.ReplaySpec{Messages: &filter, WebhookKey: p.Chosen.Key, Missing: f.Checked(pages.ParamMissing),
		Wanted: f.Checked(pages.ParamWanted)}
	return p, spec, nil
}

// sendAll begins to send messages to a webhook. What was chosen stands in the
// address, what was typed in the form.
func (s *site) sendAll(w http.ResponseWriter, r *http.Request, v *visit) error {
	typed, err := form(w, r)
	if err != nil {
		return err
	}
	given := r.URL.Query()
	for _, name := range []string{pages.ParamWebhook, pages.ParamMissing, pages.ParamWanted} {
		typed.Set(name, given.Get(name))
	}
	p, spec, err := s.sendAllPage(r, v, typed)
	if err != nil {
		return err
	}
	if p.Chosen == nil {
		return s.askSendAll(w, r, v, http.StatusUnprocessableEntity, typed)
	}
	n, more, err := s.DB.CountReplay(r.Context(), spec, webhook.Selector(p.Chosen), pages.MaxCounted)
	if err != nil {
		return err
	}
	job := &iot.Replay{Job: iot.Job{Count: int64(n)}, Counted: !more}
	if err := s.begin(r.Context(), v, job, spec, typed); err != nil {
		if typed.Fail(err, pages.ParamRate) {
			return s.askSendAll(w, r, v, http.StatusUnprocessableEntity, typed)
		}
		return err
	}
	return s.done(w, r, v.in().Replay(job.ID.String()), "The messages are on their way to "+p.Chosen.Description+".")
}

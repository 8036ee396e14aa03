package dashboard

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/a-h/templ"

	"thingpost/db"
	"thingpost/handlers"
	"thingpost/internal/ingest"
	"thingpost/internal/iot"
	"thingpost/views/pages"
)

// messageRoutes are the list of messages, one message, and sending it on.
func (s *site) messageRoutes() []route {
	const all, one = "/projects/{project}/messages", "/projects/{project}/messages/{message}"
	return []route{
		{get, all, inProject, iot.ReadTraffic, s.listMessages},
		{get, one, inProject, iot.ReadTraffic, s.showMessage},
		{get, one + "/send", inProject, iot.ChangeSettings, s.chooseWebhook},
		{post, one + "/send", inProject, iot.ChangeSettings, s.sendMessage},
	}
}

// messageQuery reads the address of a list of messages, as deliveryQuery.
func messageQuery(v url.Values) (q pages.MessageQuery, ignored []string) {
	g := reader{values: v}
	q.ID, q.Device, q.Channel, q.Before = g.one(pages.ParamID), g.one(pages.ParamDevice), g.one(pages.ParamChannel), g.id(pages.ParamBefore)
	q.Time, q.Since, q.Until = g.span()
	if list := g.among(pages.ParamType, texts(iot.MessageTypes())); len(list) > 0 {
		q.Type = list[len(list)-1]
	}
	q.Nobody = len(g.among(pages.ParamFate, []string{pages.Nobody})) > 0
	return q, g.ignored
}

// listMessages shows the messages, or the part of the page that is asked for.
func (s *site) listMessages(w http.ResponseWriter, r *http.Request, v *visit) error {
	p := pages.MessagesPage{Project: v.in(), Now: s.now(), CanEdit: v.may(iot.ChangeSettings)}
	p.Query, p.Ignored = messageQuery(r.URL.Query())
	to, err := s.findMessage(r.Context(), v, p.Query)
	if err != nil {
		return err
	}
	if to != "" {
		return handlers.Redirect(w, r, to)
	}
	if handlers.IsFragment(r, pages.MessageNewID) {
		return s.newMessages(w, r, v, p)
	}
	status := http.StatusOK
	if err := s.fillMessages(r.Context(), v, &p); err != nil {
		if r.Context().Err() != nil {
			return err
		}
		s.Log.LogAttrs(r.Context(), slog.LevelError, "list messages", slog.Any("error", err))
		p.Rows, p.Failed, status = nil, true, http.StatusServiceUnavailable
	}
	switch {
	case handlers.IsFragment(r, pages.MessageListID):
		return handlers.Render(w, r, status, pages.MessageList(p))
	case handlers.IsFragment(r, pages.MessageLogID):
		w.Header().Set("HX-Push-Url", v.in().Messages(p.Query.Pairs()...))
		if status != http.StatusOK {
			w.Header().Set("HX-Retarget", "#"+pages.MessageLogID)
		}
		return handlers.Render(w, r, status, pages.MessageLog(p))
	}
	if p.Shell, err = s.shell(w, r, v, shellFor{title: "Messages", here: v.in().Messages(), wide: true,
		live: p.Query.Before == ""}); err != nil {
		return err
	}
	return handlers.Render(w, r, status, pages.Messages(p))
}

// newMessages answers how many match and are newer than the newest that is shown.
func (s *site) newMessages(w http.ResponseWriter, r *http.Request, v *visit, p pages.MessagesPage) error {
	f, none, err := s.messageFilter(r.Context(), v, p.Query)
	if err != nil {
		return err
	}
	if shown, ok := iot.ParseID(r.URL.Query().Get(pages.ParamAfter)); ok && !none {
		f.Before, f.After = iot.ID{}, shown
		n, more, err := s.DB.CountMessages(r.Context(), f, pages.MaxCounted)
		if err != nil {
			return err
		}
		p.New = pages.Counted{N: int64(n), More: more}
	}
	return handlers.Render(w, r, http.StatusOK, pages.MessageNew(p))
}

// findMessage resolves an id that was searched for, as find.
func (s *site) findMessage(ctx context.Context, v *visit, q pages.MessageQuery) (to string, err error) {
	if q.ID == "" {
		return "", nil
	}
	if id, ok := iot.ParseID(q.ID); ok {
		if _, err := s.DB.Message(ctx, v.project.Key, id); err == nil {
			return v.in().Message(id.String()), nil
		} else if iot.CodeOf(err) != iot.NotFound {
			return "", err
		}
	}
	d, err := s.DB.Device(ctx, v.project.Key, q.ID)
	if err == nil {
		q.ID, q.Device = "", d.ID
		return v.in().Messages(q.Pairs()...), nil
	}
	if iot.CodeOf(err) != iot.NotFound {
		return "", err
	}
	return "", nil
}

func (s *site) fillMessages(ctx context.Context, v *visit, p *pages.MessagesPage) error {
	var err error
	if p.Devices, err = s.someDevices(ctx, v); err != nil {
		return err
	}
	f, none, err := s.messageFilter(ctx, v, p.Query)
	if err != nil {
		return err
	}
	f.Limit = perPage
	if !none {
		found, err := s.DB.Messages(ctx, f)
		if err != nil {
			return err
		}
		p.Next, p.LookedBackTo = found.Next.String(), found.LookedBackTo
		for i := range found.Items {
			fate, err := s.fate(ctx, v, &found.Items[i])
			if err != nil {
				return err
			}
			p.Rows = append(p.Rows, pages.MessageRow{Message: &found.Items[i], Fate: fate})
		}
	}
	if p.Any = len(p.Rows) > 0; !p.Any {
		first, err := s.DB.Messages(ctx, db.MessageFilter{ProjectKey: v.project.Key, Limit: 1})
		p.Any = len(first.Items) > 0
		return err
	}
	return nil
}

// messageFilter returns the store's filter of a query, as deliveryFilter.
func (s *site) messageFilter(ctx context.Context, v *visit, q pages.MessageQuery) (f db.MessageFilter, none bool, err error) {
	f = db.MessageFilter{ProjectKey: v.project.Key, Type: iot.MessageType(q.Type), Channel: q.Channel, Nobody: q.Nobody}
	f.Since, f.Until = spanOf(q.Time, q.Since, q.Until, s.now())
	f.Before, _ = iot.ParseID(q.Before)
	if none = q.ID != ""; q.Device != "" && !none {
		f.DeviceKey, none, err = s.findDevice(ctx, v, q.Device)
	}
	return f, none, err
}

// fate returns what became of a message: its last delivery to each webhook, or
// why there is none.
func (s *site) fate(ctx context.Context, v *visit, m *iot.Message) (pages.MessageFate, error) {
	made, err := s.DB.DeliveriesOf(ctx, v.project.Key, m.ID)
	if err != nil {
		return pages.MessageFate{}, err
	}
	if len(made) > 0 {
		return fateOf(made), nil
	}
	why, err := s.Ingest.Why(ctx, v.project, m)
	return pages.MessageFate{None: noneWords(why)}, err
}

// fateOf counts webhooks by their last delivery, of deliveries the oldest first.
func fateOf(made []iot.Delivery) pages.MessageFate {
	last := map[int64]iot.Status{}
	for i := range made {
		last[made[i].WebhookKey] = made[i].Status
	}
	var f pages.MessageFate
	for _, status := range last {
		switch status {
		case iot.Delivered:
			f.Delivered++
		case iot.Pending:
			f.Pending++
		case iot.Failed:
			f.Failed++
		case iot.Skipped, iot.Cancelled:
			f.Other++
		}
	}
	return f
}

// noneWords says why a message is for no webhook: the rules by which they do not
// want it, each with how many webhooks it keeps out.
func noneWords(why []ingest.WebhookWhy) string {
	if len(why) == 0 {
		return "no webhooks"
	}
	var words []string
	for _, h := range why {
		word := string(h.Why.Reason)
		if h.Why.Wanted {
			word = "would match now"
		}
		if !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	return strings.Join(words, ", ")
}

// message returns the message that the path names; not_found.
func (s *site) message(r *http.Request, v *visit) (*iot.Message, error) {
	id, ok := iot.ParseID(r.PathValue("message"))
	if !ok {
		return nil, iot.NewError(iot.NotFound, "There is no such message in this project.")
	}
	return s.DB.Message(r.Context(), v.project.Key, id)
}

// showMessage shows one message with why each webhook got it or not.
func (s *site) showMessage(w http.ResponseWriter, r *http.Request, v *visit) error {
	m, err := s.message(r, v)
	if err != nil {
		return err
	}
	made, err := s.DB.DeliveriesOf(r.Context(), v.project.Key, m.ID)
	if err != nil {
		return err
	}
	why, err := s.Ingest.Why(r.Context(), v.project, m)
	if err != nil {
		return err
	}
	p := pages.MessageDetail{Project: v.in(), Now: s.now(), Message: m, Webhooks: messageWebhooks(why, made)}
	// The store makes a delivery like another one; a message without any has none
	// to be like.
	p.CanSend = v.may(iot.ChangeSettings) && len(why) > 0
	if p.Shell, err = s.shell(w, r, v, shellFor{title: "Message", here: v.in().Messages()}); err != nil {
		return err
	}
	return handlers.Render(w, r, http.StatusOK, pages.Message(p))
}

// messageWebhooks brings together what each webhook wants and what it got; the
// deleted ones come last. Deliveries are the oldest first.
func messageWebhooks(why []ingest.WebhookWhy, made []iot.Delivery) []pages.MessageWebhook {
	var list []pages.MessageWebhook
	at := map[int64]int{}
	for _, h := range why {
		at[h.Webhook.Key] = len(list)
		list = append(list, pages.MessageWebhook{Name: h.Webhook.Description, Webhook: h.Webhook, Wanted: h.Why.Wanted, Checks: checks(h.Why)})
	}
	for _, d := range slices.Backward(made) {
		i, ok := at[d.WebhookKey]
		if !ok {
			i = len(list)
			at[d.WebhookKey] = i
			list = append(list, pages.MessageWebhook{Name: d.Webhook})
		}
		list[i].Deliveries = append(list[i].Deliveries, d)
	}
	return list
}

// chooseWebhook asks where a message is sent to.
func (s *site) chooseWebhook(w http.ResponseWriter, r *http.Request, v *visit) error {
	m, err := s.message(r, v)
	if err != nil {
		return err
	}
	return s.sendQuestion(w, r, v, http.StatusOK, m, handlers.NewForm())
}

func (s *site) sendQuestion(w http.ResponseWriter, r *http.Request, v *visit, status int, m *iot.Message, f *handlers.Form) error {
	hooks, err := s.DB.Webhooks(r.Context(), v.project.Key)
	if err != nil {
		return err
	}
	return s.question(w, r, v, shellFor{title: "Send a message", here: v.in().Messages()}, status, func(inDialog bool) templ.Component {
		return pages.SendToQuestion(pages.SendToPage{Project: v.in(), Message: m, Webhooks: hooks, Form: f, InDialog: inDialog})
	})
}

// sendMessage sends a message to one webhook, as a new delivery.
func (s *site) sendMessage(w http.ResponseWriter, r *http.Request, v *visit) error {
	m, err := s.message(r, v)
	if err != nil {
		return err
	}
	f, err := form(w, r)
	if err != nil {
		return err
	}
	h, err := s.DB.Webhook(r.Context(), v.project.Key, f.Value(pages.ParamWebhook))
	if iot.CodeOf(err) == iot.NotFound {
		f.Fail(iot.FieldError(pages.ParamWebhook, "Choose a webhook."), pages.ParamWebhook)
		return s.sendQuestion(w, r, v, http.StatusUnprocessableEntity, m, f)
	}
	if err != nil {
		return err
	}
	d, err := s.DB.Send(r.Context(), v.project.Key, m.ID, h.Key, v.actor())
	if err != nil {
		return err
	}
	return s.done(w, r, v.in().Delivery(d.ID.String()), "The message is on its way to "+h.Description+".")
}

package dashboard

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/a-h/templ"

	"thingpost/db"
	"thingpost/handlers"
	"thingpost/internal/iot"
	"thingpost/views/pages"
	"thingpost/views/ui"
)

// deliveryRoutes are the log, one delivery, and what is done to them.
func (s *site) deliveryRoutes() []route {
	const all, one = "/projects/{project}/deliveries", "/projects/{project}/deliveries/{delivery}"
	return []route{
		{get, all, inProject, iot.ReadTraffic, s.listDeliveries},
		{get, all + "/replay", inProject, iot.ChangeSettings, s.confirmReplay},
		{post, all + "/replay", inProject, iot.ChangeSettings, s.replay},
		{get, all + "/cancel", inProject, iot.ChangeSettings, s.confirmCancel},
		{post, all + "/cancel", inProject, iot.ChangeSettings, s.cancel},
		{get, one, inProject, iot.ReadTraffic, s.showDelivery},
		{post, one + "/retry", inProject, iot.ChangeSettings, s.retryDelivery},
		{get, one + "/cancel", inProject, iot.ChangeSettings, s.confirmCancelDelivery},
		{post, one + "/cancel", inProject, iot.ChangeSettings, s.cancelDelivery},
	}
}

// perPage is how many rows a page of a log shows.
const perPage = 50

// listDeliveries shows the log, or the part of it that is asked for.
func (s *site) listDeliveries(w http.ResponseWriter, r *http.Request, v *visit) error {
	p := pages.DeliveriesPage{Project: v.in(), Now: s.now(), CanEdit: v.may(iot.ChangeSettings)}
	p.Query, p.Ignored = deliveryQuery(r.URL.Query())
	to, err := s.find(r.Context(), v, &p.Query)
	if err != nil {
		return err
	}
	if to != "" {
		return handlers.Redirect(w, r, to)
	}
	status := http.StatusOK
	part := fragmentOf(r, pages.DeliveryListID, pages.DeliveryViewsID, pages.DeliveryNewID, pages.DeliveryLogID)
	if err := s.fillDeliveries(r, v, &p, part); err != nil {
		if r.Context().Err() != nil {
			return err
		}
		s.Log.LogAttrs(r.Context(), slog.LevelError, "list deliveries", slog.Any("error", err))
		p.List, status = pages.DeliveryPage{Failed: true}, http.StatusServiceUnavailable
	}
	switch part {
	case pages.DeliveryListID:
		return handlers.Render(w, r, status, pages.DeliveryList(p))
	case pages.DeliveryViewsID:
		return handlers.Render(w, r, status, pages.DeliveryViews(p))
	case pages.DeliveryNewID:
		return handlers.Render(w, r, status, pages.DeliveryNew(p))
	case pages.DeliveryLogID:
		w.Header().Set("HX-Push-Url", v.in().Deliveries(p.Query.Pairs()...))
		if status != http.StatusOK {
			// Without it the script takes the answer for a stranger's error page.
			w.Header().Set("HX-Retarget", "#"+pages.DeliveryLogID)
		}
		return handlers.Render(w, r, status, pages.DeliveryLog(p))
	}
	if p.Shell, err = s.shell(w, r, v, shellFor{title: "Deliveries", here: v.in().Deliveries(), wide: true,
		live: p.Query.Before == ""}); err != nil {
		return err
	}
	return handlers.Render(w, r, status, pages.Deliveries(p))
}

// find resolves an id that was searched for: a delivery has a page to go to, a
// message or device narrows the list. What is not found stays in the query, and
// matches nothing.
func (s *site) find(ctx context.Context, v *visit, q *pages.DeliveryQuery) (to string, err error) {
	if q.ID == "" {
		return "", nil
	}
	if id, ok := iot.ParseID(q.ID); ok {
		if _, err := s.DB.Delivery(ctx, v.project.Key, id); err == nil {
			return v.in().Delivery(id.String()), nil
		} else if iot.CodeOf(err) != iot.NotFound {
			return "", err
		}
		made, err := s.DB.DeliveriesOf(ctx, v.project.Key, id)
		if err != nil {
			return "", err
		}
		if len(made) > 0 {
			return v.in().Deliveries(pages.ParamMessage, id.String()), nil
		}
		if _, err := s.DB.Message(ctx, v.project.Key, id); err == nil {
			return v.in().Message(id.String()), nil
		} else if iot.CodeOf(err) != iot.NotFound {
			return "", err
		}
	}
	d, err := s.DB.Device(ctx, v.project.Key, q.ID)
	if err == nil {
		found := *q
		found.ID, found.Device = "", d.ID
		return v.in().Deliveries(found.Pairs()...), nil
	}
	if iot.CodeOf(err) != iot.NotFound {
		return "", err
	}
	return "", nil
}

// fragmentOf returns which of the elements htmx asks for, "" for the page.
func fragmentOf(r *http.Request, ids ...string) string {
	for _, id := range ids {
		if handlers.IsFragment(r, id) {
			return id
		}
	}
	return ""
}

// fillDeliveries reads what the log shows, or the part of it that is asked for.
func (s *site) fillDeliveries(r *http.Request, v *visit, p *pages.DeliveriesPage, part string) error {
	ctx := r.Context()
	f, none, err := s.deliveryFilter(ctx, v, p.Query)
	if err != nil {
		return err
	}
	none = none || p.Query.ID != ""
	switch part {
	case pages.DeliveryViewsID:
		return s.fillTabs(ctx, p, f, none)
	case pages.DeliveryNewID:
		return s.fillNew(r, p, f, none)
	}
	if err := s.fillDeliveryList(ctx, v, p, f, none); err != nil || part == pages.DeliveryListID {
		return err
	}
	hooks, err := s.DB.Webhooks(ctx, v.project.Key)
	if err != nil {
		return err
	}
	for _, h := range hooks {
		p.Webhooks = append(p.Webhooks, h.ID)
	}
	if p.Devices, err = s.someDevices(ctx, v); err != nil {
		return err
	}
	if p.Replays, err = s.runningReplays(ctx, v); err != nil {
		return err
	}
	return s.fillTabs(ctx, p, f, none)
}

func (s *site) fillDeliveryList(ctx context.Context, v *visit, p *pages.DeliveriesPage, f db.DeliveryFilter, none bool) error {
	st, err := s.DB.ProjectStats(ctx, v.project.Key)
	if err != nil {
		return err
	}
	l := &p.List
	l.Any, l.Pending = st.Counters.Made > 0, st.Counters.Pending > 0
	if err := s.fillHours(ctx, v, p, st, f.WebhookKey); err != nil {
		return err
	}
	if none {
		return nil
	}
	f.Limit = perPage
	found, err := s.DB.Deliveries(ctx, f)
	if err != nil {
		return err
	}
	l.Items, l.Next, l.LookedBackTo = found.Items, found.Next.String(), found.LookedBackTo
	if f.Before.IsZero() && len(found.Items) < perPage {
		l.Total = pages.Counted{N: int64(len(found.Items)), More: found.LookedBackTo != 0}
		return nil
	}
	f.Before = iot.ID{}
	l.Total, err = s.counted(ctx, f)
	return err
}

// fillHours reads the chart, from what is counted as attempts end.
func (s *site) fillHours(ctx context.Context, v *visit, p *pages.DeliveriesPage, st *db.Stats, webhookKey int64) error {
	if !p.List.Any || !p.Query.Coarse() || p.Query.Webhook != "" && webhookKey == 0 {
		return nil
	}
	if webhookKey != 0 {
		all, err := s.DB.WebhookStats(ctx, v.project.Key)
		if err != nil || all[webhookKey] == nil {
			return err
		}
		st, p.List.HoursOf = all[webhookKey], p.Query.Webhook
	}
	p.List.Hours, p.List.Series = deliveryBars(st), deliverySeries()
	return nil
}

func (s *site) counted(ctx context.Context, f db.DeliveryFilter) (pages.Counted, error) {
	n, more, err := s.DB.CountDeliveries(ctx, f, pages.MaxCounted)
	return pages.Counted{N: int64(n), More: more}, err
}

// fillNew counts what matches and is newer than the newest that is shown.
func (s *site) fillNew(r *http.Request, p *pages.DeliveriesPage, f db.DeliveryFilter, none bool) error {
	shown, ok := iot.ParseID(r.URL.Query().Get(pages.ParamAfter))
	if none || !ok {
		return nil
	}
	f.Before, f.After = iot.ID{}, shown
	var err error
	p.New, err = s.counted(r.Context(), f)
	return err
}

// fillTabs counts what the saved views would show with the other filters.
func (s *site) fillTabs(ctx context.Context, p *pages.DeliveriesPage, f db.DeliveryFilter, none bool) error {
	if none {
		return nil
	}
	f.Before, f.Statuses, f.Retrying, f.MinMS = iot.ID{}, nil, false, 0
	if f.Rare() { // each count would look at as many rows again
		unknown := pages.Counted{More: true}
		p.Tabs.All, p.Tabs.Failed, p.Tabs.Retrying, p.Tabs.Slow = unknown, unknown, unknown, unknown
		return nil
	}
	failed, retrying, slow := f, f, f
	failed.Statuses, retrying.Retrying, slow.MinMS = []iot.Status{iot.Failed}, true, pages.SlowMS
	for _, view := range []struct {
		count  *pages.Counted
		filter db.DeliveryFilter
	}{{&p.Tabs.All, f}, {&p.Tabs.Failed, failed}, {&p.Tabs.Retrying, retrying}, {&p.Tabs.Slow, slow}} {
		var err error
		if f.DeviceKey != 0 || f.WebhookKey != 0 { // whose deliveries lie scattered
			n, more, err := s.DB.CountRoughly(ctx, view.filter, pages.MaxCounted/10)
			*view.count = pages.Counted{N: int64(n), More: more}
			if err != nil {
				return err
			}
			continue
		}
		if *view.count, err = s.counted(ctx, view.filter); err != nil {
			return err
		}
	}
	return nil
}

// delivery returns the delivery that the path names; not_found.
func (s *site) delivery(r *http.Request, v *visit) (*iot.Delivery, error) {
	id, ok := iot.ParseID(r.PathValue("delivery"))
	if !ok {
		return nil, iot.NewError(iot.NotFound, "There is no such delivery in this project.")
	}
	return s.DB.Delivery(r.Context(), v.project.Key, id)
}

// retryDelivery sends a delivery again, a pending one now.
func (s *site) retryDelivery(w http.ResponseWriter, r *http.Request, v *visit) error {
	d, err := s.delivery(r, v)
	if err != nil {
		return err
	}
	again, err := s.DB.Retry(r.Context(), v.project.Key, d.ID, v.actor())
	if err != nil {
		return err
	}
	notice := "Thingpost retries the delivery now."
	if again.ID != d.ID {
		notice = "The message is sent again as a new delivery."
	}
	toast := ui.ToastProps{Tone: ui.Success, Text: notice}
	switch fragmentOf(r, ui.DrawerID, ui.ToastsID) {
	case ui.DrawerID:
		p := pages.DeliveryDetail{Project: v.in(), Now: s.now(), CanEdit: true, Delivery: again, InDrawer: true}
		if err := s.fillDelivery(r, v, &p); err != nil {
			return err
		}
		return handlers.Render(w, r, http.StatusOK, templ.Join(pages.DeliveryDrawer(p), ui.ToastAppended(toast)))
	case ui.ToastsID:
		return handlers.Render(w, r, http.StatusOK, ui.Toast(toast))
	}
	return s.done(w, r, v.in().Delivery(again.ID.String()), notice)
}

// confirmCancelDelivery asks before a delivery is cancelled.
func (s *site) confirmCancelDelivery(w http.ResponseWriter, r *http.Request, v *visit) error {
	d, err := s.delivery(r, v)
	if err != nil {
		return err
	}
	return s.question(w, r, v, shellFor{title: "Cancel a delivery", here: v.in().Deliveries()}, http.StatusOK,
		func(inDialog bool) templ.Component {
			return pages.CancelDeliveryQuestion(pages.DeliveryConfirm{Project: v.in(), Delivery: d, InDialog: inDialog})
		})
}

// cancelDelivery ends a pending delivery.
func (s *site) cancelDelivery(w http.ResponseWriter, r *http.Request, v *visit) error {
	d, err := s.delivery(r, v)
	if err != nil {
		return err
	}
	if err := s.DB.CancelOne(r.Context(), v.project.Key, d.ID, v.actor()); err != nil {
		return err
	}
	return s.done(w, r, v.in().Delivery(d.ID.String()), "The delivery was cancelled.")
}

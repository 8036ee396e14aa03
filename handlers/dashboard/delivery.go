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
	list := handlers.IsFragment(r, pages.DeliveryListID)
	status := http.StatusOK
	if err := s.fillDeliveries(r.Context(), v, &p, list); err != nil {
		if r.Context().Err() != nil {
			return err
		}
		s.Log.LogAttrs(r.Context(), slog.LevelError, "list deliveries", slog.Any("error", err))
		p.List, status = pages.DeliveryPage{Failed: true}, http.StatusServiceUnavailable
	}
	switch {
	case list:
		return handlers.Render(w, r, status, pages.DeliveryList(p))
	case handlers.IsFragment(r, pages.DeliveryLogID):
		w.Header().Set("HX-Push-Url", v.in().Deliveries(p.Query.Pairs()...))
		return handlers.Render(w, r, status, pages.DeliveryLog(p))
	}
	if p.Shell, err = s.shell(w, r, v, shellFor{title: "Deliveries", here: v.in().Deliveries(), wide: true, live: p.Query.Before == ""}); err != nil {
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

// fillDeliveries reads what the log shows; of a list that refreshes itself the
// list alone.
func (s *site) fillDeliveries(ctx context.Context, v *visit, p *pages.DeliveriesPage, listOnly bool) error {
	f, none, err := s.deliveryFilter(ctx, v, p.Query)
	if err != nil {
		return err
	}
	none = none || p.Query.ID != ""
	if err := s.fillDeliveryList(ctx, v, p, f, none); err != nil || listOnly {
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
	return s.fillTabs(ctx, p, f, none)
}

func (s *site) fillDeliveryList(ctx context.Context, v *visit, p *pages.DeliveriesPage, f db.DeliveryFilter, none bool) error {
	st, err := s.DB.ProjectStats(ctx, v.project.Key)
	if err != nil {
		return err
	}
	l := &p.List
	l.Any, l.Pending = st.Counters.Made > 0, st.Counters.Pending > 0
	if q := p.Query; l.Any && !q.Filtered() && q.Before == "" {
		l.Hours, l.Series = deliveryBars(st), deliverySeries()
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
		l.Total, l.More = int64(len(found.Items)), found.LookedBackTo != 0
		return nil
	}
	f.Before = iot.ID{}
	n, more, err := s.DB.CountDeliveries(ctx, f, pages.MaxCounted)
	l.Total, l.More = int64(n), more
	return err
}

// fillTabs counts what the saved views would show with the other filters.
func (s *site) fillTabs(ctx context.Context, p *pages.DeliveriesPage, f db.DeliveryFilter, none bool) error {
	if none {
		return nil
	}
	f.Before, f.Statuses, f.Retrying = iot.ID{}, nil, false
	if f.Rare() {
		p.Tabs.All, p.Tabs.Failed, p.Tabs.Retrying = -1, -1, -1
		return nil
	}
	count := func(f db.DeliveryFilter) (int64, error) {
		n, more, err := s.DB.CountDeliveries(ctx, f, pages.MaxCounted)
		if more && n < pages.MaxCounted {
			n = -1 // not known: too many would have to be looked at
		}
		return int64(n), err
	}
	var err error
	if p.Tabs.All, err = count(f); err != nil {
		return err
	}
	failed, retrying := f, f
	failed.Statuses, retrying.Retrying = []iot.Status{iot.Failed}, true
	if p.Tabs.Failed, err = count(failed); err != nil {
		return err
	}
	p.Tabs.Retrying, err = count(retrying)
	return err
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
	notice := "It is tried now."
	if again.ID != d.ID {
		notice = "It is sent again, as a new delivery."
	}
	return s.done(w, r, v.in().Delivery(again.ID.String()), notice)
}

// confirmCancelDelivery asks before a delivery is cancelled.
func (s *site) confirmCancelDelivery(w http.ResponseWriter, r *http.Request, v *visit) error {
	d, err := s.delivery(r, v)
	if err != nil {
		return err
	}
	return s.question(w, r, v, shellFor{title: "Cancel a delivery", here: v.in().Deliveries()}, http.StatusOK, func(inDialog bool) templ.Component {
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

package dashboard

import (
	"context"
	"net/http"
	"strconv"

	"github.com/a-h/templ"

	"thingpost/db"
	"thingpost/handlers"
	"thingpost/internal/iot"
	"thingpost/views/pages"
	"thingpost/views/ui"
)

// bulk reads the filter of an action on many deliveries. What its address does
// not say clearly is refused: it would mean more than was asked for.
func (s *site) bulk(r *http.Request, v *visit) (q pages.DeliveryQuery, f db.DeliveryFilter, none bool, err error) {
	q, ignored := deliveryQuery(r.URL.Query())
	if len(ignored) > 0 {
		return q, f, false, iot.NewError(iot.Invalid, "The filter is not valid. Go back to the log and choose it again.")
	}
	f, none, err = s.deliveryFilter(r.Context(), v, q)
	return q, f, none || q.ID != "", err
}

// replayed narrows a filter to what a replay is for: without a status chosen,
// all that has ended but was not delivered.
func replayed(f db.DeliveryFilter) db.DeliveryFilter {
	if len(f.Statuses) == 0 && !f.Retrying {
		f.Statuses = []iot.Status{iot.Failed, iot.Skipped, iot.Cancelled}
	}
	return f
}

// cancellable narrows a filter to what can be cancelled; ok is false if it
// chooses other states alone.
func cancellable(f db.DeliveryFilter) (narrow db.DeliveryFilter, ok bool) {
	ok = len(f.Statuses) == 0
	for _, status := range f.Statuses {
		ok = ok || status == iot.Pending
	}
	f.Statuses = []iot.Status{iot.Pending}
	return f, ok
}

// confirmReplay counts what a replay would send again. The question holds a
// cursor, so that what is counted is what is sent.
func (s *site) confirmReplay(w http.ResponseWriter, r *http.Request, v *visit) error {
	return s.askReplay(w, r, v, http.StatusOK, handlers.NewForm())
}

func (s *site) askReplay(w http.ResponseWriter, r *http.Request, v *visit, status int, typed *handlers.Form) error {
	q, f, none, err := s.bulk(r, v)
	if err != nil {
		return err
	}
	p := pages.ReplayPage{Project: v.in(), Query: q, Form: typed}
	f = replayed(f)
	if !none && !f.Retrying {
		if err := s.countReplay(r, &p, f); err != nil {
			return err
		}
	}
	return s.replayQuestion(w, r, v, status, p)
}

func (s *site) countReplay(r *http.Request, p *pages.ReplayPage, f db.DeliveryFilter) error {
	if f.Before.IsZero() {
		f.Before = s.DB.NewID()
		p.Query.Before = f.Before.String()
	}
	for _, status := range f.Statuses {
		if status == iot.Pending {
			continue
		}
		part := f
		part.Statuses = []iot.Status{status}
		n, more, err := s.DB.CountReplay(r.Context(), db.ReplaySpec{Deliveries: &part}, nil, pages.MaxCounted)
		if err != nil {
			return err
		}
		if n > 0 {
			p.Parts = append(p.Parts, pages.ReplayPart{Status: status, Count: int64(n)})
		}
		p.Count, p.More = p.Count+int64(n), p.More || more
	}
	return nil
}

// replay begins a replay, and leads to its page.
func (s *site) replay(w http.ResponseWriter, r *http.Request, v *visit) error {
	q, f, none, err := s.bulk(r, v)
	if err != nil {
		return err
	}
	typed, err := form(w, r)
	if err != nil {
		return err
	}
	f = replayed(f)
	p := pages.ReplayPage{Project: v.in(), Query: q}
	if !none && !f.Retrying {
		if err := s.countReplay(r, &p, f); err != nil {
			return err
		}
	}
	if p.Count == 0 && !p.More {
		return s.done(w, r, s.afterBulk(v, q), "No delivery matches any more, so nothing was sent again.")
	}
	job := &iot.Replay{Job: iot.Job{Count: p.Count}, Counted: !p.More}
	if err := s.begin(r.Context(), v, job, db.ReplaySpec{Deliveries: &f}, typed); err != nil {
		if typed.Fail(err, pages.ParamRate) {
			return s.askReplay(w, r, v, http.StatusUnprocessableEntity, typed)
		}
		return err
	}
	return s.done(w, r, v.in().Replay(job.ID.String()), "The replay was started.")
}

// begin makes a replay at the rate that was typed.
func (s *site) begin(ctx context.Context, v *visit, job *iot.Replay, spec db.ReplaySpec, typed *handlers.Form) error {
	if text := typed.Value(pages.ParamRate); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			n = -1
		}
		job.Rate = n
	}
	return s.DB.CreateReplay(ctx, job, spec, v.actor())
}

// afterBulk is the log of the webhook or device that was chosen: what was made
// is at its head, which the other filters might hide.
func (s *site) afterBulk(v *visit, q pages.DeliveryQuery) string {
	return v.in().Deliveries(pages.ParamWebhook, q.Webhook, pages.ParamDevice, q.Device)
}

// confirmCancel counts what would be cancelled.
func (s *site) confirmCancel(w http.ResponseWriter, r *http.Request, v *visit) error {
	q, f, none, err := s.bulk(r, v)
	if err != nil {
		return err
	}
	p := pages.ReplayPage{Project: v.in(), Query: q, Cancel: true, Form: handlers.NewForm()}
	f, ok := cancellable(f)
	if ok && !none {
		if f.Before.IsZero() {
			f.Before = s.DB.NewID()
			p.Query.Before = f.Before.String()
		}
		n, more, err := s.DB.CountDeliveries(r.Context(), f, pages.MaxCounted)
		if err != nil {
			return err
		}
		p.Count, p.More = int64(n), more
	}
	return s.replayQuestion(w, r, v, http.StatusOK, p)
}

// cancel ends the pending ones.
func (s *site) cancel(w http.ResponseWriter, r *http.Request, v *visit) error {
	q, f, none, err := s.bulk(r, v)
	if err != nil {
		return err
	}
	n := 0
	if f, ok := cancellable(f); ok && !none {
		if n, err = s.DB.Cancel(r.Context(), f, v.actor()); err != nil {
			return err
		}
	}
	return s.done(w, r, s.afterBulk(v, q), ui.Plural(int64(n), "delivery was", "deliveries were")+" cancelled.")
}

func (s *site) replayQuestion(w http.ResponseWriter, r *http.Request, v *visit, status int, p pages.ReplayPage) error {
	title := "Replay deliveries"
	if p.Cancel {
		title = "Cancel deliveries"
	}
	return s.question(w, r, v, shellFor{title: title, here: v.in().Deliveries()}, status, func(inDialog bool) templ.Component {
		p.InDialog = inDialog
		return pages.ReplayQuestion(p)
	})
}

package dashboard

import (
	"net/http"
	"time"

	"thingpost/handlers"
	"thingpost/internal/iot"
	"thingpost/internal/webhook"
	"thingpost/views/pages"
	"thingpost/views/ui"
)

// showDelivery shows one delivery, or the section of it that refreshes itself.
func (s *site) showDelivery(w http.ResponseWriter, r *http.Request, v *visit) error {
	d, err := s.delivery(r, v)
	if err != nil {
		return err
	}
	p := pages.DeliveryDetail{Project: v.in(), Now: s.now(), CanEdit: v.may(iot.ChangeSettings), Delivery: d}
	part := fragmentOf(r, pages.DeliveryID, pages.DeliveryDrawerID, ui.DrawerID)
	p.InDrawer = part == pages.DeliveryDrawerID || part == ui.DrawerID
	if err := s.fillDelivery(r, v, &p); err != nil {
		return err
	}
	switch part {
	case pages.DeliveryID, pages.DeliveryDrawerID:
		return handlers.Render(w, r, http.StatusOK, pages.DeliveryView(p))
	case ui.DrawerID:
		return handlers.Render(w, r, http.StatusOK, pages.DeliveryDrawer(p))
	}
	if p.Shell, err = s.shell(w, r, v, shellFor{title: "Delivery to " + p.To(), here: v.in().Deliveries(),
		live: !d.Status.Ended()}); err != nil {
		return err
	}
	return handlers.Render(w, r, http.StatusOK, pages.Delivery(p))
}

// attemptsShown bounds the attempts on a page: a receiver that asks for a retry
// each second makes thousands.
const attemptsShown = 12

func (s *site) fillDelivery(r *http.Request, v *visit, p *pages.DeliveryDetail) error {
	d := p.Delivery
	var err error
	if p.Attempts, err = s.DB.Attempts(r.Context(), d.ID, attemptsShown); err != nil {
		return err
	}
	p.Earlier = max(d.AttemptCount-len(p.Attempts), 0)
	if p.Webhook, err = s.DB.WebhookByKey(r.Context(), d.WebhookKey); iot.CodeOf(err) == iot.NotFound {
		p.Webhook = nil
	} else if err != nil {
		return err
	}
	if p.Message, err = s.DB.Message(r.Context(), v.project.Key, d.MessageID); iot.CodeOf(err) == iot.NotFound {
		p.Message = nil
	} else if err != nil {
		return err
	}
	if p.Webhook == nil {
		return nil
	}
	if !d.Status.Ended() {
		p.Waits = waitsAfter(d.AttemptCount+1, d.DueAt, d.CreatedAt.Add(p.Webhook.Settings.GiveUpAfter()))
	}
	if len(p.Attempts) > 0 {
		p.Changed = p.Webhook.UpdatedAt > p.Attempts[len(p.Attempts)-1].At
	}
	if p.Message == nil {
		return nil
	}
	found, err := s.Ingest.Preview(r.Context(), v.project, p.Webhook, p.Message)
	if err != nil {
		return err
	}
	p.Wanted, p.Checks, p.Skip = found.Why.Wanted, checks(found.Why), found.Skip
	if found.Err != nil {
		p.Problem = problem(found.Err)
	}
	if found.Request != nil {
		p.Request, p.Body = masked(found.Request), found.Request.Body
	}
	return nil
}

// waitsAfter returns the waits between the tries that follow the one at due,
// which is the next-th, until a delivery is given up; at most three.
func waitsAfter(next int, due, end iot.Instant) []time.Duration {
	const most = 3
	schedule := webhook.Schedule()
	var waits []time.Duration
	for at := due; len(waits) < most; next++ {
		wait := schedule[min(next, len(schedule))-1]
		at = at.Add(wait)
		if at >= end {
			break
		}
		waits = append(waits, wait)
	}
	return waits
}

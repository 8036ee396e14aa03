package api

import (
	"net/http"

	"thingpost/handlers"
	"thingpost/internal/iot"
)

// maxAttempts is how many attempts a delivery is answered with, the last ones.
const maxAttempts = 100

func (s *server) listDeliveries(w http.ResponseWriter, r *http.Request, c *caller) error {
	q, page, err := handlers.Query(r, deliveryFilters()...)
	if err != nil {
		return err
	}
	get := func(name string) filterText { return filterText(q.Get(name)) }
	f, err := deliveryFilter{Status: get("status"), Webhook: get("webhook"), Device: get("device"), Type: get("type"), Code: get("code"),
		Error: get("error"), Since: get("since"), Until: get("until"), Message: get("message")}.parse(r.Context(), s, c.project.Key, "")
	if err != nil {
		return err
	}
	f.Limit = page.Limit
	if f.Before, err = page.ID(); err != nil {
		return err
	}
	found, err := s.DB.Deliveries(r.Context(), f)
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, handlers.List[iot.Delivery]{Items: found.Items, Next: found.Next.String(), LookedBackTo: found.LookedBackTo})
}

// deliveryID returns the path's delivery id.
func deliveryID(r *http.Request) (iot.ID, error) {
	id, ok := iot.ParseID(r.PathValue("delivery"))
	if !ok {
		return id, iot.NewError(iot.NotFound, "There is no such delivery.")
	}
	return id, nil
}

func (s *server) showDelivery(w http.ResponseWriter, r *http.Request, c *caller) error {
	id, err := deliveryID(r)
	if err != nil {
		return err
	}
	d, err := s.DB.Delivery(r.Context(), c.project.Key, id)
	if err != nil {
		return err
	}
	attempts, err := s.DB.Attempts(r.Context(), id, maxAttempts)
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, struct {
		*iot.Delivery
		Attempts []iot.Attempt `json:"attempts"`
	}{d, attempts})
}

func (s *server) retryDelivery(w http.ResponseWriter, r *http.Request, c *caller) error {
	id, err := deliveryID(r)
	if err == nil {
		err = emptyBody(r)
	}
	if err != nil {
		return err
	}
	d, err := s.DB.Retry(r.Context(), c.project.Key, id, c.actor())
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusAccepted, d)
}

func (s *server) cancelDelivery(w http.ResponseWriter, r *http.Request, c *caller) error {
	id, err := deliveryID(r)
	if err == nil {
		err = emptyBody(r)
	}
	if err != nil {
		return err
	}
	if err := s.DB.CancelOne(r.Context(), c.project.Key, id, c.actor()); err != nil {
		return err
	}
	d, err := s.DB.Delivery(r.Context(), c.project.Key, id)
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, d)
}

func (s *server) replayDeliveries(w http.ResponseWriter, r *http.Request, c *caller) error {
	var body struct {
		Filter *deliveryFilter `json:"filter"`
		DryRun bool            `json:"dry_run"`
	}
	if err := handlers.DecodeJSON(r, &body, handlers.MaxJSONBytes); err != nil {
		return err
	}
	if body.Filter == nil {
		return iot.FieldError("filter", "is missing; {} chooses every delivery that has ended.")
	}
	f, err := body.Filter.parse(r.Context(), s, c.project.Key, "filter.")
	if err != nil {
		return err
	}
	status, n := http.StatusAccepted, 0
	if body.DryRun {
		status = http.StatusOK
		n, err = s.DB.CountReplay(r.Context(), f)
	} else {
		n, err = s.DB.Replay(r.Context(), f, c.actor())
	}
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, status, map[string]int{"count": n})
}

package api

import (
	"net/http"

	"thingpost/handlers"
	"thingpost/internal/iot"
)

// maxAttempts is how many attempts, the last ones, the answer about a delivery has.
const maxAttempts = 100

func (s *server) listDeliveries(w http.ResponseWriter, r *http.Request, c *caller) error {
	q, page, err := handlers.Query(r, deliveryFilters()...)
	if err != nil {
		return err
	}
	f, err := deliveryFilterOf(q).parse(r.Context(), s, c.project.Key, "")
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
	return handlers.WriteJSON(w, http.StatusOK, handlers.List[iot.Delivery]{Items: found.Items, Next: found.Next.String(),
		LookedBackTo: found.LookedBackTo})
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

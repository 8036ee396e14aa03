package api

import (
	"net/http"

	"thingpost/handlers"
	"thingpost/internal/iot"
	"thingpost/internal/webhook"
)

func (s *server) listMessages(w http.ResponseWriter, r *http.Request, c *caller) error {
	q, page, err := handlers.Query(r, messageFilters()...)
	if err != nil {
		return err
	}
	f, err := messageFilterOf(q).parse(r.Context(), s, c.project.Key, "")
	if err != nil {
		return err
	}
	f.Limit = page.Limit
	if f.Before, err = page.ID(); err != nil {
		return err
	}
	found, err := s.DB.Messages(r.Context(), f)
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, handlers.List[iot.Message]{Items: found.Items, Next: found.Next.String(),
		LookedBackTo: found.LookedBackTo})
}

// messageAnswer is a single message.
type messageAnswer struct {
	*iot.Message
	Webhooks []webhookWhy `json:"webhooks"`
}

// webhookWhy is whether a webhook of the project wants a message, by its present
// settings.
type webhookWhy struct {
	Webhook string         `json:"webhook"` // slug
	Wanted  bool           `json:"wanted"`
	Why     webhook.Reason `json:"why"`
	// Delivery is the newest delivery of the message to the webhook.
	Delivery *iot.ID `json:"delivery"`
}

func (s *server) showMessage(w http.ResponseWriter, r *http.Request, c *caller) error {
	m, err := s.message(r, c, r.PathValue("message"))
	if err != nil {
		return err
	}
	list, err := s.Ingest.Why(r.Context(), c.project, m)
	if err != nil {
		return err
	}
	deliveries, err := s.DB.DeliveriesOf(r.Context(), c.project.Key, m.ID)
	if err != nil {
		return err
	}
	newest := map[int64]*iot.ID{}
	for i := range deliveries {
		newest[deliveries[i].WebhookKey] = &deliveries[i].ID
	}
	answer := messageAnswer{m, []webhookWhy{}}
	for _, y := range list {
		answer.Webhooks = append(answer.Webhooks, webhookWhy{y.Webhook.ID, y.Why.Wanted, y.Why.Reason, newest[y.Webhook.Key]})
	}
	return handlers.WriteJSON(w, http.StatusOK, answer)
}

func (s *server) message(r *http.Request, c *caller, text string) (*iot.Message, error) {
	id, ok := iot.ParseID(text)
	if !ok {
		return nil, iot.NewError(iot.NotFound, "There is no such message.")
	}
	return s.DB.Message(r.Context(), c.project.Key, id)
}

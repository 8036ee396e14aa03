package api

import (
	"net/http"

	"thingpost/db"
	"thingpost/handlers"
	"thingpost/internal/iot"
	"thingpost/internal/webhook"
)

// replayAnswer is the answer to starting a replay; a dry run has no id.
type replayAnswer struct {
	Count int    `json:"count"`
	ID    string `json:"id,omitempty"`
}

// startReplay counts the selection, and starts to send it unless it is a dry run.
func (s *server) startReplay(w http.ResponseWriter, r *http.Request, c *caller, spec db.ReplaySpec, wants db.Wants, rate int,
	dryRun bool) error {
	spec = spec.Until(s.DB.NewID())
	n, _, err := s.DB.CountReplay(r.Context(), spec, wants, 0)
	if err != nil {
		return err
	}
	if dryRun {
		return handlers.WriteJSON(w, http.StatusOK, replayAnswer{Count: n})
	}
	job := &iot.Replay{Job: iot.Job{Count: int64(n)}, Rate: rate, Counted: true}
	if err := s.DB.CreateReplay(r.Context(), job, spec, c.actor()); err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusAccepted, replayAnswer{Count: n, ID: job.ID.String()})
}

func (s *server) replayDeliveries(w http.ResponseWriter, r *http.Request, c *caller) error {
	var body struct {
		Filter *deliveryFilter `json:"filter"`
		Rate   int             `json:"rate"`
		DryRun bool            `json:"dry_run"`
	}
	if err := handlers.DecodeJSON(r, &body, handlers.MaxJSONBytes); err != nil {
		return err
	}
	if body.Filter == nil {
		return iot.FieldError("filter", "is missing. {} selects every ended delivery.")
	}
	f, err := body.Filter.parse(r.Context(), s, c.project.Key, "filter.")
	if err != nil {
		return err
	}
	return s.startReplay(w, r, c, db.ReplaySpec{Deliveries: &f}, nil, body.Rate, body.DryRun)
}

func (s *server) replayMessages(w http.ResponseWriter, r *http.Request, c *caller) error {
	var body struct {
		Filter  *messageFilter `json:"filter"`
		Webhook string         `json:"webhook"`
		Missing bool           `json:"missing"`
		Wanted  bool           `json:"wanted"`
		Rate    int            `json:"rate"`
		DryRun  bool           `json:"dry_run"`
	}
	if err := handlers.DecodeJSON(r, &body, handlers.MaxJSONBytes); err != nil {
		return err
	}
	if body.Filter == nil {
		return iot.FieldError("filter", "is missing. {} selects every message.")
	}
	f, err := body.Filter.parse(r.Context(), s, c.project.Key, "filter.")
	if err != nil {
		return err
	}
	h, err := s.namedWebhook(r, c, body.Webhook)
	if err != nil {
		return err
	}
	spec := db.ReplaySpec{Messages: &f, WebhookKey: h.Key, Missing: body.Missing, Wanted: body.Wanted}
	return s.startReplay(w, r, c, spec, webhook.Selector(h), body.Rate, body.DryRun)
}

// namedWebhook finds the webhook in a body; Invalid if there is none.
func (s *server) namedWebhook(r *http.Request, c *caller, name string) (*iot.Webhook, error) {
	if name == "" {
		return nil, iot.FieldError("webhook", "is missing. It must be the slug or UUID of the receiving webhook.")
	}
	h, err := s.DB.Webhook(r.Context(), c.project.Key, name)
	if iot.CodeOf(err) == iot.NotFound {
		return nil, iot.FieldError("webhook", "There is no such webhook in this project.")
	}
	return h, err
}

func (s *server) listReplays(w http.ResponseWriter, r *http.Request, c *caller) error {
	_, page, err := handlers.Query(r)
	if err != nil {
		return err
	}
	before, err := page.ID()
	if err != nil {
		return err
	}
	list, err := s.DB.Replays(r.Context(), c.project.Key, before, page.Limit+1)
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, handlers.First(list, page.Limit, func(v iot.Replay) string { return v.ID.String() }))
}

func replayID(r *http.Request) (iot.ID, error) {
	id, ok := iot.ParseID(r.PathValue("replay"))
	if !ok {
		return id, iot.NewError(iot.NotFound, "There is no such replay.")
	}
	return id, nil
}

func (s *server) showReplay(w http.ResponseWriter, r *http.Request, c *caller) error {
	id, err := replayID(r)
	if err != nil {
		return err
	}
	job, err := s.DB.Replay(r.Context(), c.project.Key, id)
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, job)
}

func (s *server) stopReplay(w http.ResponseWriter, r *http.Request, c *caller) error {
	id, err := replayID(r)
	if err == nil {
		err = emptyBody(r)
	}
	if err != nil {
		return err
	}
	job, err := s.DB.StopReplay(r.Context(), c.project.Key, id, c.actor())
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, job)
}

// maxCancelCount is how far a dry run of a cancel counts.
const maxCancelCount = 10_000

func (s *server) cancelDeliveries(w http.ResponseWriter, r *http.Request, c *caller) error {
	var body struct {
		Filter *deliveryFilter `json:"filter"`
		DryRun bool            `json:"dry_run"`
	}
	if err := handlers.DecodeJSON(r, &body, handlers.MaxJSONBytes); err != nil {
		return err
	}
	if body.Filter == nil {
		return iot.FieldError("filter", "is missing. {} selects every pending delivery.")
	}
	f, err := body.Filter.parse(r.Context(), s, c.project.Key, "filter.")
	if err != nil {
		return err
	}
	if len(f.Statuses) > 0 && (len(f.Statuses) > 1 || f.Statuses[0] != iot.Pending) {
		return iot.FieldError("filter.status", "can only be pending: ended deliveries cannot be cancelled.")
	}
	var answer struct {
		Count int  `json:"count"`
		More  bool `json:"more"`
	}
	if body.DryRun {
		f.Statuses = []iot.Status{iot.Pending}
		answer.Count, answer.More, err = s.DB.CountDeliveries(r.Context(), f, maxCancelCount)
	} else {
		f.Before = s.DB.NewID()
		answer.Count, err = s.DB.Cancel(r.Context(), f, c.actor())
	}
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, answer)
}

// sendMessage sends one message to a webhook, whether its rules want it or not.
func (s *server) sendMessage(w http.ResponseWriter, r *http.Request, c *caller) error {
	m, err := s.message(r, c, r.PathValue("message"))
	if err != nil {
		return err
	}
	var body struct {
		Webhook string `json:"webhook"`
	}
	if err := handlers.DecodeJSON(r, &body, handlers.MaxJSONBytes); err != nil {
		return err
	}
	h, err := s.namedWebhook(r, c, body.Webhook)
	if err != nil {
		return err
	}
	d, err := s.DB.Send(r.Context(), c.project.Key, m.ID, h.Key, c.actor())
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusAccepted, d)
}

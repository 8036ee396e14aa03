package api

import (
	"net/http"
	"time"

	"thingpost/handlers"
	"thingpost/internal/iot"
)

func (s *server) listWebhooks(w http.ResponseWriter, r *http.Request, c *caller) error {
	_, page, err := handlers.Query(r)
	if err != nil {
		return err
	}
	all, err := s.DB.Webhooks(r.Context(), c.project.Key)
	if err != nil {
		return err
	}
	list, err := handlers.Cut(all, page, func(h *iot.Webhook) string { return h.UUID })
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, list)
}

// webhookWithSecret is a webhook with its signing secret, which is shown when it is
// new.
type webhookWithSecret struct {
	*iot.Webhook
	SigningSecret string `json:"signing_secret,omitempty"`
}

func (s *server) createWebhook(w http.ResponseWriter, r *http.Request, c *caller) error {
	var body webhookBody
	if err := handlers.DecodeJSON(r, &body, handlers.MaxJSONBytes); err != nil {
		return err
	}
	h := &iot.Webhook{ProjectKey: c.project.Key, Settings: iot.DefaultSettings()}
	if body.ID != nil {
		h.ID = *body.ID
	}
	made, err := s.Webhooks.Create(body.draft(h), c.actor())
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusCreated, webhookWithSecret{made.Webhook, made.NewSecret.Reveal()})
}

func (s *server) webhook(r *http.Request, c *caller) (*iot.Webhook, error) {
	return s.DB.Webhook(r.Context(), c.project.Key, r.PathValue("webhook"))
}

func (s *server) showWebhook(w http.ResponseWriter, r *http.Request, c *caller) error {
	h, err := s.webhook(r, c)
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, h)
}

func (s *server) updateWebhook(w http.ResponseWriter, r *http.Request, c *caller) error {
	h, err := s.webhook(r, c)
	if err != nil {
		return err
	}
	var body webhookBody
	if err := handlers.DecodeJSON(r, &body, handlers.MaxJSONBytes); err != nil {
		return err
	}
	if body.ID != nil && *body.ID != h.ID {
		return iot.FieldError("id", "cannot be changed.")
	}
	changed, err := s.Webhooks.Change(body.draft(h), c.actor())
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, webhookWithSecret{changed.Webhook, changed.NewSecret.Reveal()})
}

func (s *server) deleteWebhook(w http.ResponseWriter, r *http.Request, c *caller) error {
	h, err := s.webhook(r, c)
	if err != nil {
		return err
	}
	if err := s.DB.DeleteWebhook(h, c.actor()); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *server) testWebhook(w http.ResponseWriter, r *http.Request, c *caller) error {
	h, err := s.webhook(r, c)
	if err == nil {
		err = emptyBody(r)
	}
	if err != nil {
		return err
	}
	id, err := s.Ingest.Test(r.Context(), c.project, h)
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusAccepted, map[string]iot.ID{"delivery": id})
}

// emptyBody refuses a body with more than an empty object.
func emptyBody(r *http.Request) error {
	return handlers.DecodeOptionalJSON(r, &struct{}{}, handlers.MaxJSONBytes)
}

func (s *server) pauseWebhook(w http.ResponseWriter, r *http.Request, c *caller) error {
	h, err := s.webhook(r, c)
	if err != nil {
		return err
	}
	var body struct {
		Reason string `json:"reason"`
	}
	if err := handlers.DecodeOptionalJSON(r, &body, handlers.MaxJSONBytes); err != nil {
		return err
	}
	if iot.TextLength(body.Reason) > iot.MaxName || iot.HasControl(body.Reason) {
		return iot.FieldError("reason", "must be a single line of at most 254 characters.")
	}
	if err := s.DB.PauseWebhook(h, c.name(), body.Reason, c.actor()); err != nil {
		return err
	}
	return s.showWebhook(w, r, c)
}

func (s *server) resumeWebhook(w http.ResponseWriter, r *http.Request, c *caller) error {
	h, err := s.webhook(r, c)
	if err == nil {
		err = emptyBody(r)
	}
	if err != nil {
		return err
	}
	if err := s.DB.ResumeWebhook(h, c.actor()); err != nil {
		return err
	}
	return s.showWebhook(w, r, c)
}

func (s *server) rotateSecret(w http.ResponseWriter, r *http.Request, c *caller) error {
	h, err := s.webhook(r, c)
	if err != nil {
		return err
	}
	const usual, most = 24 * time.Hour, 30 * 24 * time.Hour
	body := struct {
		OverlapMS int64 `json:"overlap_ms"`
	}{usual.Milliseconds()}
	if err := handlers.DecodeOptionalJSON(r, &body, handlers.MaxJSONBytes); err != nil {
		return err
	}
	if body.OverlapMS < 0 || body.OverlapMS > most.Milliseconds() {
		return iot.FieldError("overlap_ms", "must be 0 to 2,592,000,000 (30 days).")
	}
	secret, err := s.Webhooks.RotateSecret(h, time.Duration(body.OverlapMS)*time.Millisecond, c.actor())
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, map[string]string{"signing_secret": secret.Reveal()})
}

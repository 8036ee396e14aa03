package api

import (
	"net/http"

	"thingpost/db"
	"thingpost/handlers"
	"thingpost/internal/ingest"
	"thingpost/internal/iot"
	"thingpost/internal/webhook"
)

// previewAnswer is what a webhook would do with a message.
type previewAnswer struct {
	// Message is the id of the message; null for a sample, used while the project has
	// no message.
	Message *iot.ID           `json:"message"`
	Wanted  bool              `json:"wanted"`
	Why     webhook.Reason    `json:"why"`
	Checks  []webhook.Finding `json:"checks"`
	// Request is the request; null if there would be none.
	Request *previewRequest `json:"request"`
	// Skip is why nothing would be sent although the webhook wants it.
	Skip string `json:"skip,omitempty"`
	// Error is why the settings cannot make a request for this message.
	Error string `json:"error,omitempty"`
}

type previewRequest struct {
	iot.Request
	Body string `json:"body"`
}

// previewWebhook renders a message for a webhook, as stored or with unsaved changes.
func (s *server) previewWebhook(w http.ResponseWriter, r *http.Request, c *caller) error {
	h, err := s.webhook(r, c)
	if err != nil {
		return err
	}
	var body struct {
		webhookBody
		Message *string `json:"message"`
	}
	if err := handlers.DecodeOptionalJSON(r, &body, handlers.MaxJSONBytes); err != nil {
		return err
	}
	draft, err := s.Webhooks.Draft(body.draft(h))
	if err != nil {
		return err
	}
	h = draft.Webhook
	if err := s.findDevice(r, h); err != nil {
		return err
	}
	m, err := s.previewMessage(r, c, h, body.Message)
	if err != nil {
		return err
	}
	v, err := s.Ingest.Preview(r.Context(), c.project, h, m)
	if err != nil {
		return err
	}
	answer := previewAnswer{Wanted: v.Why.Wanted, Why: v.Why.Reason, Checks: v.Why.Checks, Skip: v.Skip}
	if !m.ID.IsZero() {
		answer.Message = &m.ID
	}
	if v.Err != nil {
		answer.Error = handlers.ErrorOf(v.Err).Message
	}
	if q := v.Request; q != nil {
		answer.Request = &previewRequest{iot.Request{Method: q.Method, URL: q.MaskedURL(), Headers: q.Masked()}, string(q.Body)}
	}
	return handlers.WriteJSON(w, http.StatusOK, answer)
}

// findDevice looks up the device of a webhook with unsaved changes.
func (s *server) findDevice(r *http.Request, h *iot.Webhook) error {
	h.DeviceKey = 0
	if h.Device == "" {
		return nil
	}
	d, err := s.DB.Device(r.Context(), h.ProjectKey, h.Device)
	if iot.CodeOf(err) == iot.NotFound {
		return iot.FieldError("device", "There is no such device in this project.")
	}
	if err != nil {
		return err
	}
	h.Device, h.DeviceKey = d.ID, d.Key
	return nil
}

// previewMessage returns the named message, otherwise the newest, otherwise a sample.
func (s *server) previewMessage(r *http.Request, c *caller, h *iot.Webhook, id *string) (*iot.Message, error) {
	if id != nil {
		m, err := s.message(r, c, *id)
		if iot.CodeOf(err) == iot.NotFound {
			err = iot.FieldError("message", "There is no such message in this project.")
		}
		return m, err
	}
	found, err := s.DB.Messages(r.Context(), db.MessageFilter{ProjectKey: c.project.Key, Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(found.Items) > 0 {
		return &found.Items[0], nil
	}
	return ingest.SampleMessage(c.project, h, iot.At(s.Now())), nil
}

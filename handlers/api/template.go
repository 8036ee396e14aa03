package api

import (
	"net/http"

	"thingpost/handlers"
	"thingpost/internal/iot"
	"thingpost/internal/settings"
	"thingpost/internal/webhook"
)

func (s *server) listTemplates(w http.ResponseWriter, r *http.Request, _ *caller) error {
	_, page, err := handlers.Query(r)
	if err != nil {
		return err
	}
	list, err := handlers.Cut(s.Templates.Templates(), page, func(t *iot.Template) string { return t.ID })
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, list)
}

func (s *server) showTemplate(w http.ResponseWriter, r *http.Request, _ *caller) error {
	t, err := s.Templates.Template(r.PathValue("template"))
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusOK, t)
}

// createFromTemplate creates a webhook from a template. A key of the template is
// created in the same transaction, and does not exist if the webhook cannot be saved.
func (s *server) createFromTemplate(w http.ResponseWriter, r *http.Request, c *caller) error {
	var body struct {
		Template string            `json:"template"`
		ID       string            `json:"id"`
		Fields   map[string]string `json:"fields"`
	}
	if err := handlers.DecodeJSON(r, &body, handlers.MaxJSONBytes); err != nil {
		return err
	}
	t, err := s.Templates.Template(body.Template)
	if iot.CodeOf(err) == iot.NotFound {
		return iot.FieldError("template", "There is no such template.")
	}
	if err != nil {
		return err
	}
	h, err := webhook.Instantiate(t, body.ID, body.Fields)
	if err != nil {
		return err
	}
	h.ProjectKey = c.project.Key
	made, err := s.Webhooks.CreateFromTemplate(h, t, settings.Maker{Name: c.actor(), Rights: c.rights, Key: c.key})
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusCreated, made.Webhook)
}

package api

import (
	"net/http"

	"thingpost/handlers"
	"thingpost/internal/iot"
)

func answerUpstream(w http.ResponseWriter, h *iot.Webhook) error {
	return handlers.WriteJSON(w, http.StatusOK, iot.Upstream{URL: h.URL, Key: h.Headers[0].Value})
}

func (s *server) showUpstream(w http.ResponseWriter, r *http.Request, c *caller) error {
	h, err := s.DB.Upstream(r.Context(), c.project)
	if err != nil {
		return err
	}
	return answerUpstream(w, h)
}

func (s *server) setUpstream(w http.ResponseWriter, r *http.Request, c *caller) error {
	var body struct {
		URL string `json:"url"`
		Key string `json:"key"`
	}
	if err := handlers.DecodeJSON(r, &body, handlers.MaxJSONBytes); err != nil {
		return err
	}
	u := iot.Upstream{URL: body.URL, Key: iot.Secret(body.Key)}
	if body.Key == iot.Mask {
		h, err := s.DB.Upstream(r.Context(), c.project)
		if err != nil {
			return err
		}
		if u.Key, err = u.KeptKey(h.URL, h.Headers[0].Value.Reveal()); err != nil {
			return err
		}
	}
	if err := s.DB.SetUpstream(c.project, nil, u, c.actor()); err != nil {
		return err
	}
	h, err := s.DB.Upstream(r.Context(), c.project)
	if err != nil {
		return err
	}
	return answerUpstream(w, h)
}

func (s *server) clearUpstream(w http.ResponseWriter, r *http.Request, c *caller) error {
	if err := s.DB.ClearUpstream(c.project, c.actor()); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

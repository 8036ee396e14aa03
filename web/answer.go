package web

import (
	"encoding/json"
	"errors"
	"net/http"

	"thingpost/handlers"
	"thingpost/internal/iot"
)

// healthz answers that the process is alive, independent of anything it uses.
func healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// readyz answers whether messages are accepted: the store can be written, and the
// server is not stopping.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if err := s.notReady(r.Context()); err != nil {
		e, ok := errors.AsType[*iot.Error](err)
		if !ok {
			e = iot.NewError(iot.Unavailable, "The database cannot be written.")
		}
		handlers.SetRetryAfter(w.Header(), e.Code)
		writeError(w, e, http.StatusServiceUnavailable)
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
}

// nothingHere answers unknown paths that belong to programs.
func nothingHere(w http.ResponseWriter, _ *http.Request) {
	writeError(w, iot.NewError(iot.NotFound, "There is nothing at this address."), http.StatusNotFound)
}

func writeError(w http.ResponseWriter, e *iot.Error, status int) {
	writeJSON(w, status, map[string]any{"error": map[string]any{"code": e.Code, "message": e.Message}})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// A reader that is gone does not matter.
	_ = json.NewEncoder(w).Encode(v)
}

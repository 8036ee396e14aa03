package tts

import (
	"net/http"
	"strings"

	"thingpost/internal/iot"
)

// application returns the project that a caller's key belongs to, which must be
// the one that is named and hold the rights. A key of another application and no
// key at all have no rights for it.
func (s *server) application(r *http.Request, name string, need iot.Rights) (*iot.Project, *iot.APIKey, error) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return nil, nil, errNoRights.with("uid", name)
	}
	scheme, text, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return nil, nil, errUnsupported
	}
	text = strings.TrimSpace(text)
	if _, _, ok := iot.ParseAPIKey(text); !ok {
		return nil, nil, errMalformedKey
	}
	key, project, err := s.Ingest.APIKey(r.Context(), iot.Secret(text))
	if iot.CodeOf(err) == iot.Unauthorized {
		return nil, nil, errKeyNotFound
	}
	if err != nil {
		return nil, nil, err
	}
	if name != project.ID && !strings.EqualFold(name, project.UUID) {
		return nil, nil, errNoRights.with("uid", name)
	}
	if missing := need &^ key.Rights; missing != 0 {
		return nil, nil, fewRights(name, missing)
	}
	return project, key, nil
}

package mainflux

import (
	"errors"
	"net/http"
	"strings"
	"unicode/utf8"

	"thingpost/handlers"
	"thingpost/internal/ingest"
	"thingpost/internal/iot"
)

// publish accepts a message of a thing. path is /messages, or /messages/ with a
// subtopic. It answers when the message is on disk.
func (s *server) publish(w http.ResponseWriter, r *http.Request, path string) {
	if r.Method != http.MethodPost {
		s.noMethod(w, r, http.MethodPost)
		return
	}
	if err := s.publishOne(w, r, path); err != nil {
		s.answerError(w, r, err)
	}
}

func (s *server) publishOne(w http.ResponseWriter, r *http.Request, path string) error {
	binary, err := payloadType(r.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	key, err := thingKey(r.Header.Get("Authorization"))
	if err != nil {
		return err
	}
	d, p, err := s.Ingest.Device(r.Context(), key)
	if iot.CodeOf(err) == iot.Unauthorized {
		return notFound()
	}
	if err != nil {
		return err
	}
	channel, err := subtopic(strings.TrimPrefix(path, "/messages"))
	if err != nil {
		return err
	}
	handlers.Share(r, p)
	body, err := handlers.ReadBody(r, iot.MaxMessageBytes)
	if err != nil {
		return err
	}
	if _, err := s.Ingest.AcceptPayload(r.Context(), p, d, ingest.Payload{Bytes: body, Binary: binary, Channel: channel}); err != nil {
		return unreadable(err)
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// unreadable is the error for a payload of a wrong form, in Mainflux's words.
func unreadable(err error) error {
	switch {
	case iot.CodeOf(err) != iot.Invalid:
		return err
	case errors.Is(err, ingest.ErrSenML):
		return &fault{http.StatusBadRequest, textNotSenML, handlers.ErrorOf(err).Message}
	}
	return &fault{http.StatusBadRequest, textNotJSON, handlers.ErrorOf(err).Message}
}

// payloadType reports whether a payload is SenML in CBOR. It returns an error for a
// content type that messages cannot have.
func payloadType(contentType string) (binary bool, err error) {
	contentType = strings.ToLower(contentType)
	switch {
	case strings.Contains(contentType, string(iot.SenMLCBOR)):
		return true, nil
	case strings.Contains(contentType, string(iot.JSONObjects)), strings.Contains(contentType, string(iot.SenMLJSON)):
		return false, nil
	}
	return false, &fault{status: http.StatusUnsupportedMediaType, text: textContentType}
}

// thingKey reads a thing's key. Both kinds of Mainflux's keys are our device key.
func thingKey(authorization string) (iot.Secret, error) {
	scheme, key, _ := strings.Cut(authorization, " ")
	if key = strings.TrimSpace(key); key == "" || !strings.EqualFold(scheme, "Thing") && !strings.EqualFold(scheme, "External") {
		return "", &fault{status: http.StatusUnauthorized, text: textKeyType}
	}
	return iot.Secret(key), nil
}

// subtopic returns the channel of a decoded path: its parts joined by dots.
func subtopic(path string) (string, error) {
	if path == "" || path == "/" {
		return "", nil
	}
	parts := strings.FieldsFunc(path, func(c rune) bool { return c == '/' })
	for _, part := range parts {
		if len(part) > 1 && strings.ContainsAny(part, "*>") {
			return "", badRequest(textSubtopic)
		}
	}
	channel := strings.Join(parts, ".")
	if iot.TextLength(channel) > iot.MaxChannel || iot.HasControl(channel) || !utf8.ValidString(channel) {
		return "", &fault{http.StatusBadRequest, textSubtopic,
			"A subtopic must be UTF-8, with at most 254 characters and without control characters."}
	}
	return channel, nil
}

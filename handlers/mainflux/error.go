package mainflux

import (
	"errors"
	"log/slog"
	"net/http"

	"thingpost/handlers"
	"thingpost/internal/iot"
)

// fault is an error with a status and a text of Mainflux's own.
type fault struct {
	status int
	text   string
	// detail is a sentence of ours with more information; may be empty.
	detail string
}

// Error returns the text.
func (f *fault) Error() string { return f.text }

func badRequest(text string) *fault { return &fault{status: http.StatusBadRequest, text: text} }

// The texts that clients of Mainflux know.
const (
	textNotFound    = "entity not found"
	textConflict    = "entity already exists"
	textForbidden   = "failed to perform authorization over the entity"
	textMalformed   = "malformed entity specification"
	textNameSize    = "invalid name size"
	textURL         = "missing or invalid url"
	textEmptyList   = "empty list provided"
	textQuery       = "invalid query parameters"
	textLimitSize   = "invalid limit size"
	textOrder       = "invalid list order provided"
	textDirection   = "invalid list direction provided"
	textContentType = "unsupported content type"
	textBearer      = "missing or invalid bearer user token"
	textToken       = "failed to validate token"
	textKeyType     = "invalid thing key type"
	textSubtopic    = "malformed subtopic"
	textNotJSON     = "unable to parse JSON object"
	textNotSenML    = "failed to decode senml"
	textThingType   = "invalid thing type"
	textRole        = "invalid role"
)

func malformed(detail string) *fault {
	return &fault{status: http.StatusBadRequest, text: textMalformed, detail: detail}
}

func notFound() *fault { return &fault{status: http.StatusNotFound, text: textNotFound} }

func forbidden(detail string) *fault {
	return &fault{status: http.StatusForbidden, text: textForbidden, detail: detail}
}

// faultOf returns an error in Mainflux's form.
func faultOf(err error) *fault {
	if f, ok := errors.AsType[*fault](err); ok {
		return f
	}
	e := handlers.ErrorOf(err)
	switch e.Code {
	case iot.Invalid:
		return &fault{http.StatusBadRequest, e.Message, ""}
	case iot.Unauthorized:
		return &fault{http.StatusUnauthorized, textToken, e.Message}
	case iot.Forbidden:
		return forbidden(e.Message)
	case iot.NotFound:
		return &fault{http.StatusNotFound, textNotFound, e.Message}
	case iot.Conflict:
		if len(e.Fields) > 0 {
			return &fault{http.StatusConflict, textConflict, e.Message}
		}
		return &fault{http.StatusConflict, e.Message, ""}
	case iot.LimitReached:
		return &fault{http.StatusConflict, e.Message, ""}
	case iot.TooLarge:
		return &fault{http.StatusRequestEntityTooLarge, e.Message, ""}
	case iot.UnsupportedMediaType:
		return &fault{http.StatusUnsupportedMediaType, textContentType, e.Message}
	case iot.RateLimited:
		return &fault{http.StatusTooManyRequests, e.Message, ""}
	case iot.Unavailable:
		return &fault{http.StatusServiceUnavailable, e.Message, ""}
	case iot.StorageFull:
		return &fault{http.StatusInsufficientStorage, e.Message, ""}
	case iot.Internal:
	}
	return &fault{http.StatusInternalServerError, e.Message, ""}
}

// answerError answers an error, and logs it for operators if needed.
func (s *server) answerError(w http.ResponseWriter, r *http.Request, err error) {
	f := faultOf(err)
	if f.status >= http.StatusInternalServerError {
		level := slog.LevelError
		if r.Context().Err() != nil {
			level = slog.LevelDebug // the client is gone
		}
		s.Log.LogAttrs(r.Context(), level, "request failed", slog.String("request_id", w.Header().Get(handlers.RequestIDHeader)),
			slog.String("method", r.Method), slog.String("pattern", r.Pattern), slog.Any("error", err))
	}
	if iot.CodeOf(err) == iot.UnsupportedMediaType {
		w.Header().Set("Accept-Encoding", handlers.AcceptedEncodings)
	}
	handlers.SetRetryAfter(w.Header(), handlers.ErrorOf(err).Code)
	body := map[string]string{"error": f.text}
	if f.detail != "" {
		body["detail"] = f.detail
	}
	_ = handlers.WriteJSON(w, f.status, body) // only strings: cannot fail
}

package tts

import (
	"errors"
	"log/slog"
	"net/http"

	"thingpost/internal/downlink"
	"thingpost/internal/iot"
)

// learnUpstream stores the upstream of a device's downlinks, if a request of a webhook
// of The Things Stack has it and its key may change settings: downlinks would go to
// whom the headers name. Useless headers do not refuse the message. They are logged,
// and if the key's holder can help, a sentence for them is returned.
func learnUpstream(r *http.Request, q *downlink.Queue, p *iot.Project, key *iot.APIKey, log *slog.Logger) string {
	push, replace, secret := r.Header.Get("X-Downlink-Push"), r.Header.Get("X-Downlink-Replace"), r.Header.Get("X-Downlink-Apikey")
	if push == "" || replace == "" || secret == "" {
		return ""
	}
	binary := isBinary(r.Header.Get("Content-Type"))
	err := q.Learn(r.Context(), p, key.Rights, downlink.Addresses{Push: push, Replace: replace, Key: iot.Secret(secret), Protobuf: binary})
	if e := (*iot.Error)(nil); iot.CodeOf(err) == iot.Forbidden && errors.As(err, &e) {
		log.DebugContext(r.Context(), "learn an upstream", slog.String("project", p.ID), slog.Any("error", err))
		return e.Message
	}
	if err != nil {
		log.WarnContext(r.Context(), "learn an upstream", slog.String("project", p.ID), slog.Any("error", err))
	}
	return ""
}

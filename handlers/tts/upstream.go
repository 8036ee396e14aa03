package tts

import (
	"log/slog"
	"net/http"

	"thingpost/internal/downlink"
	"thingpost/internal/iot"
)

// learnUpstream keeps where a device's downlinks go on to, if a request of a
// webhook of The Things Stack tells it. Headers that are of no use refuse no
// message: they are logged.
func learnUpstream(r *http.Request, q *downlink.Queue, p *iot.Project, log *slog.Logger) {
	push, replace, key := r.Header.Get("X-Downlink-Push"), r.Header.Get("X-Downlink-Replace"), r.Header.Get("X-Downlink-Apikey")
	if push == "" || replace == "" || key == "" {
		return
	}
	binary := r.Header.Get("Content-Type") == "application/octet-stream"
	if err := q.Learn(r.Context(), p, push, replace, iot.Secret(key), binary); err != nil {
		log.WarnContext(r.Context(), "learn an upstream", slog.String("project", p.ID), slog.Any("error", err))
	}
}

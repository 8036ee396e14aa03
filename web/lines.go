package web

import (
	"context"
	"log/slog"
	"strings"
)

// Lines returns a handler for what libraries say that know nothing of levels,
// net/http before all. An entry, however many lines it has, becomes one record: a
// panic that net/http has caught and a listener that fails are errors; whatever else
// a peer has done wrong is worth a look at level debug alone, since strangers can
// cause any number of them.
func Lines(h slog.Handler) slog.Handler { return lines{h} }

type lines struct{ slog.Handler }

// Enabled implements slog.Handler: the level is known when the line is.
func (lines) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (h lines) Handle(ctx context.Context, r slog.Record) error {
	level := slog.LevelDebug
	for _, bad := range []string{"http: panic serving", "http2: panic serving", "http: Accept error"} {
		if strings.HasPrefix(r.Message, bad) {
			level = slog.LevelError
		}
	}
	if !h.Handler.Enabled(ctx, level) {
		return nil
	}
	said := slog.NewRecord(r.Time, level, "library", 0)
	said.AddAttrs(slog.String("error", strings.TrimRight(r.Message, "\n")))
	return h.Handler.Handle(ctx, said)
}

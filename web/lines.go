package web

import (
	"context"
	"log/slog"
	"strings"
)

// Lines returns a handler for logs of libraries without levels, mainly net/http. An
// entry of any number of lines becomes one record. A panic that net/http caught and a
// failing listener are errors. Other faults of peers are at level debug only, since
// strangers can cause any number of them.
func Lines(h slog.Handler) slog.Handler { return lines{h} }

type lines struct{ slog.Handler }

// Enabled implements slog.Handler. The level depends on the line.
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

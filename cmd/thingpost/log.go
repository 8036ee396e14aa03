package main

import (
	"context"
	"hash/maphash"
	"io"
	"log/slog"
	"sync"
	"time"
)

func logLevel(name string) (slog.Level, bool) {
	switch name {
	case "error":
		return slog.LevelError, true
	case "warn":
		return slog.LevelWarn, true
	case "info":
		return slog.LevelInfo, true
	case "debug":
		return slog.LevelDebug, true
	}
	return 0, false
}

// formatJSON is -log-format for programs: a JSON object per line.
const formatJSON = "json"

func newLog(w io.Writer, c watchConfig) *slog.Logger {
	level, _ := logLevel(c.LogLevel)
	o := &slog.HandlerOptions{Level: level}
	var h slog.Handler = slog.NewTextHandler(w, o)
	if c.LogFormat == formatJSON {
		h = slog.NewJSONHandler(w, o)
	}
	return slog.New(deduplicator{h, &repeats{seed: maphash.MakeSeed(), seen: map[uint64]*repeat{}}})
}

// The log has at most repeatsMost warnings and errors with the same message and error
// within repeatsIn. The next one after that says how many were omitted. A failing disk,
// or a receiver of a thousand requests per second, so does not fill the log.
const (
	repeatsMost = 5
	repeatsIn   = time.Minute
	repeatsKept = 1000 // distinct ones that are tracked
)

// deduplicator is a handler that omits frequent repeats.
type deduplicator struct {
	slog.Handler
	of *repeats
}

// repeats is what was logged recently. All loggers derived from one share it.
type repeats struct {
	seed maphash.Seed
	mu   sync.Mutex
	seen map[uint64]*repeat
}

type repeat struct {
	since   time.Time
	said    int
	leftOut int64
}

// Handle implements slog.Handler.
func (c deduplicator) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn {
		say, leftOut := c.of.note(r)
		if !say {
			return nil
		}
		if leftOut > 0 {
			r = r.Clone()
			r.AddAttrs(slog.Int64("left_out", leftOut))
		}
	}
	return c.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (c deduplicator) WithAttrs(attrs []slog.Attr) slog.Handler {
	return deduplicator{c.Handler.WithAttrs(attrs), c.of}
}

// WithGroup implements slog.Handler.
func (c deduplicator) WithGroup(name string) slog.Handler {
	return deduplicator{c.Handler.WithGroup(name), c.of}
}

// note counts a record. It returns whether to log it, and how many like it were omitted
// before.
func (s *repeats) note(r slog.Record) (say bool, leftOut int64) {
	var h maphash.Hash
	h.SetSeed(s.seed)
	_, _ = h.WriteString(r.Message) // never fails
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "error" {
			_, _ = h.WriteString(a.Value.String())
		}
		return true
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.seen[h.Sum64()]
	if v == nil {
		if len(s.seen) >= repeatsKept {
			clear(s.seen)
		}
		v = &repeat{since: r.Time}
		s.seen[h.Sum64()] = v
	}
	if gone := r.Time.Sub(v.since); gone >= repeatsIn || gone < 0 {
		v.since, v.said = r.Time, 0
	}
	if v.said >= repeatsMost {
		v.leftOut++
		return false, 0
	}
	v.said++
	leftOut, v.leftOut = v.leftOut, 0
	return true, leftOut
}

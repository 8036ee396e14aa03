package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestTheLogLeavesOutWhatItSaysAgain(t *testing.T) {
	var out strings.Builder
	log := newLog(&out, watchConfig{LogLevel: "info"})
	at := time.Now()
	say := func(level slog.Level, text string, err error) {
		r := slog.NewRecord(at, level, text, 0)
		r.AddAttrs(slog.Any("error", err))
		if err := log.With("request_id", fmt.Sprint(out.Len())).Handler().Handle(t.Context(), r); err != nil {
			t.Error(err)
		}
	}
	full, other := errors.New("the disk is full"), errors.New("another fault")
	for range 1000 {
		say(slog.LevelError, "request failed", full)
	}
	say(slog.LevelError, "request failed", other)
	at = at.Add(2 * repeatsIn)
	say(slog.LevelError, "request failed", full)
	if n := strings.Count(out.String(), full.Error()); n != repeatsMost+1 {
		t.Errorf("it is said %d times", n)
	}
	if !strings.Contains(out.String(), other.Error()) {
		t.Error("another error is left out")
	}
	if !strings.Contains(out.String(), fmt.Sprintf("left_out=%d\n", 1000-repeatsMost)) {
		t.Errorf("it does not say how much was left out: %s", out.String())
	}
	out.Reset()
	for range 20 {
		say(slog.LevelInfo, "told", nil)
	}
	if n := strings.Count(out.String(), "told"); n != 20 {
		t.Errorf("of what nobody must act on %d of 20 are said", n)
	}
}

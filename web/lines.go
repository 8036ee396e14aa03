package web

import (
	"context"
	"log"
	"log/slog"
	"strings"
)

// Lines returns a logger for libraries that know nothing of levels, net/http
// before all. Each of its entries, however many lines it has, becomes one record:
// a panic that net/http has caught and a listener that fails are errors, whatever
// else a peer has done wrong is worth a look at level debug alone, since strangers
// can cause any number of them.
func Lines(l *slog.Logger) *log.Logger { return log.New(lines{l}, "", 0) }

type lines struct{ log *slog.Logger }

// Write implements io.Writer; it never fails.
func (w lines) Write(b []byte) (int, error) {
	text := strings.TrimRight(string(b), "\n")
	level := slog.LevelDebug
	for _, bad := range []string{"http: panic serving", "http2: panic serving", "http: Accept error"} {
		if strings.HasPrefix(text, bad) {
			level = slog.LevelError
		}
	}
	w.log.Log(context.Background(), level, text)
	return len(b), nil
}

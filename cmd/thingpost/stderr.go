package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc/grpclog"

	"thingpost/web"
)

// claimStandardLogs sends what libraries write to standard error to our log: the
// standard library (http.Transport writes there about unexpected answers) and gRPC.
// Call it before a server or client is created. Only the Go runtime still writes there:
// when an uncaught panic or a signal such as SIGQUIT ends the process.
func claimStandardLogs(l *slog.Logger) {
	slog.SetDefault(slog.New(web.Lines(l.Handler()))) //nolint:forbidigo // for libraries, which use what the standard library has
	grpclog.SetLoggerV2(grpcLog{l})
}

// grpcLog is the log of gRPC. Errors on a connection are mostly the peer's, so most are
// of level debug.
type grpcLog struct{ log *slog.Logger }

func (g grpcLog) say(level slog.Level, text string) {
	g.log.Log(context.Background(), level, "gRPC", slog.String("error", strings.TrimRight(text, "\n")))
}

func (g grpcLog) debugs() bool { return g.log.Enabled(context.Background(), slog.LevelDebug) }

// Info and those below implement grpclog.LoggerV2.
func (g grpcLog) Info(args ...any) {
	if g.debugs() {
		g.say(slog.LevelDebug, fmt.Sprint(args...))
	}
}
func (g grpcLog) Infoln(args ...any) {
	if g.debugs() {
		g.say(slog.LevelDebug, fmt.Sprintln(args...))
	}
}
func (g grpcLog) Infof(format string, args ...any) {
	if g.debugs() {
		g.say(slog.LevelDebug, fmt.Sprintf(format, args...))
	}
}
func (g grpcLog) Warning(args ...any)              { g.Info(args...) }
func (g grpcLog) Warningln(args ...any)            { g.Infoln(args...) }
func (g grpcLog) Warningf(format string, a ...any) { g.Infof(format, a...) }
func (g grpcLog) Error(args ...any)                { g.say(slog.LevelWarn, fmt.Sprint(args...)) }
func (g grpcLog) Errorln(args ...any)              { g.say(slog.LevelWarn, fmt.Sprintln(args...)) }
func (g grpcLog) Errorf(format string, args ...any) {
	g.say(slog.LevelWarn, fmt.Sprintf(format, args...))
}
func (g grpcLog) Fatal(args ...any)                 { g.fatal(fmt.Sprint(args...)) }
func (g grpcLog) Fatalln(args ...any)               { g.fatal(fmt.Sprintln(args...)) }
func (g grpcLog) Fatalf(format string, args ...any) { g.fatal(fmt.Sprintf(format, args...)) }
func (g grpcLog) V(level int) bool                  { return level <= 0 && g.debugs() }

func (g grpcLog) fatal(text string) {
	g.say(slog.LevelError, text)
	os.Exit(exitFailed)
}

// banner is for people who start the server: it writes to standard output, at every log
// level. It writes sentences, or with -log-format json records in the log's form. It is
// not part of the log, which others may store: a set-up link is secret until it is
// used.
type banner struct {
	out  io.Writer
	json slog.Handler // nil for sentences
	now  func() time.Time
}

func newBanner(p *program, c watchConfig) banner {
	b := banner{out: p.stdout, now: p.now}
	if c.LogFormat == formatJSON {
		b.json = slog.NewJSONHandler(p.stdout, nil)
	}
	return b
}

// say writes a sentence that ends with an address. If it cannot be written, nobody can
// be told.
func (b banner) say(sentence, url string) {
	if b.json == nil {
		_, _ = fmt.Fprintln(b.out, sentence+" "+url)
		return
	}
	r := slog.NewRecord(b.now(), slog.LevelInfo, sentence, 0)
	r.AddAttrs(slog.String("url", url))
	_ = b.json.Handle(context.Background(), r)
}

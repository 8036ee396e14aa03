package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"thingpost/internal/iot"
)

func main() { start(time.Now) }

// start runs the program with a clock and ends the process.
func start(now func() time.Time) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(300) // a few MiB of garbage more, for 5 % less work
	}
	p := &program{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, env: os.LookupEnv, now: now}
	os.Exit(p.run(context.Background(), os.Args[1:]))
}

// program is what a sub-command can use of its environment.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	env            func(string) (string, bool)
	now            func() time.Time
}

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// usageError is a wrong command line; exit status 2.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

// errReported is a failure that the command has already reported; exit status 1.
var errReported = errors.New("reported")

// run runs one sub-command and returns the exit status.
func (p *program) run(ctx context.Context, args []string) int {
	err := p.dispatch(ctx, commands(), "thingpost", args)
	var usage usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.As(err, &usage) && p.logsJSON(args):
		slog.New(slog.NewJSONHandler(p.stderr, nil)).Error("the command line is wrong", slog.String("error", usage.text))
		return exitUsage
	case errors.As(err, &usage):
		p.complain(usage.text)
		return exitUsage
	case errors.Is(err, errReported):
		return exitFailed
	}
	p.complain(sentence(err))
	return exitFailed
}

// logsJSON reports whether a command line of serve, which cannot be read as a whole, asks
// for a log in JSON: then its fault is a line of that log.
func (p *program) logsJSON(args []string) bool {
	if len(args) == 0 || args[0] != "serve" {
		return false
	}
	format, _ := p.env("THINGPOST_LOG_FORMAT")
	for i, arg := range args {
		name, value, ok := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if !strings.HasPrefix(arg, "-") || name != "log-format" {
			continue
		}
		if !ok && i+1 < len(args) {
			value = args[i+1]
		}
		format = value
	}
	return format == formatJSON
}

func (p *program) complain(text string) {
	// If this cannot be written, nobody can be told.
	_, _ = fmt.Fprintln(p.stderr, "thingpost: "+strings.ReplaceAll(text, "\n", "\n  "))
}

// say writes a line for people.
func (p *program) say(format string, args ...any) {
	_, _ = fmt.Fprintf(p.stdout, format+"\n", args...)
}

// sentence is an error for operators: the message for people, and its cause.
func sentence(err error) string {
	e, ok := errors.AsType[*iot.Error](err)
	if !ok {
		return err.Error()
	}
	if e.Err != nil {
		return e.Message + " (" + e.Err.Error() + ")"
	}
	return e.Message
}

// dispatch finds a command by the first argument.
func (p *program) dispatch(ctx context.Context, list []command, prefix string, args []string) error {
	if len(args) == 0 {
		return usageError{"missing command.\n" + overview(prefix, list)}
	}
	name := args[0]
	if slices.Contains([]string{"-h", "-help", "--help", "help"}, name) {
		p.say("%s", strings.TrimSuffix(overview(prefix, list), "\n"))
		return nil
	}
	for _, c := range list {
		if c.name == name {
			if c.sub != nil {
				return p.dispatch(ctx, c.sub, prefix+" "+name, args[1:])
			}
			return c.run(ctx, p, args[1:])
		}
	}
	return usageError{fmt.Sprintf("unknown command %q.\n%s", name, overview(prefix, list))}
}

func overview(prefix string, list []command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Usage: %s COMMAND [options]\n\n", prefix)
	for _, c := range list {
		fmt.Fprintf(&b, "  %-10s %s\n", c.name, c.summary)
	}
	fmt.Fprintf(&b, "\nRun \"%s COMMAND -h\" for its options.\n", prefix)
	return b.String()
}

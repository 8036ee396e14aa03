package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// command is a sub-command; it has run, or commands below it.
type command struct {
	name    string
	summary string
	run     func(ctx context.Context, p *program, args []string) error
	sub     []command
}

// commands returns all sub-commands in the order in which people see them.
func commands() []command {
	return []command{
		{name: "serve", summary: "start the server", run: serveCommand},
		{name: "bench", summary: "measure what this machine accepts and delivers", run: benchCommand},
		{name: "version", summary: "print the version", run: versionCommand},
	}
}

// version returns what this build calls itself: a tag, else the commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return strings.TrimPrefix(v, "v")
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return "devel-" + s.Value[:min(len(s.Value), 12)]
		}
	}
	return "devel"
}

func versionCommand(_ context.Context, p *program, args []string) error {
	o := newOptions("version", "", "Print the version.")
	if _, err := o.parse(p, args, 0, 0); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.stdout, "thingpost %s (%s %s/%s)\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"strings"
)

// command is a sub-command: it has run, or commands below it.
type command struct {
	name    string
	summary string
	run     func(ctx context.Context, p *program, args []string) error
	sub     []command
}

// commands returns all sub-commands in the order of display.
func commands() []command {
	return []command{
		{name: "serve", summary: "start the server", run: serveCommand},
		{name: "demo", summary: "start an example project with simulated devices", run: demoCommand},
		{name: "send", summary: "send a message as a device", run: sendCommand},
		{name: "bench", summary: "measure what this machine accepts and delivers", run: benchCommand},
		{name: "user", summary: "add and list people, set their roles and passwords", sub: []command{
			{name: "add", summary: "add a person", run: userAddCommand},
			{name: "list", summary: "list people and their roles", run: userListCommand},
			{name: "role", summary: "set a person's role in an organization", run: userRoleCommand},
			{name: "password", summary: "set a person's password", run: userPasswordCommand},
		}},
		{name: "templates", summary: "check and list webhook templates, and create webhooks from them", sub: []command{
			{name: "check", summary: "list the faults of a folder of templates", run: templatesCheckCommand},
			{name: "list", summary: "list the templates and their fields", run: templatesListCommand},
			{name: "use", summary: "create a webhook from a template on a running server", run: templatesUseCommand},
		}},
		{name: "backup", summary: "copy the database of a running or stopped server into a file", run: backupCommand},
		{name: "restore", summary: "restore a data folder from a backup", run: restoreCommand},
		{name: "check", summary: "check that a data folder is intact", run: checkCommand},
		{name: "version", summary: "print the version", run: versionCommand},
	}
}

// version is set by the linker; see versionName.
var version string

// versionName returns the version of this build: the linker's, otherwise a tag,
// otherwise the commit.
func versionName() string {
	if version != "" {
		return strings.TrimPrefix(version, "v")
	}
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
	p.say("thingpost %s (%s %s/%s)", versionName(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}

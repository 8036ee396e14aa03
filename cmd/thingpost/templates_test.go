package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"thingpost/internal/iot"
)

const goodTemplate = `template-id: abc
name: Abc
description: A service.
logo-url: https://h/logo.png
info-url: https://h/
documentation-url: https://h/docs
format: json
base-url: https://h/{key}
paths: {uplink-message: /up}
fields: [{id: key, name: Key, secret: true}]
`

func writeFile(t *testing.T, folder, name, text string) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
}

func TestTemplatesCheck(t *testing.T) {
	folder := t.TempDir()
	writeFile(t, folder, "abc.yml", goodTemplate)
	if status, out, _ := run(t, "", nil, "templates", "check", folder); status != 0 ||
		out != "1 template is offered, 0 errors, 0 warnings.\n" {
		t.Errorf("a good folder: %d %s", status, out)
	}
	writeFile(t, folder, "abc.yml", goodTemplate+"verb: post\n")
	if status, out, _ := run(t, "", nil, "templates", "check", folder); status != 0 ||
		!strings.HasPrefix(out, `abc.yml:11: warning: Unknown key "verb"; ignored.`) {
		t.Errorf("a warning: %d %s", status, out)
	}
	writeFile(t, folder, "bad.yml", "name: Bad\nformat: json\n")
	if status, out, _ := run(t, "", nil, "templates", "check", folder); status != 1 ||
		!strings.Contains(out, "\nbad.yml: error: There is no base-url.\n") {
		t.Errorf("an error: %d %s", status, out)
	}
	if status, _, complaint := run(t, "", nil, "templates", "check", filepath.Join(folder, "none")); status != 1 ||
		!strings.Contains(complaint, "cannot be read") {
		t.Errorf("no folder: %d %s", status, complaint)
	}
	if status, _, complaint := run(t, "", nil, "templates", "check"); status != 2 {
		t.Errorf("no argument: %d %s", status, complaint)
	}
}

func TestTemplatesList(t *testing.T) {
	folder := t.TempDir()
	writeFile(t, folder, "abc.yml", goodTemplate)
	status, out, _ := run(t, "", []string{"THINGPOST_TEMPLATES=" + folder}, "templates", "list")
	if lines := strings.Split(out, "\n"); status != 0 || len(lines) < 14 || strings.Join(strings.Fields(lines[1]), " ") != "abc Abc key*" ||
		!strings.Contains(out, "ttnmapper") {
		t.Errorf("%d\n%s", status, out)
	}
}

func TestServeRefusesAFolderOfTemplatesThatIsNotThere(t *testing.T) {
	status, _, complaint := run(t, "", nil, "serve", "-listen", "127.0.0.1:0", "-data", t.TempDir(), "-templates",
		filepath.Join(t.TempDir(), "none"))
	if status != 1 || !strings.Contains(complaint, "The folder of templates") {
		t.Errorf("%d %s", status, complaint)
	}
}

// TestTemplatesUse creates webhooks from a folder's and a built-in template from the
// command line, with the secret on standard input.
func TestTemplatesUse(t *testing.T) {
	data, folder := t.TempDir(), t.TempDir()
	writeFile(t, folder, "abc.yml", goodTemplate)
	p := serve(t, adminEnv(), "-data", data, "-templates", folder)
	c := signIn(t, p.url)
	c.call("POST", "/projects", map[string]string{"id": "greenhouse", "name": "Greenhouse"}, 201, nil)
	use := func(stdin string, args ...string) (int, string, string) {
		return run(t, stdin, []string{"THINGPOST_KEY=" + c.token}, append([]string{"templates", "use", "-url", p.url, "-project", "greenhouse"},
			args...)...)
	}
	const secret = "s3cr3t-of-the-template"
	if status, out, complaint := use(secret+"\n", "abc", "-id", "first"); status != 0 ||
		out != "Created the webhook first, to https://h/•••\n" {
		t.Errorf("%d %q %s", status, out, complaint)
	}
	if status, out, complaint := use("", "tagoio", "-field", "auth="+secret); status != 0 ||
		out != "Created the webhook tagoio, to https://ttn.middleware.tago.io\n" {
		t.Errorf("%d %q %s", status, out, complaint)
	}
	if status, _, complaint := use("", "abc"); status != 1 || !strings.Contains(complaint, "needs a value for key") {
		t.Errorf("without a value: %d %s", status, complaint)
	}
	if status, _, complaint := use("", "abc", "-field", "key=•••"); status != 1 ||
		!strings.Contains(complaint, "key: is only the mask") {
		t.Errorf("a bad value: %d %s", status, complaint)
	}
	if status, _, complaint := use("", "nope"); status != 1 || !strings.Contains(complaint, "There is no such template.") {
		t.Errorf("no template: %d %s", status, complaint)
	}
	var list struct{ Items []iot.Webhook }
	c.call("GET", "/projects/greenhouse/webhooks", nil, 200, &list)
	if len(list.Items) != 2 || list.Items[0].URL != "https://h/•••" || list.Items[1].Headers[0].Value.Reveal() == secret {
		t.Errorf("%d webhooks", len(list.Items))
	}
	if status := p.end(t, syscall.SIGTERM); status != 0 {
		t.Errorf("exit status %d", status)
	}
	files, err := filepath.Glob(filepath.Join(data, "*"))
	must(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(t, err)
		if strings.Contains(string(text), secret) {
			t.Errorf("%s holds the secret in clear", filepath.Base(file))
		}
	}
	if strings.Contains(p.stderr.String(), secret) {
		t.Error("the log holds the secret")
	}
}

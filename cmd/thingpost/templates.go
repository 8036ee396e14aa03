package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"thingpost/internal/iot"
	"thingpost/internal/webhook"
)

// catalogue returns the built-in templates and those of a folder, if one is named.
// Faults in the folder's files are logged.
func catalogue(folder string, log *slog.Logger) (*webhook.Catalogue, error) {
	if folder == "" {
		return webhook.BuiltIn(), nil
	}
	c, remarks, err := webhook.ReadCatalogue(os.DirFS(folder))
	if err != nil {
		return nil, noTemplates(folder, err)
	}
	for _, r := range remarks {
		if r.Error {
			log.Warn("template", slog.String("file", r.File), slog.Int("line", r.Line), slog.String("error", r.Text))
		}
	}
	return c, nil
}

func noTemplates(folder string, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	return &iot.Error{Code: iot.Unavailable, Message: "The folder of templates " + folder + " cannot be read. Name an existing one.", Err: err}
}

const templatesCheckAbout = `Check a folder of webhook templates in the format of The Things Stack, and list the
faults. A template with an error cannot be used or does not do what it should. Other
readers of the format may treat warnings as errors.
Exit status 0 without errors, 1 with.`

func templatesCheckCommand(_ context.Context, p *program, args []string) error {
	o := newOptions("templates check", "DIR", templatesCheckAbout)
	rest, err := o.parse(p, args, 1, 1)
	if err != nil {
		return err
	}
	remarks, offered, err := webhook.CheckFolder(os.DirFS(rest[0]))
	if err != nil {
		return noTemplates(rest[0], err)
	}
	wrong := 0
	for _, r := range remarks {
		p.say("%s", r)
		if r.Error {
			wrong++
		}
	}
	p.say("%s, %s, %s.", plural(offered, "template is offered", "templates are offered"), plural(wrong, "error", "errors"),
		plural(len(remarks)-wrong, "warning", "warnings"))
	if wrong > 0 {
		return errReported
	}
	return nil
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

const templatesListAbout = `List the templates for webhooks, with their fields.
A field with ? is optional; one with * is secret.`

func templatesListCommand(_ context.Context, p *program, args []string) error {
	o := newOptions("templates list", "", templatesListAbout)
	var folder string
	o.templatesOption(&folder)
	if _, err := o.parse(p, args, 0, 0); err != nil {
		return err
	}
	c, err := catalogue(folder, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(p.stdout, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "ID\tNAME\tFIELDS")
	for _, t := range c.Templates() {
		var fields []string
		for _, f := range t.Fields {
			name := f.ID
			if f.Secret {
				name += "*"
			}
			if f.Optional {
				name += "?"
			}
			fields = append(fields, name)
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", t.ID, t.Name, strings.Join(fields, " "))
	}
	return w.Flush()
}

// templatesOption is the option of all commands that read templates.
func (o *options) templatesOption(folder *string) {
	o.text(folder, "templates", "DIR", "", "folder of webhook templates to offer beside the built-in ones, such as a checkout of a "+
		"public collection; read at the start")
}

const templatesUseAbout = `Create a webhook from a TEMPLATE on a running server. Fields without a value get the
template's default. Fields without a default are asked for at the terminal, or read
from standard input, one per line. Secrets so need not be on the command line.`

// templateUse is the options for a new webhook.
type templateUse struct {
	url, project, id string
	key              iot.Secret
	fields           map[string]string
}

func (c *templateUse) options() *options {
	o := newOptions("templates use", "TEMPLATE", templatesUseAbout)
	c.fields = map[string]string{}
	o.text(&c.url, "url", "URL", "http://127.0.0.1:8080", "address of the server")
	o.add(option{name: "key", value: "KEY", secret: true, usage: "key of the project, or a person's token; the environment or a file hides " +
		"it from others on this machine",
		set: func(s string) error { c.key = iot.Secret(s); return nil }})
	o.text(&c.project, "project", "ID", "", "project, by id or UUID")
	o.text(&c.id, "id", "ID", "", "id of the webhook; default: made from the template's name")
	o.add(option{name: "field", value: "ID=VALUE", usage: "value of a field; can be repeated", set: func(s string) error {
		id, value, ok := strings.Cut(s, "=")
		if !ok || id == "" {
			return errors.New("must be a field's id, = and its value")
		}
		c.fields[id] = value
		return nil
	}})
	o.validate = func() map[string]string {
		faults := map[string]string{}
		if c.key == "" {
			faults["key"] = "is missing"
		}
		if c.project == "" {
			faults["project"] = "is missing"
		}
		if u, err := url.Parse(c.url); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			faults["url"] = "must begin with http:// or https://"
		}
		return faults
	}
	return o
}

func templatesUseCommand(ctx context.Context, p *program, args []string) error {
	var c templateUse
	rest, err := c.options().parse(p, args, 1, 1)
	if err != nil {
		return err
	}
	var t iot.Template
	if err := c.call(ctx, http.MethodGet, "/templates/"+url.PathEscape(rest[0]), nil, &t); err != nil {
		return err
	}
	if err := c.ask(p, &t); err != nil {
		return err
	}
	body := map[string]any{"template": t.ID, "fields": c.fields}
	if c.id != "" {
		body["id"] = c.id
	}
	var w struct{ ID, URL string }
	if err := c.call(ctx, http.MethodPost, "/projects/"+url.PathEscape(c.project)+"/webhooks/from-template", body, &w); err != nil {
		return err
	}
	p.say("Created the webhook %s, to %s", w.ID, w.URL)
	return nil
}

// ask reads the required fields without a value.
func (c *templateUse) ask(p *program, t *iot.Template) error {
	for _, f := range t.Fields {
		if _, given := c.fields[f.ID]; given || f.Optional || f.DefaultValue != "" {
			continue
		}
		value, err := p.readField(f)
		if err != nil {
			return &iot.Error{Code: iot.Invalid, Message: "The template needs a value for " + f.ID +
				". Enter it, pass it as a line of standard input, or use -field.", Err: err}
		}
		c.fields[f.ID] = value
	}
	return nil
}

// readField reads a value. A secret one is not shown while it is entered.
func (p *program) readField(f iot.TemplateField) (string, error) {
	file, ok := p.stdin.(*os.File)
	if ok && f.Secret {
		if show, err := hideTyping(file); err == nil {
			_, _ = fmt.Fprintf(p.stderr, "%s: ", f.Label())
			defer func() {
				show()
				_, _ = fmt.Fprintln(p.stderr)
			}()
		}
	} else if ok {
		if info, err := file.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			_, _ = fmt.Fprintf(p.stderr, "%s: ", f.Label())
		}
	}
	return readLine(p.stdin)
}

// call sends a request to the native API and decodes its answer.
func (c *templateUse) call(ctx context.Context, method, path string, body, into any) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.url, "/")+"/api/v1"+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.key.Reveal())
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Thingpost/"+versionName())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err
		}
		return &iot.Error{Code: iot.Unavailable,
			Message: "No server answers at " + c.url + ". Check that it is running, and check -url.", Err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if resp.StatusCode < 300 {
		return json.Unmarshal(answer, into)
	}
	var failed struct {
		Error struct {
			Message string
			Fields  map[string]string
		}
	}
	if json.Unmarshal(answer, &failed) != nil || failed.Error.Message == "" {
		return fmt.Errorf("%s answered %s, but not as Thingpost does: check -url", c.url, resp.Status)
	}
	lines := []string{"the server refused the webhook (" + resp.Status + "): " + failed.Error.Message}
	if len(failed.Error.Fields) > 0 {
		lines[0] = "the server refused the webhook (" + resp.Status + "):"
	}
	for _, name := range slices.Sorted(maps.Keys(failed.Error.Fields)) {
		lines = append(lines, strings.TrimPrefix(name, "fields.")+": "+failed.Error.Fields[name])
	}
	return errors.New(strings.Join(lines, "\n"))
}

package webhook

import (
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"thingpost/internal/iot"
)

// service has the keys that every template needs to get no remark.
const service = `template-id: abc
name: Abc
description: A service.
logo-url: https://h/logo.png
info-url: https://h/
documentation-url: https://h/docs
format: json
`

func TestParseTemplateTellsWhatIsWrong(t *testing.T) {
	const rest = "base-url: https://h/in\npaths:\n  uplink-message: /up\n"
	cases := []struct {
		name, text string
		usable     bool
		want       []string // remarks without the file's name
	}{
		{"nothing", service + rest, true, nil},
		{"all kinds of scalars", service + "base-url: https://h/{a}\npaths: {uplink-message: '', join-accept: \"\"}\nfields:\n- id: aaa\n  " +
			"name: 12\n  secret: Yes\n  optional: off\n  default-value: ~\nheaders: {X-A: '{aaa}'}\n", true,
			[]string{"8: error: {a} in the base-url is neither a field nor a variable."}},
		{"our own variables", service + "base-url: https://h/{devEUI}\npaths:\n  uplink-message: /{deviceID}\nheaders:\n  X-A: \"{channel}\"\n",
			true, nil},
		{"unknown keys", service + rest + "verb: post\ntts-documentation-url: https://h/\n", true,
			[]string{`11: warning: Unknown key "verb"; ignored.`}},
		{"unknown key of a field", service + rest + "headers: {X-A: '{key}'}\nfields:\n  - id: key\n    name: Key\n    type: text\n", true,
			[]string{`15: warning: Unknown key "type" of a field; ignored.`}},
		{"odd ids", strings.Replace(service, "abc", "My_Service", 1) + rest +
			"headers: {X-A: '{api_key}{a.b-c}'}\nfields:\n  - {id: api_key, name: A}\n  - {id: a.b-c, name: B}\n", true,
			[]string{`1: warning: The template-id "My_Service" has an unusual form. Usual are 3 to 36 lower-case letters, digits and single dashes.`,
				`13: warning: The field id "api_key" has an unusual form. Usual are 3 to 36 lower-case letters, digits and single dashes.`,
				`14: warning: The field id "a.b-c" has an unusual form. Usual are 3 to 36 lower-case letters, digits and single dashes.`}},
		{"long names", strings.Replace(strings.Replace(service, "Abc", strings.Repeat("n", 21), 1), "A service.", strings.Repeat("d", 101), 1) +
			rest, true,
			[]string{"2: warning: The name has 21 characters; other readers accept at most 20.",
				"3: warning: The description has 101 characters; other readers accept at most 100."}},
		{"old spelling of base-url", service + "baseurl: https://h/in\npaths: {uplink-message: /up}\n", true,
			[]string{"8: warning: baseurl is an old name of base-url."}},
		{"headers as a list", service + rest + "headers:\n  - X-A: a\n  - X-B: b\n", true,
			[]string{"11: warning: The headers are a list; other readers expect a mapping."}},
		{"headers of ours", service + rest + "headers:\n  Host: a\n  Content-Length: 1\n  webhook-id: 1\n  a b: c\n  X-A: a\n  x-a: b\n", true,
			[]string{"12: warning: The header Host is ignored: Thingpost sets it itself.",
				"13: warning: The header Content-Length is ignored: Thingpost sets it itself.",
				"14: warning: The header webhook-id is ignored: Thingpost sets it itself.",
				`15: error: The header "a b" is ignored: a name has letters, digits and dashes, at most 64.`,
				"17: warning: The header x-a is there twice; the first one counts."}},
		{"a type twice and one unknown", service + "base-url: https://h\npaths:\n  uplink-message: /a\n  uplink-message: /b\n  user: /c\n  " +
			"join_accept: /d\n  join-accept:\n", true,
			[]string{`11: warning: The key "uplink-message" is there twice; the last one counts.`,
				`12: warning: Unknown message type "user"; ignored.`,
				`13: warning: Unknown message type "join_accept"; ignored.`,
				`14: warning: The path of join-accept is null, which turns it off. Write "" for an empty path, or remove the line.`}},
		{"paths of a mask", service + rest + "field-mask:\n  - received_at\n  - up.uplink_message.nope\n  - up.uplink_message.f_port\n", true,
			[]string{`11: error: The path "up.uplink_message.nope" of the field-mask is ignored: no message has it.`}},
		{"no paths", service + "base-url: https://h\n", true, []string{"warning: There are no paths: a webhook of this template sends nothing " +
			"until a message type is chosen."}},
		{"fields without an id, twice, unused", service + rest + "fields:\n  - name: A\n  - {id: bbb, name: B}\n  - {id: bbb, name: B, " +
			"secret: maybe}\n", true,
			[]string{"12: error: This field has no id; ignored.", `13: warning: The field "bbb" is never used.`,
				"14: error: Expected true or false here, for secret.", `14: error: There are two fields "bbb"; this one is ignored.`}},
		{"a secret with a default", service + rest + "headers: {X-A: '{key}'}\nfields:\n  - {id: key, name: A, secret: true, default-value: " +
			"hunter2}\n", true,
			[]string{`13: warning: The field "key" is secret, but its default value is in this file.`}},
		{"addresses that are none", strings.Replace(service, "https://h/docs", "javascript:alert(1)", 1) + rest, true,
			[]string{"6: warning: The documentation-url does not begin with https:// or http://; ignored."}},
		{"no description of the service", "base-url: https://h\npaths: {uplink-message: /up}\n", true,
			[]string{"error: There is no template-id; the file's name is used.", "error: There is no name; the id is used.",
				"warning: There is no description.",
				"warning: There is no logo-url.", "warning: There is no info-url.", "warning: There is no documentation-url.",
				"error: There is no format; json is used."}},
		{"lists and mappings in the wrong place", service + rest + "fields: none\nfield-mask: {a: b}\nheaders: 1\n", true,
			[]string{"11: error: Expected a list here, for fields.", "12: error: Expected a list here, for field-mask.",
				"13: error: Expected a mapping of keys and values here, for headers."}},
		{"several documents", service + rest + "---\nname: B\n", true, []string{"12: warning: The file has several documents; only the " +
			"first is read."}},

		{"no base-url", service + "paths: {uplink-message: /up}\n", false, []string{"error: There is no base-url."}},
		{"another format", strings.Replace(service, "json", "cbor", 1) + rest, false,
			[]string{`7: error: Unknown format "cbor". The formats are json and protobuf.`}},
		{"no url", service + "base-url: ftp://h\npaths: {uplink-message: /up}\n", false,
			[]string{"8: error: The template cannot be used: its URL must begin with https:// or http://."}},
		{"a variable as host", service + "base-url: https://{devEUI}.h/\npaths: {uplink-message: /up}\n", false,
			[]string{"8: error: The template cannot be used: its URL must not contain variables in its host or port. They can be in the path and " +
				"the query."}},
		{"a path that climbs", service + "base-url: https://h/\npaths:\n  uplink-message: /../up\n", false,
			[]string{"8: error: The template cannot be used: its path of uplink_message must not contain .. segments."}},
		{"open braces", service + "base-url: https://h/{a\npaths: {uplink-message: '/{b c}'}\n", false,
			[]string{"8: error: The base-url has a { without its }.",
				"9: error: The path of uplink_message must have placeholders of the form {name}."}},
		{"a list", "- a\n- b\n", false, []string{"1: error: A template is a mapping of keys and values, such as template-id: example."}},
		{"empty", "# nothing\n", false, []string{"error: The file is empty."}},
		{"no YAML", "a: [b\n", false, []string{"1: error: Invalid YAML: sequence end token ']' not found."}},
		{"an alias", strings.Replace(service, "Abc", "&x Abc", 1) + rest + "kind: *x\n", true,
			[]string{"11: error: Expected plain text here, for kind."}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			tmpl, remarks := ParseTemplate("abc.yml", []byte(c.text))
			if (tmpl != nil) != c.usable {
				t.Errorf("usable is %v", tmpl != nil)
			}
			var got []string
			for _, r := range remarks {
				got = append(got, strings.TrimPrefix(strings.TrimPrefix(r.String(), "abc.yml:"), " "))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(c.want, "\n  "))
			}
		})
	}
}

// tryURL uses a template with this base URL, path and header, and the field x.
func tryURL(base, path, header string, field iot.TemplateField, value string) (*iot.Webhook, error) {
	field.ID = "x"
	t := &iot.Template{ID: "abc", Name: "Abc", Format: iot.JSON, URL: base, MessageTypes: iot.Routes{iot.UplinkMessage: {Path: path}},
		Fields:  []iot.TemplateField{field},
		Headers: []iot.TemplateHeader{{Name: "X-A", Value: header}}}
	return Instantiate(t, "", map[string]string{"x": value})
}

func TestPlaceholders(t *testing.T) {
	for _, c := range []struct{ base, path, value, url, wantPath string }{
		// As in RFC 6570. Our variables stay; unknown names become nothing.
		{"https://h/{x}", "", "a/b c?é", "https://h/a%2Fb%20c%3F%C3%A9", ""},
		{"https://h/{+x}", "", "a/b c?q=é&%41", "https://h/a/b%20c?q=%C3%A9&%41", ""},
		{"https://h{/x}", "", "a", "https://h/a", ""},
		{"https://h{/x,devEUI,nope}", "", "a", "https://h/a{/devEUI}", ""},
		{"https://h/{devEUI,x}", "", "a", "https://h/{devEUI},a", ""},
		{"https://h/{x,devEUI}", "", "a", "https://h/a,{devEUI}", ""},
		{"https://h/a{?x,devEUI}", "", "1&2", "https://h/a?x=1%262{&devEUI}", ""},
		{"https://h/a{?devEUI,x}", "", "1", "https://h/a{?devEUI}&x=1", ""},
		{"https://h/a{?nope,x}", "", "1", "https://h/a?x=1", ""},
		{"https://h/a?b{&x}", "", "1", "https://h/a?b&x=1", ""},
		{"https://h/a{;x}{.x}", "", "1", "https://h/a;x=1.1", ""},
		{"https://h/{x:3}", "", "éabcd", "https://h/%C3%A9ab", ""},
		{"https://h/{x*}{nope}", "", "a", "https://h/a", ""},
		{"https://h/{+x,+devEUI}", "", "a", "https://h/a", ""},
		{"https://h/", "/{x}/{devID}/{devEUI:4}", "{devID}", "https://h/", "/%7BdevID%7D/{devID}/{devEUI:4}"},
		{"https://h/", "/up{?x}", "", "https://h/", "/up"},
		// In the host, host characters.
		{"https://{x}/in", "", "example.com", "https://example.com/in", ""},
		{"https://{x}/in", "", "example.com:8443", "https://example.com:8443/in", ""},
		{"https://{x}", "", "[::1]:8443", "https://[::1]:8443", ""},
		{"https://{+x}/in", "", "example.com/base?q", "https://example.com/base?q/in", ""},
		{"https://{x}.h/in", "", "eu-1", "https://eu-1.h/in", ""},
		{"https://api.{x}/in", "", "example.com:1", "https://api.example.com:1/in", ""},
		{"https://h:{x}/in", "", "8443", "https://h:8443/in", ""},
		{"https://h{x}/in", "", ":8443", "https://h:8443/in", ""},
		{"https://h{+x}", "", "/in/a b", "https://h/in/a%20b", ""},
		{"{x}://h/in", "", "http", "http://h/in", ""},
		{"{+x}", "", "https://example.com:1/a/?b={c}", "https://example.com:1/a/?b=%7Bc%7D", ""},
		{"{x}", "", "https://example.com", "https://example.com", ""},
		{"{+x}/in", "", "https://example.com", "https://example.com/in", ""},
	} {
		for _, secret := range []bool{false, true} {
			w, err := tryURL(c.base, c.path, "", iot.TemplateField{Secret: secret, Optional: true}, c.value)
			if err != nil {
				t.Errorf("%s %s with %q: %v", c.base, c.path, c.value, err)
				continue
			}
			full, ok := w.FullURL()
			path, okPath := w.FullPath(iot.UplinkMessage)
			if !ok || !okPath || full != c.url || path != c.wantPath {
				t.Errorf("%s %s with %q: got %s %s, want %s %s", c.base, c.path, c.value, full, path, c.url, c.wantPath)
			}
			if _, err := Compile(w); err != nil {
				t.Errorf("%s %s with %q: %v", c.base, c.path, c.value, err)
			}
		}
	}
}

func TestSecretsOfTemplatesAreHidden(t *testing.T) {
	secret := iot.TemplateField{Secret: true}
	for _, c := range []struct{ base, value, shown string }{
		{"https://h/{x}", "a", "https://h/•••"},
		{"https://h/in{?x}", "a", "https://h/in?x=•••"},
		{"https://{x}.h/", "tenant", "https://•••.h/"},
		{"{+x}", "https://example.com/a/b?c", "https://example.com/•••"},
		{"{+x}", "https://example.com?c", "https://example.com?•••"},
		{"{+x}", "https://example.com", "https://example.com"},
	} {
		w, err := tryURL(c.base, "", "A {x}", secret, c.value)
		if err != nil {
			t.Errorf("%s: %v", c.base, err)
			continue
		}
		if w.URL != c.shown {
			t.Errorf("%s is shown as %s, want %s", c.base, w.URL, c.shown)
		}
		if h := w.Headers[0]; !h.Secret || h.Value.Reveal() != "A "+c.value || !w.TemplateFields["x"].Secret {
			t.Errorf("%+v, %+v", w.Headers, w.TemplateFields)
		}
	}
	w, err := tryURL("https://me:{x}@h/in", "", "a", secret, "p:w")
	if err != nil || w.URL != "https://h/in" || len(w.Hidden) != 0 || w.Headers[1].Value != "Basic bWU6cDp3" || !w.Headers[1].Secret {
		t.Errorf("a password in the URL: %v, %+v", err, w)
	}
}

func TestValuesThatAreRefused(t *testing.T) {
	for _, c := range []struct{ name, base, path, header, value, text string }{
		{"empty", "https://h/{x}", "", "", "", "must not be empty"},
		{"spaces only", "https://h/{x}", "", "", " \t", "must not be empty"},
		{"a line break", "https://h/", "", "{x}", "a\r\nX-B: b", "control characters"},
		{"a mask", "https://h/{x}", "", "", "•••", "mask"},
		{"part of it a mask", "https://h/", "", "{x}", "a•••", "mask"},
		{"no UTF-8", "https://h/{x}", "", "", "\xff", "UTF-8"},
		{"too long", "https://h/", "", "{x}", strings.Repeat("a", 4097), "4,096"},
		{"too long with what is around it", "https://h/", "", "Bearer {x}", strings.Repeat("a", 4090),
			"The header X-A that it makes must have at most 4,096"},
		{"too long for a URL", "https://h/{x}", "", "", strings.Repeat("a", 2048), "The URL that it makes must have at most 2,048"},
		{"too long for a path", "https://h/", "/{x}", "", strings.Repeat("a", 64),
			"The path of uplink_message that it makes must have at most 64"},
		{"a fragment", "https://h/{+x}", "", "", "a#b", "fragment"},
		{"climbs", "https://h/{x}/in", "", "", "..", ".. segments"},
		{"climbs in a path", "https://h/", "/{+x}", "", "a/../b", ".. segments"},
		{"another host by a slash", "https://{x}/in", "", "", "evil.example/a", "host name"},
		{"another host by a login", "https://{x}.h/in", "", "", "evil.example@", "host name"},
		{"another host by a query", "https://{x}.h/in", "", "", "evil.example?", "host name"},
		{"another host by a port", "https://{x}.h/in", "", "", "evil.example:1", "host name"},
		{"a longer host", "https://h{x}/in", "", "", ".evil.example", "must not change the host h"},
		{"a login before the host", "https://h{+x}", "", "", "@evil.example/", "must not change the host h"},
		{"a port with more", "https://h:{x}/in", "", "", "1@evil.example", "port"},
		{"a URL as host", "https://{x}/in", "", "", "https://h", "host name"},
		{"no scheme", "{+x}", "", "", "example.com/in", "begin with https://"},
		{"another scheme", "{+x}", "", "", "file:///etc/passwd", "begin with https://"},
		{"a scheme that is none", "{x}://h/", "", "", "ftp", "must be https or http"},
		{"an absolute path", "https://h/", "{+x}", "", "https://evil.example/", "must be a path"},
		{"two slashes", "https://h/", "{+x}", "", "//evil.example/", "must not begin with //"},
		{"a host that is none", "{+x}", "", "", "https://a b/", "must have a host"},
		{"a port that is none", "https://{x}/", "", "", "h:99999", "must have a port"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := tryURL(c.base, c.path, c.header, iot.TemplateField{}, c.value)
			e, ok := errors.AsType[*iot.Error](err)
			if !ok || e.Code != iot.Invalid || len(e.Fields) != 1 || !strings.Contains(e.Fields["fields.x"], c.text) {
				t.Errorf("got %v, want a fault of fields.x about %q", err, c.text)
			}
		})
	}
}

func TestInstantiateNamesEveryFault(t *testing.T) {
	tmpl := &iot.Template{ID: "abc", Name: "Abc", Format: iot.JSON, URL: "https://{host}/",
		Fields: []iot.TemplateField{{ID: "host"}, {ID: "key"}, {ID: "free", Optional: true}}}
	_, err := Instantiate(tmpl, "No", map[string]string{"host": "a/b", "other": "x"})
	e, ok := errors.AsType[*iot.Error](err)
	if !ok {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(e.Fields)); !slices.Equal(got, []string{"fields.host", "fields.key", "fields.other"}) {
		t.Errorf("faults of %v", got)
	}
	_, err = Instantiate(tmpl, "No", map[string]string{"host": "a", "key": "k"})
	if !hasFault(err, "id") {
		t.Errorf("a bad id: %v", err)
	}
}

func TestDefaultsAreFilledIn(t *testing.T) {
	tmpl := &iot.Template{ID: "abc", Name: "Two\nlines", Format: iot.JSON, URL: "https://h{/region}",
		Fields: []iot.TemplateField{{ID: "region", DefaultValue: "eu", Optional: true}}}
	for want, inputs := range map[string]map[string]string{
		"https://h/eu": nil,
		"https://h":    {"region": ""},
		"https://h/us": {"region": "us"},
	} {
		w, err := Instantiate(tmpl, "", inputs)
		if err != nil || w.URL != want || w.Description != "Two lines" {
			t.Errorf("%v: %v, %+v; want %s", inputs, err, w, want)
		}
	}
}

// FuzzParseTemplate checks that no file makes the reader panic, and that every usable
// template makes webhooks that can be sent, to a host of the template's own.
func FuzzParseTemplate(f *testing.F) {
	entries, err := builtIn.ReadDir("catalogue")
	if err != nil {
		f.Fatal(err)
	}
	for _, e := range entries {
		text, err := builtIn.ReadFile("catalogue/" + e.Name())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, "value")
	}
	f.Add([]byte(service+"base-url: https://h{/a,b:2}{?c*}\nfields:\n- id: a\n- id: b\n- id: c\nheaders:\n- X: '{a}'\n"), "é/..")
	f.Add([]byte(service+"base-url: 'https://fixed.example{+a}'\nfields: [{id: a, secret: true}]\n"), "@evil.example/")
	f.Add([]byte("{a: &x [*x, !!str ? : |\n b]}"), "")
	f.Fuzz(func(t *testing.T, text []byte, value string) {
		tmpl, remarks := ParseTemplate("a.yml", text)
		for _, r := range remarks {
			if strings.ContainsAny(r.String(), "\n\x1b") {
				t.Fatalf("a remark of several lines: %q", r)
			}
		}
		if tmpl == nil {
			if len(remarks) == 0 {
				t.Fatal("it cannot be used, and nobody says why")
			}
			return
		}
		values := map[string]string{}
		for _, field := range tmpl.Fields {
			values[field.ID] = value
		}
		w, err := Instantiate(tmpl, "", values)
		if err != nil {
			return
		}
		checkInstance(t, tmpl, w)
	})
}

// checkInstance checks what every webhook of a template must fulfil.
func checkInstance(t *testing.T, tmpl *iot.Template, w *iot.Webhook) {
	t.Helper()
	w.MessageTypes[iot.UplinkMessage] = iot.Route{Path: w.MessageTypes[iot.UplinkMessage].Path}
	if _, err := Compile(w); err != nil {
		t.Fatalf("%+v: %v", w, err)
	}
	full, ok := w.FullURL()
	o, _, problem := parseOrigin(full)
	if !ok || problem != "" {
		t.Fatalf("%q: %s", full, problem)
	}
	if fixed, authority, rest, ok := splitURL(tmpl.URL); ok && rest != "" && rest[0] == '/' && !strings.ContainsAny(fixed+authority, "{}@") {
		if u, err := url.Parse(fixed + "://" + authority); err == nil && o.text != fixed+"://"+u.Host {
			t.Fatalf("%q became %q: another host", tmpl.URL, full)
		}
	}
	if len(w.Headers) > len(tmpl.Headers)+1 { // and a login of the URL
		t.Fatalf("%d headers of %d", len(w.Headers), len(tmpl.Headers))
	}
	for _, h := range w.Headers {
		if !isToken(h.Name) || iot.HasControl(h.Value.Reveal()) {
			t.Fatalf("header %q: %q", h.Name, h.Value.Reveal())
		}
	}
}

package main

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// withEnv is a program with only this environment.
func withEnv(env map[string]string) *program {
	return &program{stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}, now: time.Now,
		env: func(name string) (string, bool) { v, ok := env[name]; return v, ok }}
}

func TestConfig(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("a token of a file\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		env  map[string]string
		args []string
		want func(*config) bool
		says []string // faults; none if nil
	}{
		"defaults": {want: func(c *config) bool {
			return c.HTTP.Listen == "127.0.0.1:8080" && c.Store.Data == "./data" && c.Store.Retention == 720*time.Hour &&
				c.Store.RetentionBytes == 4<<30 &&
				c.Webhooks.Limits.Webhooks == 5 && c.Webhooks.Limits.Headers == 5 && c.Webhooks.Allowed == nil && c.Watch.LogLevel == "info" &&
				!c.secure()
		}},
		"environment": {env: map[string]string{"THINGPOST_LISTEN": ":9", "THINGPOST_MAX_WEBHOOKS": "7", "THINGPOST_DATA": ""},
			want: func(c *config) bool {
				return c.HTTP.Listen == ":9" && c.Webhooks.Limits.Webhooks == 7 && c.Store.Data == "./data"
			}},
		"the command line wins": {env: map[string]string{"THINGPOST_LISTEN": "nonsense"}, args: []string{"-listen", ":10", "--retention=90m"},
			want: func(c *config) bool { return c.HTTP.Listen == ":10" && c.Store.Retention == 90*time.Minute }},
		"secret of a file": {env: map[string]string{"THINGPOST_METRICS_TOKEN_FILE": secret},
			want: func(c *config) bool { return c.Watch.MetricsToken.Reveal() == "a token of a file" }},
		"sizes": {args: []string{"-retention-bytes", "1.5 GB"}, want: func(c *config) bool { return c.Store.RetentionBytes == 1_500_000_000 }},
		"networks": {args: []string{"-allow-networks", "192.168.0.0/16, fd00::/8"},
			want: func(c *config) bool { return len(c.Webhooks.Allowed) == 2 }},
		"proxies": {args: []string{"-trust-proxies", "127.0.0.1, ::1"}, want: func(c *config) bool { return len(c.HTTP.Proxies) == 2 }},
		"https in front": {args: []string{"-public-url", "https://thingpost.example.org/"},
			want: func(c *config) bool { return c.secure() && c.HTTP.PublicURL == "https://thingpost.example.org" }},
		"http in front": {args: []string{"-public-url", "http://x", "-tls-cert", "a", "-tls-key", "b"},
			want: func(c *config) bool { return !c.secure() }},
		"all faults at once": {
			env: map[string]string{"THINGPOST_RETENTION": "soon", "THINGPOST_ADMIN_PASSWORD": "short", "THINGPOST_METRICS_TOKEN": "x",
				"THINGPOST_METRICS_TOKEN_FILE": secret},
			args: []string{"-listen", "8080", "-public-url", "https://x/path", "-tls-cert", "a", "-retention-bytes", "4 gigs", "-max-webhooks", "0",
				"-max-headers", "51",
				"-allow-networks", "10.0.0.1/8", "-log-format", "xml", "-log-level", "loud", "-metrics-listen", "9100"},
			says: []string{"-listen (THINGPOST_LISTEN) must be an address", "-public-url", "-tls-key (THINGPOST_TLS_KEY) is missing",
				"-retention (THINGPOST_RETENTION) must be a duration",
				"-retention-bytes", "-max-webhooks (THINGPOST_MAX_WEBHOOKS) must be a number from 1 to 1000.", "-max-headers", "-allow-networks",
				"10.0.0.0/8", "-log-format", "-log-level",
				"-metrics-listen", "THINGPOST_ADMIN_EMAIL is missing", "THINGPOST_ADMIN_PASSWORD must have at least 10",
				"THINGPOST_METRICS_TOKEN must not be set twice"},
		},
		"small bounds": {args: []string{"-retention", "1s", "-retention-bytes", "1MiB"},
			says: []string{"-retention (THINGPOST_RETENTION) must be at least 1h", "at least 128MiB"}},
		"mail": {env: map[string]string{"THINGPOST_SMTP_URL": "smtps://me:p%40ss@mail.example.org"},
			args: []string{"-mail-from", "Thingpost <things@example.org>", "-public-url", "https://things.example.org"},
			want: func(c *config) bool {
				return c.Mail.Server.Host == "mail.example.org" && c.Mail.Server.Port == 465 && c.Mail.Server.Password.Reveal() == "p@ss" &&
					c.Mail.From.Address == "things@example.org"
			}},
		"mail without a sender and an address of its own": {env: map[string]string{"THINGPOST_SMTP_URL": "smtp://mail.example.org"},
			says: []string{"-mail-from (THINGPOST_MAIL_FROM) is missing: THINGPOST_SMTP_URL needs it",
				"-public-url (THINGPOST_PUBLIC_URL) is missing: THINGPOST_SMTP_URL needs it"}},
		"a sender without mail": {args: []string{"-mail-from", "things@example.org"},
			says: []string{"THINGPOST_SMTP_URL is missing: -mail-from needs it"}},
		"mail that is not right": {env: map[string]string{"THINGPOST_SMTP_URL": "http://me:short@mail.example.org"},
			args: []string{"-mail-from", "things", "-public-url", "https://things.example.org"},
			says: []string{"THINGPOST_SMTP_URL must be a URL like smtp://", "-mail-from (THINGPOST_MAIL_FROM) must be an email address"}},
		"mail is no flag": {args: []string{"-smtp-url", "smtp://mail.example.org"}, says: []string{"not defined: -smtp-url"}},
		"no file": {env: map[string]string{"THINGPOST_METRICS_TOKEN_FILE": "/none"},
			says: []string{"THINGPOST_METRICS_TOKEN cannot be read from its file"}},
		"unknown option":       {args: []string{"-lisen", "x"}, says: []string{"flag provided but not defined: -lisen"}},
		"secrets are no flags": {args: []string{"-admin-password", "a long password"}, says: []string{"not defined: -admin-password"}},
		"arguments":            {args: []string{"x"}, says: []string{`unexpected argument "x"`}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var got config
			_, err := got.options().parse(withEnv(c.env), c.args, 0, 0)
			if c.says == nil {
				if err != nil || !c.want(&got) {
					t.Errorf("%+v, %v", got, err)
				}
				return
			}
			var usage usageError
			if !errors.As(err, &usage) {
				t.Fatalf("got %v, want faults", err)
			}
			for _, s := range c.says {
				if !strings.Contains(usage.text, s) {
					t.Errorf("it does not say %q:\n%s", s, usage.text)
				}
			}
			if strings.Contains(usage.text, "short") {
				t.Error("it shows a secret")
			}
		})
	}
}

func TestHelpListsEveryOptionWithItsVariable(t *testing.T) {
	var c config
	p := withEnv(nil)
	o := c.options()
	if _, err := o.parse(p, []string{"-listen", "x", "-h"}, 0, 0); !errors.Is(err, flag.ErrHelp) {
		t.Fatal(err)
	}
	text := p.stdout.(*bytes.Buffer).String()
	for _, v := range o.all {
		if !strings.Contains(text, v.variable()) || !v.envOnly && !strings.Contains(text, "  -"+strings.TrimSpace(v.name+" "+v.value)+",") ||
			v.secret && !strings.Contains(text, v.variable()+"_FILE") {
			t.Errorf("-h does not mention %s", v.title())
		}
		if v.envOnly && strings.Contains(text, " -"+v.name) {
			t.Errorf("-h tells of a flag -%s", v.name)
		}
	}
}

func TestOptionsMayStandAmongArguments(t *testing.T) {
	o := newOptions("x", "A B", "")
	var name string
	var force bool
	o.text(&name, "name", "NAME", "", "")
	o.flag(&force, "force", "")
	rest, err := o.parse(withEnv(nil), []string{"one", "-name", "n", "-", "-force", "--", "-5"}, 3, 3)
	if err != nil || strings.Join(rest, " ") != "one - -5" || name != "n" || !force {
		t.Errorf("%v %q %v: %v", rest, name, force, err)
	}
}

func FuzzParseSize(f *testing.F) {
	for _, s := range []string{"4GiB", "0", "1.5 MB", "-1", "1e300TiB", "NaN", "inf", "kB", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := parseSize(s); err == nil && n < 0 {
			t.Errorf("%q is %d", s, n)
		}
	})
}

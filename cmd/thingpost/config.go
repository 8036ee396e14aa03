package main

import (
	"errors"
	"net"
	netmail "net/mail"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"thingpost/internal/budget"
	"thingpost/internal/egress"
	"thingpost/internal/iot"
	"thingpost/internal/mail"
	"thingpost/views/pages"
)

// config is the server's options.
type config struct {
	HTTP     httpConfig
	Store    storeConfig
	Webhooks webhookConfig
	First    firstConfig
	Mail     mailConfig
	Watch    watchConfig
	// Memory is how many bytes the server can use; 0 is budget.Default.
	Memory  int64
	InForce []pages.HostOption // all options, for display
}

// httpConfig is where and how the server is reached.
type httpConfig struct {
	Listen          string
	PublicURL       string // without a trailing slash; "" is the listener's own
	Proxies         []netip.Prefix
	TLSCert, TLSKey string
	// GRPCListen and GRPCTLSListen are for The Things Stack's tools; "" is none.
	GRPCListen, GRPCTLSListen string
}

// storeConfig is where everything is stored, and for how long.
type storeConfig struct {
	Data           string
	KeyFile        string
	Retention      time.Duration // 0 is forever
	RetentionBytes int64         // 0 is no bound
}

// webhookConfig bounds webhooks.
type webhookConfig struct {
	Limits  iot.Limits
	Allowed []netip.Prefix // private networks that webhooks can reach
	// Templates is a folder of templates beside the built-in ones; may be empty.
	Templates string
}

// firstConfig creates the first account if there is none, and sets whether people can
// register.
type firstConfig struct {
	Email             string
	Password          iot.Secret
	AllowRegistration bool
}

// mailConfig says how invitations are mailed; without it they are not.
type mailConfig struct {
	Server *mail.Server
	From   *netmail.Address
}

// watchConfig is for monitoring.
type watchConfig struct {
	MetricsListen string
	MetricsToken  iot.Secret
	LogFormat     string
	LogLevel      string
	StylePage     bool
}

// options returns the server's options, which write into c.
func (c *config) options() *options {
	o := newOptions("serve", "", serveAbout)
	o.validate = c.Validate
	o.group("Where it is reached")
	o.text(&c.HTTP.Listen, "listen", "ADDRESS", "127.0.0.1:8080",
		"address and port to listen on; :8080 is all addresses, port 0 any free port")
	o.add(option{name: "public-url", value: "URL", set: func(s string) error { c.HTTP.PublicURL = strings.TrimSuffix(s, "/"); return nil },
		usage: "address under which browsers and receivers reach it, such as https://thingpost.example.org"})
	o.networks(&c.HTTP.Proxies, "trust-proxies", "networks of your own proxies in front of it, whose X-Forwarded-For is trusted, such as "+
		"127.0.0.1")
	o.text(&c.HTTP.TLSCert, "tls-cert", "FILE", "", "certificate chain in PEM; with -tls-key the server uses https; read again on SIGHUP")
	o.text(&c.HTTP.TLSKey, "tls-key", "FILE", "", "the certificate's private key in PEM")
	o.text(&c.HTTP.GRPCListen, "grpc-listen", "ADDRESS", "", "address for The Things Stack's gRPC without TLS; its tools expect :1884")
	o.text(&c.HTTP.GRPCTLSListen, "grpc-tls-listen", "ADDRESS", "", "address for the same with -tls-cert; its tools expect :8884")
	o.group("What it keeps")
	o.dataOptions(&c.Store.Data, &c.Store.KeyFile)
	o.duration(&c.Store.Retention, "retention", "720h", "how long messages and ended deliveries are kept; 0 is forever")
	o.size(&c.Store.RetentionBytes, "retention-bytes", "4GiB", "maximum size of the database; above it the oldest ended deliveries are "+
		"removed; 0 is no bound")
	o.add(option{name: "memory", value: "SIZE", normal: "a quarter of the machine's or its cgroup's memory",
		set:   func(s string) (err error) { c.Memory, err = parseSize(s); return err },
		usage: "maximum memory, at least 96MiB; above it senders are asked to wait"})
	o.group("Limits of webhooks")
	o.count(&c.Webhooks.Limits.Webhooks, "max-webhooks", 5, 1, 1000, "webhooks of a project")
	o.count(&c.Webhooks.Limits.Headers, "max-headers", 5, 1, 50, "a person's own headers on a webhook")
	o.networks(&c.Webhooks.Allowed, "allow-networks", "private networks that webhooks can reach, such as 192.168.0.0/16")
	o.templatesOption(&c.Webhooks.Templates)
	o.group("The first account, created only if there is none")
	o.add(option{name: "admin-email", usage: "its email address", envOnly: true, set: func(s string) error { c.First.Email = s; return nil }})
	o.secret(&c.First.Password, "admin-password", "its password, of at least 10 characters")
	o.group("Further accounts")
	o.flag(&c.First.AllowRegistration, "allow-registration", "let anybody create an account with POST /register, and organizations; "+
		"otherwise people join by invitation")
	o.group("Mail, for invitations")
	o.add(option{name: "smtp-url", secret: true, envOnly: true,
		set: func(s string) (err error) { c.Mail.Server, err = mail.ParseServer(iot.Secret(s)); return err },
		usage: "your mail server, such as smtp://user:password@mail.example.org:587 (STARTTLS) or smtps://…:465; " +
			"?tls=none sends in clear text; needs -mail-from and -public-url"})
	o.add(option{name: "mail-from", value: "ADDRESS",
		set:   func(s string) (err error) { c.Mail.From, err = mail.ParseFrom(s); return err },
		usage: "sender of the mails, such as \"Thingpost <things@example.org>\""})
	o.group("Watching it")
	o.text(&c.Watch.MetricsListen, "metrics-listen", "ADDRESS", "", "separate address for /metrics, without a token")
	o.secret(&c.Watch.MetricsToken, "metrics-token", "token for /metrics at the server's own address, as Authorization: Bearer")
	o.text(&c.Watch.LogFormat, "log-format", "FORMAT", "text", "text, or json: each line is an object, also the one with the set-up link")
	o.text(&c.Watch.LogLevel, "log-level", "LEVEL", "info", "error, warn, info or debug; debug logs each request")
	o.flag(&c.Watch.StylePage, "style-page", "show every component of the dashboard at /settings/style, for its developers")
	return o
}

// dataOptions are the options of all commands that work on a data folder.
func (o *options) dataOptions(data, keyFile *string) {
	o.text(data, "data", "DIR", "./data", "folder of the database")
	o.text(keyFile, "secret-key-file", "FILE", "", "file with the key that encrypts secrets; default: secret.key in the data "+
		"folder")
}

// networks is an option that lists networks.
func (o *options) networks(into *[]netip.Prefix, name, usage string) {
	o.add(option{name: name, value: "CIDR,…", usage: usage, set: func(s string) (err error) {
		if *into, err = egress.ParseNetworks(s); err != nil {
			return errors.New("is invalid: " + strings.TrimSuffix(messageOf(err), "."))
		}
		return nil
	}})
}

// messageOf is the message of an error for people.
func messageOf(err error) string {
	if e, ok := errors.AsType[*iot.Error](err); ok {
		return e.Message
	}
	return err.Error()
}

// minRetentionBytes leaves room for messages: the write-ahead log counts too.
const minRetentionBytes = 128 << 20

// Validate returns for every invalid option, by its name, what it must be.
func (c *config) Validate() map[string]string {
	faults := map[string]string{}
	check := func(ok bool, name, text string) {
		if !ok && faults[name] == "" {
			faults[name] = text
		}
	}
	check(isListenAddress(c.HTTP.Listen), "listen", "must be an address and a port, like 127.0.0.1:8080 or :8080")
	check(c.Watch.MetricsListen == "" || isListenAddress(c.Watch.MetricsListen), "metrics-listen",
		"must be an address and a port, like 127.0.0.1:9100")
	check(c.HTTP.PublicURL == "" || isOrigin(c.HTTP.PublicURL), "public-url",
		"must be http:// or https:// with a host and no path, like https://thingpost.example.org")
	check(c.HTTP.GRPCListen == "" || isListenAddress(c.HTTP.GRPCListen), "grpc-listen", "must be an address and a port, like 127.0.0.1:1884")
	check(c.HTTP.GRPCTLSListen == "" || isListenAddress(c.HTTP.GRPCTLSListen), "grpc-tls-listen", "must be an address and a port, like :8884")
	check(c.HTTP.GRPCTLSListen == "" || c.HTTP.TLSCert != "", "tls-cert", "is missing: -grpc-tls-listen needs it")
	check(c.HTTP.TLSKey == "" || c.HTTP.TLSCert != "", "tls-cert", "is missing: -tls-key needs it")
	check(c.HTTP.TLSCert == "" || c.HTTP.TLSKey != "", "tls-key", "is missing: -tls-cert needs it")
	check(c.Store.Data != "", "data", "must name a folder")
	check(c.Store.Retention == 0 || c.Store.Retention >= time.Hour, "retention", "must be at least 1h, or 0 for no limit")
	check(c.Store.RetentionBytes == 0 || c.Store.RetentionBytes >= minRetentionBytes, "retention-bytes",
		"must be at least 128MiB, or 0 for no bound")
	check(c.Memory == 0 || c.Memory >= budget.Least, "memory", "must be at least 96MiB")
	check(c.First.Password == "" || c.First.Email != "", "admin-email", "is missing: THINGPOST_ADMIN_PASSWORD needs it")
	check(c.First.Email == "" || c.First.Password != "", "admin-password", "is missing: THINGPOST_ADMIN_EMAIL needs it")
	check(c.First.Email == "" || iot.CheckEmail(c.First.Email) == nil, "admin-email", "must be an email address, like ada@example.org")
	check(c.First.Password == "" || iot.TextLength(c.First.Password.Reveal()) >= iot.MinPassword, "admin-password",
		"must have at least 10 characters")
	check(len(c.First.Password) <= iot.MaxPassword, "admin-password", "must have at most 512 bytes")
	check(c.Mail.Server == nil || c.Mail.From != nil, "mail-from", "is missing: THINGPOST_SMTP_URL needs it")
	check(c.Mail.From == nil || c.Mail.Server != nil, "smtp-url", "is missing: -mail-from needs it")
	check(c.Mail.Server == nil || c.HTTP.PublicURL != "", "public-url", "is missing: THINGPOST_SMTP_URL needs it, for the links in mails")
	check(c.Watch.MetricsToken == "" || len(c.Watch.MetricsToken) >= 16, "metrics-token", "must have at least 16 characters")
	check(c.Watch.LogFormat == "text" || c.Watch.LogFormat == formatJSON, "log-format", "must be text or json")
	_, ok := logLevel(c.Watch.LogLevel)
	check(ok, "log-level", "must be error, warn, info or debug")
	return faults
}

func isListenAddress(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

func isOrigin(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.Path == "" && u.RawQuery == "" && u.Fragment == "" &&
		u.User == nil
}

// secure reports whether browsers use https.
func (c *config) secure() bool {
	if c.HTTP.PublicURL != "" {
		u, err := url.Parse(c.HTTP.PublicURL)
		return err == nil && u.Scheme == "https"
	}
	return c.HTTP.TLSCert != ""
}

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"thingpost/db"
	"thingpost/handlers"
	"thingpost/handlers/api"
	"thingpost/handlers/dashboard"
	"thingpost/handlers/mainflux"
	"thingpost/handlers/tts"
	"thingpost/internal/budget"
	"thingpost/internal/crowd"
	"thingpost/internal/dispatch"
	"thingpost/internal/downlink"
	"thingpost/internal/egress"
	"thingpost/internal/ingest"
	"thingpost/internal/inspect"
	"thingpost/internal/iot"
	"thingpost/internal/mail"
	"thingpost/internal/settings"
	"thingpost/internal/webhook"
	"thingpost/static"
	"thingpost/web"
)

// app is the whole server.
type app struct {
	config  config
	log     *slog.Logger
	now     func() time.Time
	unlock  func()
	budget  *budget.Budget
	db      *db.DB
	ingest  *ingest.Ingest
	queues  *downlink.Queue
	sender  *dispatch.Dispatcher
	replays *dispatch.Replayer
	backups *db.Backups
	mails   *mail.Mailer // nil without THINGPOST_SMTP_URL
	hub     *web.Hub
	web     *web.Server
	main    net.Listener
	metrics net.Listener       // nil without -metrics-listen
	grpc    net.Listener       // nil without -grpc-listen
	grpcTLS net.Listener       // nil without -grpc-tls-listen
	dialect tts.Options        // of The Things Stack's services
	catalog *webhook.Catalogue // the offered templates
	cert    *certificate       // nil without -tls-cert
	hangup  chan os.Signal     // asks to read the certificate again
	setUp   iot.Secret         // opens /setup while there is no account
	refuses func(url string) string
}

// newApp opens the store and the listeners and wires the parts. Close the result. Its
// errors say what to do.
func newApp(ctx context.Context, c config, log *slog.Logger, now func() time.Time) (a *app, err error) {
	if c.Memory == 0 {
		c.Memory = budget.Default()
	}
	a = &app{config: c, log: log, now: now, hub: web.NewHub(), budget: budget.New(c.Memory)}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
			a = nil
		}
	}()
	if a.unlock, err = lockFolder(c.Store.Data); err != nil {
		return a, err
	}
	if a.catalog, err = catalogue(c.Webhooks.Templates, log); err != nil {
		return a, err
	}
	if c.HTTP.TLSCert != "" {
		if a.cert, err = loadCertificate(c.HTTP.TLSCert, c.HTTP.TLSKey); err != nil {
			return a, err
		}
		// Registered here, so that an early signal does not end the process.
		a.hangup = make(chan os.Signal, 1)
		signal.Notify(a.hangup, syscall.SIGHUP)
	}
	if a.db, err = db.Open(ctx, db.Options{Folder: c.Store.Data, KeyFile: c.Store.KeyFile, Limits: c.Webhooks.Limits, Now: now, Log: log,
		OnCommit: a.committed, Reserve: reserveBytes, Cache: a.budget.Cache,
		Refuses: func(url string) string { return a.refuses(url) }}); err != nil {
		return a, err
	}
	if a.main, err = listen(ctx, "listen", c.HTTP.Listen); err != nil {
		return a, err
	}
	if c.Watch.MetricsListen != "" {
		if a.metrics, err = listen(ctx, "metrics-listen", c.Watch.MetricsListen); err != nil {
			return a, err
		}
	}
	if err := a.listenGRPC(ctx); err != nil {
		return a, err
	}
	if err := a.firstAccount(ctx); err != nil {
		return a, err
	}
	if err := a.db.FailMails("The server ended before it was sent."); err != nil {
		return a, err
	}
	a.wire()
	return a, nil
}

// reserveBytes is the part of the disk reserved for everything but messages.
const reserveBytes = 32 << 20

// wire makes the parts over the store. Nothing is written before it returns, so that
// committed finds all of them.
func (a *app) wire() {
	policy := egress.NewPolicy(a.config.Webhooks.Allowed, a.own()...)
	meter := crowd.New(a.now)
	a.ingest = ingest.New(a.db, ingest.Options{Now: a.now, PublicURL: a.url(), Version: versionName(), Log: a.log, Crowd: meter})
	a.queues = downlink.New(downlink.Options{DB: a.db, Ingest: a.ingest, Now: a.now, Log: a.log})
	a.backups = a.db.NewBackups()
	inspector := inspect.New(inspect.Options{DB: a.db, Log: a.log})
	a.refuses = func(url string) string {
		if inspector.Owns(context.Background(), url) {
			return ""
		}
		return policy.Hint(url)
	}
	a.sender = dispatch.New(dispatch.Options{DB: a.db, Client: egress.New(egress.Options{Policy: policy, Now: a.now,
		Inspector: inspector, Inspects: inspector.Owns, Room: func(n int64) bool { return a.budget.Answers.Try(0, n) }}),
		Lanes: a.budget.Lanes, Sending: a.budget.Sending, Answers: a.budget.Answers,
		PublicURL: a.url(), Version: versionName(), Log: a.log, Now: a.now, Crowd: meter})
	a.replays = dispatch.NewReplayer(dispatch.ReplayOptions{DB: a.db, Log: a.log, Now: a.now})
	sessions := web.NewSessions(a.db, a.now, a.config.secure())
	webhooks := settings.New(a.db, a.now)
	passwords := iot.NewPasswords()
	signIns := handlers.NewSignIns(handlers.SignInOptions{Now: a.now, Key: a.db.BrowserKey(), KnowsAddress: a.db.KnowsAddress,
		Secure: a.config.secure()})
	inviter := a.inviter()
	a.dialect = tts.Options{DB: a.db, Ingest: a.ingest, Downlinks: a.queues, Webhooks: webhooks, Templates: a.catalog, Hub: a.hub, Now: a.now,
		Log: a.log}
	a.web = web.New(web.Options{
		Proxies:        a.config.HTTP.Proxies,
		MaxConnections: min(maxConnections(), a.budget.Connections),
		Intake:         a.budget.Intake,
		API: api.New(api.Options{DB: a.db, Ingest: a.ingest, Downlinks: a.queues, Webhooks: webhooks, Passwords: passwords, SignIns: signIns,
			Inviter: inviter, PublicURL: a.url(), Templates: a.catalog,
			AllowRegistration: a.config.First.AllowRegistration, Now: a.now, Log: a.log}),
		TTS:      tts.New(a.dialect),
		Mainflux: a.mainflux(webhooks, passwords, signIns, inviter),
		Failure:  dashboard.Failure,
		Dashboard: dashboard.New(dashboard.Options{DB: a.db, Ingest: a.ingest, Downlinks: a.queues, Webhooks: webhooks, Passwords: passwords,
			SignIns: signIns, Inviter: inviter, Sessions: sessions, Hub: a.hub, Policy: policy,
			SetupToken: a.setUp, PublicURL: a.config.HTTP.PublicURL, AllowRegistration: a.config.First.AllowRegistration, Limits: a.db.Limits(),
			Templates: a.catalog, Version: versionName(), Secure: a.config.secure(),
			Backups: a.backups, StylePage: a.config.Watch.StylePage,
			Host: dashboard.Host{StartedAt: iot.At(a.now()), Retention: a.config.Store.Retention, RetentionBytes: a.config.Store.RetentionBytes,
				Options: a.config.InForce, LivePages: a.hub.Subscribers},
			Accepting: func(ctx context.Context) bool { return a.web.Accepting(ctx) }, Now: a.now, Log: a.log}),
		Sessions:     sessions,
		Hub:          a.hub,
		Static:       static.Handler(),
		Inspector:    inspector,
		Inlets:       tts.NewInlet(a.dialect),
		Ready:        a.db.Ready,
		Metrics:      metricsHandler(a.db, a.hub, a.budget, a.log),
		MetricsToken: a.config.Watch.MetricsToken,
		PublicURL:    a.config.HTTP.PublicURL,
		Log:          a.log,
		Now:          a.now,
	})
}

// own returns the addresses that the server listens on.
func (a *app) own() (list []netip.AddrPort) {
	for _, l := range []net.Listener{a.main, a.metrics, a.grpc, a.grpcTLS} {
		if l == nil {
			continue
		}
		if address, err := netip.ParseAddrPort(l.Addr().String()); err == nil {
			list = append(list, address)
		}
	}
	return list
}

// mainflux is the dialect of Mainflux.
func (a *app) mainflux(webhooks *settings.Webhooks, passwords *iot.Passwords, signIns *handlers.SignIns,
	inviter *handlers.Inviter) http.Handler {
	return mainflux.New(mainflux.Options{DB: a.db, Ingest: a.ingest, Downlinks: a.queues, Webhooks: webhooks, Passwords: passwords,
		SignIns: signIns, Inviter: inviter,
		AllowRegistration: a.config.First.AllowRegistration, PublicURL: a.url(), Version: versionName(), Now: a.now, Log: a.log})
}

// inviter invites people, by mail where that is configured.
func (a *app) inviter() *handlers.Inviter {
	o := handlers.InviterOptions{Create: a.db.CreateInvitations, Done: a.mailDone, PublicURL: a.config.HTTP.PublicURL, Now: a.now}
	if a.config.Mail.Server != nil {
		a.mails = mail.New(mail.Options{Server: a.config.Mail.Server, From: a.config.Mail.From, Done: a.mailDone, Now: a.now, Log: a.log,
			Open: func(ctx context.Context, token iot.Secret) bool {
				_, err := a.db.Invitation(ctx, token)
				return iot.CodeOf(err) != iot.NotFound
			}})
		o.Mail = a.mails.Mail
	}
	return handlers.NewInviter(o)
}

// mailDone records what became of a mail. If that fails, it is shown as being sent until
// the next start.
func (a *app) mailDone(id iot.ID, failure string) {
	if err := a.db.MailDone(id, failure); err != nil {
		a.log.Error("record a mail", slog.Any("invitation", id), slog.Any("error", err))
	}
}

// committed passes on what a transaction changed.
func (a *app) committed(c iot.Commit) {
	if a.web == nil {
		return // nothing has been read yet
	}
	a.ingest.Changed(c)
	a.queues.Changed(c)
	a.sender.Changed(c)
	a.replays.Changed(c)
	a.hub.Publish(c)
}

// firstAccount creates the first account from the options, or the token of the set-up
// link, if there is no account yet.
func (a *app) firstAccount(ctx context.Context) error {
	has, err := a.db.HasAccounts(ctx)
	if err != nil || has {
		return err
	}
	if a.config.First.Email == "" {
		a.setUp = iot.NewToken()
		return nil
	}
	hash, err := iot.NewPasswords().Hash(ctx, a.config.First.Password, a.config.First.Email)
	if err != nil {
		return err
	}
	name, _, _ := strings.Cut(a.config.First.Email, "@")
	return a.db.SetUp(&iot.Account{Email: a.config.First.Email, Name: name, PasswordHash: hash}, &iot.Organization{Name: firstOrganization})
}

// firstOrganization is the name of the first account's organization if nobody chose
// one.
const firstOrganization = "My organization"

// url is the server's address for people.
func (a *app) url() string {
	if a.config.HTTP.PublicURL != "" {
		return a.config.HTTP.PublicURL
	}
	scheme := "http://"
	if a.cert != nil {
		scheme = "https://"
	}
	host, port, err := net.SplitHostPort(a.main.Addr().String())
	if err != nil {
		return scheme + a.main.Addr().String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return scheme + net.JoinHostPort(host, port)
}

// setUpURL is the one-time link to the set-up page; "" after set-up.
func (a *app) setUpURL() string {
	if a.setUp == "" {
		return ""
	}
	return a.url() + "/setup?token=" + a.setUp.Reveal()
}

// run serves until ctx ends, and returns when all parts have finished.
func (a *app) run(ctx context.Context) error {
	outer := ctx
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.web.Serve(ctx, a.main, a.cert.config()) })
	g.Go(func() error { return a.sender.Run(ctx) })
	g.Go(func() error {
		<-ctx.Done()
		a.queues.Stop() // waiting devices must not delay the stop
		return nil
	})
	g.Go(func() error { return a.ingest.Run(ctx) })
	g.Go(func() error { return a.replays.Run(ctx) })
	g.Go(func() error { return a.queues.Run(ctx) })
	if a.mails != nil {
		g.Go(func() error { return a.mails.Run(ctx) })
	}
	if a.metrics != nil {
		g.Go(func() error { return a.web.ServeMetrics(ctx, a.metrics) })
	}
	a.runGRPC(ctx, g)
	if a.cert != nil {
		g.Go(func() error { a.reloadOnHangup(ctx); return nil })
	}
	g.Go(func() error { return a.backups.Run(ctx) })
	g.Go(func() error {
		return a.db.Maintain(ctx, db.PruneOptions{OlderThan: a.config.Store.Retention, MaxBytes: a.config.Store.RetentionBytes})
	})
	err := g.Wait()
	if outer.Err() != nil && errors.Is(err, context.Canceled) {
		return nil // a part was stopped while it was still starting
	}
	return err
}

// close ends what newApp started, even if newApp failed halfway.
func (a *app) close() error {
	for _, l := range []net.Listener{a.main, a.metrics, a.grpc, a.grpcTLS} {
		if l != nil {
			_ = l.Close() // a listener that served is closed already
		}
	}
	if a.hangup != nil {
		signal.Stop(a.hangup)
	}
	var err error
	if a.db != nil {
		err = a.db.Close()
	}
	if a.unlock != nil {
		a.unlock()
	}
	return err
}

// listen opens a listener, or says why it cannot.
func listen(ctx context.Context, option, address string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, iot.NewError(iot.Unavailable, "The address "+address+" is in use by another program. "+
			"Stop that program, or choose another address with -"+option+".")
	case errors.Is(err, os.ErrPermission):
		return nil, iot.NewError(iot.Unavailable, "The address "+address+" is not allowed for this user. Choose a port from 1024 on with -"+
			option+".")
	}
	return nil, &iot.Error{Code: iot.Unavailable, Message: "The address " + address + " cannot be used. Choose another with -" +
		option + ".", Err: err}
}

// certificate is the server's TLS certificate. It can be read again while in use.
type certificate struct {
	certFile, keyFile string
	now               atomic.Pointer[tls.Certificate]
}

func loadCertificate(certFile, keyFile string) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile}
	return c, c.reload()
}

// reload reads the files again. If that fails the present certificate stays.
func (c *certificate) reload() error {
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return &iot.Error{Code: iot.Unavailable, Message: "The certificate " + c.certFile + " with the key " + c.keyFile +
			" cannot be used. Both must be PEM files that belong together.", Err: err}
	}
	c.now.Store(&pair)
	return nil
}

// config is nil without a certificate: the server then uses plain HTTP.
func (c *certificate) config() *tls.Config {
	if c == nil {
		return nil
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate,
		error) {
		return c.now.Load(), nil
	}}
}

package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

const serveAbout = `Start the server. On the first start it prints a one-time link to set it up.
SIGTERM or SIGINT stops it cleanly; a second one ends it at once.`

func serveCommand(ctx context.Context, p *program, args []string) error {
	var c config
	o := c.options()
	if _, err := o.parse(p, args, 0, 0); err != nil {
		return err
	}
	c.InForce = o.inForce()
	return p.serve(ctx, c)
}

// serve runs the server until a signal arrives. Errors go to people, or with
// -log-format json to the log.
func (p *program) serve(ctx context.Context, c config) error {
	log := newLog(p.stderr, c.Watch)
	claimStandardLogs(log)
	err := p.serveWith(ctx, c, log)
	if err != nil && c.Watch.LogFormat == formatJSON {
		log.Error("ended", slog.String("error", sentence(err)))
		return errReported
	}
	return err
}

func (p *program) serveWith(ctx context.Context, c config, log *slog.Logger) error {
	ctx, stop := untilSignal(ctx)
	defer stop()
	defer context.AfterFunc(ctx, func() { log.Info("stopping") })()
	a, err := newApp(ctx, c, log, p.now)
	if err != nil && ctx.Err() != nil {
		// Interrupted work is either complete on disk or absent. The next start
		// continues.
		log.Info("stopped while starting", slog.Any("cause", err))
		return nil
	}
	if err != nil {
		return err
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(a.budget.Heap)
	}
	log.Info("started", slog.Int64("memory", a.budget.Total), slog.String("version", versionName()),
		slog.String("address", a.main.Addr().String()), slog.String("data", c.Store.Data))
	b := newBanner(p, c.Watch)
	b.say("Thingpost "+versionName()+" listens on", a.url())
	if link := a.setUpURL(); link != "" {
		b.say("Create the first account before anybody else does:", link)
	}
	err = a.run(ctx)
	if cerr := a.close(); err == nil {
		err = cerr
	}
	log.Info("stopped")
	return err
}

// untilSignal returns a context that ends with the first SIGINT or SIGTERM. Signals
// then have their usual effect again, so that a second one kills.
func untilSignal(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case <-signals:
		case <-ctx.Done():
		}
		signal.Stop(signals)
		cancel()
	}()
	return ctx, cancel
}

// reloadOnHangup reads the certificate again on each SIGHUP until ctx ends.
func (a *app) reloadOnHangup(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.hangup:
		}
		if err := a.cert.reload(); err != nil {
			a.log.Error("read certificate again", slog.Any("error", err))
			continue
		}
		a.log.Info("certificate read again")
	}
}

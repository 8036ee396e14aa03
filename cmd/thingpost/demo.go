package main

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/sync/errgroup"

	"thingpost/internal/iot"
)

const demoAbout = `Start a server with an example project in a temporary folder. Simulated devices
send messages in iottly's form. A built-in receiver accepts them and sometimes fails,
so that there is something to see. The command prints where to sign in. Everything is
removed when it stops.`

func demoCommand(ctx context.Context, p *program, args []string) error {
	var c config
	var pace int
	o := newOptions("demo", "", demoAbout)
	o.text(&c.HTTP.Listen, "listen", "ADDRESS", "127.0.0.1:8080", "address and port to listen on; port 0 is any free port")
	o.count(&pace, "pace", 4, 1, 1000, "messages a second from all devices together")
	if _, err := o.parse(p, args, 0, 0); err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "thingpost-demo-")
	if err != nil {
		return &iot.Error{Code: iot.Unavailable, Message: "The temporary folder cannot be created.", Err: err}
	}
	c.InForce = o.inForce()
	c.Store.Data = folder
	c.Webhooks.Limits = iot.Limits{Webhooks: 5, Headers: 5}
	c.Webhooks.Allowed = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	c.First = firstConfig{Email: "demo@thingpost.example", Password: demoPassword()}
	return errors.Join(p.demo(ctx, c, pace), os.RemoveAll(folder))
}

// demoPassword is a new password that is easy to read.
func demoPassword() iot.Secret {
	return iot.Secret(strings.TrimPrefix(iot.NewToken().Reveal(), "tpt_")[:16])
}

func (p *program) demo(ctx context.Context, c config, pace int) error {
	ctx, stop := untilSignal(ctx)
	defer stop()
	log := slog.New(slog.DiscardHandler)
	claimStandardLogs(log)
	a, err := newApp(ctx, c, log, p.now)
	if err != nil {
		return err
	}
	receiver := newDemoReceiver(p.now)
	d := demoProject{app: a, receiver: receiver.url, now: p.now}
	g, running := errgroup.WithContext(ctx)
	g.Go(func() error { return a.run(running) })
	err = d.furnish(ctx)
	if err == nil {
		p.say("Thingpost %s shows an example project at %s", versionName(), a.url()+"/projects/"+d.project.ID)
		p.say("Sign in as %s with the password %s", c.First.Email, c.First.Password.Reveal())
		p.say("Stop it with Ctrl-C. Nothing is kept.")
		g.Go(func() error { return d.live(running, pace) })
	} else {
		stop()
	}
	err = errors.Join(err, g.Wait())
	receiver.close()
	return errors.Join(err, a.close())
}

package ingest

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"thingpost/db"
	"thingpost/internal/iot"
)

// maxTransitions is how many transitions one transaction stores.
const maxTransitions = 256

// noteWatchEvery is how often the time watched is stored. rereadEvery is the least time
// between two reads of changed intervals.
const (
	noteWatchEvery = 30 * time.Second
	rereadEvery    = 2 * time.Second
)

// Run watches devices that have an expected interval until ctx ends. A device that
// sends nothing for longer than iot.SilentAfter gets a message of type iottly,
// {"connectionstatus":"silent","last_seen":…}. When it sends again it gets another,
// "back", which Accept writes with its message. Each silence is reported once, also
// across restarts: see db.Silence. A device that has never sent is not watched. Time
// while Thingpost was stopped, and jumps of the clock, do not count.
func (i *Ingest) Run(ctx context.Context) error {
	t := time.NewTicker(tickEvery)
	defer t.Stop()
	r := watchRun{Ingest: i}
	for {
		if err := r.look(ctx); err != nil && ctx.Err() == nil {
			i.log.Warn("watch devices", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			if err := r.note(iot.At(i.now())); err != nil {
				i.log.Warn("note watch", slog.Any("error", err))
			}
			return nil
		case <-t.C:
		}
	}
}

// watchRun is the state of Run beside the watch.
type watchRun struct {
	*Ingest
	loaded bool
	reread iot.Instant // when intervals were last read
	noted  iot.Instant // when the watch was last noted
}

// look stores the transitions that are due.
func (r *watchRun) look(ctx context.Context) error {
	now := iot.At(r.now())
	if !r.loaded {
		if err := r.load(ctx); err != nil {
			return err
		}
		r.loaded = true
	} else if apart(now, r.reread) >= rereadEvery {
		if err := r.readChanged(ctx); err != nil {
			return err
		}
		r.reread = now
	}
	for {
		list := r.watch.tick(iot.At(r.now()), maxTransitions)
		if len(list) > 0 {
			if err := r.storeTransitions(ctx, list); err != nil {
				r.watch.retry(list)
				return err
			}
		}
		if len(list) < maxTransitions {
			break
		}
	}
	if apart(now, r.noted) < noteWatchEvery {
		return nil
	}
	return r.note(now)
}

// apart is the time between two instants in either order: the clock can be set back.
func apart(a, b iot.Instant) time.Duration { return a.Sub(b).Abs() }

// load reads all devices to watch, at the start.
func (r *watchRun) load(ctx context.Context) error {
	until, err := r.db.WatchedUntil(ctx)
	if err != nil {
		return err
	}
	r.watch.begin()
	return r.db.Watched(ctx, 0, func(v db.Watched) { r.watch.add(v, true, until) })
}

// readChanged reads the devices of projects whose intervals have changed.
func (r *watchRun) readChanged(ctx context.Context) error {
	list := r.watch.rereads()
	for n, project := range list {
		round := r.watch.begin()
		if err := r.db.Watched(ctx, project, func(v db.Watched) { r.watch.add(v, false, 0) }); err != nil {
			r.watch.reread(list[n:])
			return err
		}
		r.watch.end(project, round)
	}
	return nil
}

// note stores the time watched, if any device is watched.
func (r *watchRun) note(now iot.Instant) error {
	if !r.loaded || r.watch.count() == 0 {
		return nil
	}
	r.noted = now
	return r.db.NoteWatched(now)
}

// storeTransitions stores a message for each transition, a piece at a time.
func (i *Ingest) storeTransitions(ctx context.Context, list []transition) error {
	for len(list) > 0 {
		var made []*db.Accept
		var of, stale []transition
		rows := 0
		for len(list) > 0 && rows < db.PieceRows {
			v := list[0]
			list = list[1:]
			d, err := i.db.DeviceOfKey(ctx, v.key)
			if iot.CodeOf(err) == iot.NotFound {
				i.watch.settled(v, &db.Silence{Gone: true})
				continue
			}
			if err != nil {
				return err
			}
			p, err := i.settings(ctx, d.ProjectKey)
			if iot.CodeOf(err) == iot.NotFound { // its project was deleted
				i.watch.settled(v, &db.Silence{Gone: true})
				continue
			}
			if err != nil {
				return err
			}
			a := i.silence(p, d, v, iot.At(i.now()))
			made, of, rows = append(made, a), append(of, v), rows+a.Rows()
		}
		if err := i.db.Accept(made...); err != nil {
			return err
		}
		for n, a := range made {
			if a.Stale {
				i.cache.forgetSettings(a.Message.ProjectKey, a.Version)
				stale = append(stale, of[n])
			} else {
				i.watch.settled(of[n], a.Silence)
			}
		}
		list = append(stale, list...)
	}
	return nil
}

// silence makes the message about a transition, with its deliveries.
func (i *Ingest) silence(p *settings, d *iot.Device, v transition, at iot.Instant) *db.Accept {
	what := "silent"
	if v.back {
		what = "back"
	}
	seen, _ := json.Marshal(v.seenAt) // cannot fail
	a := &db.Accept{Device: d, Project: p.Project, Silence: &db.Silence{Back: v.back, LastSeenAt: v.seenAt},
		Message: &iot.Message{ProjectKey: d.ProjectKey, DeviceKey: d.Key, Device: d.ID, Type: iot.Iottly, ReceivedAt: at,
			Payload: []byte(`{"connectionstatus":"` + what + `","last_seen":` + string(seen) + `}`)}}
	i.match(p, a)
	return a
}

// back makes the message about the silence that a message ends; nil if it ends none.
func (i *Ingest) back(p *settings, a *db.Accept) *db.Accept {
	d := a.Device
	if expected(p, d) == 0 {
		return nil
	}
	seenAt, silent := i.watch.silence(d.Key)
	if !silent {
		return nil
	}
	return i.silence(p, d, transition{d.Key, d.ProjectKey, seenAt, true}, a.Message.ReceivedAt)
}

// heard records the devices whose messages are being stored.
func (i *Ingest) heard(p *settings, list, returns []*db.Accept) {
	for _, a := range returns {
		if !a.Stale {
			i.watch.returned(a.Device.Key)
		}
	}
	for _, a := range list {
		if interval := expected(p, a.Device); interval > 0 && !a.Stale {
			i.watch.hear(a.Message, interval)
		}
	}
}

// expected is how often a device is expected to send.
func expected(p *settings, d *iot.Device) time.Duration {
	return d.ExpectedInterval(p.Profiles[d.ProfileKey])
}

package dispatch

import (
	"context"
	"log/slog"
	"time"

	"thingpost/db"
	"thingpost/internal/iot"
	"thingpost/internal/webhook"
)

// Steps of a replay.
const (
	// replayStep is the most deliveries that one step creates: other items get their
	// turn at the writer between steps.
	replayStep = 250
	// replayBacklog is how many pending deliveries a webhook that answers well may have
	// before a replay without a rate waits. So a replay is as fast as its receiver, and
	// can be stopped.
	replayBacklog = 2000
	// replayLook is how long such a wait lasts. replayAgain is the wait after a failure
	// of the store.
	replayLook  = 50 * time.Millisecond
	replayAgain = time.Second
	// paceStep is the time for which a replay with a rate creates deliveries at once.
	paceStep = 250 * time.Millisecond
)

// ReplayOptions of a Replayer.
type ReplayOptions struct {
	DB  *db.DB
	Log *slog.Logger
	Now func() time.Time // default time.Now
}

// Replayer continues replays, a step of each in turn. It creates deliveries, which the
// Dispatcher sends like any other. Each step stores its progress, so that the replay
// continues there after a restart. Changed must be called with each commit of the store,
// also before Run.
type Replayer struct {
	o    ReplayOptions
	kick chan struct{} // capacity one: replays were created or stopped
	jobs map[iot.ID]*replayJob
}

// replayJob is the part of a running replay's state that is only in memory.
type replayJob struct {
	pace  pace
	again time.Time // when the next step may begin
}

// NewReplayer returns a replayer.
func NewReplayer(o ReplayOptions) *Replayer {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Replayer{o: o, kick: make(chan struct{}, 1), jobs: map[iot.ID]*replayJob{}}
}

// Changed takes a commit. It does not block.
func (r *Replayer) Changed(c iot.Commit) {
	if len(c.Replays) > 0 {
		r.wake()
	}
}

func (r *Replayer) wake() {
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// Run continues replays until ctx ends.
func (r *Replayer) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.kick:
		case <-timer.C:
		}
		wait, some, err := r.turn(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			r.o.Log.Error("read running replays", slog.Any("error", err))
			wait, some = replayAgain, true
		}
		timer.Stop()
		if some {
			timer.Reset(wait)
		}
	}
}

// turn does a step of each replay whose next step may begin. It returns how long to wait
// for the next turn; some is false if no replay runs.
func (r *Replayer) turn(ctx context.Context) (wait time.Duration, some bool, err error) {
	list, err := r.o.DB.RunningReplays(ctx)
	if err != nil {
		return 0, false, err
	}
	running := make(map[iot.ID]*replayJob, len(list))
	wait = time.Hour
	for i := range list {
		v := &list[i]
		job := r.jobs[v.ID]
		if job == nil {
			job = &replayJob{pace: newPace(v.Rate, r.o.Now())}
		}
		running[v.ID] = job
		began := r.o.Now()
		if began.Before(job.again) {
			wait = min(wait, job.again.Sub(began))
			continue
		}
		pause, err := r.step(ctx, v, job)
		if ctx.Err() != nil {
			return 0, false, ctx.Err()
		}
		if err != nil {
			r.o.Log.Error("replay", slog.String("replay", v.ID.String()), slog.Any("error", err))
			pause = replayAgain
		}
		job.again = r.o.Now().Add(pause)
		wait = min(wait, pause)
	}
	r.jobs = running
	return wait, len(list) > 0, nil
}

// step does one step of a replay. It returns how long the replay must wait afterwards.
func (r *Replayer) step(ctx context.Context, v *db.RunningReplay, job *replayJob) (time.Duration, error) {
	wants, err := r.selector(ctx, v)
	if iot.CodeOf(err) == iot.NotFound {
		return 0, r.o.DB.FailReplay(v.ID, "Its project or webhook was deleted.")
	}
	if err != nil {
		return 0, err
	}
	if !v.Counted {
		n, _, err := r.o.DB.CountReplay(ctx, v.Spec, wants, 0)
		if err != nil {
			return 0, err
		}
		return 0, r.o.DB.Counted(v.ID, v.Done+v.PassedOver+int64(n))
	}
	began := r.o.Now()
	most := replayStep
	if v.Rate > 0 {
		if most = min(replayStep, job.pace.allowed(began)); most == 0 {
			return job.pace.wait(), nil
		}
	} else if pending, err := r.o.DB.ReplayBacklog(ctx, v); err != nil || pending >= replayBacklog {
		return replayLook, err
	}
	made, _, err := r.o.DB.ReplayStep(ctx, v, wants, most)
	if err != nil {
		return 0, err
	}
	if v.Rate > 0 {
		job.pace.took(made)
		return job.pace.wait(), nil
	}
	// Waits as long as the step took: half of the writer's time is for others.
	return r.o.Now().Sub(began), nil
}

// selector returns the present rules of the webhook that gets the messages; nil for a
// replay to no single webhook. The error is not_found if the project or the webhook is
// deleted.
func (r *Replayer) selector(ctx context.Context, v *db.RunningReplay) (db.Wants, error) {
	if v.WebhookKey == 0 {
		_, err := r.o.DB.ProjectSettings(ctx, v.ProjectKey)
		return nil, err
	}
	w, err := r.o.DB.WebhookByKey(ctx, v.WebhookKey)
	if err != nil {
		return nil, err
	}
	return webhook.Selector(w), nil
}

// pace computes how many deliveries of a replay may be created now: rate for each second
// that has passed, and at most those of one second at once.
type pace struct {
	rate int // a second
	have float64
	at   time.Time
}

func newPace(rate int, now time.Time) pace {
	return pace{rate: rate, have: 1, at: now}
}

// allowed returns how many may be created now.
func (p *pace) allowed(now time.Time) int {
	gone := min(max(now.Sub(p.at), 0), time.Second)
	p.have = min(p.have+gone.Seconds()*float64(p.rate), max(1, float64(p.rate)))
	p.at = now
	return int(p.have)
}

// took records how many were created.
func (p *pace) took(n int) { p.have -= float64(n) }

// wait returns how long it takes until the next step is worth it: until one delivery, or
// those of a quarter of a second, may be created.
func (p *pace) wait() time.Duration {
	want := max(1, float64(p.rate)*paceStep.Seconds())
	if p.have >= want {
		return 0
	}
	// One more millisecond, so that rounding does not leave slightly less than one.
	return time.Duration((want-p.have)/float64(p.rate)*float64(time.Second)) + time.Millisecond
}

package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"thingpost/db"
	"thingpost/internal/iot"
	"thingpost/internal/webhook"
)

// Ingest accepts messages. It is safe for concurrent use.
type Ingest struct {
	db    *db.DB
	o     Options
	now   func() time.Time
	log   *slog.Logger
	cache cache
	watch *watch
}

// Options of an Ingest.
type Options struct {
	Now       func() time.Time // default time.Now
	PublicURL string           // of this instance, for previews
	Version   string           // of this program, for previews
	Log       *slog.Logger     // default discards
}

// New returns an Ingest over a store. Its Changed must be called with each
// commit of the store.
func New(d *db.DB, o Options) *Ingest {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	i := &Ingest{db: d, o: o, now: o.Now, log: o.Log, watch: newWatch()}
	i.cache.clear()
	return i
}

// Sender says who sends, after it was authenticated.
type Sender struct {
	Project *iot.Project
	// Device is set where only that device may send: by its key, or by a path that
	// names it. Otherwise each message names its device in "from".
	Device *iot.Device
	// Name is a device that the path names and that was not looked up yet.
	Name string
	// Register: a device not seen before is registered, if the project allows it.
	Register bool
	// Actor is who registers it.
	Actor string
}

// Result is what became of one message.
type Result struct {
	ID  iot.ID // of the message, or of the earlier one with the same sender id
	Err error  // an *iot.Error about this message alone
}

// Accept stores messages with the deliveries that they make and returns when
// they are on disk: a result for each body, in their order. Bodies must not be
// changed afterwards. The error is one that all share (storage_full,
// unavailable): nothing was stored.
func (i *Ingest) Accept(ctx context.Context, s Sender, bodies ...[]byte) ([]Result, error) {
	results := make([]Result, len(bodies))
	list := make([]*db.Accept, 0, len(bodies))
	at := make([]int, 0, len(bodies))
	for n, body := range bodies {
		a, err := i.read(ctx, s, body)
		if err != nil {
			if e, ok := errors.AsType[*iot.Error](err); !ok || e.Code == iot.Unavailable || e.Code == iot.StorageFull {
				return nil, err
			}
			results[n].Err = err
			continue
		}
		list, at = append(list, a), append(at, n)
	}
	for len(list) > 0 {
		stale, err := i.store(ctx, s, list, at, results)
		if err != nil {
			return nil, err
		}
		if list, at, err = i.again(ctx, s, stale, results); err != nil {
			return nil, err
		}
	}
	return results, nil
}

// again finds the devices of stale messages anew: what changed may have been
// their profile, or they were deleted.
func (i *Ingest) again(ctx context.Context, s Sender, stale pending, results []Result) (list []*db.Accept, at []int, err error) {
	for n, a := range stale.list {
		d, err := i.device(ctx, s.Project, a.Device.UUID)
		if iot.CodeOf(err) == iot.NotFound {
			results[stale.at[n]].Err = noDevice(a.Device.ID)
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		a.Device, a.Message.DeviceID, a.Message.Device = d, d.Key, d.ID
		list, at = append(list, a), append(at, stale.at[n])
	}
	return list, at, nil
}

func noDevice(name string) error {
	return iot.NewError(iot.NotFound, "There is no device "+printable(name)+" in this project. Add it first, or send with a project key, which registers new devices if the project allows it.")
}

type pending struct {
	list []*db.Accept
	at   []int
}

// store matches and writes messages. What was matched on settings that have
// changed meanwhile is returned, to be matched again.
func (i *Ingest) store(ctx context.Context, s Sender, list []*db.Accept, at []int, results []Result) (stale pending, err error) {
	p, err := i.settings(ctx, s.Project.Key)
	if err != nil {
		return stale, err
	}
	returns := i.returns(p, list)
	for _, a := range list {
		i.match(p, a)
	}
	all := list
	if len(returns) > 0 {
		all = append(slices.Clip(returns), list...)
	}
	if err := i.db.Accept(all...); err != nil {
		return stale, err
	}
	i.heard(p, list, returns)
	for n, a := range list {
		switch {
		case a.Stale:
			i.cache.clear()
			stale.list, stale.at = append(stale.list, a), append(stale.at, at[n])
		case !a.Repeated.IsZero():
			results[at[n]].ID = a.Repeated
		default:
			results[at[n]].ID = a.Message.ID
		}
	}
	return stale, nil
}

// read decodes a body and finds its device.
func (i *Ingest) read(ctx context.Context, s Sender, body []byte) (*db.Accept, error) {
	if len(body) > iot.MaxMessageBytes {
		return nil, iot.NewError(iot.TooLarge, "A message has at most 1 MiB.")
	}
	r, err := decode(body)
	if err != nil {
		return nil, err
	}
	d, err := i.sender(ctx, s, r.from)
	if err != nil {
		return nil, err
	}
	channel, inPayload := iot.ChannelOf(r.payload, r.channel)
	if inPayload && iot.TextLength(channel) > iot.MaxChannel {
		return nil, iot.FieldError("payload.webhook_channel", fmt.Sprintf("must have at most %d characters.", iot.MaxChannel))
	}
	m := &iot.Message{ProjectID: s.Project.Key, DeviceID: d.Key, Device: d.ID, Type: r.kind, Channel: channel,
		SenderID: r.senderID, Fields: r.fields, Payload: r.payload, ReceivedAt: iot.At(i.now())}
	return &db.Accept{Message: m, Device: d, Project: s.Project}, nil
}

// sender returns the device that a message is from.
func (i *Ingest) sender(ctx context.Context, s Sender, from string) (*iot.Device, error) {
	if s.Device != nil {
		if from != "" && from != s.Device.ID && !sameUUID(from, s.Device.UUID) {
			return nil, &iot.Error{Code: iot.Forbidden, Message: "This message is from another device than the one that sends it. Leave out from, or use the right key.",
				Fields: map[string]string{"from": "must be the sending device."}}
		}
		return s.Device, nil
	}
	name := s.Name
	if name == "" {
		name = from
	}
	if name == "" {
		return nil, iot.FieldError("from", "is missing: it names the device, by its id or UUID.")
	}
	d, err := i.device(ctx, s.Project, name)
	if iot.CodeOf(err) == iot.NotFound && s.Register && s.Project.AutoRegister {
		if from != "" && from != name && !sameUUID(from, name) {
			return nil, errOtherDevice
		}
		d, err = i.register(ctx, s, name)
	}
	if iot.CodeOf(err) == iot.NotFound {
		return nil, noDevice(name)
	}
	if err == nil && s.Name != "" && from != "" && from != d.ID && !sameUUID(from, d.UUID) {
		return nil, errOtherDevice
	}
	return d, err
}

var errOtherDevice = iot.FieldError("from", "must be the device that the path names.")

func (i *Ingest) register(ctx context.Context, s Sender, name string) (*iot.Device, error) {
	d := &iot.Device{ProjectID: s.Project.Key}
	if iot.LooksLikeUUID(name) {
		d.UUID, d.Name = name, "Device "+name[:8]
	} else {
		if err := iot.CheckSlug("from", name); err != nil {
			return nil, err
		}
		d.ID, d.Name = name, name
	}
	err := i.db.CreateDevice(d, iot.NewDeviceKey(), s.Actor)
	if iot.CodeOf(err) == iot.Conflict {
		return i.device(ctx, s.Project, name) // another message of it was faster
	}
	return d, err
}

// match makes the deliveries of a message by the project's settings.
func (i *Ingest) match(p *settings, a *db.Accept) {
	m := a.Message
	m.ID = i.db.NewID()
	profile := p.Profiles[a.Device.ProfileID]
	m.Transient = profile != nil && !profile.Write
	a.Version = p.Version
	a.Deliveries, a.InOrder = a.Deliveries[:0], a.InOrder[:0]
	for _, h := range p.hooks {
		if h.compiled.Wants(m, profile) != webhook.Wanted {
			continue
		}
		a.Deliveries = append(a.Deliveries, i.delivery(m, h.Webhook, iot.TriggerMessage))
		a.InOrder = append(a.InOrder, h.Settings.InOrder)
	}
}

func (i *Ingest) delivery(m *iot.Message, w *iot.Webhook, trigger iot.Trigger) *iot.Delivery {
	return &iot.Delivery{ID: i.db.NewID(), MessageID: m.ID, ProjectID: m.ProjectID, WebhookID: w.Key, DeviceID: m.DeviceID,
		Webhook: w.ID, Device: m.Device, Type: m.Type, Channel: m.Channel, Status: iot.Pending, Trigger: trigger,
		SizeBytes: int64(len(m.Payload)), DueAt: m.ReceivedAt, CreatedAt: m.ReceivedAt}
}

package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"thingpost/db"
	"thingpost/internal/crowd"
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
	gate  *gate

	byID  loader[deviceName, *iot.Device]
	byKey loader[iot.Secret, *iot.Device]
}

// Options of an Ingest.
type Options struct {
	Now       func() time.Time // default time.Now
	PublicURL string           // of this instance, for previews
	Version   string           // of this program, for previews
	Log       *slog.Logger     // default discards
	Crowd     *crowd.Meter     // nil: the machine is never crowded
}

// New returns an Ingest over a store. Its Changed must be called with each commit of
// the store.
func New(d *db.DB, o Options) *Ingest {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	i := &Ingest{db: d, o: o, now: o.Now, log: o.Log, watch: newWatch(), cache: newCache(), gate: newGate(o.Crowd)}
	i.byID.read, i.byKey.read = i.readDevices, i.readOwners
	return i
}

// Sender is the authenticated sender of messages.
type Sender struct {
	Project *iot.Project
	// Device is set if only this device may send: the key is its key, or the path names
	// it. Otherwise each message names its device in "from".
	Device *iot.Device
	// Name is the device that the path names, not yet looked up.
	Name string
	// Register allows new devices to be registered, if the project does too.
	Register bool
	// Actor is who registers them, for the audit log.
	Actor string
}

// Result is the outcome of one message.
type Result struct {
	ID  iot.ID // of the message, or of the earlier one with the same sender's id
	Err error  // an *iot.Error about this message alone
}

// Accept stores messages with their deliveries, and returns when they are on disk. It
// returns a result for each body, in order. Bodies must not be changed afterwards. Many
// messages are stored a piece at a time, so that other senders do not wait for all of
// them. If the disk fails between two pieces (storage_full, unavailable) or ctx ends,
// the stored messages have their ids, and each of the rest has the error. The error is
// returned if nothing was stored.
func (i *Ingest) Accept(ctx context.Context, s Sender, bodies ...[]byte) ([]Result, error) {
	results := make([]Result, len(bodies))
	list := make([]*incoming, 0, min(len(bodies), readAtOnce))
	for from := 0; from < len(bodies); from += readAtOnce {
		list = list[:0]
		if err := i.registerAll(ctx, s, bodies[from:min(from+readAtOnce, len(bodies))]); err != nil {
			return results, failRest(results, from, err)
		}
		for n, body := range bodies[from:min(from+readAtOnce, len(bodies))] {
			if len(bodies) > 1 {
				body = bytes.Clone(body) // a message in memory must not keep the memory of all of them
			}
			in, err := i.read(ctx, s, body)
			if err == nil {
				in.at = from + n
				list = append(list, in)
				continue
			}
			if isShared(err) {
				return results, failRest(results, from, err)
			}
			results[from+n].Err = err
		}
		if err := i.acceptAll(ctx, s.Project, list, results); err != nil {
			return results, failRest(results, from, err)
		}
	}
	return results, nil
}

// readAtOnce is how many messages of a call are read before they are stored.
const readAtOnce = 256

// failRest sets an error on all results from one on that have neither an id nor an
// error. It returns the error if no message was stored.
func failRest(results []Result, from int, err error) error {
	stored := false
	for n := range results {
		r := &results[n]
		if n >= from && r.ID.IsZero() && r.Err == nil {
			r.Err = err
		}
		stored = stored || !r.ID.IsZero()
	}
	if stored {
		return nil
	}
	return err
}

// Payload is a device's payload without an envelope.
type Payload struct {
	Bytes   []byte // must not be changed afterwards
	Binary  bool   // SenML in CBOR; otherwise JSON
	Channel string // "" if none
}

// AcceptPayload is Accept for one payload of a device, as a user message. Errors:
// invalid (wrapping ErrSenML if SenML was expected), too_large.
func (i *Ingest) AcceptPayload(ctx context.Context, p *iot.Project, d *iot.Device, v Payload) (iot.ID, error) {
	if len(v.Bytes) > iot.MaxMessageBytes {
		return iot.ID{}, errTooLarge
	}
	if !v.Binary {
		var err error
		if v.Bytes, err = iot.ReadJSON(v.Bytes); err != nil {
			return iot.ID{}, err
		}
	}
	r := received{kind: iot.User, channel: v.Channel, payload: v.Bytes, binary: v.Binary}
	if v.Channel != "" {
		r.fields = append(appendText([]byte(`{"channel":`), v.Channel), '}')
	}
	results := []Result{{}}
	if err := i.acceptAll(ctx, p, []*incoming{i.incoming(p, d, r)}, results); err != nil {
		return iot.ID{}, err
	}
	return results[0].ID, results[0].Err
}

// incoming is a message before it is stored. Its payload is not yet transformed.
type incoming struct {
	db.Accept
	received
	at int // index in the results
}

func (i *Ingest) incoming(p *iot.Project, d *iot.Device, r received) *incoming {
	m := &iot.Message{ProjectKey: p.Key, DeviceKey: d.Key, Device: d.ID, Type: r.kind, SenderID: r.senderID, ReceivedAt: iot.At(i.now())}
	return &incoming{Accept: db.Accept{Message: m, Device: d, Project: p}, received: r}
}

// isShared reports whether an error concerns more than one message.
func isShared(err error) bool {
	e, ok := errors.AsType[*iot.Error](err)
	return !ok || e.Code == iot.Unavailable || e.Code == iot.StorageFull
}

// acceptAll stores messages a piece at a time, and stores stale ones again.
func (i *Ingest) acceptAll(ctx context.Context, p *iot.Project, list []*incoming, results []Result) error {
	var stale []*incoming
	for len(list) > 0 {
		if err := i.gate.enter(ctx, p.Key); err != nil {
			return err
		}
		n, old, err := i.store(ctx, p, list, results)
		i.gate.leave(p.Key)
		if err != nil {
			return err
		}
		list, stale = list[n:], append(stale, old...)
		if len(list) > 0 {
			if ctx.Err() != nil {
				return errGone // nobody waited for what was stored either
			}
			continue
		}
		if list, err = i.refresh(ctx, p, stale, results); err != nil {
			return err
		}
		stale = nil
	}
	return nil
}

var errGone = iot.NewError(iot.Unavailable, "Not stored: the connection closed before it could be. Send it again.")

// refresh finds the devices of stale messages again: their profile may have changed, or
// they may have been deleted.
func (i *Ingest) refresh(ctx context.Context, p *iot.Project, stale []*incoming, results []Result) (list []*incoming, err error) {
	for _, in := range stale {
		d, err := i.device(ctx, p, in.Device.UUID)
		if iot.CodeOf(err) == iot.NotFound {
			results[in.at].Err = noDevice(in.Device.ID)
			continue
		}
		if err != nil {
			return nil, err
		}
		in.Device, in.Message.DeviceKey, in.Message.Device = d, d.Key, d.ID
		list = append(list, in)
	}
	return list, nil
}

func noDevice(name string) error {
	return iot.NewError(iot.NotFound, "There is no device "+printable(name)+
		" in this project. Create it first, or send with a project key: that registers new devices if the project allows it.")
}

// store transforms, matches and writes the messages of the first piece, and returns how
// many these were. It also returns those matched on outdated settings, to be matched
// again.
func (i *Ingest) store(ctx context.Context, project *iot.Project, list []*incoming, results []Result) (n int, stale []*incoming,
	err error) {
	p, err := i.settings(ctx, project.Key)
	if err != nil {
		return 0, nil, err
	}
	accepts, stored := make([]*db.Accept, 0, len(list)), make([]*incoming, 0, len(list))
	var returns []*db.Accept
	rows, size, last := 0, int64(0), int64(0)
	for _, in := range list {
		if rows >= db.PieceRows || size >= db.PieceBytes {
			break
		}
		n++
		if err := in.transform(p); err != nil {
			results[in.at].Err = err
			continue
		}
		if in.Device.Key != last {
			last = in.Device.Key
			if a := i.back(p, &in.Accept); a != nil {
				returns, rows = append(returns, a), rows+a.Rows()
			}
		}
		i.match(p, &in.Accept)
		rows, size = rows+in.Rows(), size+in.Bytes()
		accepts, stored = append(accepts, &in.Accept), append(stored, in)
	}
	all := accepts
	if len(returns) > 0 {
		all = append(slices.Clip(returns), accepts...)
	}
	if err := i.db.Accept(all...); err != nil {
		return 0, nil, err
	}
	i.heard(p, accepts, returns)
	for _, in := range stored {
		switch {
		case in.Stale:
			i.cache.forgetSettings(p.Project.Key, p.Version)
			i.cache.forgetDevice(in.Device)
			stale = append(stale, in)
		case !in.Repeated.IsZero():
			results[in.at].ID = in.Repeated
		default:
			results[in.at].ID = in.Message.ID
		}
		if !in.Stale {
			in.Deliveries, in.InOrder = nil, nil // frees memory: the dispatcher has its own copy
		}
	}
	return n, stale, nil
}

// transform applies the device's profile to the received payload. A message that is
// stored again starts from the received payload again.
func (in *incoming) transform(p *settings) error {
	m := in.Message
	m.Payload, m.Fields = in.payload, in.fields
	if t := p.transformers[in.Device.ProfileKey]; m.Type == iot.User && (t != nil || in.binary) {
		made, err := t.apply(in.payload, in.binary, m.ReceivedAt.Time())
		if err != nil {
			return err
		}
		m.Payload = made.Payload
		if !made.Time.IsZero() && !gjson.GetBytes(in.fields, "devicetimestamp").Exists() {
			m.Fields = withDeviceTime(in.fields, made.Time)
		}
	}
	channel, inPayload := iot.ChannelOf(m.Payload, in.channel)
	if inPayload && iot.TextLength(channel) > iot.MaxChannel {
		return iot.FieldError("payload.webhook_channel", fmt.Sprintf("must have at most %d characters.", iot.MaxChannel))
	}
	m.Channel = channel
	return nil
}

// withDeviceTime returns the received fields with the time that the device states, in
// the form of an envelope's timestamps.
func withDeviceTime(fields []byte, at time.Time) []byte {
	out := append(make([]byte, 0, len(fields)+64), '{')
	if len(fields) > 2 {
		out = append(append(out, fields[1:len(fields)-1]...), ',')
	}
	return at.UTC().AppendFormat(out, `"devicetimestamp":"2006-01-02T15:04:05.000"}`)
}

// read decodes a body and finds its device.
func (i *Ingest) read(ctx context.Context, s Sender, body []byte) (*incoming, error) {
	if len(body) > iot.MaxMessageBytes {
		return nil, errTooLarge
	}
	r, err := decode(body)
	if err != nil {
		return nil, err
	}
	d, err := i.sender(ctx, s, r.from)
	if err != nil {
		return nil, err
	}
	return i.incoming(s.Project, d, r), nil
}

var errTooLarge = iot.NewError(iot.TooLarge, "A message can have at most 1 MiB.")

// sender returns the device that sent a message.
func (i *Ingest) sender(ctx context.Context, s Sender, from string) (*iot.Device, error) {
	if s.Device != nil {
		if from != "" && !s.Device.IsNamed(from) {
			return nil, &iot.Error{Code: iot.Forbidden, Message: "This message names another device than its sender. Leave out from," +
				" or use the right key.",
				Fields: map[string]string{"from": "must be the sender."}}
		}
		return s.Device, nil
	}
	name := s.Name
	if name == "" {
		name = from
	}
	if name == "" {
		return nil, iot.FieldError("from", "is missing. It must be the ID, UUID or DevEUI of the device.")
	}
	d, err := i.device(ctx, s.Project, name)
	if iot.CodeOf(err) == iot.NotFound && s.Register && s.Project.AutoRegister {
		if from != "" && !strings.EqualFold(from, name) {
			return nil, errOtherDevice
		}
		d, err = i.register(ctx, s, name)
	}
	if iot.CodeOf(err) == iot.NotFound {
		return nil, noDevice(name)
	}
	if err == nil && s.Name != "" && from != "" && !d.IsNamed(from) {
		return nil, errOtherDevice
	}
	return d, err
}

var errOtherDevice = iot.FieldError("from", "must be the device that the path names.")

// match adds the deliveries of a message, by the project's settings.
func (i *Ingest) match(p *settings, a *db.Accept) {
	m := a.Message
	m.ID = i.db.NewID()
	profile := p.Profiles[a.Device.ProfileKey]
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
	return &iot.Delivery{ID: i.db.NewID(), MessageID: m.ID, ProjectKey: m.ProjectKey, WebhookKey: w.Key, DeviceKey: m.DeviceKey,
		Webhook: w.ID, Device: m.Device, Type: m.Type, Channel: m.Channel, Status: iot.Pending, Trigger: trigger,
		SizeBytes: int64(len(m.Payload)), DueAt: m.ReceivedAt, CreatedAt: m.ReceivedAt}
}

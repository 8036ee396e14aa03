package downlink

import (
	"context"

	"thingpost/internal/iot"
)

// Told is what a webhook of another system tells with a message: the addresses to
// push and to replace a device's downlinks, and the key for both.
type Told struct {
	Push, Replace string
	Key           iot.Secret
	Protobuf      bool // it takes Protocol Buffers and not JSON
}

// Learn keeps where a device's downlinks go on to, as was told by a caller with
// some rights. It writes only what has changed, and a change is one of settings:
// forbidden without the right to change them. Invalid, if the addresses are not of
// one application or not of that system's form; not_found for a device that is
// not there.
func (q *Queue) Learn(ctx context.Context, p *iot.Project, rights iot.Rights, t Told) error {
	base, device, ok := iot.UpstreamOf(t.Push)
	if !ok || t.Replace != base+"/devices/"+device+"/down/replace" {
		return iot.NewError(iot.Invalid, "X-Downlink-Push and X-Downlink-Replace must be addresses of one device that end in /down/push and "+
			"/down/replace.")
	}
	u := iot.Upstream{URL: base, Key: t.Key, Protobuf: t.Protobuf}
	if err := u.Check(); err != nil {
		return err
	}
	s, err := q.o.Ingest.Snapshot(ctx, p.Key)
	if err != nil {
		return err
	}
	d, err := q.o.Ingest.DeviceNamed(ctx, p, device)
	if err != nil {
		return err
	}
	if have := s.Own(d); have != nil && u.SameUpstream(have) {
		return nil
	}
	if !rights.Has(iot.ChangeSettings) {
		return iot.NewError(iot.Forbidden, "The X-Downlink headers were ignored: to say where downlinks go on to, the API key needs the right "+
			iot.ChangeSettings.String()+".")
	}
	return q.o.DB.SetUpstream(p, d, u, Actor)
}

// Actor is who the audit log names where the program itself has learned something.
const Actor = "thingpost"

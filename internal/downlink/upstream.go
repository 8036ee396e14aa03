package downlink

import (
	"context"

	"thingpost/internal/iot"
)

// Learn keeps where a device's downlinks go on to, as a webhook of another system
// tells it with each message: by the addresses to push and to replace and the key
// for both. It writes only what has changed. Invalid, if the addresses are not of
// one application or not of that system's form; not_found for a device that is
// not there.
func (q *Queue) Learn(ctx context.Context, p *iot.Project, push, replace string, key iot.Secret, protobuf bool) error {
	base, device, ok := iot.UpstreamOf(push)
	if !ok || replace != base+"/devices/"+device+"/down/replace" {
		return iot.NewError(iot.Invalid, "X-Downlink-Push and X-Downlink-Replace must be addresses of one device that end in /down/push and /down/replace.")
	}
	u := iot.Upstream{URL: base, Key: key, Protobuf: protobuf}
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
	return q.o.DB.SetUpstream(p, d, u, Actor)
}

// Actor is who the audit log names where the program itself has learned something.
const Actor = "thingpost"

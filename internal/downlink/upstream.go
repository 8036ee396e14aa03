package downlink

import (
	"context"

	"thingpost/internal/iot"
)

// Addresses are the downlink addresses that a webhook of another system sends with a
// message, to push and to replace, and the key for both.
type Addresses struct {
	Push, Replace string
	Key           iot.Secret
	Protobuf      bool // it takes Protocol Buffers instead of JSON
}

// Learn stores the upstream of a device's downlinks, from a caller with some rights. It
// writes only changes. A change is one of settings: forbidden without the right to
// change them. Errors also: invalid if the addresses belong to different applications
// or have another form than that system's; not_found if there is no such device.
func (q *Queue) Learn(ctx context.Context, p *iot.Project, rights iot.Rights, a Addresses) error {
	base, device, ok := iot.UpstreamOf(a.Push)
	if !ok || a.Replace != base+"/devices/"+device+"/down/replace" {
		return iot.NewError(iot.Invalid, "X-Downlink-Push and X-Downlink-Replace must be addresses of one device that end in /down/push and "+
			"/down/replace.")
	}
	u := iot.Upstream{URL: base, Key: a.Key, Protobuf: a.Protobuf}
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
		return iot.NewError(iot.Forbidden, "The X-Downlink headers were ignored: to set where downlinks are forwarded, the API key needs "+
			"the right "+iot.ChangeSettings.String()+".")
	}
	return q.o.DB.SetUpstream(p, d, u, Actor)
}

// Actor is the name in the audit log for changes that the program itself made.
const Actor = "thingpost"

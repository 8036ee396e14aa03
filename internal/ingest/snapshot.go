package ingest

import (
	"context"

	"thingpost/db"
	"thingpost/internal/iot"
)

// Snapshot is a project's settings at one moment, to match messages with that
// the program makes itself. It is safe for concurrent use.
type Snapshot struct {
	i *Ingest
	s *settings
}

// Snapshot returns a project's settings as they are known now; not_found.
func (i *Ingest) Snapshot(ctx context.Context, project int64) (*Snapshot, error) {
	s, err := i.settings(ctx, project)
	if err != nil {
		return nil, err
	}
	return &Snapshot{i, s}, nil
}

// DeviceNamed returns a device of a project by its id, UUID or DevEUI, as it is known now;
// not_found. It is shared and must not be changed.
func (i *Ingest) DeviceNamed(ctx context.Context, p *iot.Project, name string) (*iot.Device, error) {
	return i.device(ctx, p, name)
}

// Forget drops the settings of a snapshot from memory: the store has found them to
// be out of date before the commit was heard of.
func (i *Ingest) Forget(s *Snapshot) { i.cache.forgetSettings(s.s.Project.Key, s.s.Version) }

// Project returns the project. It is shared and must not be changed.
func (s *Snapshot) Project() *iot.Project { return s.s.Project }

// Version of the settings, for the store.
func (s *Snapshot) Version() int64 { return s.s.Version }

// Upstream returns the hidden webhook that a device's downlinks go on to, its own
// or its project's; nil if there is none. It is shared and must not be changed.
func (s *Snapshot) Upstream(d *iot.Device) *iot.Webhook {
	if w := s.Own(d); w != nil {
		return w
	}
	return s.s.upstreams[s.s.UpstreamID]
}

// Own returns the device's own upstream, nil if it has none.
func (s *Snapshot) Own(d *iot.Device) *iot.Webhook { return s.s.upstreams[d.UpstreamID] }

// Carry adds a delivery to a matched message, to a webhook that matching leaves
// out.
func (s *Snapshot) Carry(a *db.Accept, w *iot.Webhook) {
	a.Deliveries = append(a.Deliveries, s.i.delivery(a.Message, w, iot.TriggerMessage))
	a.InOrder = append(a.InOrder, w.Settings.InOrder)
}

// Match gives a message of a device an id and the deliveries that it makes, by
// the rules of Accept. It asks the store for new ids alone.
func (s *Snapshot) Match(m *iot.Message, d *iot.Device) *db.Accept {
	a := &db.Accept{Message: m, Device: d, Project: s.s.Project}
	s.i.match(s.s, a)
	return a
}

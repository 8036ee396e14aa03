package ingest

import (
	"context"

	"thingpost/db"
	"thingpost/internal/iot"
)

// Snapshot is a project's settings at one moment, to match messages that the program
// itself makes. It is safe for concurrent use.
type Snapshot struct {
	i *Ingest
	s *settings
}

// Snapshot returns a project's settings from memory or disk; not_found.
func (i *Ingest) Snapshot(ctx context.Context, project int64) (*Snapshot, error) {
	s, err := i.settings(ctx, project)
	if err != nil {
		return nil, err
	}
	return &Snapshot{i, s}, nil
}

// DeviceNamed returns a device of a project by its ID, UUID or DevEUI, from memory or
// disk; not_found. It is shared and must not be changed.
func (i *Ingest) DeviceNamed(ctx context.Context, p *iot.Project, name string) (*iot.Device, error) {
	return i.device(ctx, p, name)
}

// Forget drops the settings of a snapshot from memory. Call it if the store found them
// outdated before their commit arrived here.
func (i *Ingest) Forget(s *Snapshot) { i.cache.forgetSettings(s.s.Project.Key, s.s.Version) }

// Project returns the project. It is shared and must not be changed.
func (s *Snapshot) Project() *iot.Project { return s.s.Project }

// Version is the version of the settings, for the store.
func (s *Snapshot) Version() int64 { return s.s.Version }

// Upstream returns the hidden webhook that takes a device's downlinks, its own or its
// project's; nil if there is none. It is shared and must not be changed.
func (s *Snapshot) Upstream(d *iot.Device) *iot.Webhook {
	if w := s.Own(d); w != nil {
		return w
	}
	return s.s.upstreams[s.s.UpstreamKey]
}

// Own returns the device's own upstream; nil if it has none.
func (s *Snapshot) Own(d *iot.Device) *iot.Webhook { return s.s.upstreams[d.UpstreamKey] }

// Carry adds a delivery to a matched message, for a webhook that matching leaves out.
func (s *Snapshot) Carry(a *db.Accept, w *iot.Webhook) {
	a.Deliveries = append(a.Deliveries, s.i.delivery(a.Message, w, iot.TriggerMessage))
	a.InOrder = append(a.InOrder, w.Settings.InOrder)
}

// Match gives a message of a device an id and its deliveries, by the rules of Accept.
// It only asks the store for new ids.
func (s *Snapshot) Match(m *iot.Message, d *iot.Device) *db.Accept {
	a := &db.Accept{Message: m, Device: d, Project: s.s.Project}
	s.i.match(s.s, a)
	return a
}

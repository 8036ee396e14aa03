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

// Forget drops what is kept in memory: the store has found it to be out of date
// before the commit was heard of.
func (i *Ingest) Forget() { i.cache.clear() }

// Project returns the project. It is shared and must not be changed.
func (s *Snapshot) Project() *iot.Project { return s.s.Project }

// Version of the settings, for the store.
func (s *Snapshot) Version() int64 { return s.s.Version }

// Match gives a message of a device an id and the deliveries that it makes, by
// the rules of Accept. It asks the store for new ids alone.
func (s *Snapshot) Match(m *iot.Message, d *iot.Device) *db.Accept {
	a := &db.Accept{Message: m, Device: d, Project: s.s.Project}
	s.i.match(s.s, a)
	return a
}

package mainflux

import (
	"encoding/json"
	"net/http"

	"golang.org/x/sync/errgroup"

	"thingpost/db"
	"thingpost/handlers"
	"thingpost/internal/downlink"
	"thingpost/internal/ingest"
	"thingpost/internal/iot"
)

// order reads a command as a downlink: the payload is any JSON; SenML in CBOR
// becomes its resolved records. The subtopic goes along as a correlation id.
func (s *server) order(r *http.Request) (downlink.Order, error) {
	var o downlink.Order
	binary, err := payloadType(r.Header.Get("Content-Type"))
	if err != nil {
		return o, err
	}
	topic, err := subtopic("/" + r.PathValue("subtopic"))
	if err != nil {
		return o, err
	}
	body, err := handlers.ReadBody(r, iot.MaxMessageBytes)
	if err != nil {
		return o, err
	}
	if binary {
		made, err := ingest.Transform(nil, body, true, s.Now())
		if err != nil {
			return o, unreadable(err)
		}
		body = made.Payload
	}
	if !json.Valid(body) {
		return o, badRequest(textNotJSON)
	}
	o.Payload = body
	if topic != "" {
		o.CorrelationIDs = []string{"subtopic:" + topic}
	}
	return o, nil
}

// commandThing queues a downlink for a device.
func (s *server) commandThing(w http.ResponseWriter, r *http.Request, c *caller) error {
	d, p, err := s.DB.OwnedDevice(r.Context(), c.account.Key, r.PathValue("id"))
	if err != nil {
		return err
	}
	if err := may(p.Role, iot.SendDownlinks); err != nil {
		return err
	}
	o, err := s.order(r)
	if err != nil {
		return err
	}
	if _, err := s.Downlinks.Push(r.Context(), p, d, []downlink.Order{o}, false); err != nil {
		return malformedOf(err)
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// abreast is how many devices of a group are given a command at once: they share
// commits.
const abreast = 64

// commandGroup queues a downlink for each device of a project. It is answered
// when all have it. If one cannot take it, such as for a full queue, others may
// have it already.
func (s *server) commandGroup(w http.ResponseWriter, r *http.Request, c *caller) error {
	p, err := s.DB.OwnedProject(r.Context(), c.account.Key, r.PathValue("id"))
	if err != nil {
		return err
	}
	if err := may(p.Role, iot.SendDownlinks); err != nil {
		return err
	}
	o, err := s.order(r)
	if err == nil {
		err = malformedOf(downlink.Check([]downlink.Order{o}))
	}
	if err != nil {
		return err
	}
	const page = 1000
	for after := ""; ; {
		devices, err := s.DB.Devices(r.Context(), db.DeviceFilter{ProjectID: p.Key, After: after, Limit: page})
		if err != nil {
			return err
		}
		g, ctx := errgroup.WithContext(r.Context())
		g.SetLimit(abreast)
		for i := range devices {
			g.Go(func() error {
				_, err := s.Downlinks.Push(ctx, p, &devices[i], []downlink.Order{o}, false)
				if iot.CodeOf(err) == iot.NotFound {
					return nil // it was deleted meanwhile
				}
				return err
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
		if len(devices) < page {
			break
		}
		after = devices[len(devices)-1].ID
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

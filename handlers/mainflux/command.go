package mainflux

import (
	"net/http"

	"thingpost/handlers"
	"thingpost/internal/downlink"
	"thingpost/internal/ingest"
	"thingpost/internal/iot"
)

// order reads a command as a downlink: the payload is any JSON; SenML in CBOR becomes
// its resolved records. The subtopic becomes a correlation id.
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
	if body, err = iot.ReadJSON(body); err != nil {
		return o, unreadable(err)
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

// commandGroup starts a command to each device of a project. It answers when the first
// hundred have it. The others follow soon, also after a restart.
func (s *server) commandGroup(w http.ResponseWriter, r *http.Request, c *caller) error {
	p, err := s.DB.OwnedProject(r.Context(), c.account.Key, r.PathValue("id"))
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
	job, err := s.Downlinks.Command(r.Context(), p, o, c.actor())
	if err != nil {
		return malformedOf(err)
	}
	w.Header().Set("Location", "/api/v1/projects/"+p.ID+"/commands/"+job.ID.String()) // shows its progress
	w.WriteHeader(http.StatusAccepted)
	return nil
}

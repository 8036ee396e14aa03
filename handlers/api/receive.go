package api

import (
	"encoding/json"
	"fmt"
	"net/http"

	"thingpost/handlers"
	"thingpost/internal/ingest"
	"thingpost/internal/iot"
)

// maxMessages bounds the messages of one request, and so its answer.
const maxMessages = 10_000

// sender returns the sender of a caller's messages.
func (c *caller) sender() ingest.Sender {
	if c.device != nil {
		return ingest.Sender{Project: c.project, Device: c.device}
	}
	// A person's token does not register devices: only a project key does.
	return ingest.Sender{Project: c.project, Register: c.key != nil, Actor: c.actor()}
}

// receiveOne accepts one message of the device in the path.
func (s *server) receiveOne(w http.ResponseWriter, r *http.Request, c *caller) error {
	from, name := c.sender(), r.PathValue("device")
	if c.device == nil {
		from.Name = name
	} else if !c.device.IsNamed(name) {
		return iot.NewError(iot.Forbidden, "This key belongs to another device than the path names.")
	}
	body, err := handlers.ReadBody(r, iot.MaxMessageBytes)
	if err != nil {
		return err
	}
	results, err := s.Ingest.Accept(r.Context(), from, body)
	if err != nil {
		return err
	}
	if results[0].Err != nil {
		return results[0].Err
	}
	answer := make([]byte, 0, 64)
	answer = append(appendID(answer, results[0].ID), '\n')
	handlers.WriteJSONBytes(w, http.StatusAccepted, answer)
	return nil
}

func appendID(b []byte, id iot.ID) []byte {
	return append(append(append(b, `{"id":"`...), id.String()...), `"}`...)
}

// receiveMany accepts one message, an array, or one per line. 202 means that at least
// one was stored; the answer says which.
func (s *server) receiveMany(w http.ResponseWriter, r *http.Request, c *caller) error {
	body, err := handlers.ReadBody(r, iot.MaxMessageBytes)
	if err != nil {
		return err
	}
	messages, err := ingest.Split(body, r.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	if len(messages) == 0 {
		return iot.NewError(iot.Invalid, "The list is empty. It needs at least one message.")
	}
	if len(messages) > maxMessages {
		return iot.NewError(iot.TooLarge, "A request can have at most 10,000 messages.")
	}
	results, err := s.Ingest.Accept(r.Context(), c.sender(), messages...)
	if err != nil {
		return err
	}
	answer := make([]byte, 0, 32+48*len(results))
	answer = append(answer, `{"messages":[`...)
	stored := false
	for i, result := range results {
		if i > 0 {
			answer = append(answer, ',')
		}
		if result.Err == nil {
			stored = true
			answer = appendID(answer, result.ID)
			continue
		}
		if answer, err = appendFault(append(answer, '{'), result.Err); err != nil {
			return err
		}
		answer = append(answer, '}')
	}
	answer = append(answer, ']')
	status := http.StatusAccepted
	if !stored {
		var whole error
		status, whole = refused(results)
		handlers.SetRetryAfter(w.Header(), iot.CodeOf(whole))
		if answer, err = appendFault(append(answer, ','), whole); err != nil {
			return err
		}
	}
	handlers.WriteJSONBytes(w, status, append(answer, "}\n"...))
	return nil
}

// appendFault appends the member error.
func appendFault(b []byte, fault error) ([]byte, error) {
	text, err := json.Marshal(handlers.ErrorOf(fault))
	return append(append(b, `"error":`...), text...), err
}

// refused returns the status and the error of a request of which nothing was stored. If
// some could be accepted later it asks the sender to wait; otherwise it is 400, the
// sender's fault. For a single message it is that message's error.
func refused(results []ingest.Result) (status int, err error) {
	err = results[0].Err
	for _, result := range results {
		if handlers.StatusOf(result.Err) >= http.StatusTooManyRequests {
			return handlers.StatusOf(result.Err), result.Err
		}
	}
	if len(results) > 1 {
		err = iot.NewError(iot.Invalid, fmt.Sprintf("None of the %d messages was stored. The list messages has the fault of each.", len(results)))
	}
	return http.StatusBadRequest, err
}

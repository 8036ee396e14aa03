package api

import (
	"encoding/json"
	"net/http"
	"strings"

	"thingpost/handlers"
	"thingpost/internal/ingest"
	"thingpost/internal/iot"
)

// maxMessages bounds the messages of one request, and so its answer.
const maxMessages = 10_000

// sender says as whom a caller's messages are accepted.
func (c *caller) sender() ingest.Sender {
	if c.device != nil {
		return ingest.Sender{Project: c.project, Device: c.device}
	}
	// A person's token registers no devices: only a project key does.
	return ingest.Sender{Project: c.project, Register: c.key != nil, Actor: c.actor()}
}

// receiveOne takes one message of the device that the path names.
func (s *server) receiveOne(w http.ResponseWriter, r *http.Request, c *caller) error {
	from, name := c.sender(), r.PathValue("device")
	if c.device == nil {
		from.Name = name
	} else if name != c.device.ID && !strings.EqualFold(name, c.device.UUID) {
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

// receiveMany takes one message, an array, or one on each line.
func (s *server) receiveMany(w http.ResponseWriter, r *http.Request, c *caller) error {
	body, err := handlers.ReadBody(r, iot.MaxMessageBytes)
	if err != nil {
		return err
	}
	messages, many, err := ingest.Split(body, r.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	if len(messages) > maxMessages {
		return iot.NewError(iot.TooLarge, "A request holds at most 10,000 messages.")
	}
	results, err := s.Ingest.Accept(r.Context(), c.sender(), messages...)
	if err != nil {
		return err
	}
	if !many && results[0].Err != nil && !json.Valid(body) {
		return results[0].Err
	}
	answer := make([]byte, 0, 32+48*len(results))
	answer = append(answer, `{"messages":[`...)
	for i, result := range results {
		if i > 0 {
			answer = append(answer, ',')
		}
		if result.Err == nil {
			answer = appendID(answer, result.ID)
			continue
		}
		fault, err := json.Marshal(map[string]handlers.ErrorBody{"error": handlers.ErrorOf(result.Err)})
		if err != nil {
			return err
		}
		answer = append(answer, fault...)
	}
	handlers.WriteJSONBytes(w, http.StatusAccepted, append(answer, "]}\n"...))
	return nil
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"thingpost/handlers"
	"thingpost/internal/iot"
)

const sendAbout = `Send a message as a device. PAYLOAD is a JSON value, such as '{"temperature": 21.5}';
- reads it from standard input. Prints the message's id once the server has it on disk.

With a device's key, name its project. With a project's API key, name project and device.`

// sendConfig is the options of a message.
type sendConfig struct {
	url, project, device string
	key                  iot.Secret
	kind, channel, id    string
}

func (c *sendConfig) options() *options {
	o := newOptions("send", "PAYLOAD", sendAbout)
	o.text(&c.url, "url", "URL", "http://127.0.0.1:8080", "address of the server")
	o.add(option{name: "key", value: "KEY", secret: true, usage: "key of the device or of the project; the environment or a file hides it " +
		"from others on this machine",
		set: func(s string) error { c.key = iot.Secret(s); return nil }})
	o.text(&c.project, "project", "ID", "", "project, by id or UUID")
	o.text(&c.device, "device", "ID", "", "device, by id or UUID; optional with a device's key")
	o.text(&c.kind, "type", "TYPE", "user", "message type: user or iottly")
	o.text(&c.channel, "channel", "TEXT", "", "channel that webhooks filter by")
	o.text(&c.id, "id", "TEXT", "", "your own id: the same one is accepted once within 24 hours")
	o.validate = func() map[string]string {
		faults := map[string]string{}
		if c.key == "" {
			faults["key"] = "is missing"
		}
		if c.project == "" {
			faults["project"] = "is missing"
		}
		if u, err := url.Parse(c.url); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			faults["url"] = "must begin with http:// or https://"
		}
		if t, ok := iot.ParseMessageType(c.kind); !ok || t.LoRaWAN() {
			faults["type"] = "must be user or iottly"
		}
		return faults
	}
	return o
}

// endpoint is where the message goes.
func (c *sendConfig) endpoint() string {
	path := strings.TrimSuffix(c.url, "/") + "/api/v1/projects/" + url.PathEscape(c.project)
	if c.device != "" {
		path += "/devices/" + url.PathEscape(c.device)
	}
	return path + "/messages"
}

// message is the request's body. The payload's bytes stay unchanged.
func (c *sendConfig) message(payload []byte) ([]byte, error) {
	payload, err := iot.ReadJSON(payload)
	if errors.Is(err, iot.ErrJSONBounds) {
		return nil, usageError{"the payload cannot be sent. " + handlers.ErrorOf(err).Message}
	}
	if err != nil {
		return nil, usageError{"the payload must be JSON. Put a text into quotes of its own: '\"hello\"'."}
	}
	head := map[string]string{"type": c.kind}
	if c.channel != "" {
		head["channel"] = c.channel
	}
	if c.id != "" {
		head["id"] = c.id
	}
	body, err := json.Marshal(head)
	if err != nil {
		return nil, err
	}
	body = append(body[:len(body)-1], `,"payload":`...)
	return append(append(body, bytes.TrimSpace(payload)...), '}'), nil
}

func sendCommand(ctx context.Context, p *program, args []string) error {
	var c sendConfig
	rest, err := c.options().parse(p, args, 1, 1)
	if err != nil {
		return err
	}
	payload := []byte(rest[0])
	if rest[0] == "-" {
		if payload, err = io.ReadAll(io.LimitReader(p.stdin, iot.MaxMessageBytes+1)); err != nil {
			return fmt.Errorf("read standard input: %w", err)
		}
	}
	body, err := c.message(payload)
	if err != nil {
		return err
	}
	id, err := c.post(ctx, body)
	if err != nil {
		return err
	}
	p.say("%s", id)
	return nil
}

// sendTimeout bounds the whole exchange.
const sendTimeout = 30 * time.Second

// sent is the API's answer: an id, or one for each message, or an error.
type sent struct {
	ID       string `json:"id"`
	Messages []sent `json:"messages"`
	Error    *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// post sends the message and returns its id.
func (c *sendConfig) post(ctx context.Context, body []byte) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint(), bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+c.key.Reveal())
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Thingpost/"+versionName())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		cause := err
		if u, ok := errors.AsType[*url.Error](err); ok {
			cause = u.Err
		}
		return "", &iot.Error{Code: iot.Unavailable,
			Message: "No server answers at " + c.url + ". Check that it is running, and check -url.", Err: cause}
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return "", fmt.Errorf("read the answer: %w", err)
	}
	var answer sent
	if err := json.Unmarshal(text, &answer); err != nil {
		return "", fmt.Errorf("%s answered %s, but not as Thingpost does: check -url", c.url, resp.Status)
	}
	if len(answer.Messages) > 0 {
		answer = answer.Messages[0]
	}
	switch {
	case answer.Error != nil:
		return "", fmt.Errorf("the server refused the message (%s): %s", resp.Status, answer.Error.Message)
	case resp.StatusCode != http.StatusAccepted || answer.ID == "":
		return "", fmt.Errorf("%s answered %s, but not as Thingpost does: check -url", c.url, resp.Status)
	}
	return answer.ID, nil
}

package webhook

import (
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"thingpost/internal/iot"
)

// Input is the input for a request, beside the webhook. It is not changed.
type Input struct {
	Message   *iot.Message
	Device    *iot.Device
	Project   *iot.Project
	At        time.Time // of this attempt
	PublicURL string    // of this instance, for downlink URLs
	Version   string    // of this program, for User-Agent
}

// Request is a request ready to be sent.
type Request struct {
	Method string
	URL    string
	// Headers are a person's own first, then ours, by canonical name. The transport
	// adds Content-Length.
	Headers iot.HeaderLines
	// Body may share memory with the message and must not be changed.
	Body []byte

	secret uint64 // a bit for each masked header
	masker *iot.Masker
	filled []iot.Secret // values of secret headers with variables
	shown  string       // the URL with a template's secrets masked; "" if it has none
}

// Masked returns the headers with iot.Mask instead of secret values. The result must
// not be changed.
func (r *Request) Masked() iot.HeaderLines {
	if r.secret == 0 {
		return r.Headers
	}
	lines := make(iot.HeaderLines, len(r.Headers))
	for i, h := range r.Headers {
		if r.secret&(1<<i) != 0 {
			h.Value = iot.Mask
		}
		lines[i] = h
	}
	return lines
}

// MaskedURL returns the URL with iot.Mask instead of secrets: those of a template, and
// the webhook's downlink key and secret header values if they have eight bytes or more.
func (r *Request) MaskedURL() string {
	address := r.URL
	if r.shown != "" {
		address = r.shown
	}
	if len(r.filled) > 0 {
		address = iot.NewMasker(r.filled...).MaskURL(address)
	}
	return r.masker.MaskURL(address)
}

// Mask returns a text, such as an answer that can quote the request, with iot.Mask
// instead of the webhook's secrets.
func (r *Request) Mask(s string) string {
	if len(r.filled) > 0 {
		s = iot.NewMasker(r.filled...).Mask(s)
	}
	return r.masker.Mask(s)
}

// Render makes the request for one message. The error is a *Skip if there is nothing to
// send. Otherwise it is an Invalid iot.Error: the settings cannot make a request for
// this message (error class config).
func (c *Compiled) Render(in Input) (Request, error) {
	t := c.target(in.Message.Type)
	if t == nil {
		return Request{}, &Skip{Reason: "the webhook does not take " + string(in.Message.Type) + " messages"}
	}
	body, contentType, err := c.body(&in)
	if err != nil {
		return Request{}, err
	}
	address, err := t.url(&in)
	if err != nil {
		return Request{}, err
	}
	r := Request{Method: "POST", URL: address, Body: body, masker: c.masker}
	if t.shown != nil {
		r.shown = t.shown.url(&in)
	}
	if err := c.appendOwn(&r, &in); err != nil {
		return Request{}, err
	}
	if !c.ownContentType {
		r.add(headerContentType, contentType)
	}
	c.appendOurs(&r, &in)
	if c.downlinkKey != "" {
		c.appendDownlink(&r, &in)
	}
	if c.format != iot.Envelope {
		if domain := hostOf(in.PublicURL); domain != "" {
			r.add(headerDomain, domain)
		}
	}
	return r, nil
}

func (r *Request) add(name, value string) {
	r.Headers = append(r.Headers, iot.HeaderLine{Name: name, Value: value})
}

func (r *Request) addSecret(name, value string) {
	r.secret |= 1 << len(r.Headers)
	r.add(name, value)
}

func (c *Compiled) appendOwn(r *Request, in *Input) error {
	const ours = 9 // the most headers that we set
	r.Headers = make(iot.HeaderLines, 0, len(c.headers)+ours)
	for i := range c.headers {
		h := &c.headers[i]
		value := h.value.expand(in)
		if h.value.pieces != nil {
			if err := checkExpanded(h.name, value); err != nil {
				return err
			}
			if h.secret {
				r.filled = append(r.filled, iot.Secret(value))
			}
		}
		if h.secret {
			r.addSecret(h.name, value)
		} else {
			r.add(h.name, value)
		}
	}
	return nil
}

// appendOurs adds User-Agent, id, timestamp and signature. Their values share one
// string.
func (c *Compiled) appendOurs(r *Request, in *Input) {
	var space [512]byte
	b := append(space[:0], "Thingpost/"...)
	b = append(b, in.Version...)
	agent := len(b)
	b = appendID(b, in.Message.ID)
	id := len(b)
	b = append(b, '.')
	b = strconv.AppendInt(b, in.At.Unix(), 10)
	timestamp := len(b)
	b = append(b, '.')
	head := b[agent:]
	for i, s := range c.signers {
		if i > 0 {
			if iot.At(in.At) >= c.oldUntil {
				break
			}
			b = append(b, ' ')
		}
		b = s.append(b, head, r.Body)
	}
	values := string(b)
	if !c.ownUserAgent {
		r.add(headerUserAgent, values[:agent])
	}
	r.add(headerID, values[agent:id])
	r.add(headerTimestamp, values[id+1:timestamp])
	if len(c.signers) > 0 {
		r.add(headerSignature, values[timestamp+1:])
	}
}

func (c *Compiled) appendDownlink(r *Request, in *Input) {
	base := strings.TrimSuffix(in.PublicURL, "/") + "/api/v3/as/applications/" + in.Project.ID +
		"/webhooks/" + c.id + "/devices/" + in.Device.ID + "/down/"
	r.addSecret(headerDownKey, c.downlinkKey.Reveal())
	r.add(headerDownPush, base+"push")
	r.add(headerDownReplace, base+"replace")
}

// hostOf returns a URL's host with its port, or "".
func hostOf(address string) string {
	_, after, _ := strings.Cut(address, "://")
	host, _, _ := strings.Cut(after, "/")
	return host
}

// appendID appends the text form of an id.
func appendID(b []byte, id iot.ID) []byte {
	b = hex.AppendEncode(b, id[:4])
	b = append(b, '-')
	b = hex.AppendEncode(b, id[4:6])
	b = append(b, '-')
	b = hex.AppendEncode(b, id[6:8])
	b = append(b, '-')
	b = hex.AppendEncode(b, id[8:10])
	b = append(b, '-')
	return hex.AppendEncode(b, id[10:])
}

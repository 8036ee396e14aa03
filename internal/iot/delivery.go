package iot

import (
	"net/http"
	"slices"
	"strconv"
)

// Status is the state of a delivery.
type Status string

// The states. A retry is pending with a later due time; "sending" is a pending
// one in flight, known only in memory.
const (
	Pending   Status = "pending"
	Delivered Status = "delivered"
	Failed    Status = "failed"
	Skipped   Status = "skipped"
	Cancelled Status = "cancelled"
)

// Statuses returns all states in the order in which people see them.
func Statuses() []Status { return []Status{Pending, Delivered, Failed, Skipped, Cancelled} }

// Ended reports whether nothing more will happen to a delivery in this state.
func (s Status) Ended() bool { return s != Pending }

// Trigger says what made a delivery.
type Trigger string

// The triggers.
const (
	TriggerMessage Trigger = "message"
	TriggerRetry   Trigger = "retry"
	TriggerReplay  Trigger = "replay"
	TriggerTest    Trigger = "test"
)

// ErrorClass is the kind of a failed attempt.
type ErrorClass string

// The error classes. Config: the request could not be made from the webhook's
// settings; it is not retried.
const (
	ErrDNS      ErrorClass = "dns"
	ErrConnect  ErrorClass = "connect"
	ErrTLS      ErrorClass = "tls"
	ErrTimeout  ErrorClass = "timeout"
	ErrBlocked  ErrorClass = "blocked"
	ErrHTTP4xx  ErrorClass = "http_4xx"
	ErrHTTP5xx  ErrorClass = "http_5xx"
	ErrRedirect ErrorClass = "redirect"
	ErrConfig   ErrorClass = "config"
)

// ErrorClasses returns all classes.
func ErrorClasses() []ErrorClass {
	return []ErrorClass{ErrDNS, ErrConnect, ErrTLS, ErrTimeout, ErrBlocked, ErrHTTP4xx, ErrHTTP5xx, ErrRedirect, ErrConfig}
}

// RetriedClasses returns the classes that a webhook can retry: all but ErrConfig,
// since a request that could not be made would fail the same way again.
func RetriedClasses() []ErrorClass {
	return slices.DeleteFunc(ErrorClasses(), func(c ErrorClass) bool { return c == ErrConfig })
}

// StatusCode is an HTTP status; 0 is none, JSON null.
type StatusCode int

// MarshalJSON encodes the number, or null for 0.
func (c StatusCode) MarshalJSON() ([]byte, error) {
	if c == 0 {
		return []byte("null"), nil
	}
	return strconv.AppendInt(nil, int64(c), 10), nil
}

// Text returns the number and its usual words, such as "503 Service Unavailable".
func (c StatusCode) Text() string {
	s := strconv.Itoa(int(c))
	if t := http.StatusText(int(c)); t != "" {
		s += " " + t
	}
	return s
}

// Delivery is one message owed to one webhook.
type Delivery struct {
	ID        ID    `json:"id"`
	MessageID ID    `json:"message"`
	ProjectID int64 `json:"-"`
	WebhookID int64 `json:"-"`
	DeviceID  int64 `json:"-"`

	Webhook string      `json:"webhook"` // slug
	Device  string      `json:"device"`  // slug
	Type    MessageType `json:"type"`
	Channel string      `json:"channel"`

	Status       Status     `json:"status"`
	Trigger      Trigger    `json:"trigger"`
	AttemptCount int        `json:"attempt_count"`
	Code         StatusCode `json:"code"`         // of the last attempt
	Error        ErrorClass `json:"error"`        // of the last failure; "" when delivered
	ErrorDetail  string     `json:"error_detail"` // in words; also why it was skipped or cancelled
	DurationMS   int64      `json:"duration_ms"`  // of the last attempt
	SizeBytes    int64      `json:"size_bytes"`   // of the payload
	DueAt        Instant    `json:"due_at"`       // of the next attempt; 0 when ended
	CreatedAt    Instant    `json:"created_at"`
	EndedAt      Instant    `json:"ended_at"`
}

// Retrying reports whether it is pending after a failed attempt.
func (d *Delivery) Retrying() bool { return d.Status == Pending && d.AttemptCount > 0 }

// Attempt is one HTTP exchange for a delivery. It is never changed.
type Attempt struct {
	DeliveryID ID      `json:"-"`
	Number     int     `json:"number"` // from 1
	At         Instant `json:"at"`
	DurationMS int64   `json:"duration_ms"`
	Timings    Timings `json:"timings"`
	// Request is what was sent, without its body, which the delivery can render
	// again; secret values are masked.
	Request  Request      `json:"request"`
	Response *Response    `json:"response,omitempty"`
	Error    *FailedError `json:"error,omitempty"`
	// Resent: the written request got no answer, because the connection that was kept
	// open ended or the receiver refused it (HTTP/2), and was sent once more. The
	// receiver may have got it twice.
	Resent bool `json:"resent,omitempty"`
	// Note is a sentence about an answer whose body broke off, which changes nothing
	// of what its status means. "" if it came whole, or up to MaxResponseBody.
	Note string `json:"note,omitempty"`
}

// Timings are the phases of an attempt in microseconds; 0 where a phase did not
// take place (a connection that was open already, say).
type Timings struct {
	DNS       int64 `json:"dns_us"`
	Connect   int64 `json:"connect_us"`
	TLS       int64 `json:"tls_us"`
	FirstByte int64 `json:"first_byte_us"` // from the request written to the first byte of the answer
	Total     int64 `json:"total_us"`
}

// Request is the head of a request.
type Request struct {
	Method  string      `json:"method"`
	URL     string      `json:"url"`
	Headers HeaderLines `json:"headers"`
}

// Response is what came back.
type Response struct {
	Status  StatusCode  `json:"status"`
	Headers HeaderLines `json:"headers"`
	// Body is the first MaxResponseBody bytes, as text; what is no UTF-8 is
	// replaced in JSON.
	Body      string `json:"body"`
	Truncated bool   `json:"truncated"`
}

// MaxResponseBody is how much of a response's body is kept.
const MaxResponseBody = 64 << 10

// FailedError is why an attempt failed.
type FailedError struct {
	Class  ErrorClass `json:"class"`
	Detail string     `json:"detail"` // a sentence for people
}

// HeaderLine is one header field as sent or received.
type HeaderLine struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// HeaderLines are header fields in their order.
type HeaderLines []HeaderLine

// Queued is a pending delivery with all that is needed to send it. What it
// points to is shared and must not be changed.
type Queued struct {
	Delivery *Delivery
	Message  *Message
	Device   *Device
	Project  *Project
}

// Outcome is what an attempt made of a delivery.
type Outcome struct {
	Delivery *Delivery
	// Attempt is nil where none was made: skipped, or a request that could not be
	// made at all has an attempt with class config.
	Attempt *Attempt
	// Status is Pending for a retry at DueAt, else how it ended.
	Status Status
	DueAt  Instant
	// Detail says why it was skipped or cancelled.
	Detail string
	// PauseReason is set if the webhook is to be paused by the program (410 Gone).
	PauseReason string
	// Transient: the message is erased when this was its last pending delivery.
	Transient bool
}

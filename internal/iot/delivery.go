package iot

import (
	"net/http"
	"slices"
	"strconv"
)

// Status is the state of a delivery.
type Status string

// The states. A retry is pending with a later due time. A delivery in flight is
// pending; only memory knows that it is being sent.
const (
	Pending   Status = "pending"
	Delivered Status = "delivered"
	Failed    Status = "failed"
	Skipped   Status = "skipped"
	Cancelled Status = "cancelled"
)

// Statuses returns all states in the order of display.
func Statuses() []Status { return []Status{Pending, Delivered, Failed, Skipped, Cancelled} }

// Ended reports whether a delivery in this state never changes again.
func (s Status) Ended() bool { return s != Pending }

// Trigger is what created a delivery.
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

// The error classes. Config means that the webhook's settings make no valid request; it
// is not retried.
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

// RetriedClasses returns the classes that a webhook can retry: all but ErrConfig, which
// would fail the same way again.
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
	ID         ID    `json:"id"`
	MessageID  ID    `json:"message"`
	ProjectKey int64 `json:"-"`
	WebhookKey int64 `json:"-"`
	DeviceKey  int64 `json:"-"`

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

// Attempt is one HTTP exchange of a delivery. It never changes.
type Attempt struct {
	DeliveryID ID      `json:"-"`
	Number     int     `json:"number"` // from 1
	At         Instant `json:"at"`
	DurationMS int64   `json:"duration_ms"`
	Timings    Timings `json:"timings"`
	// Request is what was sent, without its body: the delivery can render that again.
	// Secret values are masked.
	Request  Request      `json:"request"`
	Response *Response    `json:"response,omitempty"`
	Error    *FailedError `json:"error,omitempty"`
	// Resent means that the request was sent twice: the first got no answer, because
	// the open connection closed or the receiver refused it (HTTP/2). The receiver may
	// have got it twice.
	Resent bool `json:"resent,omitempty"`
	// Note is a sentence about an answer whose body broke off. The status counts all
	// the same. "" if the body was complete, or complete up to MaxResponseBody.
	Note string `json:"note,omitempty"`
}

// Timings are the phases of an attempt in microseconds. A phase that did not take place
// is 0, such as connecting on an open connection.
type Timings struct {
	DNS       int64 `json:"dns_us"`
	Connect   int64 `json:"connect_us"`
	TLS       int64 `json:"tls_us"`
	FirstByte int64 `json:"first_byte_us"` // from the end of the request to the first byte of the answer
	Total     int64 `json:"total_us"`
}

// Request is the head of a request.
type Request struct {
	Method  string      `json:"method"`
	URL     string      `json:"url"`
	Headers HeaderLines `json:"headers"`
}

// Response is the answer to a request.
type Response struct {
	Status  StatusCode  `json:"status"`
	Headers HeaderLines `json:"headers"`
	// Body is the first MaxResponseBody bytes, as text. JSON has replacements for bytes
	// that are not UTF-8.
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

// Queued is a pending delivery with everything needed to send it. Its pointers are
// shared and must not be changed.
type Queued struct {
	Delivery *Delivery
	Message  *Message
	Device   *Device
	Project  *Project
}

// Outcome is the result of an attempt for a delivery.
type Outcome struct {
	Delivery *Delivery
	// Attempt is nil if none was made: the delivery was skipped. A request that could
	// not be made has an attempt with class config.
	Attempt *Attempt
	// Status is Pending for a retry at DueAt; otherwise the final state.
	Status Status
	DueAt  Instant
	// Detail is why it was skipped or cancelled.
	Detail string
	// PauseReason is set if the program pauses the webhook (410 Gone).
	PauseReason string
	// Transient means that the message is erased after its last pending delivery.
	Transient bool
}

package iot

import (
	"strings"
	"time"
)

// Bounds of an inspector.
const (
	MaxInspections     = 100      // requests kept per project
	MaxInspectedBytes  = 2 << 20  // of these requests together
	MaxInspectedBody   = 64 << 10 // kept of one body
	MaxInspectorDelay  = 30 * time.Second
	minInspectorStatus = 200
	maxInspectorStatus = 599
)

// InspectorPath begins the path of every inspector's URL. The token follows it.
const InspectorPath = "/inspect/"

// Inspector is a project's built-in receiver: a URL that shows received requests, and
// answers as people set it.
type Inspector struct {
	ProjectKey int64
	Token      string // in the URL; anyone who knows it can send
	Status     StatusCode
	DelayMS    int64 // before it answers
	Received   int64 // requests since it was created
	CreatedAt  Instant
}

// NewInspectorToken returns the unguessable part of an inspector's URL.
func NewInspectorToken() string { return strings.ToLower(randomText(20)) }

// Path is the inspector's path on this host.
func (i *Inspector) Path() string { return InspectorPath + i.Token }

// Delay is how long the inspector waits before it answers.
func (i *Inspector) Delay() time.Duration { return time.Duration(i.DelayMS) * time.Millisecond }

// IsAt reports whether a webhook's URL is the inspector's, by any name of this host.
func (i *Inspector) IsAt(url string) bool {
	_, after, ok := strings.Cut(url, "://")
	_, path, found := strings.Cut(after, "/")
	rest, mine := strings.CutPrefix("/"+path, i.Path())
	return ok && found && mine && (rest == "" || strings.ContainsRune("/?{", rune(rest[0])))
}

// InspectorUpdate has the changes; nil leaves a value unchanged.
type InspectorUpdate struct {
	Status  *StatusCode
	DelayMS *int64
}

// Check returns an Invalid error that names every field out of bounds.
func (u InspectorUpdate) Check() error {
	var f Faults
	f.Check(u.Status == nil || *u.Status >= minInspectorStatus && *u.Status <= maxInspectorStatus, "status", "must be 200 to 599.")
	f.Check(u.DelayMS == nil || *u.DelayMS >= 0 && *u.DelayMS <= MaxInspectorDelay.Milliseconds(), "delay", "must be 0 to 30 seconds.")
	return f.Err()
}

// Inspection is one request to an inspector.
type Inspection struct {
	ID         ID
	ProjectKey int64
	DeliveryID ID // of the delivery that sent it; zero if it came from outside
	At         Instant
	Remote     string // address of the sender; "" from inside
	Method     string
	Path       string      // after the inspector's own; "" or with a slash
	Query      string      // without the question mark
	Headers    HeaderLines // ordered by name; secrets masked
	Body       []byte      // the first MaxInspectedBody bytes
	SizeBytes  int64       // of the whole body
	Status     StatusCode  // of the answer
	DelayMS    int64       // before the answer
}

// Truncated reports whether the body was longer than the kept part.
func (x *Inspection) Truncated() bool { return x.SizeBytes > int64(len(x.Body)) }

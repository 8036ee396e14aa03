package iot

import (
	"strings"
	"time"
)

// Bounds of an inspector.
const (
	MaxInspections     = 100      // requests that are kept of a project
	MaxInspectedBytes  = 2 << 20  // of those requests together
	MaxInspectedBody   = 64 << 10 // kept of one body
	MaxInspectorDelay  = 30 * time.Second
	minInspectorStatus = 200
	maxInspectorStatus = 599
)

// InspectorPath begins the path of every inspector's URL; the token follows it.
const InspectorPath = "/inspect/"

// Inspector is a project's built-in receiver: a URL that shows what arrives at
// it, and answers as people tell it to.
type Inspector struct {
	ProjectID int64
	Token     string // in the URL; whoever knows it can send
	Status    StatusCode
	DelayMS   int64 // before it answers
	Received  int64 // requests, ever
	CreatedAt Instant
}

// NewInspectorToken returns the unguessable part of an inspector's URL.
func NewInspectorToken() string { return strings.ToLower(randomText(20)) }

// Path is the inspector's path on this host.
func (i *Inspector) Path() string { return InspectorPath + i.Token }

// Delay is how long it waits before it answers.
func (i *Inspector) Delay() time.Duration { return time.Duration(i.DelayMS) * time.Millisecond }

// IsAt reports whether a webhook's URL leads to the inspector, by whichever name
// of this host.
func (i *Inspector) IsAt(url string) bool {
	_, after, ok := strings.Cut(url, "://")
	_, path, found := strings.Cut(after, "/")
	rest, mine := strings.CutPrefix("/"+path, i.Path())
	return ok && found && mine && (rest == "" || strings.ContainsRune("/?{", rune(rest[0])))
}

// InspectorUpdate holds what is to change; nil leaves a value as it is.
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

// Inspection is one request that an inspector got.
type Inspection struct {
	ID         ID
	ProjectID  int64
	DeliveryID ID // whose attempt it was; zero if it came from outside
	At         Instant
	Remote     string // address of the sender; "" from inside
	Method     string
	Path       string      // behind the inspector's own; "" or with a slash
	Query      string      // without the question mark
	Headers    HeaderLines // ordered by name; secrets masked
	Body       []byte      // the first MaxInspectedBody bytes
	SizeBytes  int64       // of the whole body
	Status     StatusCode  // that was answered
	DelayMS    int64       // before the answer
}

// Truncated reports whether the body was longer than what is kept of it.
func (x *Inspection) Truncated() bool { return x.SizeBytes > int64(len(x.Body)) }

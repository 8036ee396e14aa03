package iot

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // the zones of TimeLocation, also where the machine has no list of them
)

// Profile says how the messages of its devices are treated.
type Profile struct {
	Key       int64  `json:"-"`
	ProjectID int64  `json:"-"`
	ID        string `json:"id"` // slug
	UUID      string `json:"uuid"`
	Name      string `json:"name"`
	// Webhook off: messages are stored, but go to no webhook.
	Webhook bool `json:"webhook"`
	// Write off: messages are kept only until they are delivered.
	Write bool `json:"write"`
	// ContentType and Transformer say what is made of the payload of a user
	// message before it is stored.
	ContentType ContentType `json:"content_type"`
	Transformer Transformer `json:"transformer"`
	// Rules, SMTPID and Metadata (a JSON object, "" if none) are kept for other
	// systems' clients and do nothing.
	Rules    bool   `json:"-"`
	SMTPID   string `json:"-"`
	Metadata string `json:"-"`
	// ExpectedIntervalMS is how often its devices are expected to send, unless they
	// have an interval of their own; 0: nobody expects them.
	ExpectedIntervalMS int64   `json:"expected_interval_ms"`
	CreatedAt          Instant `json:"created_at"`
	UpdatedAt          Instant `json:"updated_at"`
}

// DefaultProfile is the slug of the profile that each project is made with and
// that devices have unless another is chosen. It cannot be deleted.
const DefaultProfile = "default"

// ProfileUpdate holds what is to change; nil leaves a value as it is.
type ProfileUpdate struct {
	Name        *string      `json:"name"`
	Webhook     *bool        `json:"webhook"`
	Write       *bool        `json:"write"`
	ContentType *ContentType `json:"content_type"`
	Transformer *Transformer `json:"transformer"`
	Rules       *bool        `json:"-"`
	SMTPID      *string      `json:"-"`
	Metadata    *string      `json:"-"`
	// ExpectedIntervalMS: MinIntervalMS to MaxIntervalMS, or 0 for none.
	ExpectedIntervalMS *int64 `json:"expected_interval_ms"`
}

// Check returns an Invalid error that names every field out of bounds.
func (u ProfileUpdate) Check() error {
	var f Faults
	checkName(&f, u.Name, MaxThingName)
	checkInterval(&f, u.ExpectedIntervalMS)
	if u.ContentType != nil {
		f.Check(u.ContentType.Valid(), "content_type", "must be empty, application/json, application/senml+json or application/senml+cbor.")
	}
	if u.Transformer != nil {
		u.Transformer.check(&f)
	}
	return f.Err()
}

// ContentType says what a profile's devices send.
type ContentType string

// The content types. AnyJSON: any JSON value, stored as it comes. JSONObjects: an
// object or a list of objects, to which a Transformer applies. The two of SenML
// (RFC 8428) are stored as resolved records; they differ in name alone, since a
// message says itself whether it is JSON or CBOR.
const (
	AnyJSON     ContentType = ""
	JSONObjects ContentType = "application/json"
	SenMLJSON   ContentType = "application/senml+json"
	SenMLCBOR   ContentType = "application/senml+cbor"
)

// ContentTypes returns all content types in the order in which people see them.
func ContentTypes() []ContentType { return []ContentType{AnyJSON, JSONObjects, SenMLJSON, SenMLCBOR} }

// Valid reports whether it is one of the content types.
func (c ContentType) Valid() bool {
	switch c {
	case AnyJSON, JSONObjects, SenMLJSON, SenMLCBOR:
		return true
	}
	return false
}

// SenML reports whether it is one of SenML's two.
func (c ContentType) SenML() bool { return c == SenMLJSON || c == SenMLCBOR }

// Transformer says what is taken out of JSON objects. Paths are names joined by
// dots. The zero value takes everything as it is.
type Transformer struct {
	// DataFilters are the paths that are kept; none keeps all.
	DataFilters []string `json:"data_filters"`
	// DataField is the path of what is taken out first; "" is the whole.
	DataField string `json:"data_field"`
	// TimeField is the path, from the whole, of the time that a device gives.
	TimeField string `json:"time_field"`
	// TimeFormat is unix, unix_ms, unix_us, unix_ns, a name such as rfc3339, or a
	// layout of Go's package time; "" takes a number for unix and a text for rfc3339.
	TimeFormat string `json:"time_format"`
	// TimeLocation is the IANA name of the zone of a text without one; "" is UTC.
	TimeLocation string `json:"time_location"`
}

// IsZero reports whether it asks for nothing.
func (t Transformer) IsZero() bool {
	return len(t.DataFilters) == 0 && t.DataField == "" && t.TimeField == ""
}

// Bounds of a transformer: characters of a text, and paths that are kept.
const (
	MaxTransformerText = 254
	MaxDataFilters     = 64
)

func (t *Transformer) check(f *Faults) {
	if t.DataFilters == nil {
		t.DataFilters = []string{}
	}
	f.Check(len(t.DataFilters) <= MaxDataFilters, "transformer.data_filters", fmt.Sprintf("can be at most %d.", MaxDataFilters))
	for _, path := range t.DataFilters {
		f.Check(path != "" && isPath(path), "transformer.data_filters", "must be names joined by dots, of at most 254 characters, such as "+
			"data.temperature.")
	}
	f.Check(isPath(t.DataField), "transformer.data_field", "must be names joined by dots, of at most 254 characters, such as data.values.")
	f.Check(isPath(t.TimeField), "transformer.time_field", "must be names joined by dots, of at most 254 characters, such as data.time.")
	f.Check(t.TimeFormat == "" || isTimeFormat(t.TimeFormat), "transformer.time_format",
		"must be unix, unix_ms, unix_us, unix_ns, a name such as rfc3339, or a layout that shows how Go writes 2 January 2006, 15:04:05.")
	_, err := time.LoadLocation(t.TimeLocation)
	f.Check(err == nil && t.TimeLocation != "Local", "transformer.time_location", "must be the name of a time zone, such as Europe/Rome.")
}

// isPath reports whether it is empty or names joined by dots.
func isPath(path string) bool {
	if path == "" {
		return true
	}
	for name := range strings.SplitSeq(path, ".") {
		if name == "" {
			return false
		}
	}
	return TextLength(path) <= MaxTransformerText && !HasControl(path)
}

func isTimeFormat(format string) bool {
	if _, ok := UnixUnit(format); ok {
		return true
	}
	// A layout without any part of a time writes all times alike.
	layout := TimeLayout(format)
	some, other := time.Date(2001, 3, 4, 5, 6, 7, 8_009_010, time.UTC), time.Date(1998, 11, 22, 21, 43, 54, 321_000_000, time.UTC)
	return TextLength(format) <= MaxTransformerText && some.Format(layout) != other.Format(layout)
}

// UnixUnit returns what a number of a time format that counts from 1970 stands
// for; ok is false for any other format.
func UnixUnit(format string) (unit time.Duration, ok bool) {
	switch strings.ToLower(format) {
	case "unix":
		return time.Second, true
	case "unix_ms":
		return time.Millisecond, true
	case "unix_us":
		return time.Microsecond, true
	case "unix_ns":
		return time.Nanosecond, true
	}
	return 0, false
}

// TimeLayout returns the layout of a time format by name, or the format itself:
// a layout of one's own. An empty one is RFC 3339.
func TimeLayout(format string) string {
	switch strings.ToLower(format) {
	case "", "rfc3339", "rfc3339nano":
		return time.RFC3339Nano
	case "iso8601":
		return "2006-01-02T15:04:05"
	case "ansic":
		return time.ANSIC
	case "unixdate":
		return time.UnixDate
	case "rubydate":
		return time.RubyDate
	case "rfc822":
		return time.RFC822
	case "rfc822z":
		return time.RFC822Z
	case "rfc850":
		return time.RFC850
	case "rfc1123":
		return time.RFC1123
	case "rfc1123z":
		return time.RFC1123Z
	case "stamp", "stampmilli", "stampmicro", "stampnano":
		return time.Stamp // parsing takes a fraction with it
	}
	return format
}

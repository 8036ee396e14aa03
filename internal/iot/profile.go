package iot

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // the zones of TimeLocation, for machines without a list of them
)

// Profile is how the messages of its devices are processed.
type Profile struct {
	Key        int64  `json:"-"`
	ProjectKey int64  `json:"-"`
	ID         string `json:"id"` // slug
	UUID       string `json:"uuid"`
	Name       string `json:"name"`
	// Webhook is false if messages are stored, but matched with no webhook.
	Webhook bool `json:"webhook"`
	// Write is false if messages are stored only until they are delivered.
	Write bool `json:"write"`
	// ContentType and Transformer describe how the payload of a user message is
	// transformed before it is stored.
	ContentType ContentType `json:"content_type"`
	Transformer Transformer `json:"transformer"`
	// Rules, SMTPID and Metadata (a JSON object, "" if none) are kept for clients of
	// other systems and have no effect.
	Rules    bool   `json:"-"`
	SMTPID   string `json:"-"`
	Metadata string `json:"-"`
	// ExpectedIntervalMS is how often its devices are expected to send, unless they
	// have an interval of their own; 0 for no expectation.
	ExpectedIntervalMS int64   `json:"expected_interval_ms"`
	CreatedAt          Instant `json:"created_at"`
	UpdatedAt          Instant `json:"updated_at"`
}

// DefaultProfile is the slug of the profile that each new project has. Devices have it
// unless another is chosen. It cannot be deleted.
const DefaultProfile = "default"

// ProfileUpdate has the changes; nil leaves a value unchanged.
type ProfileUpdate struct {
	Name        *string      `json:"name"`
	Webhook     *bool        `json:"webhook"`
	Write       *bool        `json:"write"`
	ContentType *ContentType `json:"content_type"`
	Transformer *Transformer `json:"transformer"`
	Rules       *bool        `json:"-"`
	SMTPID      *string      `json:"-"`
	Metadata    *string      `json:"-"`
	// ExpectedIntervalMS is MinIntervalMS to MaxIntervalMS, or 0 for none.
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

// ContentType is what a profile's devices send.
type ContentType string

// The content types. AnyJSON is any JSON value, stored unchanged. JSONObjects is an
// object or a list of objects, to which a Transformer applies. SenML (RFC 8428) is
// stored as resolved records. Its two types differ only in name: each message shows
// whether it is JSON or CBOR.
const (
	AnyJSON     ContentType = ""
	JSONObjects ContentType = "application/json"
	SenMLJSON   ContentType = "application/senml+json"
	SenMLCBOR   ContentType = "application/senml+cbor"
)

// ContentTypes returns all content types in the order of display.
func ContentTypes() []ContentType { return []ContentType{AnyJSON, JSONObjects, SenMLJSON, SenMLCBOR} }

// Valid reports whether c is one of the content types.
func (c ContentType) Valid() bool {
	switch c {
	case AnyJSON, JSONObjects, SenMLJSON, SenMLCBOR:
		return true
	}
	return false
}

// SenML reports whether c is one of SenML's two.
func (c ContentType) SenML() bool { return c == SenMLJSON || c == SenMLCBOR }

// Transformer is what is extracted from JSON objects. Paths are names joined by dots.
// The zero value keeps everything.
type Transformer struct {
	// DataFilters are the kept paths; none keeps all.
	DataFilters []string `json:"data_filters"`
	// DataField is the path of the data, extracted first; "" is the whole object.
	DataField string `json:"data_field"`
	// TimeField is the path, in the whole object, of the device's time.
	TimeField string `json:"time_field"`
	// TimeFormat is unix, unix_ms, unix_us, unix_ns, a name such as rfc3339, or a
	// layout of Go's package time. "" reads numbers as unix and texts as rfc3339.
	TimeFormat string `json:"time_format"`
	// TimeLocation is the IANA name of the zone for times without one; "" is UTC.
	TimeLocation string `json:"time_location"`
}

// IsZero reports whether t changes nothing.
func (t Transformer) IsZero() bool {
	return len(t.DataFilters) == 0 && t.DataField == "" && t.TimeField == ""
}

// Bounds of a transformer: characters of a text, and number of kept paths.
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

// isPath reports whether a path is empty or names joined by dots.
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
	// A layout without any part of a time writes all times the same way.
	layout := TimeLayout(format)
	some, other := time.Date(2001, 3, 4, 5, 6, 7, 8_009_010, time.UTC), time.Date(1998, 11, 22, 21, 43, 54, 321_000_000, time.UTC)
	return TextLength(format) <= MaxTransformerText && some.Format(layout) != other.Format(layout)
}

// UnixUnit returns the unit of a time format that counts from 1970. ok is false for any
// other format.
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

// TimeLayout returns the layout of a named time format, RFC 3339 for "", or the format
// itself, which is then a custom layout.
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
		return time.Stamp // parsing accepts a fraction
	}
	return format
}

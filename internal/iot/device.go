package iot

import "regexp"

// Device sends messages and receives downlinks.
type Device struct {
	Key        int64 `json:"-"`
	ProjectKey int64 `json:"-"`
	ProfileKey int64 `json:"-"`
	// AsOf counts the device changes that the store knew of when it read this device.
	// Only the store uses it.
	AsOf int64 `json:"-"`
	// UpstreamID is the key of the hidden webhook that takes its downlinks; 0 if it has
	// none of its own.
	UpstreamKey int64  `json:"-"`
	ID          string `json:"id"` // see CheckDeviceID
	UUID        string `json:"uuid"`
	Name        string `json:"name"`
	Profile     string `json:"profile"` // slug
	// DevEUI and JoinEUI are 16, DevAddr 8 upper-case hex digits, or "".
	DevEUI  string `json:"dev_eui"`
	JoinEUI string `json:"join_eui"`
	DevAddr string `json:"dev_addr"`
	// Kind (such as sensor, "" if none) and Metadata (a JSON object, "" if none) are
	// kept for clients of other systems.
	Kind       string  `json:"-"`
	Metadata   string  `json:"-"`
	CreatedAt  Instant `json:"created_at"`
	UpdatedAt  Instant `json:"updated_at"`
	LastSeenAt Instant `json:"last_seen_at"`
	// ExpectedIntervalMS is how often it is expected to send; 0: the profile's
	// interval.
	ExpectedIntervalMS int64 `json:"expected_interval_ms"`
	// SilentAt is when it became silent (see SilentAfter); 0 if it is not.
	SilentAt Instant `json:"silent_at"`
}

// MaxDevices is how many devices a project can have.
const MaxDevices = 100_000

// DeviceUpdate has the changes; nil leaves a value unchanged. An empty EUI or address
// clears it.
type DeviceUpdate struct {
	Name    *string `json:"name"`
	Profile *string `json:"profile"`
	DevEUI  *string `json:"dev_eui"`
	JoinEUI *string `json:"join_eui"`
	DevAddr *string `json:"dev_addr"`
	// ExpectedIntervalMS is MinIntervalMS to MaxIntervalMS, or 0 for the profile's.
	ExpectedIntervalMS *int64  `json:"expected_interval_ms"`
	Kind               *string `json:"-"`
	Metadata           *string `json:"-"`
	Key                Secret  `json:"-"` // "" leaves the key unchanged
}

var (
	euiForm  = regexp.MustCompile(`^([0-9A-F]{16})?$`)
	addrForm = regexp.MustCompile(`^([0-9A-F]{8})?$`)
)

// Check returns an Invalid error that names every field out of bounds. EUIs and the
// address must already be in upper case.
func (u DeviceUpdate) Check() error {
	var f Faults
	if u.Name != nil {
		f.Check(TextLength(*u.Name) <= MaxThingName, "name", "must have at most 1024 characters.")
	}
	if u.DevEUI != nil {
		f.Check(euiForm.MatchString(*u.DevEUI), "dev_eui", "must be 16 hex digits.")
	}
	if u.JoinEUI != nil {
		f.Check(euiForm.MatchString(*u.JoinEUI), "join_eui", "must be 16 hex digits.")
	}
	if u.DevAddr != nil {
		f.Check(addrForm.MatchString(*u.DevAddr), "dev_addr", "must be 8 hex digits.")
	}
	checkInterval(&f, u.ExpectedIntervalMS)
	return f.Err()
}

// TestDevice is the sender of a test message, which no device sent.
func TestDevice(projectKey int64) *Device {
	return &Device{ProjectKey: projectKey, ID: "test-device", UUID: "00000000-0000-0000-0000-000000000000", Name: "Test"}
}

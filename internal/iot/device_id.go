package iot

import (
	"regexp"
	"strings"
)

// MaxDeviceID is the most characters that a device's id has.
const MaxDeviceID = 64

var (
	deviceIDForm = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,64}$`)
	hexEUI       = regexp.MustCompile(`^[0-9A-Fa-f]{16}$`)
)

// DeviceIDRule says in words what a device's id may be.
const DeviceIDRule = "must be 1 to 64 letters, digits, dashes, underscores, dots and colons."

// CheckDeviceID returns an Invalid error about the field unless s can be the id of a
// device: what hardware calls itself (24E124136B502217, AA:BB:CC:DD:EE:FF). Ids are
// compared without regard to case within a project and shown as they were first
// written. No id has a UUID's form, or is a part of the dashboard's paths.
func CheckDeviceID(field, s string) error {
	switch {
	case !deviceIDForm.MatchString(s):
		return FieldError(field, DeviceIDRule)
	case LooksLikeUUID(s):
		return FieldError(field, "must not have the form of a UUID.")
	case strings.Trim(s, ".") == "":
		return FieldError(field, "must not be dots alone: no address can hold it.")
	case isReserved(strings.ToLower(s)):
		return FieldError(field, "must not be "+s+": the dashboard's own pages have this name.")
	}
	return nil
}

// LooksLikeEUI reports whether s has the form of an EUI: 16 hex digits, in any case.
func LooksLikeEUI(s string) bool { return hexEUI.MatchString(s) }

// IsNamed reports whether a name is the device's: its id, UUID or DevEUI, in any
// case.
func (d *Device) IsNamed(name string) bool {
	return name != "" && (strings.EqualFold(name, d.ID) || strings.EqualFold(name, d.UUID) || strings.EqualFold(name, d.DevEUI))
}

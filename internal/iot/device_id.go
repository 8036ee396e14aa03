package iot

import (
	"regexp"
	"strings"
)

// MaxDeviceID is the maximum length of a device's ID in characters.
const MaxDeviceID = 64

var (
	deviceIDForm = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,64}$`)
	hexEUI       = regexp.MustCompile(`^[0-9A-Fa-f]{16}$`)
)

// DeviceIDRule is the form of a device's ID in words.
const DeviceIDRule = "must be 1 to 64 letters, digits, dashes, underscores, dots and colons."

// CheckDeviceID returns an Invalid error about the field unless s can be the ID of a
// device: a name that hardware has (24E124136B502217, AA:BB:CC:DD:EE:FF). IDs are
// compared in any case within a project, and shown as first written. An ID cannot have
// a UUID's form, or be a part of the dashboard's paths.
func CheckDeviceID(field, s string) error {
	switch {
	case !deviceIDForm.MatchString(s):
		return FieldError(field, DeviceIDRule)
	case LooksLikeUUID(s):
		return FieldError(field, "must not have the form of a UUID.")
	case strings.Trim(s, ".") == "":
		return FieldError(field, "must not be only dots: a URL cannot contain it.")
	case isReserved(strings.ToLower(s)):
		return FieldError(field, "must not be "+s+": the dashboard's own pages have this name.")
	}
	return nil
}

// LooksLikeEUI reports whether s has the form of an EUI: 16 hex digits, in any case.
func LooksLikeEUI(s string) bool { return hexEUI.MatchString(s) }

// IsNamed reports whether a name is the device's: its ID, UUID or DevEUI, in any case.
func (d *Device) IsNamed(name string) bool {
	return name != "" && (strings.EqualFold(name, d.ID) || strings.EqualFold(name, d.UUID) || strings.EqualFold(name, d.DevEUI))
}

package iot_test

import (
	"strings"
	"testing"

	"thingpost/internal/iot"
)

func TestCheckDeviceID(t *testing.T) {
	for id, ok := range map[string]bool{
		"24E124136B502217": true, "AA:BB:CC:DD:EE:FF": true, "Sensor_12": true, "x": true, "9": true, "a.b": true, "..a": true, "-": true,
		"soil-probe-07":         true,
		strings.Repeat("x", 64): true, strings.Repeat("x", 65): false, "": false, "a b": false, "a/b": false, "ä": false, "ſensor": false,
		"a%": false, "a?": false, "a\n": false,
		".": false, "..": false, "new": false, "New": false, "preview": false, "019aa5d2-8c41-7e9a-8000-0123456789ab": false,
		"019AA5D2-8C41-7E9A-8000-0123456789AB": false,
	} {
		err := iot.CheckDeviceID("id", id)
		if (err == nil) != ok || err != nil && iot.CodeOf(err) != iot.Invalid {
			t.Errorf("CheckDeviceID(%q) = %v", id, err)
		}
	}
}

func TestADeviceIsNamedInAnyCase(t *testing.T) {
	d := &iot.Device{ID: "Sensor_12", UUID: "019aa5d2-8c41-7e9a-8000-0123456789ab", DevEUI: "24E124136B502217"}
	for name, want := range map[string]bool{"Sensor_12": true, "sensor_12": true, "019AA5D2-8C41-7E9A-8000-0123456789AB": true,
		"24e124136b502217": true, "": false, "sensor": false} {
		if d.IsNamed(name) != want {
			t.Errorf("%q: %t", name, !want)
		}
	}
	if (&iot.Device{ID: "a"}).IsNamed("") {
		t.Error("a device without a DevEUI is named by nothing")
	}
}

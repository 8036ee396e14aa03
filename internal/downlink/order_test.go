package downlink

import (
	"strings"
	"testing"

	"thingpost/internal/iot"
)

// Downlinks from Protocol Buffers have the same bounds as a body.
func TestPayloadsAreBounded(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 513) + "1" + strings.Repeat("}", 513)
	for name, o := range map[string]Order{
		"decoded_payload": {FPort: 1, DecodedPayload: []byte(deep)},
		"payload":         {Payload: []byte("[\"\xff\"]")},
	} {
		err := Check([]Order{o})
		if iot.CodeOf(err) != iot.Invalid || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

package webhook

import (
	"encoding/json"
	"time"

	"thingpost/internal/iot"
)

func testTime() time.Time { return time.Date(2026, 1, 31, 8, 0, 0, 120_000_000, time.UTC) }

const sampleSecret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

func sampleWebhook() *iot.Webhook {
	return &iot.Webhook{
		ID: "wh1", UUID: "019aa5d2-8c41-7e9a-8000-000000000001", Description: "Sample",
		URL: "https://h/a", MessageTypes: iot.Routes{iot.User: {}}, Format: iot.Envelope,
		Headers: []iot.Header{}, Settings: iot.DefaultSettings(),
	}
}

func sampleMessage() *iot.Message {
	return &iot.Message{
		ID: iot.NewIDs(1, 0, testTime).Of(1 << 21), DeviceKey: 7, Device: "dev1", Type: iot.User,
		Payload: json.RawMessage(`{"temperature":21.50}`), ReceivedAt: iot.At(testTime()),
	}
}

func sampleInput(m *iot.Message) Input {
	return Input{
		Message: m,
		Device: &iot.Device{
			Key: 7, ID: "dev1", UUID: "3781de91-d446-4c64-825d-756dd60f2dab",
			DevEUI: "70B3D57ED000ABCD", JoinEUI: "0004A30B001C0530", DevAddr: "2600ABCD",
		},
		Project:   &iot.Project{ID: "app1", UUID: "019aa5d2-8c41-7e9a-8000-0000000000aa"},
		At:        testTime(),
		PublicURL: "https://thingpost.example.com:8443/",
		Version:   "1.2.3",
	}
}

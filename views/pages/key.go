package pages

import (
	"thingpost/internal/iot"
	"thingpost/views/ui"
)

// rightText says what a right of a key allows.
func rightText(name string) (label, help string) {
	switch name {
	case "RIGHT_APPLICATION_ALL":
		return "Everything", "All rights below, and rights that are added later."
	case "RIGHT_APPLICATION_TRAFFIC_UP_WRITE":
		return "Send messages", "As any device of the project; new devices are registered if the project allows it."
	case "RIGHT_APPLICATION_TRAFFIC_DOWN_WRITE":
		return "Send downlinks", "Queue messages for devices."
	case "RIGHT_APPLICATION_TRAFFIC_READ":
		return "Read messages and deliveries", "The whole log, with payloads and answers."
	case "RIGHT_APPLICATION_SETTINGS_BASIC":
		return "Change webhooks and profiles", "Also replay, retry and cancel deliveries."
	case "RIGHT_APPLICATION_SETTINGS_API_KEYS":
		return "Manage API keys", "Create and revoke keys, with any rights."
	case "RIGHT_APPLICATION_DEVICES_READ":
		return "Read devices", ""
	case "RIGHT_APPLICATION_DEVICES_WRITE":
		return "Change devices", "Add, change and delete devices, and replace their keys."
	}
	return name, ""
}

// rightLabels are a key's rights in words.
func rightLabels(k *iot.APIKey) []string {
	var labels []string
	for _, name := range k.Names {
		label, _ := rightText(name)
		labels = append(labels, label)
	}
	return labels
}

func lifetimes() []ui.Option {
	return []ui.Option{{Value: "0", Label: "Never"}, {Value: "1", Label: "In a day"}, {Value: "7", Label: "In a week"},
		{Value: "30", Label: "In 30 days"}, {Value: "90", Label: "In 90 days"}, {Value: "365", Label: "In a year"}}
}

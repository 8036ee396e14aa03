package pages

import (
	"thingpost/internal/iot"
	"thingpost/views/ui"
)

func organizationOptions(list []iot.Organization) []ui.Option {
	var options []ui.Option
	for _, o := range list {
		options = append(options, ui.Option{Value: o.ID, Label: o.Name})
	}
	return options
}

// keyHelp says what the key of an upstream must be, or that there is one.
func (p ProjectSettingsPage) keyHelp() string {
	if p.HasUpstream {
		return "A key is stored. Leave this empty to keep it."
	}
	return "Create it in the console of The Things Stack, with the right to write downlink application traffic."
}

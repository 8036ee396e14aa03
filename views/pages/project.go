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

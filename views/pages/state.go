package pages

import (
	"thingpost/internal/iot"
	"thingpost/views/ui"
)

// WebhookStatus shows how a webhook does, as seen by the person of a name.
func WebhookStatus(w *iot.Webhook, reader string) ui.StatusProps {
	switch {
	case w.Paused && w.PausedBy == iot.PausedByThingpost:
		return ui.StatusProps{Label: "Paused: 410 Gone", Tone: ui.Warning, Shape: ui.Dash}
	case w.Paused && w.PausedBy == reader:
		return ui.StatusProps{Label: "Paused by you", Shape: ui.Dash}
	case w.Paused:
		return ui.StatusProps{Label: "Paused by " + w.PausedBy, Shape: ui.Dash}
	case w.Health.Status == iot.Healthy:
		return ui.StatusProps{Label: "Healthy", Tone: ui.Success}
	case w.Health.Status == iot.Failing:
		return ui.StatusProps{Label: "Failing", Tone: ui.Danger, Shape: ui.Square}
	}
	return ui.StatusProps{Label: "No deliveries yet", Shape: ui.Ring}
}

// DeliveryStatus shows a delivery's state.
func DeliveryStatus(d *iot.Delivery) ui.StatusProps {
	if d.Retrying() {
		return ui.StatusProps{Label: "Retrying", Tone: ui.Warning}
	}
	return StatusOf(d.Status)
}

// StatusOf shows one of the states, as for a filter.
func StatusOf(s iot.Status) ui.StatusProps {
	switch s {
	case iot.Delivered:
		return ui.StatusProps{Label: "Delivered", Tone: ui.Success}
	case iot.Failed:
		return ui.StatusProps{Label: "Failed", Tone: ui.Danger, Shape: ui.Square}
	case iot.Skipped:
		return ui.StatusProps{Label: "Skipped", Shape: ui.Dash}
	case iot.Cancelled:
		return ui.StatusProps{Label: "Cancelled", Shape: ui.Dash}
	case iot.Pending:
	}
	return ui.StatusProps{Label: "Pending", Shape: ui.Ring}
}

// RoleName is a role as people read it.
func RoleName(r iot.Role) string {
	switch r {
	case iot.Viewer:
		return "Viewer"
	case iot.Editor:
		return "Editor"
	case iot.Admin:
		return "Admin"
	case iot.Owner:
		return "Owner"
	}
	return "None"
}

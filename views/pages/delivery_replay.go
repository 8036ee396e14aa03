package pages

import (
	"strings"

	"github.com/a-h/templ"

	"thingpost/internal/iot"
	"thingpost/views/ui"
)

func join(words []string) string { return strings.Join(words, ", ") }

func noDeliveries(webhooks int) string {
	if webhooks == 0 {
		return "A delivery is a message on its way to a webhook. This project has no webhooks yet."
	}
	return "A delivery is a message on its way to a webhook. Deliveries appear here when a device sends a message that matches a webhook."
}

// logLinks make the links below an element answer into the log.
func logLinks() templ.Attributes {
	return templ.Attributes{"hx-boost": "true", "hx-target": "#" + DeliveryLogID, "hx-swap": "outerHTML"}
}

// listAttrs make the first page refresh itself.
func (p DeliveriesPage) listAttrs() templ.Attributes {
	if !p.live() {
		return nil
	}
	attrs := ui.Live(DeliveryListID, p.here(), string(iot.DeliveriesChanged))
	if len(p.List.Items) > 0 {
		attrs["data-live-hold"] = ""
	}
	return attrs
}

// newAttrs make the count of what is new fetch itself when it is asked to.
func (p DeliveriesPage) newAttrs() templ.Attributes {
	if !p.live() || len(p.List.Items) == 0 {
		return nil
	}
	url := p.Project.Deliveries(append(p.Query.Pairs(), ParamAfter, p.List.Items[0].ID.String())...)
	return ui.LiveCount(DeliveryNewID, url)
}

func (p ReplayPage) count() string {
	if p.More {
		return "more than " + ui.Count(p.Count)
	}
	return ui.Count(p.Count)
}

func (p ReplayPage) deliveries() string {
	if p.Count == 1 && !p.More {
		return "1 delivery"
	}
	return p.count() + " deliveries"
}

func (p ReplayPage) title() string {
	if p.Cancel {
		return "Cancel " + p.deliveries() + "?"
	}
	return "Replay " + p.deliveries() + "?"
}

func (p ReplayPage) confirm() string {
	if p.Cancel {
		return "Cancel " + p.count()
	}
	return "Replay " + p.count()
}

// keep is the way back, in other words than the button that cancels.
func (p ReplayPage) keep() string {
	if p.Cancel {
		return "Keep them"
	}
	return "Cancel"
}

func (p ReplayPage) icon() ui.IconName {
	if p.Cancel {
		return ui.IconCancel
	}
	return ui.IconReplay
}

func (p ReplayPage) lead() string {
	if p.Cancel {
		return "All pending deliveries that match. They will not be sent. Their messages stay in the log and can be replayed later."
	}
	lead := "All ended deliveries that match are sent again with the current settings of their webhooks. The webhook-id stays the same."
	if len(p.Query.Statuses) == 0 {
		lead += " Delivered ones are left out. To send them again, filter by the status Delivered."
	}
	return lead
}

func (p ReplayPage) nothing() string {
	if p.Cancel {
		return "Nothing to cancel"
	}
	return "Nothing to replay"
}

func (p ReplayPage) nothingLead() string {
	if p.Cancel {
		return "No pending delivery matches."
	}
	return "No failed, skipped or cancelled delivery matches, or the messages are no longer kept. Pending deliveries are retried " +
		"automatically."
}

func (p ReplayPage) action() string {
	if p.Cancel {
		return p.Project.CancelDeliveries(p.Query.Pairs()...)
	}
	return p.Project.ReplayDeliveries(p.Query.Pairs()...)
}

func (p ReplayPage) back() string { return p.Project.Deliveries(p.Query.from("").Pairs()...) }

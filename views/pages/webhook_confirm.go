package pages

import "thingpost/views/ui"

// MaxPauseReason is the most characters of a reason for a pause.
const MaxPauseReason = 254

func (p WebhookConfirm) deleteLead() string {
	key := ""
	if p.Webhook.Template != "" && p.Webhook.DownlinkKey != "" {
		key = " A downlink key that was made for it alone is revoked."
	}
	if p.Pending == 0 {
		return "The webhook goes; nothing is pending for it." + key + " Messages stay in the log."
	}
	return "The webhook goes, and its " + ui.Plural(p.Pending, "pending delivery", "pending deliveries") + " with it." + key +
		" Messages stay in the log."
}

func (p WebhookConfirm) pauseLead() string {
	const fresh = "New messages are kept in the log and make no deliveries for it."
	if p.Pending == 0 {
		return "Nothing is sent until somebody resumes it. " + fresh
	}
	return "Nothing is sent until somebody resumes it; " + ui.Plural(p.Pending, "pending delivery waits", "pending deliveries wait") + ". " +
		fresh
}

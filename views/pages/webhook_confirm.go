package pages

import "thingpost/views/ui"

// MaxPauseReason is the most characters of a reason for a pause.
const MaxPauseReason = 254

func (p WebhookConfirm) deleteLead() string {
	key := ""
	if p.Webhook.Template != "" && p.Webhook.DownlinkKey != "" {
		key = " The downlink key that was created for it is revoked."
	}
	if p.Pending == 0 {
		return "The webhook has no pending deliveries." + key + " Messages stay in the log."
	}
	return "The webhook is deleted, and its " + ui.Plural(p.Pending, "pending delivery is", "pending deliveries are") + " cancelled." + key +
		" Messages stay in the log."
}

func (p WebhookConfirm) pauseLead() string {
	const fresh = "New messages stay in the log and are not queued for this webhook."
	if p.Pending == 0 {
		return "Nothing is sent until somebody resumes it. " + fresh
	}
	return "Nothing is sent until somebody resumes it. " + ui.Plural(p.Pending, "pending delivery waits", "pending deliveries wait") + ". " +
		fresh
}

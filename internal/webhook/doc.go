// Package webhook decides which webhooks get a message, and makes the request
// that each of them gets. It also has the rules of a webhook's settings and of
// its retries, for the panel, the API and every dialect.
//
// It is pure: it has no clock, store or network, and does not know who calls it.
// Start with Check (what can be saved), Compile (everything that does not depend on
// the message), Compiled.Wants and Match (who gets a message, and why), and
// Compiled.Render (what is sent).
//
// # Secrets
//
// CheckChange gets a webhook with masks in the place of its secrets, and is the one
// place that restores them: only where scheme, host and port are the same. Otherwise
// they are faults of their fields. Removing them silently would lose what nobody can
// read again; sending them on would show them to whoever may change a URL. Only
// Compile and Check put iot.Webhook.Hidden into URL and paths.
//
// # Templates
//
// ParseTemplate reads a file into an iot.Template and a list of remarks: errors and
// warnings with their lines. ReadCatalogue reads all, once, at the start: built-in
// files, then the folder, which wins where ids are equal. Instantiate fills in values
// and says of each fault which field made it. The place of a value decides how it is
// written: percent-encoded in path and query, as host characters in the host (only as
// far as the template allows), unchanged in a header. What is neither a field nor one
// of our variables becomes nothing. Our variables stay for the delivery. A downlink
// key is made in the webhook's transaction. It takes the right to send downlinks,
// since whoever may change the webhook can have its key sent to them.
package webhook

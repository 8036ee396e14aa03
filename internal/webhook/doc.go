// Package webhook decides which webhooks get a message, and makes their requests. It
// also has the rules of a webhook's settings and retries, for the dashboard, the API
// and every dialect.
//
// It is pure: it has no clock, store or network, and does not know its callers. Start
// with Check (what can be saved), Compile (everything that does not depend on the
// message), Compiled.Wants and Match (who gets a message, and why), and Compiled.Render
// (the request).
//
// # Secrets
//
// CheckChange gets a webhook with masks instead of secrets. Only CheckChange restores
// the secrets, and only if scheme, host and port are the same. Otherwise they are
// faults of their fields: removing them silently would lose what nobody can read again,
// and sending them would show them to anyone who can change a URL. Only Compile and
// Check put iot.Webhook.Hidden into URL and paths.
//
// # Templates
//
// ParseTemplate reads a file into an iot.Template and a list of remarks: errors and
// warnings with their lines. ReadCatalogue reads all of them once at the start:
// built-in files, then the folder, which takes precedence if ids are equal. Instantiate
// fills in values, and names for each fault the field that caused it. The place of a
// value decides its encoding: percent-encoded in path and query, host characters in the
// host (only as far as the template allows), unchanged in a header. A name that is
// neither a field nor one of our variables becomes nothing. Our variables stay for the
// delivery. A downlink key is created in the webhook's transaction. This needs the
// right to send downlinks: anyone who can change the webhook can have its key sent to
// them.
package webhook

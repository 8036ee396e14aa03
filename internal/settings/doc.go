// Package settings is the one way to create and to change a webhook, for every
// door: the dashboard, the API and the dialects of other systems.
//
// A door parses what came and answers. Between the two, this package does the
// same steps in the same order: mask the stored secrets, let the door apply what
// it read, turn signing on or off, check the whole, put the stored secrets back,
// name what changed, and store it. It knows no HTTP and no SQL.
//
// Start with [Webhooks.Create] and [Webhooks.Change].
package settings

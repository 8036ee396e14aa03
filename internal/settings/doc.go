// Package settings creates and changes webhooks for every door: the dashboard, the API
// and the dialects of other systems. There is no other way.
//
// A door parses the request and answers it. In between, this package does the same
// steps in the same order. It masks the stored secrets, lets the door apply what it
// read, turns signing on or off, checks the result, restores the stored secrets, names
// the changes, and stores the webhook. It knows no HTTP and no SQL.
package settings

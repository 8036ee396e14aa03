// Package ingest is where a message comes in: it is decoded, matched with the
// project's webhooks, and stored together with the deliveries that it makes.
// Only then does Accept return.
//
// It knows no HTTP (handlers authenticate and call it) and no sending (the
// dispatcher hears of new deliveries from the store). Start with Accept.
package ingest

// Package egress is the one way out: the HTTP client that every outgoing
// request uses. It dials only addresses that the network policy allows, bounds
// what a receiver can make it read or wait for, measures the phases of an
// exchange, and says in a sentence for people what went wrong.
//
// It knows nothing of webhooks, deliveries or the database. Start with
// Client.Do; Policy.Check decides which addresses may be dialled.
package egress

// Package handlers is what all handlers share: errors to responses, forms,
// paging, who is asking, and the interfaces that the server fulfils. It knows
// no store and no page. Start with Func.
//
// Sign-in attempts are limited by address (an IPv6 host's /64) and by account,
// together for all doors that take a password (SignIns). API keys, device keys and
// tokens are found by their SHA-256: they are long and random, so one round is enough.
package handlers

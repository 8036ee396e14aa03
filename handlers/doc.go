// Package handlers is what all handlers share: errors to responses, forms,
// paging, who is asking, and the interfaces that the server fulfils. It knows
// no store and no page. Start with Func.
//
// Sign-in attempts are limited together for all doors that take a password
// (SignIns): each source (an address, an IPv6 host's /64; a browser; a session) at each
// account, each address at all accounts, and all sources together that an account
// does not know. Guesses limits doors that say whether a key is right. API keys,
// device keys and tokens are found by their SHA-256: they are long and random, so one
// round is enough.
package handlers

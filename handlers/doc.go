// Package handlers has what all handlers share: errors to responses, forms, paging, the
// caller, and the interfaces that the server implements. It knows no store and no page.
// Start with Func.
//
// All doors that accept a password count sign-in attempts together (SignIns). A source
// is an address (an IPv6 host's /64), a browser or a session:
//
//   - each source has 10 tries at each account, and one more each 10 s;
//   - each address has 50 at all accounts together, and one more each second;
//   - the sources that an account does not know share 30 tries at it, and those that it
//     knows share another 100, each with one more each 5 s.
//
// So nobody locks another person out by guessing, and many addresses do not avoid the
// limits. A browser is known by a signed cookie of the account, for a year. An address
// is known by an HMAC in the table known_addresses, also after a restart.
//
// Guesses limits wrong keys in the same way at a door that reports whether a key is
// right (Mainflux's /identify): 100 per address and one more each second, and ten times
// that in all for addresses that have sent no right one yet.
//
// An Inviter invites people for every door, and bounds how many mails an account and an
// email get.
//
// Bodies are JSON in UTF-8. They may be gzip (Content-Encoding) and may begin with a
// byte order mark. API keys, device keys and tokens are found by their SHA-256: they
// are long and random, so one round is enough.
package handlers

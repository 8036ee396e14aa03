// Package handlers is what all handlers share: errors to responses, forms,
// paging, who is asking, and the interfaces that the server fulfils. It knows
// no store and no page. Start with Func.
//
// Sign-in attempts are counted together for all doors that take a password (SignIns).
// A source is an address (an IPv6 host's /64), a browser or a session:
//
//   - each source at each account has 10 tries, and one more each 10 s;
//   - each address at all accounts 50, and one more each second;
//   - all sources that an account does not know share 30 at it, and those that it knows
//     share 100 of their own, each with one more each 5 s.
//
// So nobody locks another out by guessing, and many addresses are no way around the
// limits. A browser is known by a signed cookie of the account, for a year; an address
// by an HMAC in the table known_addresses, also after a restart.
//
// Guesses limits wrong keys in the same manner at a door that says whether a key is
// right (Mainflux's /identify): 100 an address and one more each second, ten times that
// in all for addresses that gave no right one yet.
//
// An Inviter invites people for every door, and bounds how many mails an account and an
// email get.
//
// Bodies are JSON in UTF-8, may be gzip (Content-Encoding) and may begin with a byte
// order mark. API keys, device keys and
// tokens are found by their SHA-256: they are long and random, so one round is enough.
package handlers

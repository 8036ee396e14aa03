// Package egress is the one way out: the HTTP client of every outgoing request.
// It dials only addresses that the network policy allows, bounds what a receiver
// can make it read or wait for, measures the phases of an exchange, and says in a
// sentence for people what failed.
//
// It knows nothing of webhooks, deliveries or the database. Start with
// Client.Do; Policy.Check decides which addresses may be dialled.
//
//   - A name is resolved first. Those of its addresses that are allowed are tried, one
//     family beside the other (RFC 8305).
//   - An address is judged when it is dialled, in the dialer's control function,
//     after DNS has answered. A kept connection was judged when it was dialled.
//   - Refused are loopback, private, link-local, shared, multicast and reserved
//     networks, and IPv6 addresses that lead to such an IPv4 address (mapped, NAT64,
//     6to4, Teredo, ISATAP), unless the operator allows the network. The server's own
//     listeners are always refused: their answers, such as metrics, would be in the
//     log. A spelling such as 0x7f.1 is judged as the address that resolvers make of it.
//   - A URL that needs no DNS to be judged is refused when it is saved, by every
//     door (db.Options.Refuses). A stored URL stays.
//   - Redirects are not followed, no proxy is used, nothing is decompressed. A 304, or
//     a 3xx without a Location, is no redirect but an answer like any other.
//   - A 2xx counts whatever becomes of its body. What broke is the attempt's note.
//   - The webhook's timeout bounds the whole exchange. Headers of an answer have at
//     most 64 KiB; 64 KiB of its body are kept; ten interim answers (1xx) are accepted.
//   - A request whose kept connection ends without an answer is sent once more, on a
//     new connection, and the attempt says so. net/http's own resends (requests with
//     idempotency keys, streams that HTTP/2 refuses) are prevented, or bounded and told.
//   - A failure has a class (iot.ErrorClass) and a sentence that says what to do,
//     without path, query or headers of the request.
//   - A URL that inspect.Inspector owns is answered in the process, without a dial.
package egress

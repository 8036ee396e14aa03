// Package egress is the HTTP client of every outgoing request. It dials only addresses
// that the network policy allows. It bounds what a receiver can make it read or wait
// for. It measures the phases of an exchange, and explains failures to people in a
// sentence.
//
// It does not know webhooks, deliveries or the database. Start with Client.Do.
// Policy.Check decides which addresses can be dialled.
//
//   - A name is resolved first. Its allowed addresses are tried, one family beside the
//     other (RFC 8305).
//   - An address is checked when it is dialled, in the dialer's control function, after
//     DNS has answered. A kept connection was checked when it was dialled.
//   - Loopback, private, link-local, shared, multicast and reserved networks are
//     refused, unless the operator allows the network. So are IPv6 addresses that lead
//     to such an IPv4 address (mapped, NAT64, 6to4, Teredo, ISATAP). The server's own
//     listeners are always refused: their answers, such as metrics, would be in the
//     log. A spelling such as 0x7f.1 is checked as the address that resolvers read it
//     as.
//   - A URL that can be checked without DNS is checked when it is saved, at every door
//     (db.Options.Refuses). A stored URL stays.
//   - Redirects are not followed, no proxy is used, nothing is decompressed. A 304, or
//     a 3xx without a Location, is an ordinary answer.
//   - A 2xx counts even if its body breaks. The attempt's note says what broke.
//   - The webhook's timeout bounds the whole exchange. An answer's headers have at most
//     64 KiB; 64 KiB of its body are kept; ten interim answers (1xx) are accepted.
//   - An exchange over HTTP/1.1 runs on its caller's goroutine, over a connection of the
//     client's own pool, which has no goroutine. HTTP/2 is left to net/http, by what a new
//     connection chooses.
//   - A connection is used again only if it is open and its receiver has sent nothing after
//     its last answer.
//   - A request whose kept connection closes without an answer is sent once more, on a
//     new connection, and the attempt reports it. net/http's own resends (streams that
//     HTTP/2 refuses) are bounded and reported.
//   - A failure has a class (iot.ErrorClass) and a sentence with what to do, without
//     path, query or headers of the request.
//   - A URL of inspect.Inspector is answered in the process, without a dial.
package egress

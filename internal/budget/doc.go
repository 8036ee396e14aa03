// Package budget divides the server's memory among everything that stores bytes for
// others: bodies that arrive, waiting payloads, requests in flight, answers until they
// are stored. If a part is full, senders are asked to wait or deliveries stay on disk,
// and the process does not grow.
//
// Each part is shared fairly: no holder can have more of it than is still free. A
// holder alone gets half, two get a third each, and there is always room for a new one.
// A holder is a project in the intake, or an address while the project is unknown;
// elsewhere it is a webhook. Start with New.
//
//   - The whole is -memory, or a quarter of the machine or its cgroup, at least 96 MiB.
//     The garbage collector's limit is a part of it. The rest is the program's text and
//     SQLite's memory, which Go does not count.
//   - Intake: at every door, web takes twice a body's length when the body is first
//     read (of a chunked one as it arrives), and releases it with the answer. It waits
//     a second for room. Then it answers 429 if the sender has its share, 503 if there
//     is no room, with Retry-After.
//   - Lanes: each message counts once, for any number of webhooks. Sending: a request,
//     before it is made. A queue without room continues when some is released.
//   - Answers: 4 KiB of each are always kept, more only if there is room. Otherwise the
//     answer is shown as cut off.
//   - Connections are bounded too: one per 64 KiB of the whole, for each listener.
package budget

// Package budget owns the server's memory: it shares one number out to all that
// holds bytes for others (bodies that come in, payloads that wait, requests in
// flight, answers until they are stored), so that what comes is told to wait, or stays on
// disk, and the process does not grow.
//
// Each part is shared fairly: nobody may hold more of it than is still free. So one
// alone gets half, two a third each, and there is always room for somebody new. Who
// somebody is: in the intake a project, or an address while no project is known;
// elsewhere a webhook. Start with New.
//
//   - The whole is -memory, or a quarter of the machine or its cgroup, at least 96 MiB.
//     The garbage collector's limit is a part of it. The rest is the program's text and
//     SQLite's memory, which Go does not see.
//   - Intake: web takes twice a body's length when the body is first read (of a chunked
//     one as it comes) and gives it back with the answer, by every door. It waits a
//     second for room. Then the answer is 429 if the sender has its share, 503 if there
//     is no room, with Retry-After.
//   - Lanes: each message once, however many webhooks get it. Sending: a request, before
//     it is made. A queue that finds no room goes on when some is given back.
//   - Answers: 4 KiB of each are kept without asking, more only if there is room.
//     Otherwise the answer is shown as cut off.
//   - Connections are bounded too: one for each 64 KiB of the whole, for each listener.
package budget

// Package dispatch sends what is due. It has a queue for each webhook, takes
// committed deliveries, renders and sends them, and gives the outcome to the
// store. Everything pending is on disk; memory has a bounded part of it.
//
// It knows no HTTP handlers, and they never call it: the store's commits tell it
// of work. Start with Dispatcher.Run, then queue.go. A queue's goroutines exist
// only while there is work.
//
//   - Lanes. A delivery waits in the fresh lane (from its commit) or in the backlog
//     (read from disk). When both have work, three of four turns go to the fresh
//     one. After ten seconds in the fresh lane a delivery is released and read
//     later as backlog. Where requests a second are limited, one delivery at a time
//     waits for its turn.
//   - Bounds. Lanes have 16 MiB for a webhook and 64 MiB for all, a delivery counting
//     its payload and 1 KiB. Their messages, each once however many webhooks get it,
//     also take memory of the budget, as does a request before it is made. An empty
//     lane takes one in any case, unless it is larger than 8 KiB and there is no memory.
//     Outcomes on their way to disk have 4 MiB for a webhook. What finds no room stays on
//     disk, and is read when memory is given back.
//   - The manager is one goroutine that reads for all queues: changed settings, and
//     due deliveries, 256 or 1 MiB at a time.
//   - Deliveries in memory (queue.held) are in a lane, in flight, or with an outcome
//     that is not on disk. They are not read again. Those released during a read
//     (queue.let) are ignored in its result, which may be older than their outcome.
//   - Slots are how many requests are in flight. They begin at four, grow by one for
//     each good answer until a failure, are halved by a failure, and then grow by one
//     for each round of good answers. There is at least one, at most 64, and no more
//     than 32 seconds of waiting at once: an endpoint that takes 8 s keeps four. A 4xx
//     other than 429 is about the message and counts as an answer. While the machine is
//     crowded (internal/crowd), endpoints that answer within 20 ms share 15 requests in
//     flight for each processor, at most 3 for each processor an endpoint.
//   - In order per device, only a device's first pending delivery is in memory. The
//     others wait on disk, also while it waits for a retry.
//   - Paused queues send tests only. Changed settings make a queue stale: nothing is
//     taken until they are read again and the lanes are emptied. A delivery that the
//     changed webhook does not want ends as skipped.
//   - An outcome that the disk refuses stays in memory and is tried each second, so
//     that the receiver does not get the message twice. Meanwhile nothing is sent: a
//     crash repeats no more than was in flight.
//   - Stopping: nothing more is taken; what is in flight has ten seconds; the rest is
//     cut and counts as no attempt; outcomes are stored before Run returns.
//   - The schedule of retries is webhook.Schedule, ± 20 %. Retry-After (at most 7 days)
//     replaces a wait; if it leads beyond the age at which the webhook gives up, there
//     is one last try at that age. A step of the schedule that would be later than that
//     fails the delivery now.
//
// A replay is a row. Replayer continues each in turn: it looks at db.ReplayWindow rows
// at most, makes up to 250 deliveries, the oldest first, and moves the row's cursor
// in the same transaction. So each step happens once, also across a restart. With a
// rate it makes what a quarter of a second allows. Without one it waits while a
// webhook that answers well owes 2,000. The new deliveries are backlog.
//
// docs/clock.md says what happens when the clock is set.
package dispatch

// Package dispatch sends what is due. It has a queue for each webhook, takes
// committed deliveries, renders and sends them, and hands the outcome to the
// store. Everything pending is on disk; memory has a bounded part of it.
//
// The store's commits announce work. Dispatch knows no HTTP handlers, and they never
// call it. Start with Dispatcher.Run, then queue.go. A queue's goroutines exist only
// while there is work.
//
//   - Lanes. A delivery waits in the fresh lane (from its commit) or in the backlog
//     (read from disk). When both have work, three of four turns go to the fresh
//     one. After ten seconds in the fresh lane a delivery is released and read
//     later as backlog. If a webhook limits requests a second, one delivery at a time
//     waits for the limiter.
//   - Bounds. Lanes have 16 MiB for a webhook and 64 MiB for all. A delivery counts as
//     its payload and 1 KiB. A message takes memory of the budget once, however many
//     webhooks get it; so does a request before it is made. An empty lane takes one
//     delivery in any case, unless it is larger than 8 KiB and there is no memory.
//     Outcomes on their way to disk have 4 MiB for a webhook. Deliveries without room
//     stay on disk and are read when memory is returned.
//   - The manager is one goroutine that reads for all queues: changed settings, and
//     due deliveries, 256 or 1 MiB at a time.
//   - Deliveries in memory (queue.inMemory) are in a lane, in flight, or with an outcome
//     that is not on disk. They are not read again. The manager ignores those released
//     during a read (queue.released), because the read may be older than their outcome.
//   - Slots are the requests that may be in flight. They begin at four and grow by one
//     for each good answer until a failure. A failure halves them; then they grow by one
//     for each round of good answers. There is at least one, at most 64, and no more
//     than 32 seconds of waiting at once: an endpoint that takes 8 s gets four. A 4xx
//     other than 429 is about the message and counts as an answer. While the machine is
//     crowded (internal/crowd), endpoints that answer within 20 ms share 15 requests in
//     flight for each processor. An endpoint gets at most 3 for each processor.
//   - In order per device, only a device's first pending delivery is in memory. The
//     others wait on disk, also while the first waits for a retry.
//   - Paused queues send tests only. Changed settings make a queue stale: nothing is
//     taken until they are read again and the lanes are emptied. A delivery that the
//     changed webhook does not want ends as skipped.
//   - An outcome that the disk refuses stays in memory, and storing it is retried each
//     second, so that the receiver does not get the message twice. Meanwhile nothing is
//     sent: after a crash only what was in flight is sent again.
//   - Stopping: nothing more is taken. Requests in flight have ten seconds; those left
//     are cut and do not count as attempts. Outcomes are stored before Run returns.
//   - The schedule of retries is webhook.Schedule, ± 20 %. Retry-After (at most 7 days)
//     replaces a wait. If it leads beyond the age at which the webhook gives up, there
//     is one last try at that age. If a step of the schedule leads beyond it, the
//     delivery fails now.
//
// A replay is a row. Replayer continues each in turn: it looks at most at
// db.ReplayWindow rows, creates up to 250 deliveries, the oldest first, and moves the
// row's cursor in the same transaction. So each step happens once, also across a
// restart. With a rate it creates what a quarter of a second allows. Without one it
// waits while a webhook that answers well has 2,000 pending. The new deliveries are
// backlog.
//
// docs/clock.md says what happens when the clock is set.
package dispatch

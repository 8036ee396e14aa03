// Package ingest accepts messages. It decodes and transforms a message, matches it with
// the project's webhooks, and stores it with its deliveries. Accept returns after that.
//
// It knows no HTTP: handlers authenticate and call it. It sends nothing: the dispatcher
// follows the store's commits. Start with Accept.
//
// iot.ReadJSON checks in one pass that a message is acceptable JSON: grammar, UTF-8,
// depth, digits. All doors use it. gjson then finds the members without a map: the
// payload and a few known fields. The error names all faults. The envelope's other
// fields are stored as they came; missing ones are filled in when it is sent. A
// project's compiled webhooks stay in memory until a commit changes them.
//
// A device is found by its ID, UUID or DevEUI, in any case. Devices, settings and keys
// are kept in memory (cache.go). A change drops only what it names. A value that
// changed while it was read is not kept.
//
// An array is read 256 messages at a time. Unknown devices that these messages name are
// registered 128 in a transaction. Messages are stored in pieces of 64 rows or 512 KiB,
// each after the last is on disk. While projects share a crowded machine, a project stores
// few pieces at once (gate.go). The answer follows the last piece. If the disk fails
// between two pieces, the stored messages have their ids, and each of the rest has the
// error.
//
// # The Things Stack's messages
//
// AcceptUp takes these messages from /in/tts/{project} and from simulation. It finds
// the device by its ID, then by its DevEUI. The payload is the whole ApplicationUp as
// JSON: the bytes that came, or the result of one conversion from Protocol Buffers or
// camelCase names.
//
// # Silence of devices
//
// Run watches devices that have an expected interval (their own, or their profile's)
// and have sent at least once. A device is silent after the interval and a grace of
// half of it, 10 seconds to an hour (iot.SilentAfter). A message of type iottly then
// reports it. A message "back" is stored with the message that ends the silence.
//   - The writer stores the message and the device's silent_at together. It does so
//     only if the device is in the other state and has not sent meanwhile. Each silence
//     therefore makes one message, also across restarts.
//   - The watch has its own clock, which advances only while it looks: each second, and
//     by at most five seconds a look. A clock that jumps, a sleeping machine and a
//     stopped server make no device silent. The time watched is stored every 30 s. A
//     changed interval counts from the change.
//   - A heap orders devices by their next look. A message only updates the time of its
//     device. No device is read from disk until it is silent.
//     No device is read from disk until it is silent.
package ingest

// Package ingest is where a message comes in: it is decoded, transformed, matched
// with the project's webhooks, and stored with the deliveries that it makes. Only
// then does Accept return.
//
// It knows no HTTP (handlers authenticate and call it) and no sending (the store's
// commits tell the dispatcher). Start with Accept.
//
// iot.ReadJSON says in one pass whether a message is JSON that is accepted: grammar,
// UTF-8, depth, digits. The same holds at every other door. Then gjson finds the
// members, without a map: payload and a few known fields, all faults named at once. The envelope's other fields are stored as
// they came; only missing ones are filled in when it is sent. A project's compiled
// webhooks stay in memory until a commit says that they changed.
//
// A device is found by its ID, UUID or DevEUI, in any case. Devices, settings and keys
// are kept in memory (cache.go), and a change drops only what it names. What was being
// read when it changed is not kept.
//
// Of an array 256 messages are read at a time, and the devices that they name and nobody
// knows are registered 128 in a transaction. Messages are stored in pieces of 64 rows or
// 512 KiB, the next when the last is on disk. Where projects share a crowded machine, a
// project stores four pieces at once for each processor (gate.go). The answer follows the last piece. If the disk
// fails between two, what was stored has its ids, and each of the rest has the error.
//
// # The Things Stack's messages
//
// AcceptUp takes them from /in/tts/{project} and from simulation. It finds the device
// by its ID, then by its DevEUI. The payload is the whole ApplicationUp as JSON: the
// bytes that came, or what Protocol Buffers and camelCase names were converted to, once.
//
// # Silence of devices
//
// Run watches devices that have an expected interval (their own, or their profile's)
// and have sent at least once. A device is silent after the interval and a grace of
// half of it, 10 seconds to an hour (iot.SilentAfter). Then a message of type iottly
// says so; a message "back" comes with the one that ends the silence.
//
//   - The message and the device's silent_at are written together, and only if the
//     writer finds the device in the other state and not heard meanwhile. So each
//     silence makes one message, also across restarts.
//   - The watch counts time of its own, which passes only while it looks, each second,
//     and at most five seconds a look. A clock that jumps, a sleeping machine and a
//     stopped server make no device silent; how far it watched is stored every 30 s.
//     A changed interval counts from the moment of the change.
//   - A heap orders devices by their next look. Hearing a device only notes when.
//     No device is read from disk until it is silent.
package ingest

// Package downlink has the rules of the devices' downlink queues: what can be pushed,
// what a device can do with it, and which messages each change creates. Both dialects,
// the API and the dashboard use it. It knows no HTTP. Start with Queue.
//
// It checks pushed downlinks; the store changes the queue (db.PushDownlinks,
// TakeDownlink, AnswerDownlink). Each change creates ApplicationUp messages. They are
// matched over ingest's snapshot and passed to the writer as a function, so that queue,
// messages and deliveries are one transaction. If the settings changed since the match,
// nothing is written and the change starts again. The commit that queues a downlink
// wakes a device that waits for one.
//
// A command to all devices of a project is a row, like a replay. The first hundred
// devices have it when it is answered. Queue.Run continues each command in turn: a
// hundred devices per transaction, with the row's cursor. Each device so gets its
// downlink once, also across a restart.
//
// If a device or its project has an upstream, a pushed downlink is not queued but
// marked as forwarded. Its downlink_queued message has a delivery to a hidden webhook
// of kind upstream, which webhook.Render sends as a push. downlink_queue_invalidated,
// which empties the queue, becomes a replace by nothing. The rules of our own queue do
// not apply: the downlink needs the form of an ApplicationDownlink and at most 128 KiB.
// Unknown members are forwarded too. What the other system refuses is in the delivery's
// log. Downlinks keep their order per device. Hidden webhooks are left out of matching,
// so that the other system's messages about its queue do not go back to it.
//
// Members who manage a project set its upstream. A device's is learned from the
// X-Downlink-… headers of incoming messages, if the key may change settings. Hidden
// webhooks are neither counted nor listed. The dispatcher and the log treat them as any
// webhook.
package downlink

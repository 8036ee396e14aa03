// Package downlink has the rules of the devices' downlink queues: what may be
// pushed, what a device can do with it, and the messages that each change causes.
// Both dialects, the API and the dashboard use it. It knows nothing of HTTP. Start
// with Queue.
//
// It checks what is pushed; the store changes the queue (db.PushDownlinks,
// TakeDownlink, AnswerDownlink). Each change causes messages, which are ApplicationUp
// messages. They are matched over ingest's snapshot and given to the writer as a
// function, so that queue, messages and deliveries are one transaction. If the
// settings changed since the match, nothing is written and it starts again. The
// commit that queues a downlink wakes a device that waits for one.
//
// A command to all devices of a project is a row, as a replay is. The first hundred
// devices have it when it is answered. Queue.Run continues with each command in turn,
// a hundred devices in one transaction with the row's cursor, so that each device gets
// its downlink once, also across a restart.
//
// Where a device or its project has an upstream, a pushed downlink is not queued but
// marked as forwarded. Its downlink_queued message has a delivery to a hidden webhook
// of kind upstream, which webhook.Render sends as a push;
// downlink_queue_invalidated, which empties the queue, becomes a replace by nothing.
// The rules of our own queue do not hold for it: it needs the form of an
// ApplicationDownlink and at most 128 KiB. Members that are not known here go on too,
// and what the other system refuses is in the delivery's log. They keep their order
// per device. Hidden webhooks are left out of matching, so
// that what the other system says of its queue does not go back to it. Those who
// manage a project set its upstream. A device's is learned from the X-Downlink-…
// headers of incoming messages, if the key may change settings. Hidden webhooks are
// neither counted nor listed; the dispatcher and the log treat them as any webhook.
package downlink

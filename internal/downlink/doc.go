// Package downlink holds the rules of the devices' downlink queues: what may be
// pushed, what a device can do with it, and the messages that each change causes.
// Both dialects, the API and the dashboard use it; it knows nothing of HTTP. Start
// with Queue.
package downlink

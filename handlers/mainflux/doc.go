// Package mainflux is Mainflux's REST dialect: webhooks, what its command line tool
// needs around them, and publishing. An organization is its org, a project its group, a
// device its thing. Ids on the wire are UUIDs only.
//
// It reads and writes the same rows as every other door. What the dialect cannot
// express stays unchanged. It knows no page and does not send. Start with New; each
// noun has a file. docs/mainflux.md compares the two systems.
package mainflux

// Package mainflux speaks Mainflux's REST dialect: webhooks, what its command
// line tool needs around them, and publishing. An organization is its org, a
// project its group, a device its thing; ids on the wire are UUIDs alone.
//
// It reads and writes the same rows as every other door, and what this dialect
// cannot express it leaves as it was. It knows no page and does not send. Start
// with New; each noun has a file.
package mainflux

// Thingpost takes messages from devices and posts them to web services.
//
// This package is the binary: options, wiring, start, stop and sub-commands. It has no
// rules about messages. Start with commands.go; app.go puts the parts together.
package main

// Thingpost takes messages from devices and posts them to web services.
//
// This package is the binary: options, wiring, start, stop and sub-commands. It
// decides nothing of what the program does with a message. Start with
// commands.go; app.go puts the parts together.
package main

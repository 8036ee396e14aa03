//go:build !race

package main

// raceDetector: this is a build whose memory says nothing of the program's.
const raceDetector = false

//go:build !race

package main

// raceDetector is false: the memory of this build is the program's.
const raceDetector = false

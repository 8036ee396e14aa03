//go:build race

package main

// raceDetector is true: the memory of this build is not comparable to the program's.
const raceDetector = true

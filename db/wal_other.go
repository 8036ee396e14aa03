//go:build !linux

package db

// readersOf is known on Linux alone.
func readersOf(string) (pids []int, known bool) { return nil, false }

func programName(int) string { return "a program" }

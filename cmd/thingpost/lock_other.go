//go:build !unix

package main

import "os"

// lockFile does nothing where there is no lock that ends with the process: a
// lock that outlives a crash would keep the server from starting again.
func lockFile(*os.File) error { return nil }

//go:build !unix

package main

import "thingpost/web"

// maxConnections is as many as usual: how many files may be open is not known here.
func maxConnections() int { return web.DefaultConnections }

//go:build !unix

package main

import "thingpost/web"

// maxConnections is the default: this system's limit of open files is unknown.
func maxConnections() int { return web.DefaultConnections }

// Package dispatch sends what is due: it has a queue for each webhook, takes
// committed deliveries, renders and sends them, and hands the outcome to the
// store. What is pending is always on disk; memory holds a bounded part of it.
//
// It knows no HTTP handlers and is never called by them: it hears of work by
// the store's commits. One webhook cannot slow another: each has its own lanes,
// its own slots and its own goroutines. Start with Dispatcher.Run, then queue.go.
package dispatch

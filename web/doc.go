// Package web is the HTTP server: which handler answers under which prefix,
// what every request passes on its way there, the sessions of the dashboard,
// the hub that tells open pages of changes, and the listeners.
//
// It knows no page, no API call and nothing of messages: handlers are given to
// it. It knows the store for sessions only. Start with New, then sitemap.go.
package web

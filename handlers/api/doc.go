// Package api is the native REST API under /api/v1: JSON in and out, described
// by openapi.json. It turns requests into calls of the store, of settings and of
// ingest, and knows neither pages nor the dispatcher. Start with Routes.
package api

// Package web is the HTTP server: the handler of each prefix, the middleware of every
// request, the sessions of the dashboard, the hub that notifies open pages of changes,
// and the listeners.
//
// It knows no page, no API call and no message: New gets the handlers. It uses the
// store only for sessions. Start with New, then sitemap.go.
//
//   - Requests have 20 s for their head and a minute for a small body. A listener has
//     at most 8,192 connections, half of the files that the system allows, or one per
//     64 KiB of -memory, whichever is least. Beyond that, the connection that was
//     silent longest is closed (connections.go). After a chunked body and after a
//     request of HTTP/1.0 the connection is closed: a proxy in front that reads the
//     length differently could take a hidden request for a body.
//   - A body takes memory of the budget while it is handled (intake.go). If there is
//     none within a second, the answer is 429 or 503 with Retry-After.
//   - A path below an API's prefix is normalized before the site map checks it
//     (path.go): empty segments, "." and a trailing slash are removed. A path with ".."
//     is 404.
//   - What net/http and other libraries would write to standard error goes to the log,
//     a line at a time (Lines).
//   - Pages have a strict CSP (no inline script or style, nothing from other hosts),
//     http.CrossOriginProtection and SameSite cookies.
//   - Sessions are gorilla/sessions over our own table. The browser has a random id,
//     the table its SHA-256. The id changes at sign-in. A session ends two weeks after
//     its last use, at sign-out, or when the password changes. While the disk cannot be
//     written, new sessions are kept in memory, so that people can see what is wrong.
//   - The sender's address is the connection's. From a proxy of -trust-proxies it is
//     the last in X-Forwarded-For that is not a proxy's: anybody can write the rest.
//   - Readyz writes a row and waits until it is on disk, at most every five seconds.
//   - Other systems' first path segments are reserved and answer 404 in JSON, so that a
//     new dialect takes no page away.
//
// # Live pages
//
// A commit names what changed in a project (iot.EventName). The hub sends the names to
// open pages by server-sent events, and each page fetches the sections that show it.
// The hub never waits: a page that is 64 events behind is dropped and reconnects. There
// are at most 1,000 pages. They get a batch of names each half second, and a line each
// 20 s, when the reader's membership is checked again.
// each 20 s, when the reader's membership is checked again.
//
// static/js/live.js has one stream for each visible page. A hidden tab closes its
// stream, since browsers open six connections to a host by HTTP/1.1. A section is
// fetched at most twice a second, one request at a time. It keeps its focus, open
// details and scroll positions, and waits for an open menu, a selection and a pressed
// button. A list waits while the pointer or the keyboard is in it, its head is out of
// sight, a drawer is open, or following is off. Meanwhile it counts the rows newer than
// its first (after=, capped). A lost stream is opened again after 0.25 s to 15 s, and
// then all sections are fetched. static/js/keys.js has the keys and the drawer.
package web

// Package handlers is what all handlers share: errors to responses, forms,
// paging, who is asking, and the interfaces that the server fulfils. It knows
// no store and no page. Start with Func.
package handlers

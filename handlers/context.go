package handlers

import (
	"context"
	"net/http"

	"thingpost/internal/iot"
)

// Func is a handler that returns its error. Only this package turns errors into
// responses.
type Func func(w http.ResponseWriter, r *http.Request) error

type accountKey struct{}

// WithAccount returns a context with the account that is signed in.
func WithAccount(ctx context.Context, a *iot.Account) context.Context {
	return context.WithValue(ctx, accountKey{}, a)
}

// Account returns the account that is signed in, or nil.
func Account(ctx context.Context) *iot.Account {
	a, _ := ctx.Value(accountKey{}).(*iot.Account)
	return a
}

// Sessions signs people in and out of the dashboard. The server implements it.
type Sessions interface {
	// SignIn starts a new session for the account, with a new id.
	SignIn(w http.ResponseWriter, r *http.Request, a *iot.Account) error
	// SignOut ends the session, in the store too.
	SignOut(w http.ResponseWriter, r *http.Request) error
	// ID returns the secret id of the request's session, "" if there is none.
	ID(r *http.Request) iot.Secret
}

// Hub notifies open pages of changes. The server implements it.
type Hub interface {
	// Subscribe returns a channel with the names of changes in a project. Its buffer is
	// small: the channel is closed if the reader falls behind. stop closes it and must
	// be called.
	Subscribe(projectKey int64) (events <-chan iot.EventName, stop func())
}

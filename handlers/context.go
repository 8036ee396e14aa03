package handlers

import (
	"context"
	"net/http"

	"thingpost/internal/iot"
)

// Func is a handler that returns its error; only this package turns errors into
// responses.
type Func func(w http.ResponseWriter, r *http.Request) error

type accountKey struct{}

// WithAccount returns a context that knows who is signed in.
func WithAccount(ctx context.Context, a *iot.Account) context.Context {
	return context.WithValue(ctx, accountKey{}, a)
}

// Account returns who is signed in, or nil.
func Account(ctx context.Context) *iot.Account {
	a, _ := ctx.Value(accountKey{}).(*iot.Account)
	return a
}

// Sessions signs people in and out of the dashboard; the server has them.
type Sessions interface {
	// SignIn begins a new session for the account, with a new id.
	SignIn(w http.ResponseWriter, r *http.Request, a *iot.Account) error
	// SignOut ends the session, in the store too.
	SignOut(w http.ResponseWriter, r *http.Request) error
	// ID returns the secret id of the request's session, "" if there is none.
	ID(r *http.Request) iot.Secret
}

// Hub tells open pages what has changed; the server has it.
type Hub interface {
	// Subscribe returns a channel of names of what changed in a project. The
	// channel has room for a few and is closed if its reader falls behind, or when
	// the returned stop is called, which must be.
	Subscribe(projectID int64) (events <-chan iot.EventName, stop func())
}

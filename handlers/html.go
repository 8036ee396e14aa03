package handlers

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/a-h/templ"

	"thingpost/internal/iot"
)

// HTMLOptions is how HTML shows errors.
type HTMLOptions struct {
	Log *slog.Logger
	// Page is the whole document about a problem.
	Page func(r *http.Request, p Problem) templ.Component
	// Toast is a notice for the list of toasts, whose element has the id ToastsID.
	Toast    func(p Problem) templ.Component
	ToastsID string
	// SignIn is the path of the sign-in page. People who are not signed in are
	// redirected there, with the local address to return to as "next".
	SignIn string
}

// HTML makes a handler of a Func. Errors become a page with their status, or for a
// request by htmx a toast with their status.
func HTML(f Func, o HTMLOptions) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := f(w, r)
		if err == nil {
			return
		}
		logFailure(o.Log.With("request_id", requestID(w)), r, err)
		p := problemOf(w, err)
		SetRetryAfter(w.Header(), p.Code)
		switch {
		case p.Code == iot.Unauthorized:
			toSignIn(w, r, o.SignIn)
			return
		case IsHTMX(r):
			w.Header().Set("HX-Retarget", "#"+o.ToastsID)
			w.Header().Set("HX-Reswap", "beforeend")
			err = Render(w, r, p.Status, o.Toast(p))
		default:
			err = Render(w, r, p.Status, o.Page(r, p))
		}
		if err != nil && r.Context().Err() == nil { // the client is still there
			o.Log.LogAttrs(r.Context(), slog.LevelError, "error page failed", slog.Any("error", err))
			http.Error(w, p.Title+". "+p.Message, p.Status)
		}
	})
}

// toSignIn redirects the browser to the sign-in page, and back afterwards.
func toSignIn(w http.ResponseWriter, r *http.Request, signIn string) {
	next := ""
	switch {
	case IsHTMX(r):
		if u, err := url.Parse(r.Header.Get("HX-Current-URL")); err == nil {
			next = u.RequestURI()
		}
	case r.Method == http.MethodGet:
		next = r.URL.RequestURI()
	}
	if next = LocalPath(next); next != "/" {
		signIn += "?" + url.Values{"next": {next}}.Encode()
	}
	if IsHTMX(r) {
		w.Header().Set("HX-Redirect", signIn)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	http.Redirect(w, r, signIn, http.StatusSeeOther)
}

// Render answers with a component. It renders everything before it sends the first
// byte, so that a failure can become an error page. Browsers do not store the answer.
func Render(w http.ResponseWriter, r *http.Request, status int, c templ.Component) error {
	var b bytes.Buffer
	if err := c.Render(r.Context(), &b); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "HX-Request, HX-Target")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the reader is gone: nobody to notify
	return nil
}

// IsHTMX reports whether htmx requests a part of a page. A page restored from the
// history is requested as a whole.
func IsHTMX(r *http.Request) bool {
	return r.Header.Get("HX-Request") == "true" && r.Header.Get("HX-History-Restore-Request") != "true"
}

// IsFragment reports whether htmx requests only the element with the id.
func IsFragment(r *http.Request, id string) bool {
	return IsHTMX(r) && r.Header.Get("HX-Target") == id
}

// Redirect redirects the browser to a local path after a change.
func Redirect(w http.ResponseWriter, r *http.Request, path string) error {
	if IsHTMX(r) {
		w.Header().Set("HX-Location", path)
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	http.Redirect(w, r, path, http.StatusSeeOther)
	return nil
}

// LocalPath returns an address within this site unchanged, and "/" for any other, so
// that a link to us cannot lead people elsewhere.
func LocalPath(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" ||
		!strings.HasPrefix(address, "/") || strings.HasPrefix(address, "//") || strings.ContainsAny(address, "\\\t\r\n") {
		return "/"
	}
	return address
}

package dashboard

import (
	"encoding/base64"
	"encoding/json"
	"net/http"

	"thingpost/handlers"
	"thingpost/views/ui"
)

// flashCookie carries a notice over a redirect. It holds words alone, so that it
// need not be signed: whoever can write it can only tell their own browser.
const flashCookie = "notice"

const maxFlash = 2000 // bytes

// flash shows a notice on the next page.
func (s *site) flash(w http.ResponseWriter, t ui.ToastProps) {
	b, err := json.Marshal(t)
	if err != nil || len(b) > maxFlash {
		return
	}
	http.SetCookie(w, s.cookie(flashCookie, base64.RawURLEncoding.EncodeToString(b), 60))
}

// toasts returns the notice that the last answer left, and takes it away.
func (s *site) toasts(w http.ResponseWriter, r *http.Request) []ui.ToastProps {
	c, err := r.Cookie(flashCookie)
	if err != nil {
		return nil
	}
	http.SetCookie(w, s.cookie(flashCookie, "", -1))
	b, err := base64.RawURLEncoding.DecodeString(c.Value)
	var t ui.ToastProps
	if err != nil || json.Unmarshal(b, &t) != nil {
		return nil
	}
	if t.Href != "" {
		t.Href = handlers.LocalPath(t.Href)
	}
	return []ui.ToastProps{t}
}

func (s *site) cookie(name, value string, maxAge int) *http.Cookie {
	return &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: maxAge, HttpOnly: true, Secure: s.Secure, SameSite: http.SameSiteLaxMode}
}

// done leaves a notice and sends the browser to a page.
func (s *site) done(w http.ResponseWriter, r *http.Request, path, notice string) error {
	s.flash(w, ui.ToastProps{Tone: ui.Success, Text: notice})
	return handlers.Redirect(w, r, path)
}

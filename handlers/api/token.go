package api

import (
	"net/http"
	"time"

	"thingpost/handlers"
	"thingpost/internal/iot"
)

// tokenLifetime is how long a token acts as its account.
const tokenLifetime = 10 * time.Hour

func (s *server) createToken(w http.ResponseWriter, r *http.Request, _ *caller) error {
	var body struct {
		Email    string     `json:"email"`
		Password iot.Secret `json:"password"`
	}
	if err := handlers.DecodeJSON(r, &body, handlers.MaxJSONBytes); err != nil {
		return err
	}
	var f iot.Faults
	f.Check(body.Email != "", "email", "is missing.")
	f.Check(body.Password != "", "password", "is missing.")
	if err := f.Err(); err != nil {
		return err
	}
	try, err := s.SignIns.Try(w, r, body.Email)
	if err != nil {
		return err
	}
	a, err := s.DB.AccountByEmail(r.Context(), body.Email)
	if err != nil {
		if iot.CodeOf(err) != iot.NotFound {
			return err
		}
		a = &iot.Account{} // checking its hash takes as long
	}
	ok, err := s.Passwords.Check(r.Context(), a.PasswordHash, body.Password)
	if err != nil {
		return err
	}
	if !ok {
		return iot.NewError(iot.Unauthorized, "Wrong email or password.")
	}
	try.Succeeded()
	if err := s.DB.NoteSignIn(a.Key, handlers.SenderOf(r)); err != nil {
		return err
	}
	token := iot.NewToken()
	expires, err := s.DB.CreateToken(token, a.Key, tokenLifetime)
	if err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusCreated, map[string]any{"token": token.Reveal(), "expires_at": expires})
}

package mainflux

import (
	"net/http"
	"strings"
	"time"

	"thingpost/handlers"
	"thingpost/internal/iot"
)

// tokenLifetime is how long a token acts as its account.
const tokenLifetime = 10 * time.Hour

// login has the credentials of an account.
type login struct {
	Email    string     `json:"email"`
	Password iot.Secret `json:"password"`
}

func (l *login) check() error {
	if l.Email == "" {
		return badRequest("missing email")
	}
	if l.Password == "" {
		return badRequest("missing password")
	}
	return nil
}

func (s *server) createToken(w http.ResponseWriter, r *http.Request, _ *caller) error {
	var body login
	if err := decode(r, &body); err != nil {
		return err
	}
	if err := body.check(); err != nil {
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
		return &fault{status: http.StatusUnauthorized, text: "failed to perform authentication over the entity",
			detail: "Wrong email or password."}
	}
	try.Succeeded()
	if err := s.DB.NoteSignIn(a.Key, handlers.SenderOf(r)); err != nil {
		return err
	}
	token := iot.NewToken()
	if _, err := s.DB.CreateToken(token, a.Key, tokenLifetime); err != nil {
		return err
	}
	return handlers.WriteJSON(w, http.StatusCreated, map[string]string{"token": token.Reveal()})
}

// register creates an account, if the host lets anybody register. The account is a
// member of no organization.
func (s *server) register(w http.ResponseWriter, r *http.Request, _ *caller) error {
	var body struct {
		User *login `json:"user"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	if !s.AllowRegistration {
		return forbidden("Registration is disabled on this host. Ask its operator for an account.")
	}
	if body.User == nil {
		return malformed(`Send the account as {"user": {"email": …, "password": …}}.`)
	}
	if err := body.User.check(); err != nil {
		return err
	}
	if err := iot.CheckEmail(body.User.Email); err != nil {
		return err
	}
	if err := s.SignIns.TryAddress(w, r); err != nil {
		return err
	}
	hash, err := s.Passwords.Hash(r.Context(), body.User.Password, body.User.Email)
	if err != nil {
		return err
	}
	name, _, _ := strings.Cut(body.User.Email, "@")
	a := &iot.Account{Email: body.User.Email, Name: name, PasswordHash: hash}
	if err := s.DB.CreateAccount(a, a.Email); err != nil {
		return err
	}
	w.Header().Set("Location", "/users/"+a.ID.String())
	w.WriteHeader(http.StatusCreated)
	return nil
}

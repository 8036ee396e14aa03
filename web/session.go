package web

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/securecookie"
	"github.com/gorilla/sessions"

	"thingpost/db"
	"thingpost/internal/iot"
)

// A session ends two weeks after its last use. It is written at most once a day: a page
// must not cost a write.
const (
	sessionLifetime = 14 * 24 * time.Hour
	sessionRenew    = sessionLifetime - 24*time.Hour
)

// accountValue is the name of the account's key in a session.
const accountValue = "account"

// Sessions signs people in and out. The browser has a random id, the store its hash:
// the database's content does not allow a sign-in, and an ended session is gone. It
// implements handlers.Sessions and sessions.Store, and is safe for concurrent use.
//
// While the disk cannot be written, sign-ins are kept in memory until a restart, so
// that people can get in and see what is wrong.
type Sessions struct {
	db     *db.DB
	now    func() time.Time
	secure bool

	mu      sync.Mutex
	unsaved map[iot.Secret]*unsaved
}

// unsaved is a session in memory. Like all sessions it ends when the password changes.
type unsaved struct {
	db.Session
	password iot.Secret // its hash at the sign-in
}

// maxUnsaved bounds the sessions in memory.
const maxUnsaved = 1000

// NewSessions returns the sessions of a store. secure means that browsers use https:
// the cookie is then sent only by https.
func NewSessions(d *db.DB, now func() time.Time, secure bool) *Sessions {
	return &Sessions{db: d, now: now, secure: secure, unsaved: map[iot.Secret]*unsaved{}}
}

// cookieName binds the cookie to the exact host if possible.
func (s *Sessions) cookieName() string {
	if s.secure {
		return "__Host-thingpost"
	}
	return "thingpost"
}

func (s *Sessions) options() *sessions.Options {
	return &sessions.Options{Path: "/", MaxAge: int(sessionLifetime / time.Second), Secure: s.secure, HttpOnly: true,
		SameSite: http.SameSiteLaxMode}
}

// SignIn starts a new session for the account. It has a new id, and the session before
// it is removed: nobody can have learned the id before the sign-in.
func (s *Sessions) SignIn(w http.ResponseWriter, r *http.Request, a *iot.Account) error {
	session, err := s.Get(r, s.cookieName())
	if err != nil {
		return err
	}
	if !session.IsNew {
		// A session that the disk still has belongs to this browser, and does not open
		// the account that signs in now.
		if err := s.remove(iot.Secret(session.ID)); err != nil && !isDisk(err) {
			return err
		}
	}
	clear(session.Values)
	session.ID, session.Options = "", s.options()
	session.Values[accountValue] = a.Key
	if err := session.Save(r, w); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.unsaved[iot.Secret(session.ID)]; v != nil {
		v.password = a.PasswordHash
	}
	return nil
}

// SignOut ends the session, in the store and in the browser.
func (s *Sessions) SignOut(w http.ResponseWriter, r *http.Request) error {
	session, err := s.Get(r, s.cookieName())
	if err != nil {
		return err
	}
	session.Options.MaxAge = -1
	return session.Save(r, w)
}

// ID returns the secret id of the request's session, "" if there is none.
func (s *Sessions) ID(r *http.Request) iot.Secret {
	session, err := s.Get(r, s.cookieName())
	if err != nil || session.IsNew {
		return ""
	}
	return iot.Secret(session.ID)
}

// account returns the account that is signed in, or nil, and extends the session.
func (s *Sessions) account(w http.ResponseWriter, r *http.Request) (*iot.Account, error) {
	if len(r.CookiesNamed(s.cookieName())) == 0 {
		return nil, nil // not signed in
	}
	session, err := s.Get(r, s.cookieName())
	if err != nil {
		return nil, err
	}
	key, ok := session.Values[accountValue].(int64)
	if session.IsNew || !ok {
		return nil, nil // not signed in
	}
	a, err := s.db.Account(r.Context(), key)
	if iot.CodeOf(err) == iot.NotFound {
		return nil, nil // not signed in
	}
	if err != nil {
		return nil, err
	}
	here, ended := s.inMemory(iot.Secret(session.ID), a)
	if ended {
		return nil, nil // the password has changed
	}
	if session.Options.MaxAge < int(sessionRenew/time.Second) || here && s.db.Outage() == nil {
		session.Options = s.options()
		if err := session.Save(r, w); err != nil && !isDisk(err) {
			return nil, err
		}
	}
	return a, nil
}

// Get returns the request's session. It is read once per request.
func (s *Sessions) Get(r *http.Request, name string) (*sessions.Session, error) {
	return sessions.GetRegistry(r).Get(s, name)
}

// New reads the session of the cookie, or returns a new one. Its Options.MaxAge is the
// rest of its lifetime.
func (s *Sessions) New(r *http.Request, name string) (*sessions.Session, error) {
	session := sessions.NewSession(s, name)
	session.IsNew, session.Options = true, s.options()
	cookies := r.CookiesNamed(name)
	if len(cookies) == 0 {
		return session, nil
	}
	id := cookies[0].Value
	stored, err := s.stored(r.Context(), iot.Secret(id))
	if iot.CodeOf(err) == iot.NotFound {
		return session, nil
	}
	if err != nil {
		return session, err
	}
	data, err := base64.StdEncoding.DecodeString(stored.Data)
	if err == nil {
		err = securecookie.GobEncoder{}.Deserialize(data, &session.Values)
	}
	if err != nil {
		return session, fmt.Errorf("decode session: %w", err)
	}
	session.IsNew, session.ID = false, id
	session.Options.MaxAge = int(stored.ExpiresAt.Sub(iot.At(s.now())) / time.Second)
	return session, nil
}

// Save stores the session and sends its cookie. With Options.MaxAge below 1 it ends the
// session.
func (s *Sessions) Save(_ *http.Request, w http.ResponseWriter, session *sessions.Session) error {
	if session.Options.MaxAge <= 0 {
		session.Options.MaxAge = -1
		if session.ID != "" {
			if err := s.remove(iot.Secret(session.ID)); err != nil {
				return err
			}
		}
		http.SetCookie(w, sessions.NewCookie(session.Name(), "", session.Options))
		session.ID, session.IsNew = "", true
		clear(session.Values)
		return nil
	}
	account, ok := session.Values[accountValue].(int64)
	if !ok {
		return errors.New("save session: it has no account")
	}
	data, err := securecookie.GobEncoder{}.Serialize(session.Values)
	if err != nil {
		return fmt.Errorf("encode session: %w", err)
	}
	if session.ID == "" {
		session.ID = iot.NewToken().Reveal()
	}
	life := time.Duration(session.Options.MaxAge) * time.Second
	if err := s.store(iot.Secret(session.ID), db.Session{AccountKey: account, Data: base64.StdEncoding.EncodeToString(data),
		ExpiresAt: iot.At(s.now()).Add(life)}, session.IsNew); err != nil {
		return err
	}
	session.IsNew = false
	http.SetCookie(w, sessions.NewCookie(session.Name(), session.ID, session.Options))
	return nil
}

// isDisk reports whether the store cannot write at the moment.
func isDisk(err error) bool {
	c := iot.CodeOf(err)
	return c == iot.StorageFull || c == iot.Unavailable
}

// store stores a session, or keeps a new one in memory if the disk cannot be written.
func (s *Sessions) store(id iot.Secret, v db.Session, isNew bool) error {
	err := s.db.SaveSession(id, v)
	s.mu.Lock()
	defer s.mu.Unlock()
	have := s.unsaved[id]
	switch {
	case err == nil:
		delete(s.unsaved, id)
	case !isDisk(err):
	case have != nil:
		have.Session = v
		return nil
	case isNew && len(s.unsaved) < maxUnsaved:
		s.unsaved[id] = &unsaved{Session: v}
		return nil
	}
	return err
}

// inMemory reports whether a session is only in memory, and whether its account's
// password has changed since.
func (s *Sessions) inMemory(id iot.Secret, a *iot.Account) (here, ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.unsaved[id]
	return v != nil, v != nil && v.password != a.PasswordHash
}

// stored returns a session; not_found if there is none or it has expired.
func (s *Sessions) stored(ctx context.Context, id iot.Secret) (*db.Session, error) {
	s.mu.Lock()
	var v db.Session
	have := s.unsaved[id]
	if have != nil {
		v = have.Session
	}
	s.mu.Unlock()
	if have != nil && v.ExpiresAt > iot.At(s.now()) {
		return &v, nil
	}
	return s.db.Session(ctx, id)
}

// remove ends a session.
func (s *Sessions) remove(id iot.Secret) error {
	s.mu.Lock()
	_, here := s.unsaved[id]
	delete(s.unsaved, id)
	s.mu.Unlock()
	if here {
		return nil
	}
	return s.db.DeleteSession(id)
}

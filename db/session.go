package db

import (
	"context"
	"time"

	"thingpost/internal/iot"
)

// Session is a row of the dashboard's sessions. Data is encoded by the session store.
// AccountKey is 0 before sign-in.
type Session struct {
	AccountKey int64
	Data       string
	ExpiresAt  iot.Instant
}

// Session returns the session with a secret id; not_found if there is none or it has
// expired.
func (d *DB) Session(ctx context.Context, id iot.Secret) (*Session, error) {
	var s Session
	err := d.reader.QueryRowContext(ctx, `SELECT coalesce(account_id, 0), data, expires_at FROM sessions WHERE hash = $1 AND expires_at > $2`,
		hashOf(id), int64(iot.At(d.now()))).Scan(&s.AccountKey, &s.Data, &s.ExpiresAt)
	if err != nil {
		return nil, orNotFound("session", err)
	}
	return &s, nil
}

// SaveSession stores a session under its secret id.
func (d *DB) SaveSession(id iot.Secret, s Session) error {
	var account any
	if s.AccountKey != 0 {
		account = s.AccountKey
	}
	return d.write("save session", func(t *Tx) error {
		now := int64(iot.At(t.db.now()))
		_, err := t.exec(`INSERT INTO sessions (hash, account_id, data, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT DO UPDATE SET account_id = excluded.account_id, data = excluded.data, expires_at = excluded.expires_at`,
			hashOf(id), account, s.Data, now, int64(s.ExpiresAt))
		return err
	})
}

// DeleteSession ends a session. It is no error if there is none.
func (d *DB) DeleteSession(id iot.Secret) error {
	return d.write("delete session", func(t *Tx) error {
		_, err := t.exec(`DELETE FROM sessions WHERE hash = $1`, hashOf(id))
		return err
	})
}

// SessionHash returns the hash by which SetPassword keeps a session.
func SessionHash(id iot.Secret) []byte { return hashOf(id) }

// CreateToken stores a token that acts as the account until it expires.
func (d *DB) CreateToken(text iot.Secret, account int64, lifetime time.Duration) (iot.Instant, error) {
	now := iot.At(d.now())
	expires := now.Add(lifetime)
	return expires, d.write("create token", func(t *Tx) error {
		_, err := t.exec(`INSERT INTO tokens (hash, account_id, created_at, expires_at) VALUES ($1, $2, $3, $4)`, hashOf(text), account,
			int64(now), int64(expires))
		return err
	})
}

// TokenAccount returns the account of a token; not_found if there is none or it has expired.
func (d *DB) TokenAccount(ctx context.Context, text iot.Secret) (*iot.Account, error) {
	a, err := d.scanAccount(d.reader.QueryRowContext(ctx, `SELECT `+accountColumns+` FROM tokens t JOIN accounts a ON a.id = t.account_id
		WHERE t.hash = $1 AND t.expires_at > $2`, hashOf(text), int64(iot.At(d.now()))))
	return a, orNotFound("token", err)
}

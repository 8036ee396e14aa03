package db

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"thingpost/internal/iot"
)

const (
	// maxAddresses bounds the known addresses of an account.
	maxAddresses = 20
	// addressKept is how long an address is known after its last sign-in.
	addressKept = 180 * 24 * time.Hour
)

// NoteSignIn records when an account signed in, and from which address; "" is none.
func (d *DB) NoteSignIn(account int64, address string) error {
	return d.write("note sign-in", func(t *Tx) error {
		now := int64(iot.At(t.db.now()))
		if _, err := t.exec(`UPDATE accounts SET signed_in_at = $1 WHERE id = $2`, now, account); err != nil || address == "" {
			return err
		}
		if _, err := t.exec(`INSERT INTO known_addresses (account_id, hash, used_at) VALUES ($1, $2, $3)
			ON CONFLICT DO UPDATE SET used_at = excluded.used_at`, account, d.sealer.addressHash(account, address), now); err != nil {
			return err
		}
		_, err := t.exec(`DELETE FROM known_addresses WHERE account_id = $1 AND hash NOT IN (
			SELECT hash FROM known_addresses WHERE account_id = $1 ORDER BY used_at DESC, hash LIMIT $2)`, account, maxAddresses)
		return err
	})
}

// KnowsAddress reports whether the account of an email has signed in from an address
// within the last half year. It does the same work if there is no such account.
func (d *DB) KnowsAddress(ctx context.Context, email, address string) (known bool, err error) {
	var account int64
	err = d.reader.QueryRowContext(ctx, `SELECT coalesce((SELECT id FROM accounts WHERE email = $1), 0)`, email).Scan(&account)
	if err == nil {
		err = d.reader.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM known_addresses WHERE account_id = $1 AND hash = $2 AND used_at > $3)`,
			account, d.sealer.addressHash(account, address), int64(iot.At(d.now()).Add(-addressKept))).Scan(&known)
	}
	return known, translate("look for an address", err)
}

// addressHash returns the form in which an account's address is stored. There are so few
// addresses that a hash without a key would reveal them.
func (s *sealer) addressHash(account int64, address string) []byte {
	h := hmac.New(sha256.New, s.browsers)
	_, _ = h.Write([]byte("address")) // never fails
	_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(account)))
	_, _ = h.Write([]byte(address))
	return h.Sum(nil)[:16]
}

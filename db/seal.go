package db

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"thingpost/internal/iot"
)

// KeyFileName is the name of the file in the data folder with the key that encrypts secrets.
const KeyFileName = "secret.key"

// sealer encrypts secrets at rest: AES-256-GCM with a random nonce before the ciphertext.
// links and browsers are keys for signatures, derived from the same file.
type sealer struct {
	aead            cipher.AEAD
	links, browsers []byte
}

// openSealer reads the key file; with create it creates a missing one.
func openSealer(folder, file string, create bool) (*sealer, error) {
	if file == "" {
		file = filepath.Join(folder, KeyFileName)
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) && create {
		if _, err := os.Stat(filepath.Join(folder, FileName)); err == nil {
			return nil, unavailable("The key file "+file+" is missing, and the database beside it cannot be read without it. Put it back, or "+
				"name it with THINGPOST_SECRET_KEY_FILE.", nil)
		}
		text, err = newKeyFile(file)
	}
	if err != nil {
		return nil, unavailable("The key file "+file+" cannot be read. Check its owner, or name another with THINGPOST_SECRET_KEY_FILE.", err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != 32 {
		return nil, unavailable("The key file "+file+" must hold 64 hex digits.", nil)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	links, err := hkdf.Key(sha256.New, key, nil, "thingpost embedded logs", sha256.Size)
	if err != nil {
		return nil, err
	}
	browsers, err := hkdf.Key(sha256.New, key, nil, "thingpost known browsers", sha256.Size)
	return &sealer{aead, links, browsers}, err
}

// BrowserKey returns the key that signs the cookies by which browsers are recognized. It
// stays the same as long as the key file does.
func (d *DB) BrowserKey() iot.Secret { return iot.Secret(d.sealer.browsers) }

// newKeyFile creates a key file, completely or not at all: the next start would fail with an
// incomplete one.
func newKeyFile(file string) ([]byte, error) {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	text := []byte(hex.EncodeToString(key) + "\n")
	partial, err := newPartial(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(partial) }()
	if err := os.WriteFile(partial, text, 0o600); err != nil {
		return nil, err
	}
	if err := syncFile(partial); err != nil {
		return nil, err
	}
	return text, take(partial, file)
}

// seal encrypts; the empty text stays empty.
func (s *sealer) seal(plain []byte) []byte {
	if len(plain) == 0 {
		return []byte{}
	}
	nonce := make([]byte, s.aead.NonceSize(), s.aead.NonceSize()+len(plain)+s.aead.Overhead())
	_, _ = rand.Read(nonce)
	return s.aead.Seal(nonce, nonce, plain, nil)
}

var errWrongKey = unavailable("A stored secret cannot be decrypted: the key file is not the one that it was encrypted with. Put the "+
	"right one back, or name it with THINGPOST_SECRET_KEY_FILE.", nil)

func (s *sealer) open(sealed []byte) ([]byte, error) {
	if len(sealed) == 0 {
		return nil, nil
	}
	n := s.aead.NonceSize()
	if len(sealed) < n {
		return nil, errWrongKey
	}
	plain, err := s.aead.Open(nil, sealed[:n], sealed[n:], nil)
	if err != nil {
		return nil, errWrongKey
	}
	return plain, nil
}

// checkKey verifies that the key is the one that encrypts the database's secrets. Otherwise
// a wrong key would be noticed only when a secret is needed, and new secrets would be
// encrypted with it until then.
func (w *writer) checkKey(ctx context.Context) error {
	const known = "thingpost"
	var text string
	err := w.conn.QueryRowContext(ctx, `SELECT value FROM meta WHERE name = 'key_check'`).Scan(&text)
	if isNoRow(err) {
		_, err = w.conn.ExecContext(ctx, `INSERT INTO meta (name, value) VALUES ('key_check', $1)`,
			hex.EncodeToString(w.db.sealer.seal([]byte(known))))
		return err
	}
	if err != nil {
		return err
	}
	sealed, err := hex.DecodeString(text)
	if err != nil {
		return errWrongKey
	}
	_, err = w.db.sealer.open(sealed)
	return err
}

// hashOf returns the hash of a secret that only needs to be recognized. Such secrets are
// random and long, so that one round of SHA-256 is enough.
func hashOf(s iot.Secret) []byte {
	h := sha256.Sum256([]byte(s.Reveal()))
	return h[:]
}

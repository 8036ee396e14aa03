package webhook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"strings"
	"sync"

	"thingpost/internal/iot"
)

const (
	secretPrefix   = "whsec_"
	minSecretBytes = 24
	maxSecretBytes = 64
	newSecretBytes = 32
)

// NewSigningSecret returns a random signing secret in the form of Standard Webhooks:
// whsec_ and base64.
func NewSigningSecret() iot.Secret {
	key := make([]byte, newSecretBytes)
	_, _ = rand.Read(key) // never fails: rand ends the program instead
	return iot.Secret(secretPrefix + base64.StdEncoding.EncodeToString(key))
}

// signer signs requests with one secret. It is safe for concurrent use.
type signer struct {
	key  []byte
	pool sync.Pool // of *signing
}

// signing is the working memory for one signature.
type signing struct {
	mac  hash.Hash
	head []byte // a copy: the caller's stays on its stack
	sum  [sha256.Size]byte
}

func newSigner(secret iot.Secret) (*signer, error) {
	text, ok := strings.CutPrefix(secret.Reveal(), secretPrefix)
	key, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(key) < minSecretBytes || len(key) > maxSecretBytes {
		return nil, iot.NewError(iot.Invalid, "The signing secret must be whsec_ and the base64 of 24 to 64 bytes. Create a new one.")
	}
	return &signer{key: key}, nil
}

// append appends "v1," and the base64 HMAC-SHA256 of head and body.
func (s *signer) append(dst, head, body []byte) []byte {
	work, _ := s.pool.Get().(*signing)
	if work == nil {
		work = &signing{mac: hmac.New(sha256.New, s.key)}
	}
	work.mac.Reset()
	work.head = append(work.head[:0], head...)
	_, _ = work.mac.Write(work.head)
	_, _ = work.mac.Write(body)
	dst = append(dst, "v1,"...)
	dst = base64.StdEncoding.AppendEncode(dst, work.mac.Sum(work.sum[:0]))
	s.pool.Put(work)
	return dst
}

package iot

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"runtime/debug"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Passwords hashes and checks passwords: argon2id with 19 MiB and two passes. It runs
// at most two at a time, so that many sign-ins cannot exhaust memory. It is safe for
// concurrent use.
type Passwords struct{ slots chan struct{} }

// NewPasswords returns a Passwords. A program needs one.
func NewPasswords() *Passwords { return &Passwords{slots: make(chan struct{}, 2)} }

const (
	argonMemory = 19 << 10 // KiB
	argonTime   = 2
	argonBytes  = 32
)

// Bounds of a password, in characters and bytes.
const (
	MinPassword = 10
	MaxPassword = 512
)

// Hash checks a new password of the account with the email (PasswordProblem) and
// returns its argon2id hash in the usual text form. Invalid: a fault of the field
// "password".
func (p *Passwords) Hash(ctx context.Context, password Secret, email string) (Secret, error) {
	if problem := PasswordProblem(password, email); problem != "" {
		return "", FieldError("password", problem)
	}
	salt := make([]byte, 16)
	_, _ = rand.Read(salt)
	sum, err := p.sum(ctx, password, salt, argonTime, argonMemory)
	if err != nil {
		return "", err
	}
	b64 := base64.RawStdEncoding
	return Secret(fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=1$%s$%s", argon2.Version, argonMemory, argonTime, b64.EncodeToString(salt),
		b64.EncodeToString(sum))), nil
}

// Check reports whether a password has the hash. An empty or malformed hash takes as
// long and never matches, so that nobody learns which accounts exist.
func (p *Passwords) Check(ctx context.Context, hash, password Secret) (bool, error) {
	salt, want, passes, memory, ok := parseHash(hash.Reveal())
	if !ok {
		salt, want, passes, memory = make([]byte, 16), make([]byte, argonBytes), argonTime, argonMemory
	}
	if len(password) > MaxPassword {
		password = ""
		ok = false
	}
	sum, err := p.sum(ctx, password, salt, passes, memory)
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(sum, want) == 1 && ok, nil
}

func (p *Passwords) sum(ctx context.Context, password Secret, salt []byte, passes, memory uint32) ([]byte, error) {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, &Error{Code: Unavailable, Message: "Too many people are signing in. Try again.", Err: ctx.Err()}
	}
	defer func() {
		<-p.slots
		debug.FreeOSMemory() // two runs would leave 40 MiB behind
	}()
	return argon2.IDKey([]byte(password.Reveal()), salt, passes, memory, 1, argonBytes), nil
}

// mostPasses bounds the passes of a stored hash.
const mostPasses = 64

func parseHash(text string) (salt, sum []byte, passes, memory uint32, ok bool) {
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return nil, nil, 0, 0, false
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=1", &memory, &passes); err != nil || passes == 0 || passes > mostPasses || memory > 1<<20 {
		return nil, nil, 0, 0, false
	}
	b64 := base64.RawStdEncoding
	salt, err1 := b64.DecodeString(parts[4])
	sum, err2 := b64.DecodeString(parts[5])
	return salt, sum, passes, memory, err1 == nil && err2 == nil && len(sum) == argonBytes
}

// CheckEmail returns an Invalid error of the field "email" unless it can be an address.
// Only a mail could prove that it is one.
func CheckEmail(email string) error {
	name, host, ok := strings.Cut(email, "@")
	if !ok || name == "" || len(host) < 3 || strings.ContainsAny(email, " \t\r\n<>,;") || HasControl(email) || len(email) > MaxName ||
		strings.Contains(host, "@") {
		return FieldError("email", "must be an email address, like ada@example.org.")
	}
	return nil
}

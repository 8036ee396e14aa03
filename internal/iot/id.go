package iot

import (
	"crypto/rand"
	"encoding/binary"
	"math"
	mrand "math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"
)

// ID is a UUIDv7 (RFC 9562). It is ordered by time, and the public name of messages,
// deliveries and everything else without a slug.
//
// The first 63 significant bits (42 bits of Unix milliseconds, 21 bits of sequence) are
// the row's integer key: hot tables need no second index to find a row by its id. The
// last 53 bits are the instance's salt, which keeps the ids of two hosts apart.
type ID [16]byte

const (
	seqBits  = 21
	saltBits = 53
	saltMask = 1<<saltBits - 1
)

// ParseID reads the usual text form of a UUID. ok is false for any other text.
func ParseID(s string) (id ID, ok bool) {
	if !LooksLikeUUID(s) {
		return ID{}, false
	}
	u, err := uuid.Parse(s)
	return ID(u), err == nil
}

// String returns the text form, or "" for the zero id.
func (id ID) String() string {
	if id == (ID{}) {
		return ""
	}
	return uuid.UUID(id).String()
}

// IsZero reports whether there is no id.
func (id ID) IsZero() bool { return id == ID{} }

// MarshalText encodes the text form, or nothing for the zero id.
func (id ID) MarshalText() ([]byte, error) {
	if id.IsZero() {
		return nil, nil
	}
	return uuid.UUID(id).MarshalText()
}

// UnmarshalText reads the text form.
func (id *ID) UnmarshalText(b []byte) error {
	v, ok := ParseID(string(b))
	if !ok {
		return NewError(Invalid, "An ID is a UUID, like 019aa5d2-8c41-7e9a-8000-0123456789ab.")
	}
	*id = v
	return nil
}

// Key returns the integer key of the row that the id names.
func (id ID) Key() int64 {
	hi := binary.BigEndian.Uint64(id[:8])
	lo := binary.BigEndian.Uint64(id[8:])
	ms := hi >> 16 & (1<<42 - 1)
	return int64(ms<<seqBits | (hi&0xfff)<<9 | lo>>saltBits&0x1ff)
}

// IDs makes the ids of one instance. It is safe for concurrent use. Its ids only grow:
// after a clock jumps back it continues from the last id.
type IDs struct {
	salt uint64
	now  func() time.Time

	mu   sync.Mutex
	last int64
}

// NewSalt returns random bits for a new instance.
func NewSalt() int64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: rand ends the program instead
	return int64(binary.BigEndian.Uint64(b[:]) & saltMask)
}

// NewIDs makes ids with the instance's salt, after the greatest key in use.
func NewIDs(salt, last int64, now func() time.Time) *IDs {
	return &IDs{salt: uint64(salt) & saltMask, last: last, now: now}
}

// New returns an id greater than all before it.
func (s *IDs) New() ID {
	ms := max(s.now().UnixMilli(), 0)
	s.mu.Lock()
	// Half of the sequence is random, so that copies of one instance differ. The other
	// half leaves room for a million ids in a millisecond.
	key := ms<<seqBits | int64(mrand.Uint32N(1<<(seqBits-1)))
	if key <= s.last || ms == s.last>>seqBits {
		key = s.last + 1
	}
	s.last = key
	s.mu.Unlock()
	return s.Of(key)
}

// Last returns the instant in the newest id, including ids from before a restart.
func (s *IDs) Last() Instant {
	s.mu.Lock()
	defer s.mu.Unlock()
	return KeyTime(s.last)
}

// Of returns the id of a row's integer key, or the zero id for 0.
func (s *IDs) Of(key int64) ID {
	if key == 0 {
		return ID{}
	}
	var id ID
	k := uint64(key)
	binary.BigEndian.PutUint64(id[:8], k>>seqBits<<16|7<<12|k>>9&0xfff)
	binary.BigEndian.PutUint64(id[8:], 2<<62|(k&0x1ff)<<saltBits|s.salt)
	return id
}

// KeyAt returns the smallest key that an id made at t or later can have. Ids end in May
// 2109: for later instants it returns the greatest key.
func KeyAt(t Instant) int64 {
	if t > math.MaxInt64>>seqBits {
		return math.MaxInt64
	}
	return max(int64(t), 0) << seqBits
}

// KeyTime returns the instant in a key.
func KeyTime(key int64) Instant { return Instant(key >> seqBits) }

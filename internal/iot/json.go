package iot

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Bounds of accepted JSON. Readers have bounds of their own, and one value beyond them
// makes a whole list unreadable: PHP's json_decode stops at 512 levels, Python's json
// at about 1,000, and Python reads no integer of more than 4,300 digits.
const (
	MaxJSONDepth  = 512  // of nested lists and objects
	MaxJSONDigits = 1000 // of one number, including its exponent
)

// ErrJSONBounds is wrapped by errors of ReadJSON about JSON beyond MaxJSONDepth or
// MaxJSONDigits.
var ErrJSONBounds = errors.New("beyond the bounds of accepted JSON")

// byteOrderMark is U+FEFF in UTF-8. Some programs begin every text with it.
var byteOrderMark = []byte("\xef\xbb\xbf")

// TrimMark returns a text without a leading byte order mark, in the same memory.
func TrimMark(text []byte) []byte { return bytes.TrimPrefix(text, byteOrderMark) }

// ReadJSON returns a text without a leading byte order mark, in the same memory. The
// text must be one JSON value (RFC 8259) in UTF-8 within the bounds above. An escaped
// half of a surrogate pair is refused: it is not a character, and PHP, Rust and
// PostgreSQL refuse it. Valid texts need no allocation. The error is Invalid and has
// the place: bytes, lines and columns count from 1.
func ReadJSON(text []byte) ([]byte, error) {
	text = TrimMark(text)
	s := jsonScan{b: text}
	if s.text(); s.fault == jsonGood {
		return text, nil
	}
	return text, s.err()
}

type jsonFault uint8

const (
	jsonGood jsonFault = iota
	jsonSyntax
	jsonEncoding
	jsonHalf
	jsonDeep
	jsonLong
)

// jsonScan reads a text once. At the first fault, fault is set and i is its place.
type jsonScan struct {
	b       []byte
	i       int
	depth   int
	objects [MaxJSONDepth / 64]uint64 // a bit for each open level: it is an object
	fault   jsonFault
}

func (s *jsonScan) fail(f jsonFault) bool {
	s.fault = f
	return false
}

// next returns the next byte that is not space; 0 at the end.
func (s *jsonScan) next() byte {
	for ; s.i < len(s.b); s.i++ {
		if c := s.b[s.i]; c > ' ' || c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return c
		}
	}
	return 0
}

// text reads one value and the space around it.
func (s *jsonScan) text() {
	more := true
	for more {
		more = s.value() && s.after()
	}
	if s.fault != jsonGood {
		return
	}
	if s.next(); s.i < len(s.b) {
		s.fail(jsonSyntax)
	}
}

// value reads a value without members to its end. Of others it reads the beginnings,
// down to the first value without members.
func (s *jsonScan) value() bool {
	for {
		switch c := s.next(); {
		case c == '"':
			s.i++
			return s.string()
		case c == '{' || c == '[':
			if s.depth == MaxJSONDepth {
				return s.fail(jsonDeep)
			}
			word, bit := s.depth/64, uint64(1)<<(s.depth%64)
			s.i++
			s.depth++
			if c == '{' {
				s.objects[word] |= bit
				if s.next() == '}' {
					return true // after closes it
				}
				if !s.name() {
					return false
				}
				continue
			}
			s.objects[word] &^= bit
			if s.next() == ']' {
				return true
			}
		case c == '-' || c >= '0' && c <= '9':
			return s.number()
		case c == 't':
			return s.word("true")
		case c == 'f':
			return s.word("false")
		case c == 'n':
			return s.word("null")
		default:
			return s.fail(jsonSyntax)
		}
	}
}

// after reads what follows a value: the closing brackets after it, or a comma and the
// next member's name. It returns whether another value follows.
func (s *jsonScan) after() bool {
	for s.depth > 0 {
		object := s.objects[(s.depth-1)/64]&(1<<((s.depth-1)%64)) != 0
		switch c := s.next(); {
		case c == ',' && object:
			s.i++
			return s.name()
		case c == ',':
			s.i++
			return true
		case c == '}' && object, c == ']' && !object:
			s.i++
			s.depth--
		default:
			return s.fail(jsonSyntax)
		}
	}
	return false
}

// name reads a member's name and its colon.
func (s *jsonScan) name() bool {
	if s.next() != '"' {
		return s.fail(jsonSyntax)
	}
	s.i++
	if !s.string() {
		return false
	}
	if s.next() != ':' {
		return s.fail(jsonSyntax)
	}
	s.i++
	return true
}

func (s *jsonScan) word(w string) bool {
	for j := range len(w) {
		if s.i == len(s.b) || s.b[s.i] != w[j] {
			return s.fail(jsonSyntax)
		}
		s.i++
	}
	return true
}

func (s *jsonScan) digits() (n int) {
	from := s.i
	for s.i < len(s.b) && s.b[s.i] >= '0' && s.b[s.i] <= '9' {
		s.i++
	}
	return s.i - from
}

func (s *jsonScan) has(c byte) bool {
	if s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

func (s *jsonScan) number() bool {
	from := s.i
	s.has('-')
	n := 1
	if !s.has('0') {
		if n = s.digits(); n == 0 {
			return s.fail(jsonSyntax)
		}
	}
	if s.has('.') {
		more := s.digits()
		if n += more; more == 0 {
			return s.fail(jsonSyntax)
		}
	}
	if s.has('e') || s.has('E') {
		if !s.has('+') {
			s.has('-')
		}
		more := s.digits()
		if n += more; more == 0 {
			return s.fail(jsonSyntax)
		}
	}
	if n > MaxJSONDigits {
		s.i = from
		return s.fail(jsonLong)
	}
	return true
}

// string reads the rest of a string, after its first quote.
func (s *jsonScan) string() bool {
	b, i := s.b, s.i
	for i < len(b) {
		c := b[i]
		switch {
		case c == '"':
			s.i = i + 1
			return true
		case c >= utf8.RuneSelf:
			_, size := utf8.DecodeRune(b[i:])
			if size == 1 { // not UTF-8; U+FFFD itself has three bytes
				s.i = i
				return s.fail(jsonEncoding)
			}
			i += size
		case c == '\\':
			s.i = i
			if !s.escape() {
				return false
			}
			i = s.i
		case c < ' ':
			s.i = i
			return s.fail(jsonSyntax)
		default:
			i++
		}
	}
	s.i = i
	return s.fail(jsonSyntax)
}

// escape reads a backslash and its sequence.
func (s *jsonScan) escape() bool {
	from := s.i
	if s.i++; s.i == len(s.b) {
		return s.fail(jsonSyntax)
	}
	switch s.b[s.i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.i++
		return true
	case 'u':
		s.i++
	default:
		return s.fail(jsonSyntax)
	}
	const high, low, end = 0xd800, 0xdc00, 0xe000
	r, ok := s.hex()
	if !ok || r < high || r >= end {
		return ok
	}
	if r < low && s.i+1 < len(s.b) && s.b[s.i] == '\\' && s.b[s.i+1] == 'u' {
		s.i += 2
		other, ok := s.hex()
		if !ok || other >= low && other < end {
			return ok
		}
	}
	s.i = from
	return s.fail(jsonHalf)
}

// hex reads four hex digits.
func (s *jsonScan) hex() (r rune, ok bool) {
	for range 4 {
		var c byte
		if s.i < len(s.b) {
			c = s.b[s.i]
		}
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, s.fail(jsonSyntax)
		}
		r = r<<4 | rune(c)
		s.i++
	}
	return r, true
}

// err returns what is wrong, where, and what to do.
func (s *jsonScan) err() error {
	e := &Error{Code: Invalid}
	switch at := s.where(); s.fault {
	case jsonDeep:
		e.Err = ErrJSONBounds
		e.Message = fmt.Sprintf("The body is nested too deep (%s): at most %d nested lists and objects are accepted.", at, MaxJSONDepth)
	case jsonLong:
		e.Err = ErrJSONBounds
		e.Message = "A number in the body is too long (" + at + "): at most 1,000 digits are accepted. Send longer numbers as strings."
	case jsonEncoding:
		e.Message = fmt.Sprintf("The body is not valid JSON (%s: the byte 0x%02x is not UTF-8). Send JSON in UTF-8.", at, s.b[s.i])
	case jsonHalf:
		e.Message = fmt.Sprintf("The body is not valid JSON (%s: %s is half of a surrogate pair). Send both halves, or neither.",
			at, s.b[s.i:s.i+6])
	case jsonSyntax, jsonGood:
		var v json.RawMessage
		why := "it is cut off"
		if err := json.Unmarshal(s.b, &v); err != nil { // for its words; it stops at the same place
			why = strings.TrimPrefix(err.Error(), "json: ")
		}
		e.Message = "The body is not valid JSON (" + at + ": " + why + ")."
	}
	return e
}

// where returns the place of the fault. In a text that ends too early it is the last
// byte.
func (s *jsonScan) where() string {
	before := s.b[:max(0, min(s.i, len(s.b)-1))]
	line := 1 + bytes.Count(before, []byte("\n"))
	column := len(before) - bytes.LastIndexByte(before, '\n')
	return fmt.Sprintf("byte %d, line %d, column %d", min(len(before)+1, len(s.b)), line, column)
}

package lorawan

// cursor walks over valid JSON (json.Valid) without copying it. With other texts its
// results are meaningless, but it neither panics nor runs past the end.
type cursor struct {
	b []byte
	i int
}

// peek skips white space and returns the next byte; 0 at the end.
func (c *cursor) peek() byte {
	for c.i < len(c.b) {
		switch c.b[c.i] {
		case ' ', '\t', '\r', '\n':
			c.i++
		default:
			return c.b[c.i]
		}
	}
	return 0
}

// open steps into an object or array; false if none begins here.
func (c *cursor) open(bracket byte) bool {
	if c.peek() != bracket {
		return false
	}
	c.i++
	return true
}

// more steps to the next element of an object or array. After the last it steps out and
// returns false. Call it once before each element.
func (c *cursor) more() bool {
	switch c.peek() {
	case ',':
		c.i++
		return true
	case '}', ']':
		c.i++
		return false
	case 0:
		return false
	}
	return true
}

// key returns a member's name between its quotes, unchanged, and steps to the value.
func (c *cursor) key() []byte {
	c.peek()
	raw := c.text()
	if c.peek() == ':' {
		c.i++
	}
	if len(raw) < 2 {
		return nil
	}
	return raw[1 : len(raw)-1]
}

// text returns the string that begins here, with its quotes.
func (c *cursor) text() []byte {
	from := min(c.i, len(c.b))
	c.i = endOfText(c.b, c.i)
	return c.b[from:c.i]
}

// endOfText returns the end of the string that begins at i.
func endOfText(b []byte, i int) int {
	for i++; i < len(b); i++ {
		if b[i] == '"' {
			return i + 1
		}
		if b[i] == '\\' {
			i++
		}
	}
	return len(b)
}

// value returns the value that begins here, unchanged, without surrounding white space.
func (c *cursor) value() []byte {
	switch c.peek() {
	case '"':
		return c.text()
	case '{', '[':
		return c.nested()
	}
	from := c.i
	for c.i < len(c.b) {
		switch c.b[c.i] {
		case ',', '}', ']', ' ', '\t', '\r', '\n':
			return c.b[from:c.i]
		}
		c.i++
	}
	return c.b[from:]
}

// structural marks the bytes that nested checks.
var structural = [256]bool{'"': true, '{': true, '}': true, '[': true, ']': true}

func (c *cursor) nested() []byte {
	b, from, i, depth := c.b, c.i, c.i, 0
	for i < len(b) {
		if !structural[b[i]] {
			i++
			continue
		}
		switch b[i] {
		case '"':
			i = endOfText(b, i)
			continue
		case '{', '[':
			depth++
		default:
			depth--
		}
		i++
		if depth == 0 {
			break
		}
	}
	c.i = i
	return b[from:i]
}

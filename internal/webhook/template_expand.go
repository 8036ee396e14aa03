package webhook

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"thingpost/internal/iot"
)

// piece is a part of a template's text: a literal, or an RFC 6570 expression.
type piece struct {
	literal string
	op      byte // of an expression: 0 + . / ; ? & #
	vars    []exprVar
}

type exprVar struct {
	name string
	most int    // of characters used; 0 is all
	tail string // modifier as written
}

// parsePieces reads a template's text. Names of fields can have characters that RFC
// 6570 does not allow, such as a dash. problem is a sentence about the fault, or "".
func parsePieces(s string) (pieces []piece, problem string) {
	for s != "" {
		from := strings.IndexByte(s, '{')
		if from < 0 {
			from = len(s)
		}
		if from > 0 {
			pieces = append(pieces, piece{literal: s[:from]})
			s = s[from:]
			continue
		}
		to := strings.IndexByte(s, '}')
		if to < 0 {
			return nil, "has a { without its }."
		}
		p, ok := parseExpression(s[1:to])
		if !ok {
			return nil, "must have placeholders of the form {name}."
		}
		pieces = append(pieces, p)
		s = s[to+1:]
	}
	return pieces, ""
}

func parseExpression(s string) (p piece, ok bool) {
	if s != "" && strings.IndexByte("+#./;?&", s[0]) >= 0 {
		p.op, s = s[0], s[1:]
	}
	for text := range strings.SplitSeq(s, ",") {
		v := exprVar{name: text}
		if i := strings.IndexAny(text, ":*"); i >= 0 {
			v.name, v.tail = text[:i], text[i:]
			if v.tail[0] == ':' {
				n, err := strconv.Atoi(v.tail[1:])
				if err != nil || n < 1 || n > 9999 {
					return p, false
				}
				v.most = n
			} else if v.tail != "*" {
				return p, false
			}
		}
		if v.name == "" || strings.ContainsAny(v.name, "{ \t") {
			return p, false
		}
		p.vars = append(p.vars, v)
	}
	return p, true
}

// style is how an operator of RFC 6570 writes variables.
type style struct {
	first, between string
	named          bool
	reserved       bool // reserved characters stay unchanged
}

func styleOf(op byte) style {
	switch op {
	case '+':
		return style{between: ",", reserved: true}
	case '#':
		return style{first: "#", between: ",", reserved: true}
	case '.', '/':
		return style{first: string(op), between: string(op)}
	case ';':
		return style{first: ";", between: ";", named: true}
	case '?':
		return style{first: "?", between: "&", named: true}
	case '&':
		return style{first: "&", between: "&", named: true}
	}
	return style{between: ","}
}

// filler fills values into one text of a template. It also writes the text for display,
// with a mask for each secret.
type filler struct {
	template *iot.Template
	values   map[string]string // by the field's id; "" is undefined
	faults   *iot.Faults       // by "fields." and the field's id

	full    strings.Builder
	shown   strings.Builder
	secrets []iot.Secret
	used    []string // IDs of fields
}

func (f *filler) write(s string) {
	f.full.WriteString(s)
	f.shown.WriteString(s)
}

// writeValue writes the text for a field's value.
func (f *filler) writeValue(field *iot.TemplateField, s string) {
	if !field.Secret || s == "" {
		f.write(s)
		return
	}
	f.full.WriteString(s)
	f.shown.WriteString(iot.Mask)
	f.secrets = append(f.secrets, iot.Secret(s))
}

// value returns a field and its value, or nil for a name without a field.
func (f *filler) value(name string) (*iot.TemplateField, string) {
	field := findField(f.template, name)
	if field == nil {
		return nil, ""
	}
	if !slices.Contains(f.used, name) {
		f.used = append(f.used, name)
	}
	return field, f.values[name]
}

func (f *filler) fault(field *iot.TemplateField, text string) {
	f.faults.Add("fields."+field.ID, text)
}

// uri fills a base URL or a path. Our own variables stay for the delivery. Unknown
// names become nothing, as in RFC 6570. isBase means that the text begins with scheme
// and host, which restricts values there.
func (f *filler) uri(text string, isBase bool) (problem string) {
	pieces, problem := parsePieces(text)
	if problem != "" {
		return problem
	}
	for i, p := range pieces {
		switch {
		case p.vars == nil:
			f.write(p.literal)
		case isBase && f.beforePath() && (p.op == 0 || p.op == '+' || p.op == '.') && len(p.vars) == 1:
			f.origin(p, rest(pieces[i+1:]))
		default:
			f.expression(p)
		}
	}
	return ""
}

// rest is the known text after a piece, up to the next expression that is also in the
// host.
func rest(pieces []piece) string {
	var b strings.Builder
	for _, p := range pieces {
		switch {
		case p.vars == nil:
			b.WriteString(p.literal)
		case p.op == '/' || p.op == '?' || p.op == '#':
			return b.String() + "/"
		default:
			b.WriteString("x")
		}
	}
	return b.String()
}

// beforePath reports whether the text so far ends before or in the host.
func (f *filler) beforePath() bool {
	_, authority, rest, ok := splitURL(f.full.String())
	return !ok || rest == "" && !strings.Contains(authority, "{")
}

func (f *filler) expression(p piece) {
	st := styleOf(p.op)
	goesOn := false // a variable was written
	for _, v := range p.vars {
		field, value := f.value(v.name)
		_, ours := findVariable(v.name)
		switch {
		case field == nil && ours:
			f.write(keepVariable(p.op, v, goesOn))
		case value == "":
			continue
		default:
			lead := st.first
			if goesOn {
				lead = st.between
			}
			if st.named {
				lead += v.name + "="
			}
			f.write(lead)
			f.writeValue(field, encode(cut(value, v.most), st.reserved))
		}
		goesOn = true
	}
}

// keepVariable writes the expression of one of our variables. goesOn means that it is
// not the first of its expression.
func keepVariable(op byte, v exprVar, goesOn bool) string {
	sign, lead := "", ""
	switch op {
	case 0:
	case '?':
		sign = "?"
		if goesOn {
			sign = "&"
		}
	case '#':
		sign = "#"
		if goesOn {
			sign = "+"
		}
	default:
		sign = string(op)
	}
	if goesOn && (op == 0 || op == '+' || op == '#') {
		lead = ","
	}
	return lead + "{" + sign + v.name + v.tail + "}"
}

func cut(s string, most int) string {
	if r := []rune(s); most > 0 && len(r) > most {
		return string(r[:most])
	}
	return s
}

// encode percent-encodes as RFC 6570 does. With reserved it encodes only characters
// that a URL can never contain.
func encode(s string, reserved bool) string {
	const marks = "-._~"
	const delimiters = ":/?#[]@!$&'()*+,;="
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte(marks, c) >= 0,
			reserved && strings.IndexByte(delimiters, c) >= 0,
			reserved && c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			b.WriteByte(c)
		default:
			b.WriteString(percent(c))
		}
	}
	return b.String()
}

var (
	hostForm = regexp.MustCompile(`^[\pL\pM\pN._-]+$`)
	portForm = regexp.MustCompile(`^[0-9]{1,5}$`)
)

// origin fills a field into scheme or host of a base URL. after is the text that
// follows in the template. The value sets only the part of the host that the template
// leaves open.
func (f *filler) origin(p piece, after string) {
	field, value := f.value(p.vars[0].name)
	if field == nil {
		f.expression(p)
		return
	}
	value = cut(value, p.vars[0].most)
	if value == "" {
		f.fault(field, "must not be empty: the address depends on it.")
		return
	}
	_, authority, _, hasScheme := splitURL(f.full.String())
	login, _, _ := strings.Cut(after, "/")
	switch {
	case !hasScheme && strings.HasPrefix(after, "://") && f.full.Len() == 0:
		if value != "https" && value != "http" {
			f.fault(field, "must be https or http.")
			return
		}
		f.write(value)
	case f.full.Len() == 0:
		f.wholeURL(field, value)
	case !hasScheme, strings.Contains(login, "@"):
		f.writeValue(field, encode(value, false))
	default:
		f.host(field, p.op, authority, value, after)
	}
}

// wholeURL fills in a value that is itself a URL. The scheme and host of a secret one
// stay visible: people must see where messages go.
func (f *filler) wholeURL(field *iot.TemplateField, value string) {
	scheme, authority, more, ok := splitURL(value)
	if !ok || scheme != "https" && scheme != "http" || authority == "" || !utf8.ValidString(value) {
		f.fault(field, "must begin with https:// or http://, like https://example.com/in.")
		return
	}
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		f.write(scheme + "://")
		f.writeValue(field, authority[:at])
		f.write("@" + authority[at+1:])
	} else {
		f.write(scheme + "://" + authority)
	}
	if more == "" {
		return
	}
	if more[0] == '/' || more[0] == '?' {
		f.write(more[:1])
		more = more[1:]
	}
	f.writeValue(field, encode(more, true))
}

// host fills a value into the host, or after it. authority is the host so far.
func (f *filler) host(field *iot.TemplateField, op byte, authority, value, after string) {
	ends := after == "" || after[0] == '/' || after[0] == '?'
	name, port, hasPort, tail := value, "", false, ""
	if op == '+' {
		if i := strings.IndexAny(name, "/?"); i >= 0 {
			name, tail = name[:i], name[i:]
		}
	}
	if !strings.HasPrefix(name, "[") {
		name, port, hasPort = strings.Cut(name, ":")
	} else if i := strings.Index(name, "]:"); i >= 0 {
		name, port, hasPort = name[:i+1], name[i+2:], true
	}
	open := authority == "" || strings.HasSuffix(authority, ".") || strings.HasSuffix(authority, "-") || !ends || op == '.'
	switch {
	case strings.Contains(authority, ":"): // the port follows
		if !portForm.MatchString(value) {
			f.fault(field, "must be a port number.")
			return
		}
	case !open && (name != "" || !hasPort && tail == ""):
		f.fault(field, "must not change the host "+authority+".")
		return
	case open && !hostForm.MatchString(name) && (authority != "" || !strings.HasPrefix(name, "[")),
		hasPort && (!ends || !portForm.MatchString(port)), tail != "" && !ends:
		f.fault(field, "must be a host name, like example.com, without https:// and path.")
		return
	}
	lead := styleOf(op).first
	f.write(lead)
	f.writeValue(field, value[:len(value)-len(tail)])
	if tail != "" {
		f.write(tail[:1])
		f.writeValue(field, encode(tail[1:], true))
	}
}

// header fills a header's value with unchanged fields and nothing else. secret means
// that it contains a secret.
func (f *filler) header(text string) (value string, secret bool) {
	var b strings.Builder
	for text != "" {
		from := strings.IndexByte(text, '{')
		n := -1
		if from >= 0 {
			n = strings.IndexByte(text[from:], '}')
		}
		if n < 0 {
			b.WriteString(text)
			break
		}
		b.WriteString(text[:from])
		name := text[from+1 : from+n]
		if field, v := f.value(name); field != nil {
			b.WriteString(v)
			secret = secret || field.Secret && v != ""
			text = text[from+n+1:]
			continue
		}
		b.WriteByte('{') // one of our variables, or text
		text = text[from+1:]
	}
	return strings.TrimSpace(b.String()), secret
}

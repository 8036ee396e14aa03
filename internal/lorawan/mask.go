package lorawan

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"thingpost/internal/iot"
	"thingpost/internal/lorawan/wire"
)

// Bounds of a mask.
const (
	MaxMaskPaths = 500
	maxMaskPath  = 250 // characters of a path
)

// Mask is a compiled field mask: a tree of the names that stay. It is immutable and
// safe for concurrent use.
type Mask struct {
	root maskNode
}

type maskNode struct {
	all  bool // with everything below
	next map[string]*maskNode
}

// CompileMask reads the paths of an ApplicationUp that stay, such as
// up.uplink_message.f_port. It returns nil, the whole message, for no paths. Invalid,
// naming each path that cannot be applied, under the field "field_mask".
func CompileMask(paths []string) (*Mask, error) {
	if len(paths) == 0 {
		return nil, nil //nolint:nilnil // no mask: the whole message
	}
	if len(paths) > MaxMaskPaths {
		return nil, iot.FieldError("field_mask", fmt.Sprintf("can have at most %d paths; there are %d.", MaxMaskPaths, len(paths)))
	}
	m := &Mask{}
	var problems []string
	for _, path := range paths {
		if problem := m.add(path); problem != "" {
			problems = append(problems, problem)
		}
	}
	const shown = 3
	if n := len(problems); n > shown {
		problems = append(problems[:shown], fmt.Sprintf("%d more paths cannot be applied.", n-shown))
	}
	if len(problems) > 0 {
		return nil, iot.FieldError("field_mask", strings.Join(problems, " "))
	}
	return m, nil
}

// add adds a path. It returns why the path cannot be applied, or "".
func (m *Mask) add(path string) string {
	if len(path) > maxMaskPath {
		return fmt.Sprintf("“%s…” is too long for a path.", path[:strings.LastIndexByte(path[:40], '.')+1])
	}
	node, md := &m.root, upDescriptor()
	for rest := path; ; {
		name, after, deeper := strings.Cut(rest, ".")
		if md == nil {
			return fmt.Sprintf("“%s” cannot be applied: “%s” is kept or removed as a whole.", path, strings.TrimSuffix(path, "."+rest))
		}
		if of := md.Oneofs().ByName(protoreflect.Name(name)); of != nil {
			if !deeper {
				for i := range of.Fields().Len() {
					node.child(string(of.Fields().Get(i).Name())).all = true
				}
				return ""
			}
			name, after, deeper = strings.Cut(after, ".")
			if of.Fields().ByName(protoreflect.Name(name)) == nil {
				return fmt.Sprintf("“%s” does not exist: there is no %s in %s.", path, name, of.Name())
			}
		} else if fd := md.Fields().ByName(protoreflect.Name(name)); fd != nil && fd.ContainingOneof() != nil {
			return fmt.Sprintf("“%s” needs “%s.” before “%s”.", path, fd.ContainingOneof().Name(), name)
		}
		fd := md.Fields().ByName(protoreflect.Name(name))
		if fd == nil && !slices.Contains(jsonOnly(md.Name()), name) {
			return fmt.Sprintf("“%s” does not exist.", path)
		}
		node = node.child(name)
		if !deeper {
			node.all = true
			return ""
		}
		rest, md = after, partsOf(fd)
	}
}

func upDescriptor() protoreflect.MessageDescriptor {
	return (*wire.ApplicationUp)(nil).ProtoReflect().Descriptor()
}

func (n *maskNode) child(name string) *maskNode {
	if n.next == nil {
		n.next = map[string]*maskNode{}
	}
	c := n.next[name]
	if c == nil {
		c = &maskNode{}
		n.next[name] = c
	}
	return c
}

// partsOf returns the message whose fields a path can name below a field. It is nil
// below lists, maps, plain JSON and everything that JSON writes as one value.
func partsOf(fd protoreflect.FieldDescriptor) protoreflect.MessageDescriptor {
	if fd == nil || fd.IsList() || fd.IsMap() || fd.Kind() != protoreflect.MessageKind || formOf(fd) != formPlain {
		return nil
	}
	return fd.Message()
}

// jsonOnly returns members of a message that paths can name although the schema lacks
// them: those documented for older versions, and those of newer versions whose numbers
// we do not know. JSON keeps them by name. Protocol Buffers cannot.
func jsonOnly(message protoreflect.Name) []string {
	switch message {
	case "ApplicationUplink", "ApplicationJoinAccept":
		return []string{"attributes"}
	case "TxSettings":
		return []string{"coding_rate"}
	case "EndDeviceVersionIdentifiers":
		return []string{"serial_number", "vendor_id", "vendor_profile_id"}
	}
	return nil
}

// MaskPaths returns every path that a mask can have, in alphabetical order; causes of
// an error to one level.
func MaskPaths() []string {
	list := maskPaths(nil, upDescriptor(), "", map[protoreflect.FullName]int{})
	slices.Sort(list)
	return list
}

func maskPaths(list []string, md protoreflect.MessageDescriptor, prefix string, within map[protoreflect.FullName]int) []string {
	within[md.FullName()]++
	for i := range md.Oneofs().Len() {
		list = append(list, prefix+string(md.Oneofs().Get(i).Name()))
	}
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		path := prefix + string(fd.Name())
		if of := fd.ContainingOneof(); of != nil {
			path = prefix + string(of.Name()) + "." + string(fd.Name())
		}
		parts := partsOf(fd)
		if parts != nil && within[parts.FullName()] > 1 {
			continue
		}
		list = append(list, path)
		if parts != nil {
			list = maskPaths(list, parts, path+".", within)
		}
	}
	for _, name := range jsonOnly(md.Name()) {
		list = append(list, prefix+name)
	}
	within[md.FullName()]--
	return list
}

// Append appends the parts of an ApplicationUp, in valid JSON, that the mask keeps,
// byte for byte. A message without kept parts becomes {}. A part without kept parts
// becomes an empty object, so that the message's type stays visible.
func (m *Mask) Append(b, json []byte) []byte {
	c := cursor{b: json}
	if c.peek() != '{' {
		return append(b, "{}"...)
	}
	return m.root.append(b, &c)
}

func (n *maskNode) append(b []byte, c *cursor) []byte {
	c.open('{')
	b = append(b, '{')
	first := true
	for c.more() {
		key := c.key()
		to := n.next[string(key)]
		if to == nil {
			to = n.next[unescaped(key)]
		}
		if to == nil || !to.all && c.peek() != '{' {
			c.value()
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(append(append(b, '"'), key...), `":`...)
		if to.all {
			b = append(b, c.value()...)
		} else {
			b = to.append(b, c)
		}
	}
	return append(b, '}')
}

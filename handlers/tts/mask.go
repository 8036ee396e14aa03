package tts

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"thingpost/internal/lorawan/wire"
)

// paths is a set of paths of a message, as a tree of steps. A step without children is
// the whole field. A field of a oneof has the oneof's name before its own, as in
// health_status.status.healthy.
type paths map[protoreflect.Name]paths

func newPaths(list []string) paths {
	p := paths{}
	for _, path := range list {
		p.add(path)
	}
	return p
}

func (p paths) add(path string) {
	for {
		step, rest, more := strings.Cut(path, ".")
		name := protoreflect.Name(step)
		below, known := p[name]
		if !more || known && len(below) == 0 {
			p[name] = paths{}
			return
		}
		if !known {
			below = paths{}
			p[name] = below
		}
		p, path = below, rest
	}
}

// pick copies only what the paths name.
func (p paths) pick(to, from protoreflect.Message) {
	fields := from.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		below, ok := p.below(fd)
		if !ok || !from.Has(fd) {
			continue
		}
		if len(below) == 0 {
			to.Set(fd, from.Get(fd))
			continue
		}
		below.pick(to.Mutable(fd).Message(), from.Get(fd).Message())
	}
}

// below returns the named part of a field; no children mean all of it.
func (p paths) below(fd protoreflect.FieldDescriptor) (paths, bool) {
	if one := fd.ContainingOneof(); one != nil && !one.IsSynthetic() {
		inside, ok := p[one.Name()]
		if !ok || len(inside) == 0 {
			return paths{}, ok
		}
		p = inside
	}
	below, ok := p[fd.Name()]
	return below, ok
}

// allowedPaths returns the paths that a field mask of a message can have: its fields
// and their fields, but not inside maps, lists, errors and other packages' messages.
func allowedPaths(m proto.Message) map[string]bool {
	allowed := map[string]bool{}
	allow(allowed, "", m.ProtoReflect().Descriptor())
	return allowed
}

func allow(allowed map[string]bool, before string, md protoreflect.MessageDescriptor) {
	fields := md.Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		prefix := before
		if one := fd.ContainingOneof(); one != nil && !one.IsSynthetic() {
			allowed[prefix+string(one.Name())] = true
			prefix += string(one.Name()) + "."
		}
		path := prefix + string(fd.Name())
		allowed[path] = true
		inner := fd.Message()
		if inner == nil || fd.IsList() || fd.IsMap() || inner.ParentFile().Package() != md.ParentFile().Package() {
			continue
		}
		if inner.FullName() != (&wire.ErrorDetails{}).ProtoReflect().Descriptor().FullName() {
			allow(allowed, path+".", inner)
		}
	}
}

// checkMask returns an error that names the paths that are not allowed.
func checkMask(allowed map[string]bool, list []string) error {
	var forbidden []string
	for _, path := range list {
		if !allowed[path] {
			forbidden = append(forbidden, path)
		}
	}
	if forbidden == nil {
		return nil
	}
	slices.Sort(forbidden)
	return forbiddenMask(slices.Compact(forbidden)...)
}

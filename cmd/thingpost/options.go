package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"thingpost/internal/iot"
	"thingpost/views/pages"
)

// envPrefix begins the name of every option's environment variable.
const envPrefix = "THINGPOST_"

// options reads a command's options. The command line takes precedence over the
// environment, and the environment over the default. All faults are reported together.
type options struct {
	command, args, about string
	flags                *flag.FlagSet
	all                  []*option
	heading              string
	// validate returns for each readable but invalid option what it must be.
	validate func() map[string]string
}

// option is one option. It implements flag.Value.
type option struct {
	name    string // as a flag; the variable's name is derived from it
	value   string // name of its value in -h; "" for a switch
	usage   string
	normal  string // the default in words
	heading string
	secret  bool // also read from the file in THINGPOST_…_FILE
	envOnly bool // not a flag: everybody on the machine sees the command line
	set     func(string) error
	fault   error
	text    string // the text that was set; "" for the default
}

func newOptions(name, args, about string) *options {
	o := &options{command: name, args: args, about: about, flags: flag.NewFlagSet(name, flag.ContinueOnError)}
	o.flags.SetOutput(io.Discard)
	o.flags.Usage = func() {}
	return o
}

// group begins a group of options in -h.
func (o *options) group(heading string) { o.heading = heading }

func (o *options) add(v option) {
	v.heading = o.heading
	o.all = append(o.all, &v)
	if !v.envOnly {
		o.flags.Var(&v, v.name, v.usage)
	}
}

func (o *options) text(into *string, name, value, normal, usage string) {
	*into = normal
	o.add(option{name: name, value: value, usage: usage, normal: normal, set: func(s string) error { *into = s; return nil }})
}

func (o *options) flag(into *bool, name, usage string) {
	o.add(option{name: name, usage: usage, set: func(s string) (err error) {
		if *into, err = strconv.ParseBool(s); err != nil {
			return errors.New("must be true or false")
		}
		return nil
	}})
}

func (o *options) count(into *int, name string, normal, least, most int, usage string) {
	*into = normal
	o.add(option{name: name, value: "N", usage: usage, normal: strconv.Itoa(normal), set: func(s string) error {
		n, err := strconv.Atoi(s)
		if err != nil || n < least || n > most {
			return fmt.Errorf("must be a number from %d to %d", least, most)
		}
		*into = n
		return nil
	}})
}

func (o *options) duration(into *time.Duration, name, normal, usage string) {
	*into, _ = time.ParseDuration(normal)
	o.add(option{name: name, value: "DURATION", usage: usage, normal: normal, set: func(s string) (err error) {
		if *into, err = time.ParseDuration(s); err != nil || *into < 0 {
			return errors.New("must be a duration like 720h or 90m")
		}
		return nil
	}})
}

func (o *options) size(into *int64, name, normal, usage string) {
	*into, _ = parseSize(normal)
	o.add(option{name: name, value: "SIZE", usage: usage, normal: normal, set: func(s string) (err error) {
		*into, err = parseSize(s)
		return err
	}})
}

// secret is an option from the environment only, or from a file that it names.
func (o *options) secret(into *iot.Secret, name, usage string) {
	o.add(option{name: name, usage: usage, secret: true, envOnly: true, set: func(s string) error { *into = iot.Secret(s); return nil }})
}

// parseSize reads a size in bytes: a number with B, KiB, MiB, GiB, TiB, or with the
// powers of ten kB, MB, GB, TB.
func parseSize(text string) (int64, error) {
	fault := errors.New("must be a size like 4GiB or 500MB")
	digits := strings.TrimRight(text, "BKMGTikmgtb ")
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		return 0, fault
	}
	units := map[string]float64{"": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40, "kb": 1e3, "mb": 1e6, "gb": 1e9,
		"tb": 1e12}
	unit, ok := units[strings.ToLower(strings.TrimSpace(text[len(digits):]))]
	if bytes := n * unit; !ok || math.IsNaN(bytes) || bytes < 0 || bytes > math.MaxInt64/2 {
		return 0, fault
	}
	return int64(n * unit), nil
}

// Set reads a value. Its fault is reported with the others.
func (v *option) Set(s string) error {
	v.fault, v.text = v.set(s), s
	return nil
}

// String is for package flag; -h does not use it.
func (v *option) String() string { return "" }

// IsBoolFlag lets a switch have no value.
func (v *option) IsBoolFlag() bool { return v.value == "" }

func (v *option) variable() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(v.name, "-", "_"))
}

// title is the option's name for people.
func (v *option) title() string {
	if v.envOnly {
		return v.variable()
	}
	return "-" + v.name + " (" + v.variable() + ")"
}

// parse reads environment and arguments. It returns the arguments that are no options,
// from least to most; options can be among them.
func (o *options) parse(p *program, args []string, least, most int) ([]string, error) {
	for _, v := range o.all {
		o.readEnv(p, v)
	}
	var rest, literal []string
	for i, a := range args {
		if a == "--" {
			args, literal = args[:i], args[i+1:]
			break
		}
	}
	for {
		if err := o.flags.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				_, _ = io.WriteString(p.stdout, o.help())
				return nil, flag.ErrHelp
			}
			return nil, o.usage(err.Error() + ".")
		}
		if o.flags.NArg() == 0 {
			break
		}
		rest = append(rest, o.flags.Arg(0))
		args = o.flags.Args()[1:]
	}
	rest = append(rest, literal...)
	if len(rest) < least {
		return nil, o.usage("missing argument: expected " + o.args + ".")
	}
	if len(rest) > most {
		return nil, o.usage(fmt.Sprintf("unexpected argument %q.", rest[most]))
	}
	faults := map[string]string{}
	if o.validate != nil {
		faults = o.validate()
	}
	for _, v := range o.all {
		if v.fault != nil {
			faults[v.name] = v.fault.Error()
		}
	}
	return rest, o.faults(faults)
}

func (o *options) readEnv(p *program, v *option) {
	text, _ := p.env(v.variable())
	if v.secret {
		if file, _ := p.env(v.variable() + "_FILE"); file != "" {
			if text != "" {
				v.fault = fmt.Errorf("must not be set twice: remove this or %s_FILE", v.variable())
				return
			}
			content, err := os.ReadFile(file)
			if err != nil {
				v.fault = fmt.Errorf("cannot be read from its file: %w", err)
				return
			}
			text = strings.TrimRight(string(content), "\r\n")
		}
	}
	if text != "" {
		v.fault, v.text = v.set(text), text
	}
}

// named returns an existing option.
func (o *options) named(name string) *option {
	return o.all[slices.IndexFunc(o.all, func(v *option) bool { return v.name == name })]
}

// inForce returns the effective options for display. Of a secret it shows only whether
// it is set.
func (o *options) inForce() []pages.HostOption {
	var list []pages.HostOption
	for _, v := range o.all {
		h := pages.HostOption{Heading: v.heading, Name: "-" + v.name, Value: v.normal, Usage: v.usage, Custom: v.text != ""}
		if v.envOnly {
			h.Name = v.variable()
		}
		switch {
		case v.secret && h.Custom:
			h.Value = "set"
		case v.secret:
			h.Value = "not set"
		case h.Custom:
			h.Value = v.text
		case v.value == "" && !v.envOnly:
			h.Value = "off"
		}
		list = append(list, h)
	}
	return list
}

// faults returns an error that names every faulty option, in order.
func (o *options) faults(byName map[string]string) error {
	var lines []string
	for _, v := range o.all {
		if text, ok := byName[v.name]; ok {
			lines = append(lines, v.title()+" "+text+".")
		}
	}
	if len(lines) == 0 {
		return nil
	}
	return o.usage(strings.Join(lines, "\n"))
}

func (o *options) usage(text string) error {
	return usageError{text + "\nRun \"thingpost " + o.command + " -h\" for help."}
}

// help is the output of -h.
func (o *options) help() string {
	var b strings.Builder
	line := "Usage: thingpost " + o.command
	if len(o.all) > 0 {
		line += " [options]"
	}
	if o.args != "" {
		line += " " + o.args
	}
	fmt.Fprintf(&b, "%s\n\n%s\n", line, o.about)
	heading := "-"
	for _, v := range o.all {
		if v.heading != heading {
			heading = v.heading
			b.WriteString("\n")
			if heading != "" {
				b.WriteString(heading + "\n")
			}
		}
		head := v.variable()
		if !v.envOnly {
			head = strings.TrimSpace("-"+v.name+" "+v.value) + ", " + head
		}
		if v.secret {
			head += ", " + v.variable() + "_FILE"
		}
		usage := v.usage
		if v.normal != "" {
			usage += " (" + v.normal + ")"
		}
		fmt.Fprintf(&b, "  %s\n        %s\n", head, usage)
	}
	return b.String()
}

package egress

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"code.dny.dev/ssrf"

	"thingpost/internal/iot"
)

// errBlocked is the cause of every refusal by a policy.
var errBlocked = errors.New("refused by the network policy")

// Policy decides which addresses can be dialled: the public internet, and networks that
// the operator allows, but never the program's own listeners. It is immutable and safe
// for concurrent use.
type Policy struct {
	guard *ssrf.Guardian
	own   []netip.AddrPort
}

// NewPolicy returns a policy that allows the public internet and the networks in allow.
// The addresses in own, which this program listens on, are refused even then.
// ParseNetworks reads networks from text.
func NewPolicy(allow []netip.Prefix, own ...netip.AddrPort) *Policy {
	var v4, v6 []netip.Prefix
	for _, n := range allow {
		if n.Addr().Is4() {
			v4 = append(v4, n)
		} else {
			v6 = append(v6, n)
		}
	}
	return &Policy{own: own, guard: ssrf.New(
		ssrf.WithAnyPort(),
		ssrf.WithAllowedV4Prefixes(v4...),
		ssrf.WithAllowedV6Prefixes(v6...),
		// Azure's host service answers on this public address from inside.
		ssrf.WithDeniedV4Prefixes(netip.PrefixFrom(azureHost, 32)),
	)}
}

// ParseNetworks reads networks separated by commas, such as "192.168.0.0/16, 10.0.0.1,
// fd00::/8". An address alone is a network of one. An empty text has no networks. The
// error is invalid and names the bad part.
func ParseNetworks(text string) ([]netip.Prefix, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	var networks []netip.Prefix
	for part := range strings.SplitSeq(text, ",") {
		n, err := parseNetwork(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		networks = append(networks, n)
	}
	return networks, nil
}

func parseNetwork(part string) (netip.Prefix, error) {
	fault := func(format string, args ...any) (netip.Prefix, error) {
		return netip.Prefix{}, iot.NewError(iot.Invalid, fmt.Sprintf(format, args...))
	}
	if part == "" {
		return fault("There is an empty network between two commas; remove one comma.")
	}
	n, err := netip.ParsePrefix(part)
	if err != nil {
		a, addrErr := netip.ParseAddr(part)
		if addrErr != nil || a.Zone() != "" {
			return fault("%q is not a network; write it like 192.168.0.0/16, 10.0.0.1 or fd00::/8.", part)
		}
		n = netip.PrefixFrom(a, a.BitLen())
	}
	if n.Addr().Is4In6() {
		return fault("%q is an IPv4 network written as IPv6; write it like 192.168.0.0/16.", part)
	}
	if n != n.Masked() {
		return fault("%q names an address inside a network; write %s for the network or %s for the address alone.", part, n.Masked(), n.Addr())
	}
	return n, nil
}

// Check returns nil if the address can be dialled. If it contains an IPv4 address
// (mapped, NAT64, 6to4, Teredo and the like) both must be allowed. The error is an
// iot.Error with code forbidden. Its message is why, and what the operator can do.
func (p *Policy) Check(addr netip.Addr) error {
	if r := p.refuse(addr); r != nil {
		return blocked("", []refusal{*r})
	}
	return nil
}

// CheckPort is Check for an address with a port. It also refuses the program's own
// listeners, whatever networks are allowed: people who configure webhooks must not see
// their answers.
func (p *Policy) CheckPort(to netip.AddrPort) error {
	if r := p.refusePort(to); r != nil {
		return blocked("", []refusal{*r})
	}
	return nil
}

// sort separates the allowed addresses from the refused ones.
func (p *Policy) sort(all []netip.AddrPort) (allowed []netip.AddrPort, refused []refusal) {
	for _, to := range all {
		if r := p.refusePort(to); r != nil {
			refused = append(refused, *r)
		} else {
			allowed = append(allowed, to)
		}
	}
	return allowed, refused
}

// refusal is why an address is not dialled.
type refusal struct {
	what string       // "10.0.0.1 is in a private network"
	add  netip.Prefix // the network that the operator would have to allow
	own  bool         // nothing can allow it
}

func (p *Policy) refuse(addr netip.Addr) *refusal {
	a := addr.WithZone("").Unmap()
	if !a.IsValid() {
		return &refusal{what: "The address cannot be read"}
	}
	if p.guard.SafeAddr(a) != nil {
		return &refusal{what: fmt.Sprintf("%s is %s", a, kind(a)), add: netip.PrefixFrom(a, a.BitLen())}
	}
	for _, inner := range embedded(a) {
		if p.guard.SafeAddr(inner) != nil {
			return &refusal{what: fmt.Sprintf("%s leads to %s, %s", a, inner, kind(inner)), add: netip.PrefixFrom(inner, inner.BitLen())}
		}
	}
	return nil
}

func (p *Policy) refusePort(to netip.AddrPort) *refusal {
	if r := p.refuse(to.Addr()); r != nil {
		return r
	}
	a := to.Addr().WithZone("").Unmap()
	for _, own := range p.own {
		if own.Port() == to.Port() &&
			(isOwn(own.Addr(), a) || slices.ContainsFunc(embedded(a), func(inner netip.Addr) bool { return isOwn(own.Addr(), inner) })) {
			return &refusal{what: fmt.Sprintf("%s is this server itself", to), own: true}
		}
	}
	return nil
}

// isOwn reports whether a listener on an address also answers at a. A listener on all
// addresses answers at each of this machine's. Dialling the unspecified address dials
// this machine.
func isOwn(listens, a netip.Addr) bool {
	if listens = listens.WithZone("").Unmap(); listens == a {
		return true
	}
	if !listens.IsUnspecified() {
		return a.IsUnspecified() && listens.IsLoopback()
	}
	if a.IsUnspecified() || a.IsLoopback() {
		return true
	}
	all, err := net.InterfaceAddrs()
	return err != nil || slices.ContainsFunc(all, func(v net.Addr) bool {
		n, ok := v.(*net.IPNet)
		if !ok {
			return false
		}
		mine, ok := netip.AddrFromSlice(n.IP)
		return ok && mine.Unmap() == a
	})
}

// maxNamed is how many addresses of a name an error names.
const maxNamed = 8

// blocked is the error for addresses that are all refused: those of a host, or a
// literal address ("").
func blocked(host string, refused []refusal) error {
	var what, add []string
	own := false
	for i, r := range refused {
		own = own || r.own
		if i < maxNamed {
			what = append(what, r.what)
		}
		if network := r.add.String(); r.add.IsValid() && len(add) < maxNamed && !slices.Contains(add, network) {
			add = append(add, network)
		}
	}
	if more := len(refused) - len(what); more > 0 {
		what = append(what, fmt.Sprintf("and %d more", more))
	}
	text := strings.Join(what, "; ")
	if host != "" {
		text = printable(host) + " has no address that can be reached: " + text
	}
	switch {
	case len(add) > 0 && host != "":
		text += ". Use a public address, or have Thingpost started with -allow-networks " + strings.Join(add, ",") + "."
	case len(add) > 0:
		text += ", which is not reached unless the operator allows it: use a public address, or have Thingpost started with -allow-networks " +
			strings.Join(add, ",") + "."
	case own && host != "":
		text += ", which sends nothing to itself. Use the receiver's own address, or the project's inspector."
	case own:
		text += ", which sends nothing to itself: use the receiver's own address, or the project's inspector."
	default:
		text += ", so it is not dialled."
	}
	return &iot.Error{Code: iot.Forbidden, Message: text, Err: errBlocked}
}

// Hint returns a sentence for the person who saves a URL whose host is refused without
// DNS: a literal address in any spelling, or a name that always means one. It returns
// "" otherwise. It asks no name server: addresses from DNS are checked when they are
// dialled.
func (p *Policy) Hint(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil || u.Hostname() == "" {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		n = 0
	}
	if e, ok := errors.AsType[*iot.Error](p.checkHost(u.Hostname(), uint16(n))); ok {
		return e.Message
	}
	return ""
}

// checkHost returns why the addresses of a host that needs no DNS are all refused. It
// returns nil if one is allowed, or if the host needs DNS.
func (p *Policy) checkHost(host string, port uint16) error {
	var all []netip.AddrPort
	for _, a := range plainAddrs(host) {
		all = append(all, netip.AddrPortFrom(a, port))
	}
	allowed, refused := p.sort(all)
	if len(allowed) > 0 || len(refused) == 0 {
		return nil
	}
	if _, err := netip.ParseAddr(host); err == nil {
		host = ""
	}
	return blocked(host, refused)
}

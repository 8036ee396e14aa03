package egress

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"code.dny.dev/ssrf"

	"thingpost/internal/iot"
)

// errBlocked is the cause of every refusal by a policy.
var errBlocked = errors.New("refused by the network policy")

// Policy decides which addresses may be dialled: those of the public internet,
// and those in networks that the operator allows. It is never changed and safe
// for concurrent use.
type Policy struct {
	guard *ssrf.Guardian
}

// NewPolicy returns a policy that allows the public internet and the given
// networks, which win over every refusal. ParseNetworks makes them from text.
func NewPolicy(allow []netip.Prefix) *Policy {
	var v4, v6 []netip.Prefix
	for _, n := range allow {
		if n.Addr().Is4() {
			v4 = append(v4, n)
		} else {
			v6 = append(v6, n)
		}
	}
	return &Policy{guard: ssrf.New(
		ssrf.WithAnyPort(),
		ssrf.WithAllowedV4Prefixes(v4...),
		ssrf.WithAllowedV6Prefixes(v6...),
		// Azure's host service answers on this public address from inside.
		ssrf.WithDeniedV4Prefixes(netip.PrefixFrom(azureHost, 32)),
	)}
}

// ParseNetworks reads networks separated by commas, such as
// "192.168.0.0/16, 10.0.0.1, fd00::/8"; an address alone is a network of one.
// Empty text is no networks. An error has code invalid and names the bad part.
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

// Check returns nil if the address may be dialled. An address that carries an
// IPv4 address inside (mapped, NAT64, 6to4, Teredo and the like) must be allowed
// both as itself and as what it leads to. The error is an iot.Error with code
// forbidden, whose message says why and what the operator can do.
func (p *Policy) Check(addr netip.Addr) error {
	a := addr.WithZone("").Unmap()
	if !a.IsValid() {
		return &iot.Error{Code: iot.Forbidden, Message: "The address cannot be read, so it is not dialled.", Err: errBlocked}
	}
	if p.guard.SafeAddr(a) != nil {
		return refusal(fmt.Sprintf("%s is %s", a, kind(a)), a)
	}
	for _, inner := range embedded(a) {
		if p.guard.SafeAddr(inner) != nil {
			return refusal(fmt.Sprintf("%s leads to %s, %s", a, inner, kind(inner)), inner)
		}
	}
	return nil
}

func refusal(what string, a netip.Addr) error {
	return &iot.Error{
		Code: iot.Forbidden,
		Message: fmt.Sprintf("%s, which is not reached unless the operator allows it: use a public address, or have Thingpost started with -allow-networks %s.",
			what, netip.PrefixFrom(a, a.BitLen())),
		Err: errBlocked,
	}
}

// Hint returns a sentence for the person who saves a URL whose host is plainly
// refused (a literal address in any spelling, or a name that always means one),
// and "" otherwise. It asks no name server: what a name resolves to is judged
// when it is dialled.
func (p *Policy) Hint(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil || u.Hostname() == "" {
		return ""
	}
	var refused error
	for _, a := range plainAddrs(u.Hostname()) {
		if refused = p.Check(a); refused == nil {
			return ""
		}
	}
	if e, ok := errors.AsType[*iot.Error](refused); ok {
		return e.Message
	}
	return ""
}

package egress

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

var azureHost = netip.AddrFrom4([4]byte{168, 63, 129, 16})

// kinds are the refused networks in words, narrow ones first.
var kinds = []struct {
	network netip.Prefix
	words   string
}{
	{netip.PrefixFrom(azureHost, 32), "Azure's host service"},
	{netip.MustParsePrefix("255.255.255.255/32"), "the broadcast address"},
	{netip.MustParsePrefix("0.0.0.0/8"), "an unspecified address"},
	{netip.MustParsePrefix("127.0.0.0/8"), "this machine itself (loopback)"},
	{netip.MustParsePrefix("10.0.0.0/8"), "in a private network"},
	{netip.MustParsePrefix("172.16.0.0/12"), "in a private network"},
	{netip.MustParsePrefix("192.168.0.0/16"), "in a private network"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local, used by cloud metadata services"},
	{netip.MustParsePrefix("100.64.0.0/10"), "in a carrier's shared network (CGNAT)"},
	{netip.MustParsePrefix("224.0.0.0/4"), "a multicast address"},
	{netip.MustParsePrefix("::/128"), "an unspecified address"},
	{netip.MustParsePrefix("::1/128"), "this machine itself (loopback)"},
	{netip.MustParsePrefix("fc00::/7"), "in a private network (unique local)"},
	{netip.MustParsePrefix("fe80::/10"), "link-local"},
	{netip.MustParsePrefix("ff00::/8"), "a multicast address"},
	{netip.MustParsePrefix("64:ff9b::/96"), "a translated address (NAT64)"},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "a translated address (NAT64)"},
	{netip.MustParsePrefix("2002::/16"), "a tunnelled address (6to4)"},
	{netip.MustParsePrefix("2001::/32"), "a tunnelled address (Teredo)"},
}

func kind(a netip.Addr) string {
	for _, k := range kinds {
		if k.network.Contains(a) {
			return k.words
		}
	}
	return "a reserved address"
}

var (
	compatible = netip.MustParsePrefix("::/96")
	translated = netip.MustParsePrefix("::ffff:0:0:0/96")
	nat64      = netip.MustParsePrefix("64:ff9b::/96")
	nat64Local = netip.MustParsePrefix("64:ff9b:1::/48")
	sixToFour  = netip.MustParsePrefix("2002::/16")
	teredo     = netip.MustParsePrefix("2001::/32")
)

// embedded returns the IPv4 addresses that an IPv6 address can reach through a
// translator or tunnel. If the layout is ambiguous it returns each possible one.
func embedded(a netip.Addr) []netip.Addr {
	if !a.Is6() {
		return nil
	}
	b := a.As16()
	at := func(i, j, k, l int) netip.Addr { return netip.AddrFrom4([4]byte{b[i], b[j], b[k], b[l]}) }
	last := at(12, 13, 14, 15)
	var out []netip.Addr
	switch {
	case a.IsLoopback(), a.IsUnspecified():
	case compatible.Contains(a), translated.Contains(a), nat64.Contains(a):
		out = append(out, last)
	case nat64Local.Contains(a):
		out = append(out, last)
		// The layouts of RFC 6052 for shorter prefixes end in zeros.
		if b[8] == 0 && b[13]|b[14]|b[15] == 0 {
			out = append(out, at(9, 10, 11, 12))
			if b[12] == 0 {
				out = append(out, at(7, 9, 10, 11))
				if b[11] == 0 {
					out = append(out, at(6, 7, 9, 10))
				}
			}
		}
	case sixToFour.Contains(a):
		out = append(out, at(2, 3, 4, 5))
	case teredo.Contains(a):
		client := ^binary.BigEndian.Uint32(b[12:])
		out = append(out, at(4, 5, 6, 7), addr4(client))
	}
	// ISATAP has an IPv4 address after this interface identifier, in any network.
	if (b[8] == 0 || b[8] == 2) && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe {
		out = append(out, last)
	}
	return out
}

func addr4(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

// names are names that always mean one address.
var names = map[string][]netip.Addr{
	"localhost":                  {addr4(0x7f000001), netip.IPv6Loopback()},
	"localhost.localdomain":      {addr4(0x7f000001), netip.IPv6Loopback()},
	"ip6-localhost":              {netip.IPv6Loopback()},
	"ip6-loopback":               {netip.IPv6Loopback()},
	"localhost6":                 {netip.IPv6Loopback()},
	"localhost6.localdomain6":    {netip.IPv6Loopback()},
	"metadata":                   {addr4(0xa9fea9fe)},
	"metadata.goog":              {addr4(0xa9fea9fe)},
	"metadata.google.internal":   {addr4(0xa9fea9fe)},
	"instance-data":              {addr4(0xa9fea9fe)},
	"instance-data.ec2.internal": {addr4(0xa9fea9fe)},
}

// plainAddrs returns the addresses of a host that needs no DNS: a literal in any
// spelling and any script's digits, or a name that always means one address.
func plainAddrs(host string) []netip.Addr {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}
	}
	if ascii, err := idna.Lookup.ToASCII(host); err == nil {
		host = ascii // as net/http does before it dials
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if a, ok := numericHost(host); ok {
		return []netip.Addr{a}
	}
	if strings.HasSuffix(host, ".localhost") {
		host = "localhost"
	}
	return names[host]
}

// numericHost reads the spellings of an IPv4 address that C libraries accept: one to
// four parts, each decimal, octal (0…) or hexadecimal (0x…). The last part fills the
// rest, as in 2130706433, 0x7f.1 or 0177.0.0.01.
func numericHost(host string) (netip.Addr, bool) {
	parts := strings.Split(strings.TrimSuffix(host, "."), ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var value uint64
	for i, part := range parts {
		n, ok := cNumber(part)
		if !ok {
			return netip.Addr{}, false
		}
		bits := 8
		if i == len(parts)-1 {
			bits = 8 * (4 - i)
		}
		if n >= 1<<bits {
			return netip.Addr{}, false
		}
		value = value<<bits | n
	}
	return addr4(uint32(value)), true
}

func cNumber(s string) (uint64, bool) {
	base := 10
	switch {
	case strings.HasPrefix(s, "0x"), strings.HasPrefix(s, "0X"):
		s, base = s[2:], 16
	case len(s) > 1 && s[0] == '0':
		s, base = s[1:], 8
	}
	n, err := strconv.ParseUint(s, base, 32)
	return n, err == nil
}

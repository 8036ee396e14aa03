package web

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// behindProxies sets a request's RemoteAddr to its sender if it came through the
// operator's own proxies: the last address in X-Forwarded-For that is not a proxy's.
// Anybody can write the addresses before that. Other requests stay unchanged.
func behindProxies(proxies []netip.Prefix, r *http.Request) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !isIn(proxies, peer.Addr()) {
		return
	}
	from := peer.Addr()
	list := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(list) {
		a, ok := hopAddr(strings.TrimSpace(hop))
		if !ok {
			break
		}
		from = a
		if !isIn(proxies, a) {
			break
		}
	}
	r.RemoteAddr = netip.AddrPortFrom(from, 0).String()
}

// hopAddr reads an address of X-Forwarded-For. Some proxies add a port.
func hopAddr(text string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return a, true
	}
	a, err := netip.ParseAddrPort(text)
	return a.Addr(), err == nil
}

func isIn(networks []netip.Prefix, a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(a) })
}

package egress

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"thingpost/internal/iot"
)

func mustNetworks(t testing.TB, text string) []netip.Prefix {
	t.Helper()
	networks, err := ParseNetworks(text)
	if err != nil {
		t.Fatal(err)
	}
	return networks
}

// refusedAddrs has an address of every network outside the public internet, with a word
// of its sentence.
var refusedAddrs = []struct{ addr, word string }{
	{"0.0.0.0", "unspecified"}, {"0.1.2.3", "unspecified"},
	{"10.0.0.1", "private"}, {"10.255.255.255", "private"},
	{"172.16.0.1", "private"}, {"172.31.255.254", "private"},
	{"192.168.0.1", "private"}, {"192.168.255.255", "private"},
	{"127.0.0.1", "loopback"}, {"127.255.255.254", "loopback"},
	{"169.254.169.254", "metadata"}, {"169.254.170.2", "metadata"},
	{"100.64.0.1", "CGNAT"}, {"100.127.255.255", "CGNAT"}, {"100.100.100.200", "CGNAT"},
	{"168.63.129.16", "Azure"},
	{"192.0.0.192", "reserved"}, {"192.0.2.1", "reserved"}, {"198.51.100.7", "reserved"}, {"203.0.113.9", "reserved"},
	{"192.88.99.1", "reserved"}, {"198.18.0.1", "reserved"}, {"198.19.255.255", "reserved"},
	{"224.0.0.1", "multicast"}, {"239.255.255.250", "multicast"},
	{"240.0.0.1", "reserved"}, {"255.255.255.255", "broadcast"},
	{"::", "unspecified"}, {"::1", "loopback"},
	{"fe80::1", "link-local"}, {"fe80::1%eth0", "link-local"}, {"febf::1", "link-local"}, {"fec0::1", "reserved"},
	{"fc00::1", "private"}, {"fd00:ec2::254", "private"}, {"fd20:ce::254", "private"},
	{"ff02::1", "multicast"}, {"ff0e::1", "multicast"},
	{"100::1", "reserved"}, {"5f00::1", "reserved"}, {"2001:db8::1", "reserved"}, {"3fff::1", "reserved"}, {"2001:20::1", "reserved"},
	{"::ffff:127.0.0.1", "loopback"}, {"::ffff:10.0.0.1", "private"}, {"::ffff:169.254.169.254", "metadata"},
	{"::ffff:168.63.129.16", "Azure"},
	{"::127.0.0.1", "reserved"}, {"::ffff:0:127.0.0.1", "reserved"},
	{"64:ff9b::127.0.0.1", "NAT64"}, {"64:ff9b::8.8.8.8", "NAT64"}, {"64:ff9b:1::10.0.0.1", "NAT64"},
	{"2002:7f00:1::1", "6to4"}, {"2002:808:808::1", "6to4"},
	{"2001:0:4136:e378:8000:63bf:80ff:fffe", "Teredo"},
	{"2a00:1450::5efe:10.0.0.1", "private"}, {"2a00:1450::200:5efe:127.0.0.1", "loopback"},
}

func TestCheckRefusesWhatIsNotPublic(t *testing.T) {
	p := NewPolicy(nil)
	for _, c := range refusedAddrs {
		err := p.Check(netip.MustParseAddr(c.addr))
		if err == nil {
			t.Errorf("%s is allowed", c.addr)
			continue
		}
		e, ok := errors.AsType[*iot.Error](err)
		if !ok || e.Code != iot.Forbidden || !errors.Is(err, errBlocked) {
			t.Errorf("%s: %v is no refusal", c.addr, err)
			continue
		}
		if !strings.Contains(e.Message, c.word) || !strings.Contains(e.Message, "-allow-networks ") {
			t.Errorf("%s: %q lacks %q or the option", c.addr, e.Message, c.word)
		}
	}
	if err := p.Check(netip.Addr{}); !errors.Is(err, errBlocked) {
		t.Errorf("the zero address: %v", err)
	}
}

func TestCheckAllowsThePublicInternet(t *testing.T) {
	p := NewPolicy(nil)
	for _, addr := range []string{
		"1.1.1.1", "8.8.8.8", "93.184.215.14", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1",
		"168.63.129.15", "::ffff:8.8.8.8", "2606:4700:4700::1111", "2a00:1450:4001::5efe:8.8.8.8",
	} {
		if err := p.Check(netip.MustParseAddr(addr)); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

func TestCheckAllowsTheOperatorsNetworks(t *testing.T) {
	for _, c := range []struct {
		allow, addr string
		ok          bool
	}{
		{"192.168.0.0/16", "192.168.7.7", true},
		{"192.168.0.0/16", "::ffff:192.168.7.7", true},
		{"192.168.0.0/16", "10.0.0.1", false},
		{"10.0.0.1", "10.0.0.1", true},
		{"10.0.0.1", "10.0.0.2", false},
		{"127.0.0.0/8,::1", "127.0.0.1", true},
		{"127.0.0.0/8,::1", "::1", true},
		{"127.0.0.0/8", "::1", false},
		{"fd00::/8", "fd12::1", true},
		{"fd00::/8", "fe80::1", false},
		{"fe80::/10", "fe80::1%eth0", true},
		{"168.63.129.16", "168.63.129.16", true},
		{"0.0.0.0/0", "169.254.169.254", true},
		// An address inside another must be allowed, and so must the other.
		{"127.0.0.0/8", "64:ff9b::127.0.0.1", false},
		{"64:ff9b::/96", "64:ff9b::8.8.8.8", true},
		{"64:ff9b::/96", "64:ff9b::127.0.0.1", false},
		{"64:ff9b::/96", "64:ff9b::168.63.129.16", false},
		{"64:ff9b::/96,127.0.0.0/8", "64:ff9b::127.0.0.1", true},
		{"64:ff9b:1::/48", "64:ff9b:1::8.8.8.8", true},
		{"64:ff9b:1::/48", "64:ff9b:1:0:a:0:100:0", false}, // 10.0.0.1 in the /64 layout
		{"64:ff9b:1::/48", "64:ff9b:1:a:0:1::", false},     // 10.0.0.1 in the /56 layout
		{"64:ff9b:1::/48", "64:ff9b:1:a00:0:100::", false}, // 10.0.0.1 in the /48 layout
		{"2002::/16", "2002:808:808::1", true},
		{"2002::/16", "2002:a00:1::1", false},
		{"2001::/32", "2001:0:808:808::f7f7:f7f7", true},
		{"2001::/32", "2001:0:808:808::f5ff:fffe", false}, // the client is 10.0.0.1
		{"2001::/32", "2001:0:a00:1::f7f7:f7f7", false},   // the server is 10.0.0.1
		{"::/96", "::10.0.0.1", false},
		{"::/0", "::1", true},
	} {
		err := NewPolicy(mustNetworks(t, c.allow)).Check(netip.MustParseAddr(c.addr))
		if (err == nil) != c.ok {
			t.Errorf("%s with %s allowed: %v", c.addr, c.allow, err)
		}
	}
}

// refusedHosts are spellings of refused addresses in a URL.
var refusedHosts = []string{
	"127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7F.1", "0177.0.0.1", "017700000001", "0x7f.0x0.0x0.0x1",
	"127.0.0.1.", "0", "0.0.0.0", "0x0", "00", "3232235777", "0xa9fea9fe", "2852039166", "169.254.43518", "0251.0376.0251.0376",
	"10.1", "012.0.0.1", "0xac100001", "192.168.257", "0xffffffff",
	"[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:a9fe:a9fe]", "[fe80::1%25eth0]", "[fd00:ec2::254]",
	"[64:ff9b::7f00:1]", "[2002:7f00:1::]",
	"localhost", "LOCALHOST", "localhost.", "api.localhost", "ip6-localhost", "metadata.google.internal",
}

func TestHintNamesRefusedHosts(t *testing.T) {
	p := NewPolicy(nil)
	for _, host := range refusedHosts {
		for _, u := range []string{"http://" + host + "/x", "https://" + host + ":8443/{devID}"} {
			if hint := p.Hint(u); !strings.Contains(hint, "-allow-networks") {
				t.Errorf("%s: %q", u, hint)
			}
		}
	}
}

func TestHintIsSilentWhereNothingIsRefused(t *testing.T) {
	p := NewPolicy(mustNetworks(t, "127.0.0.0/8, 10.0.0.0/8"))
	for _, u := range []string{
		"https://example.com/a", "http://8.8.8.8", "http://134744072/", "http://[2606:4700::1111]/", "http://127.0.0.1:9000/",
		"http://localhost/", "http://10.1/",
		"http://1.2.3.4.5/", "http://256.1.1.1/", "http://0xg/", "http://localhost.example.com/", "", "not a url", "http://%zz/",
	} {
		if hint := p.Hint(u); hint != "" {
			t.Errorf("%s: %q", u, hint)
		}
	}
}

func TestParseNetworks(t *testing.T) {
	got := mustNetworks(t, " 192.168.0.0/16,10.0.0.1/32, 10.9.9.9 ,fd00::/8,::1")
	want := []string{"192.168.0.0/16", "10.0.0.1/32", "10.9.9.9/32", "fd00::/8", "::1/128"}
	if len(got) != len(want) {
		t.Fatalf("%v", got)
	}
	for i := range want {
		if got[i].String() != want[i] {
			t.Errorf("%d: %s, want %s", i, got[i], want[i])
		}
	}
	if got := mustNetworks(t, "  "); got != nil {
		t.Errorf("empty text: %v", got)
	}
	for text, words := range map[string]string{
		"10.0.0.0/8,nonsense":     `"nonsense"`,
		"10.0.0.0/33":             `"10.0.0.0/33"`,
		"10.0.0.0/8,,fd00::/8":    "empty network",
		"10.0.0.0/8,":             "empty network",
		"192.168.1.5/16":          "192.168.0.0/16",
		"::ffff:10.0.0.0/104":     "written as IPv6",
		"fe80::1%eth0":            `"fe80::1%eth0"`,
		"example.com":             `"example.com"`,
		"10.0.0.0/8 192.168.0/16": "is not a network",
	} {
		_, err := ParseNetworks(text)
		if iot.CodeOf(err) != iot.Invalid || err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%q: %v, want %s", text, err, words)
		}
	}
}

func FuzzParseNetworks(f *testing.F) {
	for _, s := range []string{"", "10.0.0.0/8", "192.168.0.0/16, fd00::/8,::1", "::ffff:1.2.3.4", "a,b", "1.2.3.4/5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		networks, err := ParseNetworks(text)
		if err != nil {
			if networks != nil || iot.CodeOf(err) != iot.Invalid {
				t.Fatalf("%q: %v, %v", text, networks, err)
			}
			return
		}
		p := NewPolicy(networks)
		var parts []string
		for _, n := range networks {
			if !n.IsValid() || n != n.Masked() {
				t.Fatalf("%q: %v", text, n)
			}
			if n.Addr().Is4() && p.Check(n.Addr()) != nil {
				t.Fatalf("%q: %v is not allowed", text, n)
			}
			parts = append(parts, n.String())
		}
		again, err := ParseNetworks(strings.Join(parts, ","))
		if err != nil || len(again) != len(networks) {
			t.Fatalf("%q: read again: %v, %v", text, again, err)
		}
	})
}

func FuzzHint(f *testing.F) {
	for _, h := range refusedHosts {
		f.Add("http://" + h + "/")
	}
	p := NewPolicy(nil)
	f.Fuzz(func(t *testing.T, u string) {
		if hint := p.Hint(u); hint != "" && !strings.Contains(hint, "-allow-networks") {
			t.Fatalf("%q: %q", u, hint)
		}
	})
}

// hosts reads a file of hosts, without what follows the line "dial".
func hosts(t testing.TB, name string) (list []string) {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "dial" {
			break
		}
		if line != "" && line[0] != '#' {
			list = append(list, line)
		}
	}
	return list
}

func TestFilesOfHosts(t *testing.T) {
	p := NewPolicy(nil)
	for _, host := range hosts(t, "refused.txt") {
		if hint := p.Hint("http://" + host + ":8080/x"); !strings.Contains(hint, "-allow-networks") {
			t.Errorf("%s: %q", host, hint)
		}
	}
	for _, host := range hosts(t, "allowed.txt") {
		if hint := p.Hint("https://" + host + "/x"); hint != "" {
			t.Errorf("%s: %q", host, hint)
		}
		if a, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
			if err := p.CheckPort(netip.AddrPortFrom(a, 443)); err != nil {
				t.Errorf("%s: %v", host, err)
			}
		}
	}
}

func TestNoNetworkAllowsTheServerItself(t *testing.T) {
	everything := mustNetworks(t, "0.0.0.0/0, ::/0")
	for _, c := range []struct {
		listens, to string
		refused     bool
	}{
		{"127.0.0.1:8080", "127.0.0.1:8080", true},
		{"127.0.0.1:8080", "[::ffff:127.0.0.1]:8080", true},
		{"127.0.0.1:8080", "[64:ff9b::127.0.0.1]:8080", true},
		{"127.0.0.1:8080", "0.0.0.0:8080", true},
		{"127.0.0.1:8080", "[::]:8080", true},
		{"127.0.0.1:8080", "127.0.0.1:8081", false},
		{"127.0.0.1:8080", "127.0.0.2:8080", false},
		{"127.0.0.1:8080", "192.0.2.1:8080", false},
		{"[::]:8080", "127.0.0.1:8080", true},
		{"[::]:8080", "127.9.9.9:8080", true},
		{"[::]:8080", "[::1]:8080", true},
		{"0.0.0.0:8080", "0.0.0.0:8080", true},
		{"[::]:8080", "192.0.2.1:8080", false}, // nobody's
		{"192.0.2.1:8080", "192.0.2.1:8080", true},
		{"192.0.2.1:8080", "0.0.0.0:8080", false},
	} {
		p := NewPolicy(everything, netip.MustParseAddrPort("127.0.0.1:1"), netip.MustParseAddrPort(c.listens))
		err := p.CheckPort(netip.MustParseAddrPort(c.to))
		if (err != nil) != c.refused || err != nil && (!errors.Is(err, errBlocked) || !strings.Contains(err.Error(), "this server itself")) {
			t.Errorf("%s of a server on %s: %v", c.to, c.listens, err)
		}
		if hint := p.Hint("http://" + c.to + "/x"); (hint != "") != c.refused {
			t.Errorf("%s of a server on %s: the hint %q", c.to, c.listens, hint)
		}
	}
	p := NewPolicy(everything, netip.MustParseAddrPort("[::]:80"), netip.MustParseAddrPort("[::]:443"))
	for _, u := range []string{"http://localhost/x", "https://127.1/", "http://[::1]"} {
		if p.Hint(u) == "" {
			t.Errorf("%s: no hint", u)
		}
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range all {
		a, _ := netip.AddrFromSlice(v.(*net.IPNet).IP)
		if p.CheckPort(netip.AddrPortFrom(a.Unmap(), 443)) == nil {
			t.Errorf("this machine's own %s is allowed", a)
		}
	}
}

package egress

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"thingpost/internal/iot"
)

// issued is a certificate with its key and its chain to the authority.
type issued struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	up   [][]byte
}

// issue makes a certificate from a form, signed by by (nil: itself). Fields left open
// get values that are valid now.
func issue(t *testing.T, form x509.Certificate, by *issued) *issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if form.NotAfter.IsZero() {
		form.NotBefore, form.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	form.SerialNumber, form.KeyUsage = big.NewInt(time.Now().UnixNano()), x509.KeyUsageDigitalSignature
	if form.IsCA {
		form.BasicConstraintsValid, form.KeyUsage = true, x509.KeyUsageCertSign
	}
	parent, signer := &form, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, &form, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	i := &issued{cert: cert, key: key}
	if by != nil {
		i.up = append([][]byte{by.cert.Raw}, by.up...)
	}
	return i
}

// sends is what a server with the certificate sends: its own, and so many more of
// those that lead to its authority.
func (i *issued) sends(more int) tls.Certificate {
	return tls.Certificate{Certificate: append([][]byte{i.cert.Raw}, i.up[:more]...), PrivateKey: i.key}
}

func authority(name string) x509.Certificate {
	return x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true}
}

func server(names ...string) x509.Certificate { return x509.Certificate{DNSNames: names} }

// secureServer answers 204 to each request, in the configuration's TLS. The URL's host
// is receiver.example.
func secureServer(t *testing.T, conf *tls.Config) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
	}))
	s.Config.ErrorLog = quiet
	s.EnableHTTP2 = len(conf.NextProtos) > 0
	s.TLS = conf
	s.StartTLS()
	t.Cleanup(s.Close)
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	return "https://receiver.example:" + port + "/hook?key=hush"
}

func TestCertificatesThatAreRefused(t *testing.T) {
	hour := func(from, to int) x509.Certificate {
		c := server("receiver.example")
		c.NotBefore, c.NotAfter = time.Now().Add(time.Duration(from)*time.Hour), time.Now().Add(time.Duration(to)*time.Hour)
		return c
	}
	root := issue(t, authority("Root A"), nil)
	intermediate := issue(t, authority("Intermediate B"), root)
	strange := issue(t, authority("Intermediate D"), issue(t, authority("Root C"), nil))
	old := authority("Intermediate E")
	old.NotBefore, old.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	expired := issue(t, old, root)
	clients := server("receiver.example")
	clients.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	many := server("a.example", "b.example", "c.example", "d.example", "e.example", "f.example")
	for _, k := range []struct {
		name  string
		cert  tls.Certificate
		words []string
	}{
		{"good", issue(t, server("receiver.example"), root).sends(0), nil},
		{"good with its chain", issue(t, server("receiver.example"), intermediate).sends(1), nil},
		{"common name alone", issue(t, x509.Certificate{Subject: pkix.Name{CommonName: "receiver.example"}}, root).sends(0),
			[]string{"Common Name", "SAN receiver.example"}},
		{"self-signed, common name alone", issue(t, x509.Certificate{Subject: pkix.Name{CommonName: "receiver.example"}}, nil).sends(0),
			[]string{"Common Name", "SAN receiver.example"}},
		{"another name", issue(t, server("other.example"), root).sends(0), []string{"for another name (other.example)", "renew it for " +
			"receiver.example"}},
		{"six other names", issue(t, many, root).sends(0), []string{"d.example, 2 more)"}},
		{"an address", issue(t, x509.Certificate{IPAddresses: []net.IP{{127, 0, 0, 1}}}, root).sends(0),
			[]string{"for another name (127.0.0.1)"}},
		{"self-signed", issue(t, server("receiver.example"), nil).sends(0), []string{"is self-signed", "SSL_CERT_FILE"}},
		{"missing intermediate", issue(t, server("receiver.example"), intermediate).sends(0),
			[]string{"sent only its own certificate", "Intermediate B", "send the whole chain"}},
		{"unknown authority", issue(t, server("receiver.example"), strange).sends(1),
			[]string{"an authority that this machine does not trust (Root C)", "SSL_CERT_FILE"}},
		{"unknown authority, sent too", issue(t, server("receiver.example"), strange).sends(2), []string{"does not trust (Root C)"}},
		{"expired", issue(t, hour(-2, -1), root).sends(0), []string{"certificate of receiver.example", "has expired on ", "renew it"}},
		{"not yet valid", issue(t, hour(1, 2), root).sends(0), []string{"is not valid before ", "clock says "}},
		{"expired intermediate", issue(t, server("receiver.example"), expired).sends(1), []string{"(Intermediate E)", "has expired on "}},
		{"for clients", issue(t, clients, root).sends(0), []string{"not meant for servers"}},
	} {
		t.Run(k.name, func(t *testing.T) {
			pool := x509.NewCertPool()
			pool.AddCert(root.cert)
			u := secureServer(t, &tls.Config{Certificates: []tls.Certificate{k.cert}})
			res := newClient(t, Options{Resolver: fakeDNS(t, "127.0.0.1"), TLSConfig: &tls.Config{RootCAs: pool}}).Do(t.Context(), post(u))
			if k.words == nil {
				if !res.OK() {
					t.Errorf("%+v", res)
				}
				return
			}
			wantFailure(t, res, iot.ErrTLS, append(k.words, "receiver.example")...)
			if strings.Contains(res.Detail, "hush") {
				t.Errorf("%q shows the query", res.Detail)
			}
		})
	}
}

// TestAClientCertificateIsWanted has receivers that judge the client in the handshake
// (TLS 1.2) and after it (1.3), and those that say nothing and close.
func TestAClientCertificateIsWanted(t *testing.T) {
	root := issue(t, authority("Root A"), nil)
	pool := x509.NewCertPool()
	pool.AddCert(root.cert)
	cert := issue(t, server("receiver.example"), root).sends(0)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, protos := range [][]string{nil, {"h2"}} {
			for _, size := range []int{2, 1 << 20} {
				t.Run(fmt.Sprintf("%s %v %d", tls.VersionName(version), protos, size), func(t *testing.T) {
					u := secureServer(t, &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
						MinVersion: version, MaxVersion: version, NextProtos: protos})
					for range 8 { // the alert and the request cross
						c := newClient(t, Options{Resolver: fakeDNS(t, "127.0.0.1"), TLSConfig: &tls.Config{RootCAs: pool}})
						req := post(u)
						req.Body = make([]byte, size)
						res := c.Do(t.Context(), req)
						wantFailure(t, res, iot.ErrTLS, "client certificate", "has none to send")
						if t.Failed() {
							return
						}
					}
				})
			}
		}
	}
	t.Run("asked for and given", func(t *testing.T) {
		own := issue(t, x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, root).sends(0)
		u := secureServer(t, &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool})
		c := newClient(t, Options{Resolver: fakeDNS(t, "127.0.0.1"), TLSConfig: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{own}}})
		if res := c.Do(t.Context(), post(u)); !res.OK() {
			t.Errorf("%+v", res)
		}
	})
	t.Run("asked for, not needed", func(t *testing.T) {
		u := secureServer(t, &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequestClientCert})
		c := newClient(t, Options{Resolver: fakeDNS(t, "127.0.0.1"), TLSConfig: &tls.Config{RootCAs: pool}})
		if res := c.Do(t.Context(), post(u)); !res.OK() {
			t.Errorf("%+v", res)
		}
	})
	t.Run("asked for, and closed without a word", func(t *testing.T) {
		addr := listen(t, func(conn net.Conn) {
			secure := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequestClientCert})
			_ = secure.Handshake()
		})
		_, port, _ := net.SplitHostPort(addr)
		c := newClient(t, Options{Resolver: fakeDNS(t, "127.0.0.1"), TLSConfig: &tls.Config{RootCAs: pool}})
		wantFailure(t, c.Do(t.Context(), post("https://receiver.example:"+port)), iot.ErrTLS, "asked for a client certificate and closed")
	})
}

func TestHandshakesThatAreRefused(t *testing.T) {
	root := issue(t, authority("Root A"), nil)
	pool := x509.NewCertPool()
	pool.AddCert(root.cert)
	cert := issue(t, server("receiver.example"), root).sends(0)
	for _, k := range []struct {
		name, words string
		conf        *tls.Config
	}{
		{"old version", "a version of TLS that is too old", &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}},
		{"no common cipher", "no cipher or kind of key in common",
			&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_RC4_128_SHA}}},
		{"unknown name", "has no certificate for the name receiver.example",
			&tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
				return nil, fmt.Errorf("no certificate for this name")
			}}},
		{"no protocol in common", "refused the TLS connection (no application protocol)", &tls.Config{NextProtos: []string{"mqtt"}}},
	} {
		t.Run(k.name, func(t *testing.T) {
			k.conf.Certificates = []tls.Certificate{cert}
			if k.conf.GetCertificate != nil {
				k.conf.Certificates = nil
			}
			addr := listen(t, func(conn net.Conn) {
				if tls.Server(conn, k.conf).Handshake() == nil {
					t.Error("the handshake succeeded")
				}
			})
			_, port, _ := net.SplitHostPort(addr)
			c := newClient(t, Options{Resolver: fakeDNS(t, "127.0.0.1"), TLSConfig: &tls.Config{RootCAs: pool}})
			wantFailure(t, c.Do(t.Context(), post("https://receiver.example:"+port)), iot.ErrTLS, k.words, "receiver.example")
		})
	}
	// Bytes of servers that Go cannot be made to be.
	for _, k := range []struct{ name, alert, words string }{
		{"unrecognized name", "\x15\x03\x03\x00\x02\x02\x70", "has no certificate for the name receiver.example"},
		{"insufficient security", "\x15\x03\x03\x00\x02\x02\x47", "no cipher or kind of key in common"},
		{"chooses TLS 1.0", "\x16\x03\x01\x00\x2a\x02\x00\x00\x26\x03\x01" + strings.Repeat("r", 32) + "\x00\xc0\x13\x00",
			"a version of TLS that is too old"},
		{"SSH", "SSH-2.0-OpenSSH_9.6\r\n", "does not speak TLS on this port"},
	} {
		t.Run(k.name, func(t *testing.T) {
			addr := listen(t, func(conn net.Conn) {
				_, _ = conn.Read(make([]byte, 4096))
				_, _ = io.WriteString(conn, k.alert)
				hold(conn)
			})
			_, port, _ := net.SplitHostPort(addr)
			c := newClient(t, Options{Resolver: fakeDNS(t, "127.0.0.1"), TLSConfig: &tls.Config{RootCAs: pool}})
			wantFailure(t, c.Do(t.Context(), post("https://receiver.example:"+port)), iot.ErrTLS, k.words, "receiver.example")
		})
	}
}

// TestHTTPOnAPortForHTTPS has the answers of common servers.
func TestHTTPOnAPortForHTTPS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = quiet
	s.StartTLS()
	defer s.Close()
	plain := "http" + strings.TrimPrefix(s.URL, "https")
	wantFailure(t, newClient(t, Options{}).Do(t.Context(), post(plain)), iot.ErrHTTP4xx, "speaks https on this port; write https://")
	for _, body := range []string{
		"<center>The plain HTTP request was sent to HTTPS port</center>\r\n<hr><center>nginx</center>",
		"<p>Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />",
	} {
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, body)
		})
		wantFailure(t, newClient(t, Options{}).Do(t.Context(), post(s.URL)), iot.ErrHTTP4xx, "write https://")
	}
}

// TestAWebServerWantsACertificate has the answer of nginx, which completes the handshake.
func TestAWebServerWantsACertificate(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, "<center>No required SSL certificate was sent</center>\r\n<hr><center>nginx</center>")
	})
	wantFailure(t, newClient(t, Options{}).Do(t.Context(), post(s.URL)), iot.ErrTLS, "answered 400: it wants a client certificate",
		"has none to send")
}

// quiet is the log of servers whose clients do not come through.
var quiet = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)

package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"thingpost/internal/iot"
)

// hostileConn is an accepted connection of a hostile receiver.
type hostileConn struct {
	net.Conn
	in   *bufio.Reader
	read func(*http.Request) // the request, once it is read
}

// request reads one request; false if there is none.
func (c *hostileConn) request() bool {
	r, err := http.ReadRequest(c.in)
	if err != nil {
		return false
	}
	if _, err = io.Copy(io.Discard, r.Body); err == nil {
		c.read(r)
	}
	return err == nil
}

func (c *hostileConn) say(text string) bool {
	_, err := io.WriteString(c, text)
	return err == nil
}

// flood repeats a text until so many bytes are written, or the other side stops
// reading.
func (c *hostileConn) flood(text string, most int) {
	for n := 0; n < most && c.say(text); {
		n += len(text)
	}
}

// hold keeps the connection until the other side closes it.
func (c *hostileConn) hold() { _, _ = io.Copy(io.Discard, c.Conn) }

// trickle writes a byte a second until the other side closes.
func (c *hostileConn) trickle() {
	gone := make(chan struct{})
	go func() { c.hold(); close(gone) }() // ends with the connection
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for c.say("x") {
		select {
		case <-tick.C:
		case <-gone:
			return
		}
	}
}

func (c *hostileConn) reset() { _ = c.Conn.(*net.TCPConn).SetLinger(0) }

const okHead = "HTTP/1.1 200 OK\r\n"

// hostile is a kind of receiver, with the expected words of the log.
type hostile struct {
	name   string
	scheme string // http if empty
	host   string // a name in the test's name server; the address if empty
	serve  func(*hostileConn)
	class  iot.ErrorClass // "" is a success
	words  string         // part of the attempt's sentence
	note   string         // part of the note about a success whose answer broke
	slow   bool           // uses the whole timeout
	status int            // of the answer; 0 is none
	// alike names the kind whose sentence this one shares. Others differ.
	alike   string
	cut     bool // answers with more than is kept
	resends bool // gets its unanswered request again
	cert    *tls.Certificate

	url      string
	stop     func()
	requests atomic.Int64
}

// hostileKinds are all kinds. forbidden is an address that must not be reached.
func hostileKinds(ca *hostileCA, forbidden string) []*hostile {
	filler := "X-Pad: " + strings.Repeat("x", 4096) + "\r\n"
	answer := func(text string) func(*hostileConn) {
		return func(c *hostileConn) {
			for c.request() {
				c.say(text)
			}
		}
	}
	return []*hostile{
		{name: "never-answers", class: iot.ErrTimeout, words: "took the request but did not answer",
			serve: func(c *hostileConn) { c.request(); c.hold() }},
		{name: "trickles-head", class: iot.ErrTimeout, words: "took the request but did not answer", alike: "never-answers",
			serve: func(c *hostileConn) {
				_ = c.request() && c.say(okHead+"X-Slow: ")
				c.trickle()
			}},
		{name: "trickles-body", slow: true, note: "the answer's body did not end in 2 s: it stopped after ", status: 200,
			serve: func(c *hostileConn) {
				_ = c.request() && c.say(okHead+"Content-Length: 1000\r\n\r\n")
				c.trickle()
			}},
		{name: "resets-at-connect", class: iot.ErrConnect, words: "reset the connection before it answered",
			serve: func(c *hostileConn) { c.reset() }},
		{name: "resets-after-request", alike: "resets-at-connect", class: iot.ErrConnect, words: "reset the connection before it answered",
			serve: func(c *hostileConn) { c.request(); c.reset() }},
		{name: "resets-in-body", note: "the answer's body broke off after 7 of 1000 bytes", status: 200, serve: func(c *hostileConn) {
			_ = c.request() && c.say(okHead+"Content-Length: 1000\r\n\r\nhalf of")
			c.reset()
		}},
		{name: "half-closes", class: iot.ErrConnect, words: "closed the connection without an answer", serve: func(c *hostileConn) {
			_ = c.Conn.(*net.TCPConn).CloseWrite()
			c.hold()
		}},
		{name: "huge-headers", class: iot.ErrConnect, words: "64 KiB of headers", serve: func(c *hostileConn) {
			c.request()
			c.say(okHead)
			c.flood(filler, 10*mib)
		}},
		{name: "endless-body", status: 200, cut: true, serve: func(c *hostileConn) {
			c.request()
			c.say(okHead + "\r\n")
			c.flood(filler, 1<<40)
		}},
		{name: "gzip-bomb", status: 200, cut: true, serve: answer(gzipBomb())},
		{name: "redirect-loop", class: iot.ErrRedirect, words: "redirects are not followed", status: 302, serve: func(c *hostileConn) {
			answer("HTTP/1.1 302 Found\r\nLocation: http://" + c.LocalAddr().String() + "/again\r\nContent-Length: 0\r\n\r\n")(c)
		}},
		{name: "redirect-inside", class: iot.ErrRedirect, words: "to http://" + forbidden + "/metadata: redirects are not followed", status: 307,
			serve: answer("HTTP/1.1 307 Temporary Redirect\r\nLocation: http://" + forbidden + "/metadata\r\nContent-Length: 0\r\n\r\n")},
		{name: "self-signed", scheme: "https", host: "self.example", cert: ca.certificate("self.example", time.Hour, true), class: iot.ErrTLS,
			words: "self-signed, so this machine does not trust it"},
		{name: "wrong-name", scheme: "https", host: "wrong.example", cert: ca.certificate("other.example", time.Hour, false), class: iot.ErrTLS,
			words: "is for another name"},
		{name: "expired", scheme: "https", host: "expired.example", cert: ca.certificate("expired.example", -time.Hour, false), class: iot.ErrTLS,
			words: "has expired"},
		{name: "endless-100", class: iot.ErrConnect, words: "interim answers (1xx) and no final one", serve: func(c *hostileConn) {
			c.request()
			c.flood("HTTP/1.1 100 Continue\r\n\r\n", 1<<40)
		}},
		{name: "endless-103", class: iot.ErrConnect, words: "interim answers (1xx) and no final one", alike: "endless-100",
			serve: func(c *hostileConn) {
				c.request()
				c.flood("HTTP/1.1 103 Early Hints\r\n"+filler+"\r\n", 1<<40)
			}},
		{name: "100-then-nothing", class: iot.ErrTimeout, words: "announced an answer (1xx), but sent none", serve: func(c *hostileConn) {
			_ = c.request() && c.say("HTTP/1.1 100 Continue\r\n\r\n")
			c.hold()
		}},
		// Promises to keep the connection, and closes it.
		{name: "lies-and-closes", status: 200, serve: func(c *hostileConn) { _ = c.request() && c.say(okHead+keepAlive) }},
		// Reads a request on the kept connection, and closes it without an answer.
		{name: "lies-and-swallows", status: 200, resends: true, serve: func(c *hostileConn) {
			_ = c.request() && c.say(okHead+keepAlive) &&
				c.request()
		}},
		{name: "no-such-name", host: "nowhere.example", class: iot.ErrDNS, words: "nowhere.example does not exist in DNS",
			serve: func(*hostileConn) {}},
		// Closes each connection, so that its name is looked up each time.
		{name: "rebinds", host: "rebind.example", class: iot.ErrBlocked, words: "127.0.0.2 is ", serve: func(c *hostileConn) {
			_ = c.request() && c.say(okHead+"Connection: close\r\nContent-Length: 0\r\n\r\n")
		}},
	}
}

const keepAlive = "Connection: keep-alive\r\nKeep-Alive: timeout=3600\r\nContent-Length: 0\r\n\r\n"

// gzipBomb is an answer of a few hundred KiB that unpacks to 256 MiB.
func gzipBomb() string {
	var body bytes.Buffer
	z, _ := gzip.NewWriterLevel(&body, gzip.BestSpeed)
	zeros := make([]byte, mib)
	for range 256 {
		_, _ = z.Write(zeros) // into memory: cannot fail
	}
	_ = z.Close()
	return okHead + fmt.Sprintf("Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n", body.Len()) + body.String()
}

// hostileCA signs certificates.
type hostileCA struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

// newHostileCA returns an authority, and the file with its certificate.
func newHostileCA(t *testing.T) (ca *hostileCA, file string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	form := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	file = filepath.Join(t.TempDir(), "authority.pem")
	must(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return &hostileCA{t, key, cert}, file
}

// certificate is a certificate for a name with a lifetime, signed by the authority or
// by itself.
func (ca *hostileCA) certificate(name string, ends time.Duration, selfSigned bool) *tls.Certificate {
	ca.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(ca.t, err)
	form := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{name}, NotBefore: time.Now().Add(-24 * time.Hour),
		NotAfter: time.Now().Add(ends), KeyUsage: x509.KeyUsageDigitalSignature}
	parent, signer := ca.cert, ca.key
	if selfSigned {
		parent, signer = form, key
	}
	der, err := x509.CreateCertificate(rand.Reader, form, parent, &key.PublicKey, signer)
	must(ca.t, err)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// listen starts the receiver.
func (k *hostile) listen(t *testing.T) {
	t.Helper()
	address, stop := listenTCP(t, "127.0.0.1:0", func(conn net.Conn) {
		if k.cert != nil {
			_ = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{*k.cert}, MinVersion: tls.VersionTLS12}).HandshakeContext(t.Context())
			return
		}
		k.serve(&hostileConn{conn, bufio.NewReader(conn), func(r *http.Request) {
			k.requests.Add(1)
			if got := r.Header.Get("Accept-Encoding"); got != "" {
				t.Errorf("%s is asked for %s", k.name, got)
			}
		}})
	})
	k.stop = stop
	_, port, _ := net.SplitHostPort(address)
	if k.host != "" {
		address = net.JoinHostPort(k.host, port)
	}
	scheme := "http"
	if k.scheme != "" {
		scheme = k.scheme
	}
	k.url = scheme + "://" + address + "/hook"
}

// hostileNames lead to this machine, except one that does not exist, and one that leads
// to the forbidden address at the second look-up.
func hostileNames() func(name string, v4 bool) ([]string, bool) {
	var looks atomic.Int64
	return func(name string, v4 bool) ([]string, bool) {
		switch {
		case strings.HasPrefix(name, "nowhere."):
			return nil, false
		case strings.HasPrefix(name, "rebind.") && v4 && looks.Add(1) > 1:
			return []string{"127.0.0.2"}, true
		}
		return []string{"127.0.0.1"}, true
	}
}

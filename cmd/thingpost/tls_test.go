package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// writeCertificate makes a self-signed certificate of 127.0.0.1.
func writeCertificate(t *testing.T, certFile, keyFile string, serial int64) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:        true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	must(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return cert
}

func TestServeSpeaksTLSAndReadsTheCertificateAgain(t *testing.T) {
	folder := t.TempDir()
	certFile, keyFile := filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	trusted := x509.NewCertPool()
	trusted.AddCert(writeCertificate(t, certFile, keyFile, 1))
	p := serve(t, nil, "-data", t.TempDir(), "-tls-cert", certFile, "-tls-key", keyFile)
	defer p.end(t, syscall.SIGTERM)
	if !strings.HasPrefix(p.url, "https://") {
		t.Fatalf("it listens on %s", p.url)
	}
	// ask returns the serial number of the certificate of a new connection.
	ask := func() int64 {
		t.Helper()
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12},
			DisableKeepAlives: true}}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+"/healthz", http.NoBody)
		must(t, err)
		resp, err := client.Do(req)
		must(t, err)
		defer func() { _ = resp.Body.Close() }()
		if resp.Header.Get("Strict-Transport-Security") == "" {
			t.Error("the answer has no Strict-Transport-Security")
		}
		return resp.TLS.PeerCertificates[0].SerialNumber.Int64()
	}
	if got := ask(); got != 1 {
		t.Errorf("certificate %d", got)
	}
	must(t, os.WriteFile(certFile, []byte("half a file"), 0o600))
	must(t, p.Process.Signal(syscall.SIGHUP))
	if got := ask(); got != 1 {
		t.Errorf("certificate %d after a bad one", got)
	}
	trusted.AddCert(writeCertificate(t, certFile, keyFile, 2))
	must(t, p.Process.Signal(syscall.SIGHUP))
	for deadline := time.Now().Add(10 * time.Second); ask() != 2; {
		if time.Now().After(deadline) {
			t.Fatal("the new certificate is not used")
		}
	}
}

//go:build unix

package egress

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"thingpost/internal/iot"
)

// receiverEnv makes the test's own program a receiver.
const receiverEnv = "EGRESS_BENCH_RECEIVER"

func TestMain(m *testing.M) {
	if os.Getenv(receiverEnv) != "" {
		receiveForBench()
		return
	}
	m.Run()
}

// receiveForBench answers requests until its input ends. It reads no more of them than
// where they end, so that it is no part of what is measured.
func receiveForBench() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		os.Exit(1)
	}
	_, _ = io.WriteString(os.Stdout, l.Addr().String()+"\n")
	go func() { // ends with the process
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go answerForBench(conn)
		}
	}()
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func answerForBench(conn net.Conn) {
	if os.Getenv(receiverEnv) != "plain" {
		cert, err := tls.X509KeyPair([]byte(os.Getenv("EGRESS_BENCH_CERT")), []byte(os.Getenv("EGRESS_BENCH_KEY")))
		if err != nil {
			os.Exit(1)
		}
		conn = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}})
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		const answer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nDate: Sun, 01 Mar 2026 12:00:00 GMT\r\n" +
			"Content-Length: 2\r\n\r\nok"
		if _, err := io.WriteString(conn, answer); err != nil {
			return
		}
	}
}

// BenchmarkClient measures the client alone: its processor time (cpu-ns/op) for small
// requests to a receiver in another process, its allocations, and its goroutines for each
// kept connection.
func BenchmarkClient(b *testing.B) {
	for _, scheme := range []string{"http", "https"} {
		b.Run(scheme, func(b *testing.B) { benchClient(b, scheme) })
	}
}

func benchClient(b *testing.B, scheme string) {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), receiverEnv+"=plain")
	o := Options{}
	if scheme == "https" {
		certPEM, keyPEM, pool := pemPair(b)
		cmd.Env = append(os.Environ(), receiverEnv+"=tls", "EGRESS_BENCH_CERT="+certPEM, "EGRESS_BENCH_KEY="+keyPEM)
		o.Resolver, o.TLSConfig = fakeDNS(b, "127.0.0.1"), &tls.Config{RootCAs: pool}
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = in.Close(); _ = cmd.Wait() }()
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	addr = strings.TrimSpace(addr)
	if scheme == "https" {
		_, port, _ := net.SplitHostPort(addr)
		addr = "receiver.example:" + port
	}
	c := newClient(b, o)
	req := Request{Method: "POST", URL: scheme + "://" + addr + "/hook", Body: bytes.Repeat([]byte("x"), 300), Timeout: 10 * time.Second,
		Headers: iot.HeaderLines{{Name: "Content-Type", Value: "application/json"}, {Name: "User-Agent", Value: "Thingpost/1"},
			{Name: "Webhook-Id", Value: "0198c0ff-ee00-7000-8000-000000000000"}, {Name: "Webhook-Timestamp", Value: "1767225600"}}}
	const parallel = 16 // for each processor
	before := runtime.NumGoroutine()
	b.SetParallelism(parallel)
	b.ReportAllocs()
	used := cpuTime()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if r := c.Do(b.Context(), req); !r.OK() {
				b.Error(r.Detail)
				return
			}
		}
	})
	b.StopTimer()
	b.ReportMetric(float64(cpuTime()-used)/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(runtime.NumGoroutine()-before)/float64(parallel*runtime.GOMAXPROCS(0)), "goroutines/conn")
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// pemPair is a certificate for receiver.example with its key, and a pool that trusts it.
func pemPair(b *testing.B) (certPEM, keyPEM string, pool *x509.CertPool) {
	b.Helper()
	cert, pool := certificate(b, "receiver.example", time.Now().Add(24*time.Hour))
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		b.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})), pool
}

package main

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// panicsBeside names a file: while it exists, handlers of requests that read the clock
// panic.
const panicsBeside = "THINGPOST_TEST_PANICS_BESIDE"

// panicking is a clock for panicsBeside.
func panicking(file string, now func() time.Time) func() time.Time {
	return func() time.Time {
		if _, err := os.Stat(file); err == nil {
			stack := make([]byte, 64<<10)
			if strings.Contains(string(stack[:runtime.Stack(stack, false)]), "net/http.HandlerFunc.ServeHTTP") {
				panic("the clock has stopped\nfor two lines")
			}
		}
		return now()
	}
}

// TestEveryLineIsOfTheLog provokes the libraries' own writes to standard error in the
// running program.
func TestEveryLineIsOfTheLog(t *testing.T) {
	folder := t.TempDir()
	certFile, keyFile, file := filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem"), filepath.Join(folder, "panic")
	writeCertificate(t, certFile, keyFile, 1)
	grpcAddress, grpcTLSAddress := freeAddress(t), freeAddress(t)
	env := append(adminEnv(), panicsBeside+"="+file)
	p := newProcess(t, env, "serve", "-listen", "127.0.0.1:0", "-data", t.TempDir(), "-log-format", "json", "-log-level", "debug", "-tls-cert",
		certFile, "-tls-key", keyFile,
		"-grpc-listen", grpcAddress, "-grpc-tls-listen", grpcTLSAddress, "-allow-networks", "127.0.0.0/8")
	begin(t, p)
	if !p.out.Scan() {
		_ = p.Wait()
		t.Fatalf("it did not start: %s", p.stderr.String())
	}
	banner := parseLine(t, p.out.Text())
	p.url, _ = banner["url"].(string)
	address := strings.TrimPrefix(p.url, "https://")
	if banner["level"] != "INFO" || !strings.HasPrefix(p.url, "https://127.0.0.1:") {
		t.Fatalf("it says %s", p.out.Text())
	}
	logged := func(texts ...string) {
		t.Helper()
		until(t, "the log says "+strings.Join(texts, ", "), func() bool {
			for line := range strings.Lines(p.stderr.String()) {
				has := true
				for _, text := range texts {
					has = has && strings.Contains(line, text)
				}
				if has {
					return true
				}
			}
			return false
		})
	}
	write := func(address, text string) {
		t.Helper()
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		must(t, err)
		_, err = io.WriteString(conn, text)
		must(t, err)
		_, _ = io.Copy(io.Discard, io.LimitReader(conn, 1)) // until it has an opinion
		must(t, conn.Close())
	}
	write(address, "\x16\x03\x01garbage that is no hello\r\n\r\n")
	write(address, "GET / HTTP/1.1\r\n\r\n")
	logged("http: TLS handshake error", `"level":"DEBUG"`)
	write(grpcAddress, "GET / HTTP/1.1\r\nHost: this-is-no-gRPC\r\n\r\n")
	write(grpcTLSAddress, "\x16\x03\x01garbage that is no hello\r\n\r\n")
	logged(`"msg":"gRPC"`)

	// A client that breaks off within a request, and one whose handler panics.
	secure := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}
	half, err := (&tls.Dialer{Config: secure}).DialContext(t.Context(), "tcp", address)
	must(t, err)
	_, err = io.WriteString(half, "POST /api/v1/tokens HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n{")
	must(t, err)
	must(t, half.Close())
	must(t, os.WriteFile(file, nil, 0o600))
	for _, http2 := range []bool{false, true} {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: secure.Clone(), ForceAttemptHTTP2: http2}}
		if http2 {
			client.Transport.(*http.Transport).TLSClientConfig.NextProtos = nil //nolint:forcetypeassert // made above
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+"/healthz", http.NoBody)
		must(t, err)
		if resp, err := client.Do(req); err == nil {
			_ = resp.Body.Close()
		}
		client.CloseIdleConnections()
	}
	must(t, os.Remove(file))
	logged("http: panic serving", `"level":"ERROR"`, `the clock has stopped\nfor two lines`)
	logged("http2: panic serving", `"level":"ERROR"`)

	if status := p.end(t, syscall.SIGTERM); status != 0 {
		t.Errorf("it ended with status %d", status)
	}
	for line := range strings.Lines(p.stderr.String()) {
		parseLine(t, line)
	}
}

// parseLine reads a line of a log in JSON.
func parseLine(t *testing.T, line string) (v map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(line), &v); err != nil || v["time"] == nil || v["level"] == nil || v["msg"] == nil {
		t.Errorf("a line is %q: %v", line, err)
	}
	return v
}

// TestStartThatFailsIsOfTheLogToo starts a server that cannot listen, in both formats,
// and one that shows its set-up link at any level.
func TestStartThatFailsIsOfTheLogToo(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = l.Close() }()
	taken := l.Addr().String()
	status, out, complaint := run(t, "", nil, "serve", "-data", t.TempDir(), "-listen", taken, "-log-format", "json")
	if v := parseLine(t, complaint); status != exitFailed || out != "" || v["error"] == nil || !strings.Contains(complaint, taken) {
		t.Errorf("status %d, %q %q", status, out, complaint)
	}
	status, _, complaint = run(t, "", nil, "serve", "-data", t.TempDir(), "-listen", taken)
	if status != exitFailed || !strings.HasPrefix(complaint, "thingpost: The address "+taken) {
		t.Errorf("status %d, %q", status, complaint)
	}
	p := newProcess(t, nil, "serve", "-listen", "127.0.0.1:0", "-data", t.TempDir(), "-log-format", "json", "-log-level", "error")
	begin(t, p)
	p.out.Scan()
	p.out.Scan()
	if link, _ := parseLine(t, p.out.Text())["url"].(string); !strings.Contains(link, "/setup?token=tpt_") {
		t.Errorf("no set-up link: %s", p.out.Text())
	}
	if p.end(t, syscall.SIGTERM); p.stderr.String() != "" {
		t.Errorf("the log has %s", p.stderr.String())
	}
}

// TestAFailedStartIsOfTheLog gives options that cannot be read or do not fit.
func TestAFailedStartIsOfTheLog(t *testing.T) {
	run := func(env map[string]string, args ...string) (int, string) {
		var stderr strings.Builder
		p := &program{stdin: strings.NewReader(""), stdout: io.Discard, stderr: &stderr, now: time.Now,
			env: func(name string) (string, bool) { v, ok := env[name]; return v, ok }}
		return p.run(t.Context(), args), stderr.String()
	}
	inJSON := map[string]string{"THINGPOST_LOG_FORMAT": "json"}
	for _, c := range []struct {
		env  map[string]string
		args []string
		says string
		json bool
	}{
		{nil, []string{"serve", "-log-format", "json", "-nope"}, "-nope", true},
		{nil, []string{"serve", "--log-format=json", "extra"}, "extra", true},
		{inJSON, []string{"serve", "-memory", "3"}, "-memory", true},
		{inJSON, []string{"serve", "-log-format", "text", "-memory", "3"}, "-memory", false},
		{nil, []string{"serve", "-nope"}, "-nope", false},
		{inJSON, []string{"check", "-nope"}, "-nope", false},
	} {
		code, text := run(c.env, c.args...)
		if code != exitUsage || !strings.Contains(text, c.says) {
			t.Errorf("%v: %d %s", c.args, code, text)
		}
		if !c.json {
			if !strings.HasPrefix(text, "thingpost: ") {
				t.Errorf("%v: %s", c.args, text)
			}
			continue
		}
		if line := parseLine(t, strings.TrimSuffix(text, "\n")); line["level"] != "ERROR" || strings.Count(text, "\n") != 1 {
			t.Errorf("%v: %s", c.args, text)
		}
	}
}

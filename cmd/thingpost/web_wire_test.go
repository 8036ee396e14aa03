package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// speaks sends raw bytes to a server, and returns its answers until it closes the
// connection, or until it is silent for a while after the expected answers.
func speaks(t *testing.T, address, text string, answers int) string {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	must(t, err)
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, text) // it may close in the middle
	var answer strings.Builder
	b := make([]byte, 4096)
	for {
		patience := 30 * time.Second
		if strings.Count(answer.String(), "HTTP/1.") >= answers {
			patience = 150 * time.Millisecond
		}
		must(t, conn.SetReadDeadline(time.Now().Add(patience)))
		n, err := conn.Read(b)
		answer.Write(b[:n])
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) && strings.Count(answer.String(), "HTTP/1.") < answers {
				t.Errorf("%.300q is answered with %q, and then with silence", text, answer.String())
			}
			return answer.String()
		}
	}
}

// TestNoRequestHidesInAnother sends what two readers could take for different requests,
// with a change hidden in what one of them takes for a body. There is one answer, or
// the connection is closed, and the change is never made.
func TestNoRequestHidesInAnother(t *testing.T) {
	w := newWebWorld(t)
	address := strings.TrimPrefix(w.url, "http://")
	hidden := "DELETE /api/v1/projects/world/webhooks/erp HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + w.api.token + "\r\n\r\n"
	head := "POST /api/v1/projects/world/messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	whole := fmt.Sprintf("Content-Length: %d\r\n", len(hidden))
	chunk := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(hidden), hidden)
	cases := map[string]string{
		"length and chunks":      head + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
		"chunks and length":      head + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + hidden,
		"two lengths":            head + "Content-Length: 0\r\n" + whole + "\r\n" + hidden,
		"two lengths, turned":    head + whole + "Content-Length: 0\r\n\r\n" + hidden,
		"a list of lengths":      head + "Content-Length: 0, 5\r\n\r\n" + hidden,
		"a signed length":        head + "Content-Length: +0\r\n\r\n" + hidden,
		"a negative length":      head + "Content-Length: -1\r\n\r\n" + hidden,
		"a hexadecimal length":   head + "Content-Length: 0x0\r\n\r\n" + hidden,
		"an empty length":        head + "Content-Length: \r\n\r\n" + hidden,
		"space before the colon": head + "Content-Length : 0\r\n\r\n" + hidden,
		"obsolete folding":       head + "X-A: b\r\n Content-Length: 0\r\n" + whole + "\r\n" + hidden,
		"folded chunks":          head + "Transfer-Encoding:\r\n chunked\r\n\r\n" + chunk,
		"unknown coding":         head + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + hidden,
		"chunked twice":          head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk,
		"identity and chunked":   head + "Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n" + hidden,
		"chunked with a tab":     head + "Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n" + hidden,
		"chunks in HTTP/1.0": "POST /api/v1/projects/world/messages HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: " +
			"keep-alive\r\n\r\n0\r\n\r\n" + hidden,
		"body of HTTP/1.0":        "POST /api/v1/projects/world/messages HTTP/1.0\r\nHost: x\r\n\r\n" + hidden,
		"extension with a line":   head + "Transfer-Encoding: chunked\r\n\r\n0;a=\"\n\"\r\n\r\n" + hidden,
		"huge chunk":              head + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n" + hidden,
		"overflowing chunk":       head + "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n\r\n" + hidden,
		"chunk without its end":   head + "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n" + hidden,
		"no host":                 "POST /api/v1/x HTTP/1.1\r\n\r\n",
		"two hosts":               "GET /api/v1/x HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
		"a host with a path":      "GET /api/v1/x HTTP/1.1\r\nHost: x/y\r\n\r\n",
		"a space in the target":   "GET /api/v1/x y HTTP/1.1\r\nHost: x\r\n\r\n",
		"control in a value":      "GET /api/v1/x HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
		"return alone in a value": "GET /api/v1/x HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n",
		"another version":         "GET /api/v1/x HTTP/3.0\r\nHost: x\r\n\r\n",
		"upgrade": head +
			"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n" + whole + "\r\n" + hidden,
		"body that nobody asked":    "GET /healthz HTTP/1.1\r\nHost: x\r\n" + whole + "\r\n" + hidden,
		"body of what is not there": "POST /nowhere HTTP/1.1\r\nHost: x\r\n" + whole + "\r\n" + hidden,
		"connect":                   "CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\n" + whole + "\r\n" + hidden,
	}
	refused := 0
	for name, text := range cases {
		answer := speaks(t, address, text, 1)
		if n := strings.Count(answer, "HTTP/1."); n > 1 {
			t.Errorf("%s has %d answers: %s", name, n, answer)
		}
		if strings.HasPrefix(answer, "HTTP/1.1 4") || answer == "" || strings.HasPrefix(answer, "HTTP/1.0 4") ||
			strings.HasPrefix(answer, "HTTP/1.1 5") {
			refused++
		}
	}
	w.api.call("GET", "/projects/world/webhooks/erp", nil, 200, nil)
	if refused < len(cases)-1 { // only "/healthz" with a body is a success
		t.Errorf("%d of %d are refused", refused, len(cases))
	}
	// The same request, sent properly, succeeds: the test can fail.
	if answer := speaks(t, address, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"+hidden, 2); strings.Count(answer, "HTTP/1.1 20") != 2 {
		t.Errorf("two requests after one another are answered %s", answer)
	}
	t.Attr("figure", fmt.Sprintf("%d ways to hide a request in another, none is executed", len(cases)))
}

// TestBodiesAndHeadsAreBounded sends too much to each family of routes.
func TestBodiesAndHeadsAreBounded(t *testing.T) {
	w := newWebWorld(t)
	address := strings.TrimPrefix(w.url, "http://")
	bearer := map[string]string{"Authorization": "Bearer " + w.key, "Content-Type": "application/json"}
	person := map[string]string{"Authorization": "Bearer " + w.api.token, "Content-Type": "application/json"}
	session := map[string]string{"Content-Type": "application/x-www-form-urlencoded", "Cookie": w.session().String()}
	huge := strings.Repeat(" ", 17<<20)
	n := 0
	for path, headers := range map[string]map[string]string{
		"POST /api/v1/projects/world/messages":                                    bearer,
		"POST /api/v1/projects/world/devices/probe/messages":                      bearer,
		"POST /api/v1/projects/world/webhooks":                                    person,
		"POST /api/v1/tokens":                                                     person,
		"POST /in/tts/world":                                                      bearer,
		"POST /api/v3/as/webhooks/world":                                          bearer,
		"POST /api/v3/as/applications/world/devices/probe/up/simulate":            bearer,
		"POST /api/v3/as/applications/world/webhooks/erp/devices/probe/down/push": bearer,
		"POST /tokens":                      person,
		"POST /register":                    person,
		"POST /sign-in":                     session,
		"POST /projects/new":                session,
		"POST /setup":                       session,
		"POST /projects/world/webhooks/new": session,
	} {
		method, at, _ := strings.Cut(path, " ")
		body := huge
		if headers["Content-Type"] == "application/x-www-form-urlencoded" {
			body = "name=" + strings.Repeat("x", 17<<20)
		}
		status, answer := w.api.exchange(method, w.url+at, body, headers)
		// in that system's form
		said := status == http.StatusRequestEntityTooLarge || strings.HasPrefix(at, "/api/v3/") && status == 400 &&
			strings.Contains(answer, "request_body_too_large")
		if n++; !said {
			t.Errorf("%s answers %d to 17 MiB: %.200s", path, status, answer)
		}
	}
	for _, path := range []string{"/", "/api/v1/projects", "/in/tts/world", "/tokens", "/static/x", "/inspect/x", "/healthz"} {
		for name, head := range map[string]string{"a long head": "X-Long: " + strings.Repeat("x", 80<<10),
			"many lines": strings.TrimSuffix(strings.Repeat("X-Many: 1\r\n", 8000), "\r\n"), "a long address": ""} {
			target := path
			if head == "" {
				target, head = path+"?"+strings.Repeat("x", 80<<10), "X: y"
			}
			if n++; !strings.HasPrefix(speaks(t, address, "GET "+target+" HTTP/1.1\r\nHost: x\r\n"+head+"\r\n\r\n", 1), "HTTP/1.1 431") {
				t.Errorf("%s takes %s", path, name)
			}
		}
	}
	t.Attr("figure", fmt.Sprintf("%d requests that are too large, all 413 or 431", n))
}

// slowAttack is how many slow connections are opened beside the served ones.
const slowAttack = 400

// TestSlowRequestsKeepNobodyOut opens more slow connections than the program may have
// open files: others are served all the while, messages are stored and delivered, and
// the program continues.
func TestSlowRequestsKeepNobodyOut(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal("the bound is set with a shell: ", err)
	}
	receiver := newHoarder(t)
	p := newProcess(t, adminEnv(), "-c", `ulimit -n 256 && exec "$0" "$@"`, os.Args[0], "serve", "-listen", "127.0.0.1:0", "-data",
		t.TempDir(), "-allow-networks", "127.0.0.0/8")
	p.Path = shell
	begin(t, p)
	if !p.out.Scan() {
		t.Fatal(p.stderr.String())
	}
	_, p.url, _ = strings.Cut(p.out.Text(), " listens on ")
	defer p.end(t, syscall.SIGTERM)
	c := signIn(t, p.url)
	c.call("POST", "/projects", map[string]string{"id": "slow", "name": "Slow"}, 201, nil)
	c.call("POST", "/projects/slow/devices", map[string]string{"id": "probe"}, 201, nil)
	c.call("POST", "/projects/slow/webhooks", map[string]any{"id": "erp", "description": "ERP", "url": receiver.URL, "type": "user"}, 201, nil)
	slow := []string{"", "G", "POST /api/v1/x HTTP/1.1\r\nHost: x\r\nX-Slow: ", "GET / HTTP/1.1\r\n", "\r\n"}
	served := 0
	for i := range slowAttack {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(p.url, "http://"))
		must(t, err)
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, slow[i%len(slow)])
		if i%20 == 0 {
			http.DefaultClient.CloseIdleConnections()
			c.call("POST", "/projects/slow/devices/probe/messages", map[string]any{"payload": i}, 202, nil)
			served++
		}
	}
	until(t, "all is delivered", func() bool { return strings.Count(receiver.got(), "POST /") == served })
	if text := p.stderr.String(); strings.Contains(text, "too many open files") {
		t.Errorf("it ran out of files: %s", text)
	}
	t.Attr("figure", fmt.Sprintf("%d slow connections at 256 open files, %d messages stored and delivered meanwhile", slowAttack, served))
}

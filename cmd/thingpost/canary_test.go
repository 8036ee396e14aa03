package main

import (
	"encoding/base64"
	"fmt"
	"html"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	neturl "net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"thingpost/db"
)

// canaries are secrets by kind: distinct, and never to be seen again.
type canaries map[string]string

// search fails for each secret in a text, as it is or URL-encoded.
func (c canaries) search(t *testing.T, where, text string) {
	t.Helper()
	text = html.UnescapeString(text)
	for what, secret := range c {
		if secret == "" {
			t.Fatalf("the canary %q was not planted", what)
		}
		if strings.Contains(text, secret) || strings.Contains(text, neturl.PathEscape(secret)) ||
			strings.Contains(text, neturl.QueryEscape(secret)) {
			t.Errorf("%s holds the %s", where, what)
		}
	}
}

// canaryReceiver refuses every request with an answer that repeats all of it, and keeps
// the downlink key in it.
type canaryReceiver struct {
	*httptest.Server
	mu    sync.Mutex
	key   string
	count int
}

func newCanaryReceiver(t *testing.T) *canaryReceiver {
	t.Helper()
	c := &canaryReceiver{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.count++
		if key := r.Header.Get("X-Downlink-Apikey"); key != "" {
			c.key = key
		}
		w.Header().Set("X-Echo", r.RequestURI)
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintf(w, "no such thing as %s with %v", r.RequestURI, r.Header)
	}))
	t.Cleanup(c.Close)
	return c
}

// got is the downlink key, once so many requests have arrived.
func (c *canaryReceiver) got(atLeast int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count < atLeast {
		return ""
	}
	return c.key
}

// TestSecretsAreNeverSeenAgain plants a secret of every kind, has deliveries use them
// and fail, and searches every page, answer, export, log line, metric, the database's
// files and a backup for them.
func TestSecretsAreNeverSeenAgain(t *testing.T) {
	receiver := newCanaryReceiver(t)
	folder, data := t.TempDir(), t.TempDir()
	writeFile(t, folder, "local.yml", `template-id: local
name: Local
format: json
base-url: "`+receiver.URL+`/in/{base}"
headers: {X-Pin: "pin {pin}"}
paths: {uplink-message: "/up/{path}{?query}"}
create-downlink-api-key: true
fields: [{id: base, name: Base, secret: true}, {id: path, name: Path, secret: true}, {id: query, name: Query, secret: true}, {id: pin, `+
		`name: Pin, secret: true}]
`)
	cert, certKey := filepath.Join(folder, "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	writeCertificate(t, cert, certKey, 1)
	grpcAddress := freeAddress(t)
	address := freeAddress(t)
	p := serve(t, append(adminEnv(), "THINGPOST_METRICS_TOKEN="+metricsToken, newMailServer(t).env()), "-listen", address, "-public-url",
		"http://"+address, "-mail-from", "things@host.example", "-data", data, "-templates", folder, "-allow-networks",
		"127.0.0.0/8,::1/128", "-log-level", "debug",
		"-grpc-listen", grpcAddress)
	c := signIn(t, p.url)
	const project = "/projects/canaries"
	secrets := canaries{
		"password": "correct horse battery", "password of the mail server": mailPassword,
		"metrics token": metricsToken, "token of the API": c.token,
		"secret header": "canary/header value", "secret in a base URL": "canary/base", "secret in a path": "canary/path",
		"secret in a query": "canary/query", "secret in a template's header": "canary/pin", "upstream key": "NNSXS.CANARYUPSTREAM.KEY",
		"header sent to the inspector": "canary-to-the-inspector",
		"password in a URL":            "canary-basic", "login in a URL": base64.StdEncoding.EncodeToString([]byte("me:canary-basic")),
		"short secret": "q!7zx", "secret that JSON writes otherwise": `canary"<&>\quoted`,
		"key of the store": storeKey(t, data), "password of another": "a canary for eve", "wrong password": "canary of a wrong password",
	}
	c.call("POST", "/projects", map[string]string{"id": "canaries", "name": "Canaries"}, 201, nil)
	var device, key struct{ Key string }
	c.call("POST", project+"/devices", map[string]string{"id": "probe"}, 201, &device)
	c.call("POST", project+"/keys", map[string]any{"name": "all", "rights": []string{"RIGHT_APPLICATION_ALL"}}, 201, &key)
	secrets["device key"], secrets["API key"] = device.Key, key.Key
	c.call("POST", project+"/webhooks", map[string]any{"id": "erp", "description": "ERP", "url": receiver.URL + "/in", "type": "user",
		"signed": true,
		"headers": []map[string]any{{"name": "X-Key", "value": secrets["secret header"], "secret": true},
			{"name": "X-Pin", "value": secrets["short secret"], "secret": true},
			{"name": "X-Odd", "value": secrets["secret that JSON writes otherwise"], "secret": true}}}, 201, nil)
	c.call("POST", project+"/webhooks",
		map[string]any{"id": "basic", "description": "Basic", "url": strings.Replace(receiver.URL, "http://", "http://me:canary-basic@", 1) +
			"/login", "type": "user"}, 201, nil)
	var signing struct {
		Secret string `json:"signing_secret"`
	}
	c.call("POST", project+"/webhooks/erp/secret", nil, 200, &signing)
	secrets["signing secret"] = signing.Secret
	c.call("POST", project+"/webhooks/from-template", map[string]any{"template": "local", "id": "local", "fields": map[string]string{
		"base": secrets["secret in a base URL"], "path": secrets["secret in a path"], "query": secrets["secret in a query"],
		"pin": secrets["secret in a template's header"]}}, 201, nil)
	c.call("PUT", project+"/upstream", map[string]string{"url": receiver.URL, "key": secrets["upstream key"]}, 200, nil)
	c.call("POST", project+"/webhooks/local/test", nil, 202, nil)
	c.call("POST", project+"/devices/probe/messages", map[string]any{"payload": 1}, 202, nil)
	until(t, "deliveries have failed", func() bool { return receiver.got(3) != "" })
	secrets["key for downlinks"] = receiver.got(3)

	r := newReader(t, p.url)
	r.signIn("ada@example.org", "correct horse battery")
	secrets["session"] = r.session().Value
	inspector := regexp.MustCompile(`http://[^"<\s]+/inspect/[^"<\s]+`).FindString(r.post(project+"/inspector", neturl.Values{}))
	if inspector == "" {
		t.Fatal("the inspector has no address")
	}
	if status, answer := c.exchange("POST", inspector, "{}",
		map[string]string{"Authorization": "Bearer " + secrets["header sent to the inspector"]}); status != http.StatusOK {
		t.Fatalf("the inspector answers %d %s", status, answer)
	}

	visitor(t, r.url).tries("POST", "/invitation", neturl.Values{"token": {r.invites("eve@example.org")}, "name": {"Eve"},
		"password": {secrets["password of another"]}})
	secrets["link of an invitation"] = r.invites("bob@example.org")
	r.refused(secrets)
	embed := r.makesEmbed(project)
	secrets["link to an embedded log"] = strings.TrimPrefix(embed, "/embed/")
	{ // the link's own page contains it in its addresses
		without := maps.Clone(secrets)
		delete(without, "link to an embedded log")
		text, _ := r.wire(embed)
		without.search(t, "the embedded log", text)
	}
	secrets.searchDoors(t, c, key.Key, grpcAddress, r)
	if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.Process.Pid)); err == nil {
		secrets.search(t, "the list of processes", string(line))
	}
	if n := r.searchAll(secrets, project); n < 25 {
		t.Errorf("only %d pages were searched", n)
	}
	for _, path := range []string{"", "/profiles", "/devices", "/devices/probe", "/webhooks", "/webhooks/erp", "/webhooks/local", "/keys",
		"/messages", "/messages/export?format=ndjson", "/messages/export?format=csv",
		"/deliveries", "/deliveries/export?format=ndjson", "/deliveries/export?format=csv", "/replays", "/audit", "/upstream"} {
		secrets.search(t, "the API's "+path, c.text("/api/v1"+project+path, c.token))
	}
	secrets.search(t, "the metrics", c.text("/metrics", metricsToken))
	backup := filepath.Join(t.TempDir(), "backup.db")
	if status, out, complaints := run(t, "", nil, "backup", "-data", data, backup); status != 0 {
		t.Fatalf("the backup: %s %s", out, complaints)
	} else {
		secrets.search(t, "what the backup says", out+complaints)
	}
	secrets.searchFiles(t, filepath.Dir(backup))
	secrets.searchFiles(t, data)
	c.call("POST", project+"/devices/probe/messages", map[string]any{"payload": 2}, 202, nil) // in the write-ahead log
	secrets.searchFiles(t, data)
	p.end(t, syscall.SIGTERM)
	secrets.search(t, "the log", p.stderr.String())
	// The output of the program for operators, including errors.
	for _, args := range [][]string{{"check", "-data", data}, {"user", "list", "-data", data}, {"templates", "check", folder},
		{"serve", "-data", data, "-tls-cert", cert, "-tls-key", cert, "-listen", "127.0.0.1:0"},
		{"serve", "-data", data, "-tls-cert", certKey, "-tls-key", certKey, "-listen", "127.0.0.1:0"}, {"serve", "-h"}} {
		_, out, complaints := run(t, "", append(adminEnv(), "THINGPOST_METRICS_TOKEN="+metricsToken), args...)
		secrets.search(t, "the output of "+args[0], out+complaints)
		if pem, err := os.ReadFile(certKey); err != nil || strings.Contains(out+complaints, strings.Split(string(pem), "\n")[1]) {
			t.Errorf("the output of %s holds the key of the certificate: %v", args[0], err)
		}
	}
	secrets.searchFiles(t, data)
	t.Attr("figure", fmt.Sprintf("%d kinds of secrets, in none of the pages, answers, exports, events, metrics, logs, files, backups and "+
		"outputs", len(secrets)))
	if len(secrets) < 23 {
		t.Errorf("only %d secrets were planted", len(secrets))
	}
	if !strings.Contains(p.stderr.String(), "level=DEBUG") {
		t.Error("the log has no line of the level debug")
	}
}

// searchAll follows all links from the project's first page, including exports, and
// searches the answers. It returns how many.
func (r *reader) searchAll(secrets canaries, project string) int {
	r.t.Helper()
	links := regexp.MustCompile(`(?:href|hx-get)="(/[^"]*)"`)
	seen, waiting := map[string]bool{}, []string{project}
	for len(waiting) > 0 {
		path := html.UnescapeString(waiting[0])
		waiting = waiting[1:]
		if path, _, _ = strings.Cut(path, "#"); seen[path] || strings.HasPrefix(path, "/static/") || strings.HasPrefix(path, "/api/") ||
			strings.HasSuffix(path, "/events") || len(seen) > 300 {
			continue
		}
		seen[path] = true
		text, _ := r.wire(path)
		secrets.search(r.t, "the page "+path, text)
		for _, m := range links.FindAllStringSubmatch(text, -1) {
			waiting = append(waiting, m[1])
		}
	}
	return len(seen)
}

// searchFiles searches all files of a folder except the encryption key.
func (c canaries) searchFiles(t *testing.T, folder string) {
	t.Helper()
	must(t, filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == db.KeyFileName {
			return err
		}
		text, err := os.ReadFile(path)
		if err == nil {
			c.search(t, "the file "+d.Name(), string(text))
		}
		return err
	}))
}

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sync/errgroup"
)

// house is a group with a thing, created like Mainflux's clients do.
type house struct {
	*apiClient
	group, thing, key string
}

// ask calls a path of the dialect as a person and decodes the answer.
func (c *apiClient) ask(method, path, body string, want int, into any) {
	c.t.Helper()
	status, answer := c.exchange(method, c.url+path, body,
		map[string]string{"Content-Type": "application/json", "Authorization": "Bearer " + c.token})
	if status != want {
		c.t.Fatalf("%s %s answers %d, want %d: %s", method, path, status, want, answer)
	}
	if into != nil {
		must(c.t, json.Unmarshal([]byte(answer), into))
	}
}

func newHouse(t *testing.T, url string) *house {
	t.Helper()
	h := &house{apiClient: signIn(t, url)}
	var token struct{ Token string }
	h.ask("POST", "/tokens", `{"email":"ada@example.org","password":"correct horse battery"}`, 201, &token)
	h.token = token.Token
	var orgs struct{ Orgs []struct{ ID string } }
	h.ask("GET", "/orgs", "", 200, &orgs)
	var v struct {
		Groups, Profiles []struct{ ID string }
		Things           []struct{ ID, Key string }
	}
	h.ask("POST", "/orgs/"+orgs.Orgs[0].ID+"/groups", `[{"name":"House"}]`, 201, &v)
	h.group = v.Groups[0].ID
	h.ask("POST", "/groups/"+h.group+"/profiles", `[{"name":"p","config":{"content_type":"application/json","write":true,"webhook":true,`+
		`"smtp_id":""}}]`, 201, &v)
	h.ask("POST", "/profiles/"+v.Profiles[0].ID+"/things", `[{"name":"t","type":"sensor"}]`, 201, &v)
	h.thing, h.key = v.Things[0].ID, v.Things[0].Key
	return h
}

// publish sends a message of the thing.
func (h *house) publish(body string) {
	h.t.Helper()
	status, answer := h.exchange("POST", h.url+"/http/messages", body,
		map[string]string{"Content-Type": "application/json", "Authorization": "Thing " + h.key})
	if status != http.StatusAccepted || answer != "" {
		h.t.Errorf("publishing answers %d %s", status, answer)
	}
}

// words splits a command as a shell does, with both kinds of quotes.
func words(command string) []string {
	var list []string
	var word strings.Builder
	var quote rune
	inWord := false
	for _, c := range strings.ReplaceAll(command, "\\\n", " ") {
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote, inWord = c, true
		case quote == 0 && (c == ' ' || c == '\n'):
			if inWord {
				list = append(list, word.String())
				word.Reset()
				inWord = false
			}
		default:
			word.WriteRune(c)
			inWord = true
		}
	}
	if inWord {
		list = append(list, word.String())
	}
	return list
}

// curl runs a command of the document, with values in place of <names>.
func (h *house) curl(command string, values map[string]string) (status int, answer string) {
	h.t.Helper()
	for name, value := range values {
		command = strings.ReplaceAll(command, "<"+name+">", value)
	}
	method, url, body, headers := http.MethodGet, "", "", map[string]string{}
	args := words(command)
	for i := 1; i < len(args); i++ {
		switch args[i] {
		case "-s", "-S", "-i":
		case "-X":
			i++
			method = args[i]
		case "-H":
			i++
			name, value, _ := strings.Cut(args[i], ": ")
			headers[name] = value
		case "-d":
			i++
			body = args[i]
		default:
			url = strings.Replace(args[i], "https://localhost", h.url, 1)
		}
	}
	if args[0] != "curl" || url == "" || strings.ContainsAny(command, "<>") {
		h.t.Fatalf("%q is no command of the document", command)
	}
	return h.exchange(method, url, body, headers)
}

// TestMainfluxDocument runs the commands of Mainflux's document one by one, unchanged
// except for host and ids.
func TestMainfluxDocument(t *testing.T) {
	p := serve(t, adminEnv(), "-data", t.TempDir())
	defer p.end(t, syscall.SIGTERM)
	h := newHouse(t, p.url)
	text, err := os.ReadFile(filepath.Join("testdata", "mainflux", "commands.txt"))
	must(t, err)
	var commands []string
	for part := range strings.SplitSeq(string(text), "# ") {
		if _, command, ok := strings.Cut(part, "\n"); ok {
			commands = append(commands, strings.TrimSpace(command))
		}
	}
	values := map[string]string{"user_token": h.token, "api_key": "k-4711", "thing_id": h.thing, "group_id": h.group}
	type webhook struct {
		ID, Name, URL string
		Headers       map[string]string
		GroupID       string `json:"group_id"`
	}
	is := func(w webhook, url string) bool {
		return w.ID == values["webhook_id"] && w.Name == "Data pipeline" && w.URL == url && w.Headers["X-Api-Key"] == "k-4711" &&
			w.GroupID == h.group
	}
	const url = "https://ingest.example.com/mainflux"
	for i, want := range []struct {
		status int
		good   func(answer string) bool
	}{
		{201, func(answer string) bool {
			var list []webhook
			if json.Unmarshal([]byte(answer), &list) != nil || len(list) != 1 {
				return false
			}
			values["webhook_id"] = list[0].ID
			return is(list[0], url)
		}},
		{200, func(answer string) bool {
			var page struct{ Webhooks []webhook }
			return json.Unmarshal([]byte(answer), &page) == nil && len(page.Webhooks) == 1 && is(page.Webhooks[0], url)
		}},
		{200, func(answer string) bool {
			var page struct{ Webhooks []webhook }
			return json.Unmarshal([]byte(answer), &page) == nil && len(page.Webhooks) == 1 && is(page.Webhooks[0], url)
		}},
		{200, func(answer string) bool {
			var w webhook
			return json.Unmarshal([]byte(answer), &w) == nil && is(w, url)
		}},
		{200, func(answer string) bool {
			_, shown := h.curl(commands[3], values)
			var w webhook
			return answer == "" && json.Unmarshal([]byte(shown), &w) == nil && is(w, url+"-v2")
		}},
		{204, func(answer string) bool {
			status, _ := h.curl(commands[3], values)
			return answer == "" && status == 404
		}},
	} {
		status, answer := h.curl(commands[i], values)
		if status != want.status || !want.good(answer) {
			t.Errorf("command %d answers %d %s", i+1, status, answer)
		}
	}
	if len(commands) != 6 {
		t.Errorf("%d commands", len(commands))
	}
}

// TestMainfluxWebhooksDoNotHoldEachOtherUp has three webhooks: one is refused, one
// answers 500, one works. The working one gets every message at once, byte for byte,
// and the others are retried.
func TestMainfluxWebhooksDoNotHoldEachOtherUp(t *testing.T) {
	var mu sync.Mutex
	got := map[string]int{}
	good := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Header.Get("X-Api-Key") != "k" || r.Header.Get("Content-Type") != "application/json" {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		got[string(body)]++
	}))
	defer good.Close()
	failing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter,
		_ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
	}))
	defer failing.Close()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	refused := "http://" + l.Addr().String()
	must(t, l.Close())

	p := serve(t, adminEnv(), "-data", t.TempDir(), "-allow-networks", "127.0.0.0/8")
	defer p.end(t, syscall.SIGTERM)
	h := newHouse(t, p.url)
	h.ask("POST", "/svcwebhooks/things/"+h.thing+"/webhooks", fmt.Sprintf(`[{"name":"refused","url":%q},{"name":"failing","url":%q},`+
		`{"name":"good","url":%q,"headers":{"X-Api-Key":"k"}}]`,
		refused, failing.URL, good.URL), 201, nil)
	const messages = 20
	for i := range messages {
		h.publish(fmt.Sprintf(`{ "n":%d, "big":12345678901234567890,"h":"<&>" }`, i))
	}
	until(t, "the good one has every message", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(got) == messages
	})
	mu.Lock()
	defer mu.Unlock()
	for i := range messages {
		if n := got[fmt.Sprintf(`{ "n":%d, "big":12345678901234567890,"h":"<&>" }`, i)]; n != 1 {
			t.Errorf("message %d came %d times as it was", i, n)
		}
	}
	tried := func(id, class string) (n int) {
		var page struct {
			Items []struct {
				Status, Error string
				Attempts      int `json:"attempt_count"`
			}
		}
		h.call("GET", "/projects/house/deliveries?webhook="+id+"&limit=100", nil, 200, &page)
		for _, d := range page.Items {
			if d.Status == "pending" && d.Attempts > 0 && d.Error == class {
				n++
			}
		}
		return n
	}
	until(t, "each was tried at the others, and is tried again", func() bool {
		return tried("refused", "connect") == messages && tried("failing", "http_5xx") == messages
	})
}

// TestMainfluxDeliveriesLeaveNoConnections delivers 1,000 messages to a receiver that
// answers with a body.
func TestMainfluxDeliveriesLeaveNoConnections(t *testing.T) {
	var mu sync.Mutex
	open, most, delivered := 0, 0, 0
	receiver := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, strings.Repeat("an answer ", 100))
		mu.Lock()
		defer mu.Unlock()
		delivered++
	}))
	receiver.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		switch s {
		case http.StateNew:
			open++
			most = max(most, open)
		case http.StateClosed:
			open--
		case http.StateActive, http.StateIdle, http.StateHijacked:
		}
	}
	receiver.Start()
	defer receiver.Close()
	p := serve(t, adminEnv(), "-data", t.TempDir(), "-allow-networks", "127.0.0.0/8")
	defer p.end(t, syscall.SIGTERM)
	h := newHouse(t, p.url)
	h.ask("POST", "/things/"+h.thing+"/webhooks", fmt.Sprintf(`[{"name":"talkative","url":%q}]`, receiver.URL), 201, nil)
	const messages, senders = 1000, 16
	var g errgroup.Group
	for s := range senders {
		g.Go(func() error {
			for i := s; i < messages; i += senders {
				h.publish(fmt.Sprintf(`{"n":%d}`, i))
			}
			return nil
		})
	}
	must(t, g.Wait())
	until(t, "all are delivered", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return delivered >= messages
	})
	mu.Lock()
	defer mu.Unlock()
	const slots = 64
	if open > slots || most > slots {
		t.Errorf("%d connections are open, and %d were; there are %d slots", open, most, slots)
	}
}

package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"
)

// moodyReceiver answers as set, and keeps what it gets.
type moodyReceiver struct {
	*httptest.Server
	mu       sync.Mutex
	status   int
	requests []*http.Request
	bodies   []string
}

func newMoodyReceiver(t *testing.T) *moodyReceiver {
	t.Helper()
	m := &moodyReceiver{status: http.StatusOK}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		m.requests, m.bodies = append(m.requests, r), append(m.bodies, string(body))
		w.WriteHeader(m.status)
		_, _ = io.WriteString(w, "the receiver's own words")
	}))
	t.Cleanup(m.Close)
	return m
}

// answers sets the status of its answers.
func (m *moodyReceiver) answers(status int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status = status
}

// count is how many requests have arrived.
func (m *moodyReceiver) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.requests)
}

// story is a person's way through a new server.
type story struct {
	*browser
	server   *process
	receiver *moodyReceiver
}

// TestBrowserFromSetUpToDelivery goes from the printed link to deliveries that arrive,
// fail, are retried, held back and stopped. The program is a process of its own, and
// the receiver is really called.
func TestBrowserFromSetUpToDelivery(t *testing.T) {
	for name, way := range map[string]struct{ scripts, keys bool }{
		"with scripts": {scripts: true}, "without scripts": {}, "by keyboard alone": {scripts: true, keys: true},
	} {
		t.Run(name, func(t *testing.T) {
			p := serve(t, nil, "-data", t.TempDir(), "-allow-networks", "127.0.0.0/8,::1/128")
			s := &story{browser: newBrowser(t, p.url, way.scripts), server: p, receiver: newMoodyReceiver(t)}
			s.keys = way.keys
			s.setsUp()
			send := s.addsDevice()
			s.addsWebhook()
			s.delivers(send)
			s.retries(send)
			s.replays()
			s.pauses()
			s.deletes()
			s.hearOut() // before the page loses its stream of events
			if status := p.end(t, syscall.SIGTERM); status != 0 {
				t.Errorf("with a page open it stopped with status %d: %s", status, p.stderr.String())
			}
		})
	}
	t.Attr("figure", "3 of 3 ways (with scripts, without, by keyboard alone), 0 complaints of the browser")
}

// setsUp opens the link that the server prints.
func (s *story) setsUp() {
	s.t.Helper()
	if !s.server.out.Scan() {
		s.t.Fatal("no set-up link")
	}
	link := regexp.MustCompile(`http\S+/setup\?token=\S+`).FindString(s.server.out.Text())
	s.open(link)
	s.fill("Your name", "Ada Byron")
	s.fill("Email", "ada@example.org")
	s.fill("Password", "correct horse battery")
	s.fill("Organization", "Veldhuis Growers")
	s.fill("First project", "Greenhouse North")
	s.press("Set up and sign in")
	s.at("/projects/greenhouse-north")
	s.sees("Welcome to Greenhouse North", "Add a device", "Add a webhook", "Send a message", "Copy it now: it is not shown again.")
	key := value[string](s.browser, `document.getElementById("first-key").value`)
	for _, command := range []string{"add-device", "add-webhook", "send-message"} {
		if text := s.command(command); !strings.Contains(text, s.url+"/api/v1/projects/greenhouse-north/") || !strings.Contains(text, key) {
			s.t.Errorf("%s lacks the real address or key: %s", command, text)
		}
	}
	must(s.t, chromedp.Do(s.ctx, chromedp.Reload()))
	s.lacks(key)
	s.open(link) // works once
	s.sees("This Thingpost is already set up")
	s.forgive("403")
	s.open("/projects/greenhouse-north")
}

// command is the text of a block of code.
func (s *story) command(id string) string {
	s.t.Helper()
	return js[string](s.browser, `(id) => document.getElementById(id).textContent.trim()`, id)
}

// addsDevice adds a device by the form, and returns a function that sends a message
// like the command on its page.
func (s *story) addsDevice() (send func()) {
	s.t.Helper()
	s.press("Add a device here")
	s.fill("Name", "Soil probe 07")
	s.press("Add the device")
	s.at("/projects/greenhouse-north/devices/soil-probe-07")
	s.sees("Copy it now. It is hidden again when you leave this page.")
	key := s.command("device-key")
	parts := regexp.MustCompile(`(?s)^curl (\S+) .*-H "Authorization: Bearer (\S+)".*-d '(.+)'$`).FindStringSubmatch(s.command("send-command"))
	if parts == nil || parts[2] != key {
		s.t.Fatalf("this does not send with the key %s: %s", key, s.command("send-command"))
	}
	must(s.t, chromedp.Do(s.ctx, chromedp.Navigate(s.url+"/projects/greenhouse-north/devices/soil-probe-07")))
	s.lacks(key)
	return func() {
		s.t.Helper()
		r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, parts[1], strings.NewReader(parts[3]))
		must(s.t, err)
		r.Header.Set("Authorization", "Bearer "+parts[2])
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded") // curl's default
		resp, err := http.DefaultClient.Do(r)
		must(s.t, err)
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode != http.StatusAccepted {
			s.t.Fatalf("the message is answered %s", resp.Status)
		}
	}
}

// addsWebhook adds a webhook with five headers, one of them secret.
func (s *story) addsWebhook() {
	s.t.Helper()
	s.open("/projects/greenhouse-north")
	s.press("Paste a URL")
	s.at("/projects/greenhouse-north/webhooks/new")
	s.fill("Description", "ERP goods-in")
	s.fill("URL", s.receiver.URL+"/in/{deviceID}")
	for i := 1; i <= 5; i++ {
		s.press("Add header")
		s.await("the new row has the focus", func() bool {
			return !s.scripts || value[string](s.browser, "document.activeElement.name") == fmt.Sprintf("headers.%d.name", i-1)
		})
		s.fill(fmt.Sprintf("Name of header %d", i), fmt.Sprintf("X-Part-%d", i))
		s.fill(fmt.Sprintf("Value of header %d", i), fmt.Sprintf("part-%d-value", i))
	}
	s.click(`input[name="headers.4.secret"]`, "Secret, header 5")
	s.sees("This host allows five headers for each webhook.")
	s.lacks("Add header")
	s.press("Add webhook")
	s.at("/projects/greenhouse-north/webhooks")
	s.sees("1 of 5 webhooks", "ERP goods-in", "No deliveries yet")
	s.press("ERP goods-in")
	s.at("/projects/greenhouse-north/webhooks/erp-goods-in")
	if page := value[string](s.browser, "document.documentElement.outerHTML"); !strings.Contains(page, "part-4-value") ||
		strings.Contains(page, "part-5-value") {
		s.t.Error("the form must show what is no secret, and never a secret again")
	}
}

// firstRow is the newest row's link in the log.
const firstRow = "#deliveries tbody tr:first-child a"

// delivers sends a message while the log is open, and checks its delivery.
func (s *story) delivers(send func()) {
	s.t.Helper()
	s.open("/projects/greenhouse-north/deliveries")
	s.sees("No deliveries yet")
	js[bool](s.browser, `() => window.stays = true`)
	s.points("h1") // a log under the pointer stays unchanged
	send()
	s.follows("Delivered")
	s.sees("soil-probe-07", "erp-goods-in", "1 delivery")
	s.points(firstRow)
	send()
	until(s.t, "both messages have arrived", func() bool { return s.receiver.count() == 2 })
	s.points("h1")
	s.follows("2 deliveries")
	if s.scripts && !value[bool](s.browser, `window.stays === true`) {
		s.t.Error("the log was loaded anew, rather than following along")
	}
	s.click(firstRow, "")
	s.sees("soil-probe-07 to ERP goods-in", "Attempt 1", "200 OK", "the receiver's own words", "Nothing. The receiver accepted it.")
	s.receiver.mu.Lock()
	defer s.receiver.mu.Unlock()
	r := s.receiver.requests[0]
	if r.URL.Path != "/in/soil-probe-07" || r.Header.Get("X-Part-1") != "part-1-value" || r.Header.Get("X-Part-5") != "part-5-value" ||
		!strings.Contains(s.receiver.bodies[0], "21.5") {
		s.t.Errorf("the receiver got %s %v: %s", r.URL, r.Header, s.receiver.bodies[0])
	}
	if strings.Contains(value[string](s.browser, "document.documentElement.outerHTML"), "part-5-value") {
		s.t.Error("the delivery's page shows a secret")
	}
}

// retries makes the receiver fail, and sends again when it works.
func (s *story) retries(send func()) {
	s.t.Helper()
	s.receiver.answers(http.StatusInternalServerError)
	send()
	s.open("/projects/greenhouse-north/deliveries")
	s.follows("500")
	s.click(firstRow, "")
	s.sees("Retrying", "The receiver had an error.", "500 Internal Server Error", "500 is retried", "Next try")
	s.receiver.answers(http.StatusOK)
	s.press("Retry now")
	s.sees("Thingpost retries the delivery now.")
	s.follows("Nothing. The receiver accepted it.")
	s.sees("Delivered", "Attempt 2", "500 Internal Server Error")
}

// replays sends delivered messages again, after it was shown their count.
func (s *story) replays() {
	s.t.Helper()
	before := s.receiver.count()
	s.open("/projects/greenhouse-north/deliveries?status=delivered")
	s.sees("3 results")
	s.press("Replay all…")
	s.sees("Replay 3 deliveries?")
	s.press("Replay 3")
	until(s.t, "the three have arrived again", func() bool { return s.receiver.count() == before+3 })
	s.open("/projects/greenhouse-north/deliveries?status=delivered")
	s.follows("6 results")
}

// follows waits until the page shows the words: by itself, or without scripts after
// reloading.
func (s *story) follows(words string) {
	s.t.Helper()
	if s.scripts {
		s.sees(words)
		return
	}
	s.await(fmt.Sprintf("the page, loaded again, shows %q", words), func() bool {
		must(s.t, chromedp.Do(s.ctx, chromedp.Reload()))
		return strings.Contains(s.text(), words)
	})
}

// pauses stops the webhook with a reason, and resumes it.
func (s *story) pauses() {
	s.t.Helper()
	s.open("/projects/greenhouse-north/webhooks")
	s.sees("Healthy")
	s.press("Pause")
	s.fill("Reason (optional)", "the ERP moves house")
	s.press("Pause")
	s.sees("Paused by you", "Paused by Ada Byron on", "“the ERP moves house”")
	s.press("Resume")
	s.sees("ERP goods-in was resumed.", "Healthy")
	s.lacks("moves house")
}

// deletes opens the question, keeps, opens it again and deletes.
func (s *story) deletes() {
	s.t.Helper()
	for _, answer := range []string{"Keep it", "Delete the webhook"} {
		s.press("More actions for ERP goods-in")
		s.press("Delete…")
		s.sees("Delete ERP goods-in?")
		s.press(answer)
		s.at("/projects/greenhouse-north/webhooks")
		s.lacks("Delete ERP goods-in?")
	}
	s.sees("ERP goods-in was deleted.", "No webhooks yet")
}

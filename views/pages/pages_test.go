package pages

import (
	"os/exec"
	"strings"
	"testing"

	"thingpost/internal/iot"
	"thingpost/views/ui"
)

func TestPathsEscapeWhatTheyHold(t *testing.T) {
	for got, want := range map[string]string{
		In("greenhouse").Overview():                                      "/projects/greenhouse",
		In("a/b").Device("../x?y"):                                       "/projects/a%2Fb/devices/..%2Fx%3Fy",
		In("a").Deliveries("status", "failed", "device", "", "q", "a&b"): "/projects/a/deliveries?q=a%26b&status=failed",
		In("a").Deliveries():                                             "/projects/a/deliveries",
		Organization{ID: "o"}.Members():                                  "/settings/organizations/o/members",
		Organization{ID: "o", Project: "p q"}.RemoveMember("m"):          "/settings/organizations/o/members/m/remove?project=p+q",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func text(tokens []ui.Token) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteString(t.Text)
	}
	return b.String()
}

func TestCurlIsWhatAShellReads(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal("the test needs a POSIX shell: ", err)
	}
	body := `{"text":"it's \"$HOME\" \\n` + "`id`" + `"}`
	address := "https://h.example/api/v1/projects/a/devices?x=1&y='2'"
	command := strings.Replace(text(Curl(address, "NNSXS.KEY", body)), "curl ", "printf '%s|' ", 1)
	out, err := exec.CommandContext(t.Context(), sh, "-c", command).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if want := address + "|-H|Authorization: Bearer NNSXS.KEY|-d|" + body + "|"; string(out) != want {
		t.Errorf("a shell reads %s, want %s", out, want)
	}
}

func TestSnippet(t *testing.T) {
	for in, want := range map[string]string{
		`{"a":1}`:                     `{"a":1}`,
		"{\n  \"a\": 1\n}":            `{ "a": 1 }`,
		"":                            "",
		strings.Repeat("é", 80) + "x": strings.Repeat("é", 80) + "…",
		"x" + strings.Repeat("é", 90): "x" + strings.Repeat("é", 79) + "…",
	} {
		if got := snippet([]byte(in)); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

func TestAuditText(t *testing.T) {
	for action, want := range map[string]string{
		"device.create": "Device added", "key.delete": "API key deleted", "device.rotate_key": "Device key replaced",
		"webhook.pause":   "Webhook paused",
		"delivery.replay": "Delivery replayed", "odd.new_thing": "Odd new thing", "odd": "odd", ".": ".",
	} {
		if got := auditText(action); got != want {
			t.Errorf("%s is %q, want %q", action, got, want)
		}
	}
}

func TestEveryRightHasWords(t *testing.T) {
	for _, name := range iot.RightNames() {
		if label, _ := rightText(name); label == name {
			t.Errorf("%s has no words", name)
		}
	}
}

func TestStatesReadAsInTheMockUps(t *testing.T) {
	hook := func(change func(*iot.Webhook)) string {
		w := &iot.Webhook{Health: iot.Health{Status: iot.HealthUnknown}}
		change(w)
		s := WebhookStatus(w, "Marit")
		return s.Label + " " + string(s.Tone) + " " + string(s.Shape)
	}
	for got, want := range map[string]string{
		hook(func(*iot.Webhook) {}):                                                       "No deliveries yet  ring",
		hook(func(w *iot.Webhook) { w.Health.Status = iot.Healthy }):                      "Healthy success ",
		hook(func(w *iot.Webhook) { w.Health.Status = iot.Failing }):                      "Failing danger square",
		hook(func(w *iot.Webhook) { w.Paused, w.PausedBy = true, "Marit" }):               "Paused by you  dash",
		hook(func(w *iot.Webhook) { w.Paused, w.PausedBy = true, "Bram" }):                "Paused by Bram  dash",
		hook(func(w *iot.Webhook) { w.Paused, w.PausedBy = true, iot.PausedByThingpost }): "Paused: 410 Gone warning dash",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if s := DeliveryStatus(&iot.Delivery{Status: iot.Pending, AttemptCount: 1}); s.Label != "Retrying" || s.Tone != ui.Warning {
		t.Errorf("a retry is %+v", s)
	}
	seen := map[ui.StatusProps]bool{}
	for _, status := range iot.Statuses() {
		s := DeliveryStatus(&iot.Delivery{Status: status})
		if seen[s] {
			t.Errorf("%s looks like another state", status)
		}
		seen[s] = true
	}
}

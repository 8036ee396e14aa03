package dashboard

import (
	"net/http"
	"strings"
	"testing"

	"thingpost/internal/iot"
)

func TestListsAreExported(t *testing.T) {
	w := openWorld(t)
	w.mixed()
	w.send(`{"payload":"@cmd","channel":"+31"}`)
	c := w.as(w.member("viewer@veldhuis.example", iot.Viewer))
	p := c.get(deliveryLog + "?status=failed").is(200)
	href := p.Find(`#export a:contains("CSV")`).AttrOr("href", "")
	if href != deliveryLog+"/export?format=csv&status=failed" {
		t.Errorf("the link leads to %q", href)
	}
	file := c.get(href).is(200)
	lines := strings.Split(strings.TrimSpace(file.body), "\r\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "id,created_at,") || !strings.Contains(lines[1], ",failed,") ||
		strings.Contains(file.body, headerSecret) {
		t.Errorf("the file is %q", file.body)
	}
	if got := file.header.Get("Content-Disposition"); got != `attachment; filename="greenhouse-north-deliveries-2026-11-21.csv"` {
		t.Errorf("its name is %q", got)
	}
	href = c.get("/projects/greenhouse-north/messages?channel=%2B31").Find(`#export a:contains("NDJSON")`).AttrOr("href", "")
	if file = c.get(href).is(200); strings.Count(file.body, "\n") != 1 || !strings.Contains(file.body, `"payload":"@cmd"`) {
		t.Errorf("the file is %q", file.body)
	}
	if file = c.get(deliveryLog + "/export?webhook=nobody").is(200); file.body != "" {
		t.Errorf("a webhook that does not exist: %q", file.body)
	}
	c.get(deliveryLog + "/export?format=xml").is(http.StatusBadRequest)
	c.get(deliveryLog + "/export?status=nonsense").is(http.StatusBadRequest)
}

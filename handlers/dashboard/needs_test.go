package dashboard

import (
	"strings"
	"testing"

	"thingpost/db"
	"thingpost/internal/iot"
)

func TestALowDiskWantsAttention(t *testing.T) {
	v := &visit{account: &iot.Account{}, project: &iot.Project{ID: "greenhouse"}}
	for _, c := range []struct {
		disk db.Disk
		want bool
	}{{db.Disk{Free: lowBytes, Total: 1 << 40, Known: true}, false}, {db.Disk{Free: lowBytes - 1, Total: 1 << 40, Known: true}, true},
		{db.Disk{}, false}} {
		if _, ok := diskNeed(v, c.disk); ok != c.want {
			t.Errorf("with %+v: %v", c.disk, ok)
		}
	}
	n, _ := diskNeed(v, db.Disk{Free: 300 << 20, Known: true})
	if !strings.Contains(n.Text, "300 MiB") || n.Href != v.in().Messages() {
		t.Errorf("%+v", n)
	}
	v.account.Administrator = true
	if n, _ = diskNeed(v, db.Disk{}); n.Href != instanceOf(v).Storage() {
		t.Errorf("the administrator is led to %s", n.Href)
	}
}

func TestAFailureIsToldWithoutAdvice(t *testing.T) {
	v := &visit{account: &iot.Account{}, project: &iot.Project{ID: "greenhouse"}}
	for said, want := range map[string]string{
		"erp.example refused the connection; check that the receiver is running and that the port is right.": "erp.example refused the " +
			"connection, for 7 s",
		"No answer in 10 s: erp.example took the request but did not answer; let the receiver answer earlier.": "No answer in 10 s, for 7 s",
		"503 Service Unavailable": "503 Service Unavailable, for 7 s",
	} {
		w := &iot.Webhook{ID: "erp", Description: "ERP", Health: iot.Health{LastError: said, Since: 1000}}
		if n := failingNeed(v.in(), w, nil, 8000); n.Text != want {
			t.Errorf("%q, want %q", n.Text, want)
		}
	}
}

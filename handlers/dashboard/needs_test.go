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
	}{{db.Disk{Free: lowBytes, Total: 1 << 40, Known: true}, false}, {db.Disk{Free: lowBytes - 1, Total: 1 << 40, Known: true}, true}, {db.Disk{}, false}} {
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

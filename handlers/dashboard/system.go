package dashboard

import (
	"net/http"
	"net/netip"
	"net/url"
	"runtime"
	"strconv"
	"time"

	"thingpost/handlers"
	"thingpost/views/pages"
	"thingpost/views/ui"
)

// showSystem shows version, health and options of this host.
func (s *site) showSystem(w http.ResponseWriter, r *http.Request, v *visit) error {
	p := pages.SystemPage{Now: s.now(), Version: s.Version, StartedAt: s.Host.StartedAt, Options: s.Host.Options, URL: s.publicURL(r),
		LivePages: -1}
	if s.Host.LivePages != nil {
		p.LivePages = s.Host.LivePages()
	}
	totals, err := s.DB.Totals(r.Context())
	if err != nil {
		return err
	}
	p.Made, p.Pending, p.Failed = totals.Made, totals.Pending, totals.Failed
	sqlite, schema, err := s.DB.Versions(r.Context())
	if err != nil {
		return err
	}
	p.Software = []ui.Fact{{Term: "Thingpost", Value: s.Version, Mono: true}, {Term: "Go", Value: runtime.Version(), Mono: true},
		{Term: "SQLite", Value: sqlite, Mono: true},
		{Term: "Schema", Value: strconv.FormatInt(schema, 10), Mono: true},
		{Term: "Machine", Value: runtime.GOOS + "/" + runtime.GOARCH + ", " + ui.Plural(int64(runtime.NumCPU()), "core", "cores")}}
	p.Checks, p.Healthy = s.health(r)
	if p.Shell, err = s.shell(w, r, v, shellFor{title: "System", here: instanceOf(v).System()}); err != nil {
		return err
	}
	return handlers.Render(w, r, http.StatusOK, pages.System(p))
}

// slowDisk is how long a row may take to be on disk before a page says so.
const slowDisk = 500 * time.Millisecond

// health tries what /readyz tries, and says in words how that and the rest is.
func (s *site) health(r *http.Request) (checks []ui.Check, healthy bool) {
	began := s.Now()
	err := s.DB.Ready(r.Context())
	took := s.Now().Sub(began)
	healthy = err == nil
	write := ui.Check{Text: "A test row was on disk after " + ui.Duration(took)}
	switch e, _ := asError(err); {
	case e != nil:
		write = ui.Check{No: true, Text: "Messages cannot be stored", Note: e.Message}
	case err != nil:
		write = ui.Check{No: true, Text: "Messages cannot be stored"}
	case took > slowDisk:
		write.No, write.Note = true, "The disk is slow, and each sender waits for it."
	}
	return append([]ui.Check{write}, s.diskCheck(), s.addressCheck(r)), healthy
}

func (s *site) diskCheck() ui.Check {
	switch disk := s.DB.Disk(); {
	case !disk.Known:
		return ui.Check{Text: "This system does not report how much of the disk is free"}
	case disk.Free < lowBytes:
		return ui.Check{No: true, Text: "Only " + ui.BinaryBytes(disk.Free) + " of the disk are free", Note: "See the page Storage."}
	default:
		return ui.Check{Text: ui.BinaryBytes(disk.Free) + " of the disk are free"}
	}
}

func (s *site) addressCheck(r *http.Request) ui.Check {
	u, err := url.Parse(s.publicURL(r))
	if err == nil && (u.Scheme == "https" || isOwnMachine(u.Hostname())) {
		return ui.Check{Text: "People reach Thingpost at " + u.Scheme + "://" + u.Host}
	}
	return ui.Check{No: true, Text: "People reach Thingpost without TLS", Note: "Passwords and keys are sent unencrypted. " +
		"Set a certificate with -tls-cert, or use a proxy with TLS and -public-url."}
}

// isOwnMachine reports whether a host's name never leaves the machine.
func isOwnMachine(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

package pages

import (
	"strconv"

	"thingpost/internal/iot"
	"thingpost/static"
	"thingpost/views/layout"
	"thingpost/views/ui"
)

// SystemPage shows what runs, how it is, and how it was told to run.
type SystemPage struct {
	Shell     layout.Props
	Now       iot.Instant
	Version   string
	StartedAt iot.Instant
	Checks    []ui.Check
	Healthy   bool
	Software  []ui.Fact
	Made      int64 // deliveries, ever
	Pending   int64
	Failed    int64
	LivePages int // -1: not told
	Options   []HostOption
	URL       string // of this host
}

// HostOption is an option of the server as it is in force, without secrets.
type HostOption struct {
	Heading string
	Name    string // "-listen", or a variable's name
	Value   string // "set" or "not set" for a secret
	Usage   string
	Custom  bool // not the default
}

func (p SystemPage) stats() []ui.Stat {
	health := ui.StatusProps{Label: "Accepting", Tone: ui.Success}
	if !p.Healthy {
		health = ui.StatusProps{Label: "Not accepting", Tone: ui.Danger, Shape: ui.Square}
	}
	return []ui.Stat{
		{Label: "Messages", Body: ui.Status(health), Note: "from /readyz"},
		{Label: "Uptime", Parts: ui.DurationParts(p.Now.Sub(p.StartedAt)), More: say(words("since "), ui.Clock(p.StartedAt, p.Now))},
		{Label: "Pending deliveries", Value: ui.Count(p.Pending), Note: "of " + ui.Count(p.Made) + " in total"},
		{Label: "Live pages", Value: p.livePages(), Note: "open in browsers, at most 1,000"},
	}
}

func (p SystemPage) livePages() string {
	if p.LivePages < 0 {
		return "–"
	}
	return strconv.Itoa(p.LivePages)
}

// groups are the options under their headings, in their order.
func (p SystemPage) groups() [][]HostOption {
	var groups [][]HostOption
	for _, o := range p.Options {
		if n := len(groups); n > 0 && groups[n-1][0].Heading == o.Heading {
			groups[n-1] = append(groups[n-1], o)
			continue
		}
		groups = append(groups, []HostOption{o})
	}
	return groups
}

// vendored are the files of others that pages load; see static/LICENSES.md.
func vendored() []ui.Fact {
	return []ui.Fact{{Term: "htmx and its SSE extension", Value: "0BSD"}, {Term: "Tailwind CSS", Value: "MIT"},
		{Term: "Basecoat", Value: "MIT"}, {Term: "Lucide", Value: "ISC, in part MIT"}}
}

func licencesPath() string { return static.Path("LICENSES.md") }

func (p SystemPage) metricsCurl() string {
	return "curl -H \"Authorization: Bearer $THINGPOST_METRICS_TOKEN\" \\\n  " + p.URL + "/metrics"
}

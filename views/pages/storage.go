package pages

import (
	"slices"
	"strconv"
	"time"

	"github.com/a-h/templ"

	"thingpost/internal/iot"
	"thingpost/views/layout"
	"thingpost/views/ui"
)

// BackupsID is the id of the section with the backups, which asks again while
// one is being made.
const BackupsID = "backups"

// StoragePage shows how large the database of this host is, in bytes.
type StoragePage struct {
	Shell layout.Props
	At    Instance
	Now   iot.Instant

	File, WAL, FreeInside int64
	DiskFree, DiskTotal   int64
	DiskKnown             bool
	Oldest                iot.Instant // of the messages
	PerDay                int64       // growth
	GrowthKnown           bool
	DaysLeft              int64  // -1: for ever, or not known
	LimitFirst            bool   // RetentionBytes is reached before the disk is full
	Low                   bool   // something should be done
	Outage                string // why nothing can be stored just now; empty if all is well

	HeldBy    string      // who holds the write-ahead log; empty if nobody does
	HeldSince iot.Instant // when that was noticed

	Retention      time.Duration // 0 is for ever
	RetentionBytes int64         // 0 is no bound
	Days           []StorageDay  // the newest first

	CanBackUp   bool
	Backups     []BackupRow // the newest first
	BackupSince iot.Instant // when the one being made was begun; 0 if none is
	BackupError string
}

// StorageDay is a day (UTC): the size at its end, and what was removed in it.
type StorageDay struct {
	At                             iot.Instant
	Bytes                          int64
	Messages, Deliveries, Attempts int64
}

// BackupRow is a backup that was made.
type BackupRow struct {
	Name  string
	At    iot.Instant
	Bytes int64
}

func bytesStat(label string, n int64, note string) ui.Stat {
	return ui.Stat{Label: label, Value: ui.BinaryBytes(n), Note: note}
}

func (p StoragePage) stats() []ui.Stat {
	stats := []ui.Stat{
		bytesStat("Database", p.File, ui.BinaryBytes(p.FreeInside)+" of it free"),
		p.walStat(),
		p.diskStat(),
		p.daysStat(),
	}
	return stats
}

func (p StoragePage) walStat() ui.Stat {
	s := bytesStat("Write-ahead log", p.WAL, "moved into the database when idle")
	if p.HeldBy != "" {
		s.Note, s.Tone = "cannot shrink, see above", ui.Warning
	}
	return s
}

// holdText says what it means that a reader keeps the log, and what to do.
func (p StoragePage) holdText() string {
	return "Thingpost cannot shrink it because of " + p.HeldBy + ", which has been reading the database since " +
		p.HeldSince.Time().Format("2 January 15:04 UTC") + ". Until that read ends, each write makes the log larger. The log does not count " +
		"towards the retention by size. Wait if it is a backup. Stop the program if it is another one."
}

func (p StoragePage) diskStat() ui.Stat {
	if !p.DiskKnown {
		return ui.Stat{Label: "Free on the disk", Value: "not known", Small: true, Note: "this system does not report it"}
	}
	s := bytesStat("Free on the disk", p.DiskFree, ui.Percent(p.DiskFree, p.DiskTotal)+" of "+ui.BinaryBytes(p.DiskTotal))
	if p.Low {
		s.Tone = ui.Danger
	}
	return s
}

func (p StoragePage) daysStat() ui.Stat {
	s := ui.Stat{Label: "Room for", Value: "unlimited time", Small: true, Note: "the database is not growing"}
	switch {
	case !p.GrowthKnown:
		s.Value, s.Note = "not known yet", "needs some hours of data"
	case p.DaysLeft > 3650:
		s.Value, s.Note = "more than ten years", p.growthNote()
	case p.DaysLeft >= 0:
		s.Value, s.Small, s.Note = ui.Plural(p.DaysLeft, "day", "days"), false, p.growthNote()
	case p.PerDay <= 0:
		s.Value = "unlimited time"
	}
	return s
}

func (p StoragePage) growthNote() string {
	note := "at " + ui.BinaryBytes(p.PerDay) + " a day"
	if p.LimitFirst {
		note += ", until retention removes the oldest"
	}
	return note
}

// ageText says how long things are kept.
func ageText(d time.Duration) string {
	switch {
	case d == 0:
		return "forever"
	case d%(24*time.Hour) == 0:
		return ui.Plural(int64(d/(24*time.Hour)), "day", "days")
	}
	return ui.Duration(d)
}

func limitText(n int64) string {
	if n == 0 {
		return "no limit"
	}
	return ui.BinaryBytes(n)
}

// RetentionText says what retention removes: "older than 30 days or beyond 4
// GiB".
func RetentionText(age time.Duration, bytes int64) string {
	switch {
	case age == 0 && bytes == 0:
		return "already deleted"
	case age == 0:
		return "beyond " + limitText(bytes)
	case bytes == 0:
		return "older than " + ageText(age)
	}
	return "older than " + ageText(age) + " or beyond " + limitText(bytes)
}

// pruneAges are the ages that a person may prune to, below that of the retention.
func pruneAges() []ui.Option {
	return []ui.Option{{Value: "168h", Label: "7 days"}, {Value: "24h", Label: "a day"}, {Value: "1h", Label: "an hour"}}
}

// PruneChoice asks how old what is removed must be, with the retention in force as
// the first choice.
func PruneChoice(retention time.Duration) templ.Component {
	options := []ui.Option{{Label: "As configured"}}
	for _, o := range pruneAges() {
		if age, err := time.ParseDuration(o.Value); err == nil && (retention == 0 || age < retention) {
			options = append(options, ui.Option{Value: o.Value, Label: "Also everything older than " + o.Label})
		}
	}
	return ui.Select(ui.SelectProps{Name: "older", Label: "What to remove", Options: options,
		Help: "A shorter age applies once. Use it when the disk needs room immediately."})
}

// PruneAge reads the choice; 0 is as configured. Invalid for what was not offered.
func PruneAge(value string) (time.Duration, error) {
	if value == "" {
		return 0, nil
	}
	for _, o := range pruneAges() {
		if o.Value == value {
			return time.ParseDuration(value)
		}
	}
	return 0, iot.FieldError("older", "must be one of the listed ages.")
}

func (p StoragePage) retention() []ui.Fact {
	facts := []ui.Fact{
		{Term: "By age", Value: ageText(p.Retention)},
		{Term: "By size", Value: limitText(p.RetentionBytes)},
		{Term: "Oldest", Body: ui.Ago(p.Oldest, p.Now)},
		{Term: "Figures", Value: "31 days by hour"},
		{Term: "Changes", Value: "a year"},
	}
	return facts
}

// asking makes the section of the backups ask again while one is being made.
func (p StoragePage) asking() templ.Attributes {
	if p.BackupSince == 0 {
		return nil
	}
	return templ.Attributes{"hx-get": p.At.Storage(), "hx-trigger": "every 1s", "hx-target": "this", "hx-swap": "outerHTML",
		"hx-disinherit": "*"}
}

// line draws the sizes, if there is more than one.
func (p StoragePage) line() templ.Component {
	if len(p.Days) < 2 {
		return nil
	}
	return ui.Sparkline(p.sizes())
}

// sizes are the days' sizes as a sparkline, the oldest first.
func (p StoragePage) sizes() ui.SparkProps {
	s := ui.SparkProps{Label: "Size of the database on each of the last " + strconv.Itoa(len(p.Days)) + " days",
		Series: []ui.Series{{Name: "Size", Fill: ui.FillOK}}, Large: true}
	for _, d := range slices.Backward(p.Days) {
		s.Bars = append(s.Bars, ui.Bar{Values: []int64{d.Bytes}})
	}
	return s
}

package ui

import (
	"strings"
	"testing"
	"time"

	"thingpost/internal/iot"
)

func instant(t *testing.T, text string) iot.Instant {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return iot.Instant(at.UnixMilli())
}

func TestAgo(t *testing.T) {
	now := instant(t, "2026-11-21T10:04:18.204Z")
	for d, want := range map[time.Duration]string{
		0:                                    "now",
		-999 * time.Millisecond:              "now",
		-20 * time.Second:                    "20 s ago",
		3 * time.Second:                      "in 3 s",
		-59*time.Second - 999*1e6:            "59 s ago",
		-4 * time.Minute:                     "4 min ago",
		time.Hour + 51*time.Minute + 59*1e9:  "in 1 h 51 min",
		-2 * time.Hour:                       "2 h ago",
		-26*time.Hour - 30*time.Minute:       "26 h ago",
		-3 * 24 * time.Hour:                  "3 days ago",
		-29*24*time.Hour - 23*time.Hour:      "29 days ago",
		-30 * 24 * time.Hour:                 "22 October",
		-365 * 24 * time.Hour:                "21 November 2025",
		31 * 24 * time.Hour:                  "22 December",
		60 * 24 * time.Hour:                  "20 January 2027",
		-9*time.Hour - 59*time.Minute - 59e9: "9 h 59 min ago",
		-10*time.Hour - 59*time.Minute:       "10 h ago",
	} {
		if got := AgoText(now.Add(d), now); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func TestClockNamesTheDayWhereItIsAnother(t *testing.T) {
	now := instant(t, "2026-11-21T10:04:18.204Z")
	for text, want := range map[string]string{
		"2026-11-21T10:04:17.961Z": "10:04:17",
		"2026-11-21T00:00:00Z":     "00:00:00",
		"2026-11-20T23:59:59.999Z": "20 Nov 23:59",
		"2025-11-21T10:04:18Z":     "21 Nov 2025",
	} {
		if got := clockText(instant(t, text), now); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func TestTimesCarryTheExactOne(t *testing.T) {
	now := instant(t, "2026-11-21T10:04:18.204Z")
	at := instant(t, "2026-11-21T09:12:03.922Z")
	got := render(t, Ago(at, now))
	for _, want := range []string{
		`datetime="2026-11-21T09:12:03.922Z"`, `title="Saturday 21 November 2026, 09:12:03.922 UTC"`, `data-time="ago"`, `>52 min ago</time>`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s lacks %s", got, want)
		}
	}
	if got := render(t, ClockMillis(at, now)); !strings.Contains(got,
		`09:12:03<span class="text-muted-foreground" data-ms>.922</span></time>`) {
		t.Errorf("with milliseconds: %s", got)
	}
	if got := render(t, ClockMillis(at, now.Add(24*time.Hour))); !strings.Contains(got,
		`21 Nov 09:12<span class="text-muted-foreground" data-ms hidden>`) {
		t.Errorf("of another day: %s", got)
	}
	if got := render(t, Ago(0, now)); strings.Contains(got, "<time") || !strings.Contains(got, "–") {
		t.Errorf("no time: %s", got)
	}
}

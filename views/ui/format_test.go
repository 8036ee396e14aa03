package ui

import (
	"math"
	"testing"
	"time"
)

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second:                          "<1 ms",
		0:                                     "<1 ms",
		400 * time.Microsecond:                "<1 ms",
		184 * time.Millisecond:                "184 ms",
		999999 * time.Microsecond:             "999 ms",
		time.Second:                           "1.00 s",
		1849 * time.Millisecond:               "1.84 s",
		10 * time.Second:                      "10.0 s",
		59999 * time.Millisecond:              "59.9 s",
		time.Minute:                           "1 min",
		4*time.Minute + 12*time.Second:        "4 min 12 s",
		time.Hour + 52*time.Minute:            "1 h 52 min",
		47*time.Hour + 59*time.Minute:         "47 h 59 min",
		48 * time.Hour:                        "2 d",
		3*24*time.Hour + 4*time.Hour + 59*1e9: "3 d 4 h",
	} {
		if got := Duration(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 7: "7", 999: "999", 1000: "1,000", 1204: "1,204", 277148: "277,148", 1234567: "1,234,567", -1204: "-1,204", -12: "-12",
		math.MaxInt64: "9,223,372,036,854,775,807", math.MinInt64: "-9,223,372,036,854,775,808",
	} {
		if got := Count(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestCountCapped(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 1204: "1,204", 9999: "9,999", 10000: "10k+", 50000: "10k+"} {
		if got := CountCapped(n, 10_000); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestShort(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 950: "950", 1000: "1k", 1500: "1.5k", 1999: "1.9k", 16000: "16k", 999999: "999k", 2e6: "2M", 2.5e6: "2.5M", 3e9: "3G",
	} {
		if got := Short(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestPlural(t *testing.T) {
	for n, want := range map[int64]string{0: "0 deliveries", 1: "1 delivery", 2: "2 deliveries", 1204: "1,204 deliveries"} {
		if got := Plural(n, "delivery", "deliveries"); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{
		-1: "0 B", 0: "0 B", 214: "214 B", 999: "999 B", 1000: "1 kB", 1249: "1.2 kB", 148_000: "148 kB", 3_449_000: "3.4 MB", 999_999: "999 kB",
	} {
		if got := Bytes(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	for n, want := range map[int64]string{1023: "1023 B", 64 << 10: "64 KiB", 4 << 30: "4 GiB", 2_792_000_000: "2.6 GiB",
		5 << 50: "5120 TiB"} {
		if got := BinaryBytes(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestPercentNeverFlatters(t *testing.T) {
	for _, c := range []struct {
		part, whole int64
		want        string
	}{
		{0, 0, "–"}, {5, 0, "–"}, {0, 10, "0.0 %"}, {10, 10, "100.0 %"}, {912, 1000, "91.2 %"}, {1, 3, "33.3 %"}, {2, 3, "66.6 %"},
		{9998, 10000, "99.98 %"}, {999_999, 1_000_000, "99.99 %"}, {999_999_999, 1_000_000_000, "99.99 %"}, {1, 1_000_000, "<0.1 %"},
		{29, 100, "29.0 %"},
	} {
		if got := Percent(c.part, c.whole); got != c.want {
			t.Errorf("%d of %d: %q, want %q", c.part, c.whole, got, c.want)
		}
	}
}

func TestInitials(t *testing.T) {
	for name, want := range map[string]string{
		"Greenhouse North": "GN", "cold-store": "CS", "Marit": "M", "Élise van der Berg": "ÉB", "": "?", " – ": "?",
		"marit@veldhuis.example": "ME", "7 seas": "7S",
	} {
		if got := Initials(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

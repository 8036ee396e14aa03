package ui

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Part is a number and its unit, which is written smaller beside it.
type Part struct{ Value, Unit string }

// Duration writes how long something took: "<1 ms", "184 ms", "1.84 s",
// "10.0 s", "4 min 12 s", "1 h 52 min", "3 d 4 h". 0, which is what stored milliseconds say of
// less than one, and negative ones are "<1 ms".
func Duration(d time.Duration) string {
	var b strings.Builder
	for i, p := range DurationParts(d) {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(p.Value + " " + p.Unit)
	}
	return b.String()
}

// DurationParts is Duration, with numbers and units apart.
func DurationParts(d time.Duration) []Part {
	switch {
	case d < time.Millisecond:
		return []Part{{"<1", "ms"}}
	case d < time.Second:
		return []Part{{number(int(d / time.Millisecond)), "ms"}}
	case d < 10*time.Second:
		return []Part{{floor(d.Seconds(), 2), "s"}}
	case d < time.Minute:
		return []Part{{floor(d.Seconds(), 1), "s"}}
	case d < time.Hour:
		return pair(d, time.Minute, "min", time.Second, "s")
	case d < 48*time.Hour:
		return pair(d, time.Hour, "h", time.Minute, "min")
	}
	return pair(d, 24*time.Hour, "d", time.Hour, "h")
}

// pair writes d in a large unit and, if anything is left, in a small one.
func pair(d, large time.Duration, largeUnit string, small time.Duration, smallUnit string) []Part {
	parts := []Part{{number(int(d / large)), largeUnit}}
	if rest := d % large / small; rest > 0 {
		parts = append(parts, Part{number(int(rest)), smallUnit})
	}
	return parts
}

// Count writes a number with its thousands apart: "1,204".
func Count(n int64) string {
	digits := strconv.FormatUint(magnitude(n), 10)
	var b strings.Builder
	if n < 0 {
		b.WriteByte('-')
	}
	for i, digit := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(digit)
	}
	return b.String()
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return uint64(-(n + 1)) + 1 // -n overflows for the smallest number
	}
	return uint64(n)
}

// CountCapped writes a count that was stopped at a limit: "1,204" below it,
// "10k+" from it on.
func CountCapped(n, limit int64) string {
	if n < limit {
		return Count(n)
	}
	return Short(limit) + "+"
}

// Short writes a number in at most four signs, for axes: "950", "1.5k", "16k",
// "2M".
func Short(n int64) string {
	for _, unit := range []struct {
		size int64
		sign string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if n >= unit.size {
			digits := 0
			if n < 10*unit.size {
				digits = 1
			}
			return strings.TrimSuffix(floor(float64(n)/float64(unit.size), digits), ".0") + unit.sign
		}
	}
	return strconv.FormatInt(n, 10)
}

// Plural writes a count with its word: "1 delivery", "1,204 deliveries".
func Plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Count(n) + " " + many
}

// Bytes writes the size of a message or body, in steps of 1,000: "214 B",
// "1.2 kB", "3.4 MB".
func Bytes(n int64) string { return sizeText(n, 1000, []string{"B", "kB", "MB", "GB", "TB"}) }

// BinaryBytes writes the size of a disk or a limit, in steps of 1,024:
// "64 KiB", "2.6 GiB".
func BinaryBytes(n int64) string { return sizeText(n, 1024, []string{"B", "KiB", "MiB", "GiB", "TiB"}) }

func sizeText(n, step int64, units []string) string {
	value, unit := float64(max(n, 0)), 0
	for value >= float64(step) && unit < len(units)-1 {
		value /= float64(step)
		unit++
	}
	digits := 0
	if unit > 0 && value < 100 {
		digits = 1
	}
	return strings.TrimSuffix(floor(value, digits), ".0") + " " + units[unit]
}

// Percent writes a share as "91.2 %". It never rounds up: only all of whole
// are "100.0 %", and close to it there are two digits, "99.98 %". Where whole is
// 0 there is no share: "–".
func Percent(part, whole int64) string {
	value := PercentPart(part, whole)
	if value.Unit == "" {
		return value.Value
	}
	return value.Value + " " + value.Unit
}

// PercentPart is Percent, with number and unit apart.
func PercentPart(part, whole int64) Part {
	switch share := 100 * float64(part) / float64(whole); {
	case whole <= 0:
		return Part{Value: "–"}
	case part >= whole:
		return Part{"100.0", "%"}
	case part <= 0:
		return Part{"0.0", "%"}
	case share >= 99.9:
		return Part{floor(math.Min(share, 99.99), 2), "%"}
	case share < 0.1:
		return Part{"<0.1", "%"}
	default:
		return Part{floor(share, 1), "%"}
	}
}

// Initials returns up to two capitals for a name: "GN" for "Greenhouse North",
// "?" for none.
func Initials(name string) string {
	words := strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) })
	var b strings.Builder
	for i, word := range words {
		if i == 0 || i == len(words)-1 {
			b.WriteRune(unicode.ToUpper([]rune(word)[0]))
		}
	}
	if b.Len() == 0 {
		return "?"
	}
	return b.String()
}

// floor writes a number with some digits after the point and drops the rest.
// The small addition keeps 0.29*100 from becoming 28.
func floor(value float64, digits int) string {
	scale := math.Pow10(digits)
	return strconv.FormatFloat(math.Floor(value*scale+1e-9)/scale, 'f', digits, 64)
}

func number(n int) string { return strconv.Itoa(n) }

func size(large bool) string {
	if large {
		return "lg"
	}
	return ""
}

package pages

import (
	"strconv"
	"strings"
	"time"

	"thingpost/internal/iot"
	"thingpost/views/ui"
)

// The fields of an expected interval: a number, and its unit (s, m, h or d).
const (
	FieldInterval     = "expected_interval"
	FieldIntervalUnit = "expected_unit"
	unitSeconds       = "s"
)

// IntervalFault is what is wrong with an interval, in the words of the form.
const IntervalFault = "Must be 10 seconds to 30 days, or empty."

func intervalUnits() []ui.Option {
	return append([]ui.Option{{Value: unitSeconds, Label: "seconds"}}, giveUpUnits()...)
}

func intervalSize(unit string) time.Duration {
	return map[string]time.Duration{unitSeconds: time.Second, unitMinutes: time.Minute, unitHours: time.Hour, unitDays: 24 * time.Hour}[unit]
}

// Interval writes an expected interval (milliseconds, 0 for none) as number and
// unit of the form.
func Interval(ms int64) (number, unit string) {
	if ms == 0 {
		return "", unitMinutes
	}
	d := time.Duration(ms) * time.Millisecond
	for _, unit := range []string{unitDays, unitHours, unitMinutes} {
		if size := intervalSize(unit); d%size == 0 {
			return strconv.FormatInt(int64(d/size), 10), unit
		}
	}
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64), unitSeconds
}

// ParseInterval is Interval the other way round. Its error names the field of
// the form.
func ParseInterval(number, unit string) (ms int64, err error) {
	if number == "" {
		return 0, nil
	}
	v, bad := strconv.ParseFloat(strings.Replace(number, ",", ".", 1), 64)
	size := intervalSize(unit)
	const most = 1e8
	if bad != nil || size == 0 || !(v >= 0 && v < most) {
		return 0, iot.FieldError(FieldInterval, IntervalFault)
	}
	ms = time.Duration(v * float64(size)).Milliseconds()
	if ms != 0 && (ms < iot.MinIntervalMS || ms > iot.MaxIntervalMS) {
		return 0, iot.FieldError(FieldInterval, IntervalFault)
	}
	return ms, nil
}

// EveryText says how often: "every 10 minutes".
func EveryText(d time.Duration) string {
	if d%time.Minute != 0 && d < time.Hour && d%time.Second == 0 {
		return "every " + ui.Plural(int64(d/time.Second), "second", "seconds")
	}
	return "every " + strings.TrimPrefix(HowLong(d), "1 ")
}

func milliseconds(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

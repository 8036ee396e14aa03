package pages

import (
	"testing"
	"time"

	"thingpost/internal/iot"
)

// What a form's span is read as stays within its bounds, and is written as it is read.
func FuzzSpans(f *testing.F) {
	f.Add("1,5", "h")
	f.Add("1e300", "d")
	f.Add("NaN", "m")
	f.Add("106751", "d")
	f.Fuzz(func(t *testing.T, number, unit string) {
		ms, err := ParseInterval(number, unit)
		if err == nil && ms != 0 && (ms < iot.MinIntervalMS || ms > iot.MaxIntervalMS) {
			t.Errorf("%s %s is an interval of %d ms", number, unit, ms)
		}
		if d, ok := ParseGiveUp(number, unit); ok && d >= time.Minute && d <= 30*24*time.Hour {
			if again, ok := ParseGiveUp(GiveUp(d)); !ok || again != d {
				t.Errorf("%s %s is %s, then %s", number, unit, d, again)
			}
		} else if ok && d < 0 {
			t.Errorf("%s %s is %s", number, unit, d)
		}
	})
}

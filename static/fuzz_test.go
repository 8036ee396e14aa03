package static

import (
	"strings"
	"testing"
)

// A header without the word asks for nothing, and a later part changes no earlier one.
func FuzzAcceptsGzip(f *testing.F) {
	f.Add("gzip, br")
	f.Add("br;q=1.0, gzip;q=0")
	f.Add("gzip;q=NaN")
	f.Fuzz(func(t *testing.T, header string) {
		ok := AcceptsGzip(header)
		if ok && !strings.Contains(strings.ToLower(header), "gzip") {
			t.Errorf("%q accepts it", header)
		}
		if ok && !AcceptsGzip(header+", br;q=0.5") {
			t.Errorf("%q does not accept it with another behind it", header)
		}
	})
}

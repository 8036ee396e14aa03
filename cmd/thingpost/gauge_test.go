package main

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

// gauge is the state of a server in its metrics.
type gauge struct {
	rss        int64 // resident memory in bytes; 0 if unknown
	goroutines int64
	fds        int64 // open file descriptors; 0 if unknown
	file, wal  int64 // bytes on disk
	pending    int64 // deliveries
}

// disk is what the database takes.
func (g gauge) disk() int64 { return g.file + g.wal }

const mib = 1 << 20

const metricsToken = "0123456789abcdef0123456789abcdef"

// metricIn finds a metric without labels in an answer of /metrics.
func metricIn(text, name string) (value int64, found bool) {
	_, rest, _ := strings.Cut(text, "\n"+name+" ")
	number, _, _ := strings.Cut(rest, "\n")
	v, err := strconv.ParseFloat(number, 64)
	return int64(v), err == nil
}

// metric reads a metric, which must exist, of a server that has metricsToken.
func (c *apiClient) metric(name string) int64 {
	c.t.Helper()
	text := c.text("/metrics", metricsToken)
	value, found := metricIn(text, name)
	if !found {
		c.t.Fatalf("there is no metric %s: %s", name, text)
	}
	return value
}

// gaugeOf reads the metrics of a server that has metricsToken.
func gaugeOf(t *testing.T, url string) gauge {
	t.Helper()
	text := (&apiClient{t: t, url: url}).text("/metrics", metricsToken)
	number := func(name string) int64 { n, _ := metricIn(text, name); return n } // absent is 0
	g := gauge{rss: number("process_resident_memory_bytes"), goroutines: number("go_goroutines"), fds: number("process_open_fds"),
		file: number("thingpost_database_file_bytes"), wal: number("thingpost_database_wal_bytes"),
		pending: number("thingpost_deliveries_pending")}
	if g.goroutines == 0 || g.file == 0 {
		t.Fatalf("the metrics say too little: %+v", g)
	}
	return g
}

// atRest is the gauge of a server once the number of its goroutines has not fallen for
// half a second.
func atRest(t *testing.T, url string) (g gauge) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	least, same := int64(0), 0
	until(t, "goroutines come to rest", func() bool {
		<-tick.C
		g = gaugeOf(t, url)
		if least == 0 || g.goroutines < least {
			least, same = g.goroutines, 0
		}
		same++
		return same == 10
	})
	return g
}

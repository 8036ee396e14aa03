package main

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"thingpost/db"
	"thingpost/internal/budget"
	"thingpost/web"
)

// metricsTimeout bounds how long a scrape waits for the store.
const metricsTimeout = 5 * time.Second

// storeMetrics reads the store's figures when scraped. None has a label for project,
// device or webhook: their number would be unbounded.
type storeMetrics struct {
	db  *db.DB
	hub *web.Hub
	mem *budget.Budget
	log *slog.Logger

	memory, granted, unmet *prometheus.Desc

	deliveries, made, pending, file, wal, free, pages, storing, refused, disk *prometheus.Desc
}

func newStoreMetrics(d *db.DB, hub *web.Hub, mem *budget.Budget, log *slog.Logger) *storeMetrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("thingpost_"+name, help, labels, nil)
	}
	return &storeMetrics{db: d, hub: hub, mem: mem, log: log,
		memory:     desc("memory_limit_bytes", "Memory limit of the server (option -memory)."),
		granted:    desc("memory_granted_bytes", "Memory granted at present, by purpose.", "part"),
		unmet:      desc("memory_refused_total", "Requests for memory that were refused or had to wait on disk, by purpose.", "part"),
		made:       desc("deliveries_made_total", "Deliveries created by messages, retries, replays and tests."),
		deliveries: desc("deliveries_ended_total", "Ended deliveries, by status.", "status"),
		pending:    desc("deliveries_pending", "Deliveries that wait for an attempt."),
		file:       desc("database_file_bytes", "Size of the database file."),
		wal:        desc("database_wal_bytes", "Size of the write-ahead log."),
		free:       desc("database_free_bytes", "Free part of the database file."),
		storing:    desc("storing", "1 while messages can be stored, 0 while the disk is full or fails."),
		refused:    desc("messages_refused_total", "Messages that were refused because they could not be stored."),
		disk:       desc("disk_free_bytes", "Free part of the file system of the data folder."),
		pages:      desc("live_pages", "Open dashboard pages that get changes."),
	}
}

// Describe implements prometheus.Collector.
func (m *storeMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.made, m.deliveries, m.pending, m.file, m.wal, m.free, m.pages, m.storing, m.refused, m.disk,
		m.memory, m.granted, m.unmet} {
		to <- d
	}
}

// Collect implements prometheus.Collector. If the store cannot be read its figures are
// missing: zeros would be wrong.
func (m *storeMetrics) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), metricsTimeout)
	defer cancel()
	gauge := func(d *prometheus.Desc, v int64) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v))
	}
	counter := func(d *prometheus.Desc, v int64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge(m.memory, m.mem.Total)
	for _, p := range m.mem.Parts() {
		s := p.Stats()
		to <- prometheus.MustNewConstMetric(m.granted, prometheus.GaugeValue, float64(s.Used), s.Name)
		counter(m.unmet, s.Refused, s.Name)
	}
	gauge(m.pages, int64(m.hub.Subscribers()))
	counter(m.refused, m.db.Refused())
	if m.db.Outage() == nil {
		gauge(m.storing, 1)
	} else {
		gauge(m.storing, 0)
	}
	if d := m.db.Disk(); d.Known {
		gauge(m.disk, d.Free)
	}
	if c, err := m.db.Totals(ctx); err != nil {
		m.log.Warn("read totals for metrics", slog.Any("error", err))
	} else {
		counter(m.made, c.Made)
		counter(m.deliveries, c.Delivered, "delivered")
		counter(m.deliveries, c.Failed, "failed")
		counter(m.deliveries, c.Skipped, "skipped")
		counter(m.deliveries, c.Cancelled, "cancelled")
		gauge(m.pending, c.Pending)
	}
	if s, err := m.db.Size(ctx); err != nil {
		m.log.Warn("read size for metrics", slog.Any("error", err))
	} else {
		gauge(m.file, s.File)
		gauge(m.wal, s.WAL)
		gauge(m.free, s.Free)
	}
}

// metricsHandler serves metrics to Prometheus.
func metricsHandler(d *db.DB, hub *web.Hub, mem *budget.Budget, log *slog.Logger) http.Handler {
	r := prometheus.NewRegistry()
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "thingpost_build_info", Help: "Always 1; the label is the version."},
		[]string{"version"})
	build.WithLabelValues(versionName()).Set(1)
	r.MustRegister(newStoreMetrics(d, hub, mem, log), build, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

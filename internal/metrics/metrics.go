// Package metrics exports figures of the panel and the whole fleet to Prometheus. They
// name no node and contain no secrets.
package metrics

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// Metrics counts events and queries a Source for the other figures at each scrape.
// Its methods are safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	log      *slog.Logger
	writes   prometheus.Histogram
	jobsDone *prometheus.CounterVec
}

const (
	scrapeTimeout = 10 * time.Second
	maxScrapes    = 4
)

// New returns the metrics of a program version, with those of the Go runtime and the
// process.
func New(version string, log *slog.Logger) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		log:      log,
		writes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "connexa_db_write_seconds", Help: "Write transactions, from asking for the writer to the end of the commit.",
			Buckets: []float64{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5},
		}),
		jobsDone: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "connexa_jobs_done_total", Help: "Jobs that ended since the start, by kind and by how they ended.",
		}, []string{"kind", "result"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "connexa_build_info", Help: "Always 1; the label is the version.", ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	m.registry.MustRegister(m.writes, m.jobsDone, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// ObserveWrite records the duration of a write transaction.
func (m *Metrics) ObserveWrite(took time.Duration) { m.writes.Observe(took.Seconds()) }

// CountJob counts a job that ended.
func (m *Metrics) CountJob(kind connexa.Kind, result connexa.Result) {
	m.jobsDone.WithLabelValues(string(kind), string(result)).Inc()
}

// Handler serves scrapes. Figures that cannot be read are left out and logged.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(m.log.Handler(), slog.LevelWarn),
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: maxScrapes,
		Timeout:             scrapeTimeout,
	})
}

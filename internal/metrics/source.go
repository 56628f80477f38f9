package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// Source provides the figures that are queried at a scrape. All fields are required.
type Source struct {
	Fleet   func(context.Context) (connexa.Facets, error)
	Jobs    func(context.Context) ([]connexa.LiveJobs, error)
	Runs    func(context.Context) ([]connexa.Run, error) // live runs
	Tunnels func() Tunnels
	Readers func() int // open event streams
}

// Tunnels describes the PPTP tunnels of this host. All fields except Calling and Up
// count packets since the start.
type Tunnels struct {
	Calling int // tunnels whose call was made and that received no GRE packet yet
	Up      int // tunnels that receive GRE packets

	Received, Late, Duplicate, Old uint64 // Late counts those of Received that came after a newer packet
	Missing                        uint64 // skipped sequence numbers, including those of Late
	Sent, SendFails                uint64
}

// Register adds the figures of s. It must be called at most once.
func (m *Metrics) Register(s Source) { m.registry.MustRegister(newCollector(s)) }

// queryTimeout bounds the queries of one scrape.
const queryTimeout = 5 * time.Second

// collector queries a Source.
type collector struct {
	Source
	nodes, suspects, jobs, runs, tunnels, packets, missing, sent, sendFails, readers *prometheus.Desc
}

func newCollector(s Source) *collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("connexa_"+name, help, labels, nil)
	}
	return &collector{
		Source:    s,
		nodes:     desc("nodes", "Nodes, by status.", "status"),
		suspects:  desc("nodes_suspect", "Nodes with an unconfirmed failure."),
		jobs:      desc("jobs_live", "Jobs that have not ended, by kind and state.", "kind", "state"),
		runs:      desc("runs_live", "Runs that have not ended, by state.", "state"),
		tunnels:   desc("sessions", "PPTP sessions of this machine: those whose server was called, and those whose server's packets come.", "state"),
		packets:   desc("gre_received_packets_total", "GRE packets of servers, by how they came.", "how"),
		missing:   desc("gre_missing_packets_total", "GRE packets of servers that did not come in their place; lost are those that did not come late either."),
		sent:      desc("gre_sent_packets_total", "GRE packets sent, acknowledgments included."),
		sendFails: desc("gre_send_failures_total", "Batches of GRE packets of which this machine could not send one."),
		readers:   desc("stream_readers", "Open pages with a stream of events."),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.nodes, c.suspects, c.jobs, c.runs, c.tunnels, c.packets, c.missing, c.sent, c.sendFails, c.readers} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
	defer cancel()
	gauge := func(d *prometheus.Desc, n int, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n), labels...)
	}
	count := func(d *prometheus.Desc, n uint64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}

	if f, err := c.Fleet(ctx); err != nil {
		to <- prometheus.NewInvalidMetric(c.nodes, err)
	} else {
		for _, s := range connexa.Statuses() {
			gauge(c.nodes, f.Statuses[s], string(s))
		}
		gauge(c.suspects, f.Suspect)
	}
	if jobs, err := c.Jobs(ctx); err != nil {
		to <- prometheus.NewInvalidMetric(c.jobs, err)
	} else {
		for _, j := range jobs {
			gauge(c.jobs, j.Queued, string(j.Kind), "queued")
			gauge(c.jobs, j.Running, string(j.Kind), "running")
		}
	}
	if runs, err := c.Runs(ctx); err != nil {
		to <- prometheus.NewInvalidMetric(c.runs, err)
	} else {
		states := map[connexa.RunState]int{}
		for _, r := range runs {
			states[r.State]++
		}
		for _, s := range []connexa.RunState{connexa.RunRunning, connexa.RunPaused} {
			gauge(c.runs, states[s], string(s))
		}
	}
	t := c.Tunnels()
	gauge(c.tunnels, t.Calling, "calling")
	gauge(c.tunnels, t.Up, "up")
	count(c.packets, t.Received-min(t.Received, t.Late), "in_order")
	count(c.packets, t.Late, "late")
	count(c.packets, t.Duplicate, "duplicate")
	count(c.packets, t.Old, "unusable")
	count(c.missing, t.Missing)
	count(c.sent, t.Sent)
	count(c.sendFails, t.SendFails)
	gauge(c.readers, c.Readers())
}

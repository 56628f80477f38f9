package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/connexa-panel/connexa/db"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/conns"
	"github.com/connexa-panel/connexa/internal/metrics"
)

// meteredStore is the runner's view of the database. It counts written results.
type meteredStore struct {
	*db.DB
	metrics *metrics.Metrics
}

// Finish implements jobs.Store.
func (s meteredStore) Finish(ctx context.Context, j connexa.Job, p connexa.Probed) (connexa.Finished, error) {
	done, err := s.DB.Finish(ctx, j, p)
	if err == nil && !done.Stale { // the job of a stale result is queued again
		s.metrics.CountJob(j.Kind, p.Result)
	}
	return done, err
}

// registerMetrics registers the sources of this panel's metrics.
func (p *Panel) registerMetrics(readers func() int) {
	p.metrics.Register(metrics.Source{
		Fleet:   func(ctx context.Context) (connexa.Facets, error) { return p.db.Facets(ctx, connexa.Filter{}) },
		Jobs:    p.db.CountLiveJobs,
		Runs:    func(ctx context.Context) ([]connexa.Run, error) { return p.db.LiveRuns(ctx, time.Now()) },
		Readers: readers,
		Tunnels: func() metrics.Tunnels {
			t := p.mux.Totals()
			return metrics.Tunnels{
				Calling: t.Calling, Up: t.Up,
				Received: t.Received, Late: t.Late, Duplicate: t.Duplicate, Old: t.Old, Missing: t.Lost + t.Late,
				Sent: t.Sent, SendFails: t.SendFails,
			}
		},
	})
}

// openMetrics opens the port of the metrics, if they have one of their own.
func (p *Panel) openMetrics(ctx context.Context) error {
	if p.cfg.MetricsListen == "" {
		return nil
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", p.cfg.MetricsListen)
	if err != nil {
		return fmt.Errorf("listen for the metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", p.metrics.Handler())
	p.metricsServer = &http.Server{Handler: conns.UsualTimes.Guard(mux), MaxHeaderBytes: 16 << 10, ErrorLog: p.server.ErrorLog}
	conns.UsualTimes.Apply(p.metricsServer)
	p.metricsListener = conns.BoundServer(ln, conns.Bounds{Total: 64, PerAddress: 16}, p.metricsServer)
	return nil
}

// serveMetrics serves the metrics until ctx is done.
func (p *Panel) serveMetrics(ctx context.Context) error {
	if p.metricsServer == nil {
		return nil
	}
	p.log.Info("metrics", "url", "http://"+p.metricsListener.Addr().String()+"/metrics")
	stop := context.AfterFunc(ctx, func() { _ = p.metricsServer.Close() }) // an interrupted scrape is repeated
	defer stop()
	if err := p.metricsServer.Serve(p.metricsListener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the metrics: %w", err)
	}
	return nil
}

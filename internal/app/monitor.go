package app

import (
	"context"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
)

type monitorStore interface {
	MonitoredNode(ctx context.Context, node int64) (*connexa.Monitored, error)
	AnyGoodRun(ctx context.Context) (bool, error)
}

// Monitor changes the settings of scheduled probes and reads their plan.
type Monitor struct {
	env        Env
	store      monitorStore
	settings   *Settings
	tryTargets func(ctx context.Context, targets []string) (answers []bool)
}

// NewMonitor returns Monitor.
func NewMonitor(env Env, store monitorStore, settings *Settings, tryTargets func(ctx context.Context, targets []string) (answers []bool)) *Monitor {
	return &Monitor{env: env, store: store, settings: settings, tryTargets: tryTargets}
}

// MonitoredNode returns the schedule of a node, or nil if the node was not validated since
// its last edit.
func (a *Monitor) MonitoredNode(ctx context.Context, node int64) (*connexa.Monitored, connexa.MonitorSettings, error) {
	s, err := a.settings.CurrentSettings(ctx)
	if err != nil {
		return nil, s.Monitor, err
	}
	w, err := a.store.MonitoredNode(ctx, node)
	return w, s.Monitor, err
}

// OffersMonitor reports whether to offer the monitor: a run with good nodes has ended,
// and nobody has switched the monitor on or declined it.
func (a *Monitor) OffersMonitor(ctx context.Context) (bool, error) {
	s, err := a.settings.CurrentSettings(ctx)
	if err != nil || s.Monitor.On || !s.Monitor.Offered.IsZero() {
		return false, err
	}
	return a.store.AnyGoodRun(ctx)
}

// ChangeMonitorSettings replaces the settings of the monitor, or says with FieldErrors
// what is wrong with them.
func (a *Monitor) ChangeMonitorSettings(ctx context.Context, fresh connexa.MonitorSettings) error {
	fresh.Tags, fresh.Targets = strings.Join(strings.Fields(fresh.Tags), " "), strings.Join(fresh.TargetList(), ", ")
	return a.changeMonitor(ctx, func(s *connexa.MonitorSettings) {
		fresh.Offered = s.Offered
		if fresh.On && fresh.Offered.IsZero() {
			fresh.Offered = a.env.Now() // so that switching it off does not bring the offer back
		}
		*s = fresh
	})
}

// DeclineMonitor records that the monitor is not wanted, so that it is not offered
// again.
func (a *Monitor) DeclineMonitor(ctx context.Context) error {
	return a.changeMonitor(ctx, func(s *connexa.MonitorSettings) { s.Offered = a.env.Now() })
}

func (a *Monitor) changeMonitor(ctx context.Context, change func(*connexa.MonitorSettings)) error {
	return a.settings.changeSettings(ctx, func(s *connexa.Settings) error {
		change(&s.Monitor)
		return nil
	})
}

// TryTargets reports for each reference target in typed whether it answers.
func (a *Monitor) TryTargets(ctx context.Context, typed string) (targets []string, answers []bool, err error) {
	s := connexa.DefaultSettings()
	s.Monitor.Targets = typed
	if err := s.Check(); err != nil {
		return nil, nil, err
	}
	targets = s.Monitor.TargetList()
	if len(targets) == 0 {
		return nil, nil, connexa.FieldErrors{"monitor_targets": connexa.T("monitor.targets.none")}
	}
	return targets, a.tryTargets(ctx, targets), nil
}

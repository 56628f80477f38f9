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

// Monitor changes what the scheduled probes do.
type Monitor struct {
	env        Env
	store      monitorStore
	settings   *Settings
	tryTargets func(ctx context.Context, targets []string) (answers []bool)
}

// NewMonitor returns the service.
func NewMonitor(env Env, store monitorStore, settings *Settings, tryTargets func(ctx context.Context, targets []string) (answers []bool)) *Monitor {
	return &Monitor{env: env, store: store, settings: settings, tryTargets: tryTargets}
}

// NodeWatch says what the monitor plans for a node; nil: the node was not
// validated since its last edit.
func (a *Monitor) NodeWatch(ctx context.Context, node int64) (*connexa.Monitored, connexa.MonitorSettings, error) {
	s, err := a.settings.CurrentSettings(ctx)
	if err != nil {
		return nil, s.Monitor, err
	}
	w, err := a.store.MonitoredNode(ctx, node)
	return w, s.Monitor, err
}

// OffersMonitor says whether the panel ought to offer the monitor: a run has ended
// in which nodes were good, and nobody has switched it on or said no.
func (a *Monitor) OffersMonitor(ctx context.Context) (bool, error) {
	s, err := a.settings.CurrentSettings(ctx)
	if err != nil || s.Monitor.On || !s.Monitor.Offered.IsZero() {
		return false, err
	}
	return a.store.AnyGoodRun(ctx)
}

// ChangeMonitorSettings puts fresh in place of the settings of the monitor, or
// says with FieldErrors what is wrong with them.
func (a *Monitor) ChangeMonitorSettings(ctx context.Context, fresh connexa.MonitorSettings) error {
	fresh.Tags, fresh.Targets = strings.Join(strings.Fields(fresh.Tags), " "), strings.Join(fresh.TargetList(), ", ")
	return a.changeMonitor(ctx, func(s *connexa.MonitorSettings) {
		fresh.Offered = s.Offered
		if fresh.On && fresh.Offered.IsZero() {
			fresh.Offered = a.env.Now() // who switches it off again need not be asked
		}
		*s = fresh
	})
}

// DeclineMonitor notes that nobody wants the monitor; it is not offered again.
func (a *Monitor) DeclineMonitor(ctx context.Context) error {
	return a.changeMonitor(ctx, func(s *connexa.MonitorSettings) { s.Offered = a.env.Now() })
}

func (a *Monitor) changeMonitor(ctx context.Context, change func(*connexa.MonitorSettings)) error {
	return a.settings.changeSettings(ctx, func(s *connexa.Settings) error {
		change(&s.Monitor)
		return nil
	})
}

// TryTargets says for each reference target that was typed whether it answers.
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

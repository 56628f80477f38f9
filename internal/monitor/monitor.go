// Package monitor probes nodes on a schedule, through ordinary runs, and knows
// whether this host is online.
//
// It never writes a status: only the probes of its runs do.
package monitor

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// Store stores the plans.
type Store interface {
	// DueMonitored returns up to n monitored nodes that are due.
	DueMonitored(ctx context.Context, n int) ([]connexa.Monitored, error)
	// CountMonitored returns the number of monitored nodes that have a due time.
	CountMonitored(ctx context.Context) (int, error)
	// ScheduleMonitored makes every monitored node follow the schedule with that key.
	ScheduleMonitored(ctx context.Context, key string, ping, login time.Duration) error
	// StartMonitorRun starts runs and writes plans, in one transaction.
	StartMonitorRun(ctx context.Context, l connexa.MonitorRun) ([]connexa.Run, error)
	// EndFlapping ends the flapping of nodes that have been stable for long enough.
	EndFlapping(ctx context.Context) ([]connexa.StableNode, error)
	LiveRuns(ctx context.Context, endedSince time.Time) ([]connexa.Run, error)
}

// Config configures a Monitor. All fields are required.
type Config struct {
	Store    Store
	Settings func() connexa.MonitorSettings
	Online   func() bool // while it returns false, nothing is probed
	Wake     func()      // called when there are new jobs
	Publish  func(connexa.Event)
	Notify   func(connexa.Notification)
	Log      *slog.Logger
}

const (
	// tickInterval is the amount of time between two checks for due nodes.
	tickInterval = 10 * time.Second
	// maxRunNodes is the largest number of nodes in one run of the monitor, and of
	// plans in one transaction.
	maxRunNodes = 2000
	// loginRunInterval is the amount of time between two runs of logins. It is short,
	// because a failed node that answers again is waiting for its login.
	loginRunInterval = time.Minute
)

// Monitor probes nodes on a schedule until its context ends.
type Monitor struct {
	Config
	pings, logins quota
}

// New returns a Monitor. It starts nothing; Run does the work.
func New(c Config) *Monitor { return &Monitor{Config: c} }

// Run starts due probes until ctx is done. Its state is in the store.
func (m *Monitor) Run(ctx context.Context) error {
	tick := time.NewTicker(tickInterval)
	defer tick.Stop()
	for {
		if err := m.reportSettled(ctx); err != nil && ctx.Err() == nil {
			m.Log.Error("end the flapping of nodes", "err", err)
		}
		if err := m.startDue(ctx); err != nil && ctx.Err() == nil {
			m.Log.Error("start monitor runs", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// reportSettled sends notifications of the nodes that have stopped flapping.
func (m *Monitor) reportSettled(ctx context.Context) error {
	list, err := m.Store.EndFlapping(ctx)
	for _, s := range list {
		m.Publish(connexa.Event{Topic: connexa.NodeChanged, ID: s.NodeID})
		if !s.Monitored {
			continue
		}
		name := connexa.ServerName(s.Address, s.Port)
		m.Notify(connexa.Notification{
			Kind: connexa.NotifyNodeStable, At: time.Now(), NodeID: s.NodeID, Name: name,
			Text: connexa.T("notification.node.settled", name, connexa.T("status."+string(s.Status))),
		})
	}
	return err
}

// startDue starts the due probes that the quotas allow.
func (m *Monitor) startDue(ctx context.Context) error {
	s := m.Settings()
	if !s.On || !m.Online() {
		return nil
	}
	if err := m.Store.ScheduleMonitored(ctx, scheduleKey(s), s.PingInterval(), s.LoginInterval()); err != nil {
		return err
	}
	n, err := m.Store.CountMonitored(ctx)
	if err != nil || n == 0 {
		return err
	}
	busy, err := m.liveKinds(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	round := pingRunInterval(s)
	m.pings.refill(now, n, s.PingInterval(), round, busy[connexa.RunPing])
	m.logins.refill(now, n, s.LoginInterval(), loginRunInterval, busy[connexa.RunLogin])
	due, err := m.Store.DueMonitored(ctx, maxRunNodes)
	if err != nil || len(due) == 0 {
		return err
	}
	var l connexa.MonitorRun
	for _, w := range due {
		spread := rand.Float64() //nolint:gosec // of probes over time
		kind, next := Plan(s, w, now, spread)
		if kind == connexa.Login && w.Status.Validated() && s.PingMinutes > 0 && !m.logins.hasRoom(len(l.Login)) {
			kind, next = PlanPing(s, w, now, spread)
		}
		switch kind {
		case connexa.Ping:
			if !m.pings.hasRoom(len(l.Ping)) {
				continue
			}
			l.Ping = append(l.Ping, w.NodeID)
		case connexa.Login:
			if !m.logins.hasRoom(len(l.Login)) {
				continue
			}
			l.Login = append(l.Login, w.NodeID)
		default: // the monitor measures no speed
		}
		l.Plans = append(l.Plans, connexa.Replan{OldDue: w.DueAt, New: next})
	}
	m.pings.spend(len(l.Ping), now)
	m.logins.spend(len(l.Login), now)
	if len(l.Plans) == 0 {
		return nil
	}
	runs, err := m.Store.StartMonitorRun(ctx, l)
	if err != nil {
		return err
	}
	for _, r := range runs {
		m.Publish(connexa.Event{Topic: connexa.RunChanged, ID: r.ID})
	}
	if len(runs) > 0 {
		m.Wake()
	}
	return nil
}

// liveKinds returns the kinds of the monitor's live runs. There is one run of a
// kind at a time, so that the queue of a slow host does not grow.
func (m *Monitor) liveKinds(ctx context.Context) (map[connexa.RunKind]bool, error) {
	runs, err := m.Store.LiveRuns(ctx, time.Now())
	if err != nil {
		return nil, err
	}
	kinds := map[connexa.RunKind]bool{}
	for _, r := range runs {
		if r.Monitor && r.State.Live() {
			kinds[r.Kind] = true
		}
	}
	return kinds, nil
}

// scheduleKey identifies the schedule that the due times follow from.
func scheduleKey(s connexa.MonitorSettings) string {
	return fmt.Sprintf("%d %d %q", s.PingMinutes, s.LoginHours, s.TagList())
}

// pingRunInterval returns the amount of time between two runs of pings: a tenth of
// the ping interval, so that there are few runs and no node waits for long.
func pingRunInterval(s connexa.MonitorSettings) time.Duration {
	return min(max(s.PingInterval()/10, 2*tickInterval), 10*time.Minute)
}

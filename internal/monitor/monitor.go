// Package monitor looks after what nobody looks at: it has nodes re-checked on a
// schedule, through ordinary runs, and knows whether this machine is online.
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

// Store keeps what is planned.
type Store interface {
	// DueWatches returns up to n of the watches whose time has come.
	DueWatches(ctx context.Context, n int) ([]connexa.Watch, error)
	// CountWatches says for how many a time is planned.
	CountWatches(ctx context.Context) (int, error)
	// ArmWatches makes every watch follow a schedule that is named key.
	ArmWatches(ctx context.Context, key string, ping, login time.Duration) error
	// LookAt starts runs and writes plans, in one transaction.
	LookAt(ctx context.Context, l connexa.Looks) ([]connexa.Run, error)
	// SettleFlaps ends the flapping of nodes that have been quiet for long enough.
	SettleFlaps(ctx context.Context) ([]connexa.Settled, error)
	LiveRuns(ctx context.Context, endedSince time.Time) ([]connexa.Run, error)
}

// Config is what a Monitor works with; all of it is needed.
type Config struct {
	Store    Store
	Settings func() connexa.MonitorSettings
	Online   func() bool // while this machine is not, nothing is looked at
	Wake     func()      // there are new jobs
	Publish  func(connexa.Event)
	Notify   func(connexa.Notice)
	Log      *slog.Logger
}

const (
	// beat is how often the monitor looks at the clock.
	beat = 10 * time.Second
	// batch is how many nodes one run of the monitor looks at most, and how many
	// plans one transaction writes.
	batch = 2000
	// loginRound is between two runs of logins: an answer has earned one, and is
	// not to wait for long.
	loginRound = time.Minute
)

// Monitor has nodes re-checked until its context ends.
type Monitor struct {
	Config
	pings, logins pace
}

// New returns a Monitor that does nothing yet.
func New(c Config) *Monitor { return &Monitor{Config: c} }

// Run looks after the fleet until ctx is done. All that it remembers is in the
// store.
func (m *Monitor) Run(ctx context.Context) error {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		if err := m.settle(ctx); err != nil && ctx.Err() == nil {
			m.Log.Error("look for nodes that have settled", "err", err)
		}
		if err := m.look(ctx); err != nil && ctx.Err() == nil {
			m.Log.Error("look after the fleet", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// settle tells of the nodes that have ceased to flap.
func (m *Monitor) settle(ctx context.Context) error {
	list, err := m.Store.SettleFlaps(ctx)
	for _, s := range list {
		m.Publish(connexa.Event{Topic: connexa.NodeChanged, ID: s.NodeID})
		if !s.Watched {
			continue
		}
		name := connexa.ServerName(s.Address, s.Port)
		m.Notify(connexa.Notice{
			Kind: connexa.NoticeNodeSettled, At: time.Now(), NodeID: s.NodeID, Name: name,
			Text: connexa.T("notice.node.settled", name, connexa.T("status."+string(s.Status))),
		})
	}
	return err
}

// look starts what is due, as far as the pace allows.
func (m *Monitor) look(ctx context.Context) error {
	s := m.Settings()
	if !s.On || !m.Online() {
		return nil
	}
	if err := m.Store.ArmWatches(ctx, schedule(s), s.Ping(), s.Login()); err != nil {
		return err
	}
	n, err := m.Store.CountWatches(ctx)
	if err != nil || n == 0 {
		return err
	}
	busy, err := m.busy(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	round := pingRound(s)
	m.pings.allow(now, n, s.Ping(), round, busy[connexa.RunPing])
	m.logins.allow(now, n, s.Login(), loginRound, busy[connexa.RunLogin])
	due, err := m.Store.DueWatches(ctx, batch)
	if err != nil || len(due) == 0 {
		return err
	}
	var l connexa.Looks
	for _, w := range due {
		spread := rand.Float64() //nolint:gosec // of looks over time
		kind, next := Plan(s, w, now, spread)
		if kind == connexa.Login && w.Status.Validated() && s.PingMinutes > 0 && !m.logins.take(len(l.Login)) {
			kind, next = PlanPing(s, w, now, spread)
		}
		switch kind {
		case connexa.Ping:
			if !m.pings.take(len(l.Ping)) {
				continue
			}
			l.Ping = append(l.Ping, w.NodeID)
		case connexa.Login:
			if !m.logins.take(len(l.Login)) {
				continue
			}
			l.Login = append(l.Login, w.NodeID)
		}
		l.Plans = append(l.Plans, connexa.Replan{OldDue: w.DueAt, New: next})
	}
	m.pings.put(len(l.Ping), now)
	m.logins.put(len(l.Login), now)
	if len(l.Plans) == 0 {
		return nil
	}
	runs, err := m.Store.LookAt(ctx, l)
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

// busy says of which kinds a run of the monitor goes on: one at a time, so that
// a machine that cannot keep up is not asked for ever more.
func (m *Monitor) busy(ctx context.Context) (map[connexa.RunKind]bool, error) {
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

// schedule names what the times of the watches follow from.
func schedule(s connexa.MonitorSettings) string {
	return fmt.Sprintf("%d %d %q", s.PingMinutes, s.LoginHours, s.TagList())
}

// pingRound is between two runs of pings: a tenth of the interval, so that the
// list of runs stays readable and no node waits for long.
func pingRound(s connexa.MonitorSettings) time.Duration {
	return min(max(s.Ping()/10, time.Minute), 10*time.Minute)
}

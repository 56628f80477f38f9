package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

type speedStore interface {
	SpeedEndpoints(ctx context.Context) ([]connexa.Endpoint, error)
	ChangeSpeedEndpoints(ctx context.Context, change func([]connexa.Endpoint) ([]connexa.Endpoint, error)) error
	SpeedSpent(ctx context.Context) (connexa.SpeedSpent, error)
	SpeedUsed(ctx context.Context, since time.Time) (bool, error)
	SpendSpeed(ctx context.Context, bytes int64) error
	Uplink(ctx context.Context) (connexa.Uplink, error)
	SetUplink(ctx context.Context, u connexa.Uplink) error
}

const (
	maxEndpoints = 10
	tryTime      = 15 * time.Second // timeout of a test of an endpoint
)

// Measures reports whether a run of kind k has speed tests.
func Measures(k connexa.RunKind) bool { return k == connexa.RunSpeed || k == connexa.RunPingSpeed }

// SpeedPlan is the cost of planned speed tests.
type SpeedPlan struct {
	Nodes     int
	Settings  connexa.SpeedSettings
	Bytes     int64         // at most
	Took      time.Duration // estimated
	Spent     connexa.SpeedSpent
	Left      int64 // of the budgets, in bytes
	Endpoints int   // how many there are; zero if none was chosen yet
}

// waker makes the runner look for jobs.
type waker interface{ Wake() }

// Speed plans speed tests and shows those that run.
type Speed struct {
	env      Env
	store    speedStore
	settings *Settings
	runner   waker
	meters   SpeedMeters
	live     live
}

// SpeedMeters are the measurements from this host, without a tunnel.
type SpeedMeters struct {
	// Try measures an endpoint briefly.
	Try func(context.Context, connexa.Endpoint) (connexa.Measurement, error)
	// Uplink measures the uplink and returns why it could not. Optional: without it, the
	// uplink is never measured.
	Uplink func(context.Context, []connexa.Endpoint, connexa.SpeedSettings) (connexa.Measurement, connexa.Cause)
}

// NewSpeed returns Speed.
func NewSpeed(env Env, store speedStore, settings *Settings, runner waker, meters SpeedMeters) *Speed {
	return &Speed{env: env, store: store, settings: settings, runner: runner, meters: meters}
}

// PlanSpeed returns the cost of speed tests of n nodes.
func (a *Speed) PlanSpeed(ctx context.Context, n int) (SpeedPlan, error) {
	s, err := a.settings.CurrentSettings(ctx)
	if err != nil {
		return SpeedPlan{}, err
	}
	spent, err := a.store.SpeedSpent(ctx)
	if err != nil {
		return SpeedPlan{}, err
	}
	endpoints, err := a.store.SpeedEndpoints(ctx)
	if err != nil {
		return SpeedPlan{}, err
	}
	p := SpeedPlan{Nodes: n, Settings: s.Speed, Spent: spent, Left: s.Speed.Left(spent), Endpoints: len(endpoints)}
	p.Bytes, p.Took = s.Speed.Estimate(n)
	return p, nil
}

// SpeedHold says why no further speed test may start while inHand run. The zero Text
// means that one may start.
func (a *Speed) SpeedHold(ctx context.Context, inHand int) (connexa.Text, error) {
	p, err := a.PlanSpeed(ctx, 1)
	if err != nil {
		return connexa.Text{}, err
	}
	if p.Endpoints == 0 {
		return connexa.T("run.notice.speed.endpoint"), nil
	}
	if until := p.Settings.Wait(p.Spent, inHand, a.env.Now().In(a.env.zone())); !until.IsZero() {
		return connexa.T("run.notice.speed.budget", until), nil
	}
	return connexa.Text{}, nil
}

// SpeedPage is the content of the speed settings.
type SpeedPage struct {
	Settings  connexa.SpeedSettings
	Endpoints []connexa.Endpoint
	Spent     connexa.SpeedSpent
	Uplink    connexa.Uplink
}

// SpeedSetup returns the settings, endpoints and costs of speed tests.
func (a *Speed) SpeedSetup(ctx context.Context) (SpeedPage, error) {
	var p SpeedPage
	s, err := a.settings.CurrentSettings(ctx)
	if err != nil {
		return p, err
	}
	p.Settings = s.Speed
	if p.Endpoints, err = a.store.SpeedEndpoints(ctx); err != nil {
		return p, err
	}
	if p.Spent, err = a.store.SpeedSpent(ctx); err != nil {
		return p, err
	}
	p.Uplink, err = a.store.Uplink(ctx)
	return p, err
}

// ChangeSpeedSettings replaces the settings of speed tests, or says with FieldErrors
// what is out of bounds.
func (a *Speed) ChangeSpeedSettings(ctx context.Context, fresh connexa.SpeedSettings) error {
	err := a.settings.changeSettings(ctx, func(s *connexa.Settings) error {
		s.Speed = fresh
		return nil
	})
	if err != nil {
		return err
	}
	a.runner.Wake()
	return nil
}

// speedChanged records and publishes a change of the endpoints and wakes the runner,
// because waiting tests may be able to start.
func (a *Speed) speedChanged(ctx context.Context, what connexa.Text) {
	a.env.recordAct(ctx, connexa.ActSettings, what)
	a.env.Publish(connexa.Event{Topic: connexa.PanelChanged})
	a.runner.Wake()
}

// AddEndpoint appends an endpoint, or says with FieldErrors what is wrong with it. An
// existing endpoint gets the new token and query.
func (a *Speed) AddEndpoint(ctx context.Context, e connexa.Endpoint) error {
	e, err := connexa.ParseEndpoint(e)
	if err != nil {
		return err
	}
	err = a.store.ChangeSpeedEndpoints(ctx, func(list []connexa.Endpoint) ([]connexa.Endpoint, error) {
		if i := slices.IndexFunc(list, e.Same); i >= 0 {
			list[i] = e
			return list, nil
		}
		if len(list) >= maxEndpoints {
			return nil, connexa.Errorf(connexa.Invalid, "speed.endpoints.many", maxEndpoints)
		}
		return append(list, e), nil
	})
	if err != nil {
		return fmt.Errorf("add a speed endpoint: %w", err)
	}
	a.speedChanged(ctx, connexa.T("audit.speed.added", e.Name()))
	return nil
}

// RemoveEndpoint removes an endpoint.
func (a *Speed) RemoveEndpoint(ctx context.Context, e connexa.Endpoint) error {
	return a.changeEndpoint(ctx, e, "audit.speed.removed", func(list []connexa.Endpoint, i int) []connexa.Endpoint {
		return slices.Delete(list, i, i+1)
	})
}

// PreferEndpoint moves an endpoint to the front.
func (a *Speed) PreferEndpoint(ctx context.Context, e connexa.Endpoint) error {
	return a.changeEndpoint(ctx, e, "audit.speed.preferred", func(list []connexa.Endpoint, i int) []connexa.Endpoint {
		first := list[i]
		return slices.Insert(slices.Delete(list, i, i+1), 0, first)
	})
}

// changeEndpoint calls change with the position of an endpoint in the list, and records
// the act.
func (a *Speed) changeEndpoint(ctx context.Context, e connexa.Endpoint, act string, change func(list []connexa.Endpoint, i int) []connexa.Endpoint) error {
	err := a.store.ChangeSpeedEndpoints(ctx, func(list []connexa.Endpoint) ([]connexa.Endpoint, error) {
		i := slices.IndexFunc(list, e.Same)
		if i < 0 {
			return nil, connexa.Errorf(connexa.NotFound, "speed.endpoint.gone")
		}
		return change(list, i), nil
	})
	if err != nil {
		return fmt.Errorf("change a speed endpoint: %w", err)
	}
	a.speedChanged(ctx, connexa.T(act, e.Name()))
	return nil
}

// TryEndpoint measures an endpoint briefly, from this host and without a tunnel. A
// stored endpoint is asked with its token.
func (a *Speed) TryEndpoint(ctx context.Context, e connexa.Endpoint) (connexa.Measurement, error) {
	list, err := a.store.SpeedEndpoints(ctx)
	if err != nil {
		return connexa.Measurement{}, err
	}
	e = e.Completed(list)
	if e, err = connexa.ParseEndpoint(e); err != nil {
		return connexa.Measurement{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	m, err := a.meters.Try(ctx, e)
	if err != nil && m.Down == 0 {
		return m, fmt.Errorf("try %s: %w", e.Name(), err)
	}
	return m, nil
}

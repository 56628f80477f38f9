package app

import (
	"context"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

const (
	uplinkInterval      = 24 * time.Hour     // between two measurements
	uplinkRetryInterval = time.Hour          // after a failed measurement
	uplinkUseWindow     = 7 * 24 * time.Hour // the uplink is measured only after speed tests within this time
	uplinkMaxDelay      = time.Hour          // longest delay of a measurement because of running tests
)

// MeasureUplink measures the uplink of this host if that is due: once a day, if speed tests
// are in use. It uses their endpoints and their budget, without a tunnel.
func (a *Speed) MeasureUplink(ctx context.Context) error {
	u, err := a.store.Uplink(ctx)
	if err != nil {
		return err
	}
	now := a.env.Now()
	if due, err := a.uplinkIsDue(ctx, u, now); err != nil || !due {
		return err
	}
	s, err := a.settings.CurrentSettings(ctx)
	if err != nil {
		return err
	}
	endpoints, err := a.store.SpeedEndpoints(ctx)
	if err != nil {
		return err
	}
	s.Speed.Mode = connexa.SpeedFull // a quick test of a fast line is not accurate
	m, cause := a.meters.Uplink(ctx, endpoints, s.Speed)
	if bytes := m.DownBytes + m.UpBytes; bytes > 0 {
		if err := a.store.SpendSpeed(context.WithoutCancel(ctx), bytes); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	fresh := connexa.Uplink{At: now, Found: m}
	if m.Down == 0 {
		// The previous result is still the best one known.
		fresh.Found, fresh.Problem = u.Found, connexa.T("speed.uplink.problem", connexa.T("cause."+string(cause)))
	}
	if err := a.store.SetUplink(ctx, fresh); err != nil {
		return err
	}
	a.env.Publish(connexa.Event{Topic: connexa.PanelChanged})
	return nil
}

// uplinkIsDue reports whether the uplink, last measured as u, is measured now.
func (a *Speed) uplinkIsDue(ctx context.Context, u connexa.Uplink, now time.Time) (bool, error) {
	due, never := u.At.Add(uplinkInterval), u.At.IsZero()
	if !u.Problem.IsZero() {
		due = u.At.Add(uplinkRetryInterval)
	}
	if a.meters.Uplink == nil || now.Before(due) {
		return false, nil
	}
	if down, up := a.SpeedSum(); down+up > 0 && (never || now.Before(due.Add(uplinkMaxDelay))) {
		return false, nil // running tests would make the result too small
	}
	if used, err := a.store.SpeedUsed(ctx, now.Add(-uplinkUseWindow)); err != nil || !used && !never {
		return false, err
	}
	hold, err := a.SpeedHold(ctx, 0) // no endpoint, or no budget
	return hold.IsZero(), err
}

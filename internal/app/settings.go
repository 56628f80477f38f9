package app

import (
	"context"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

type settingsStore interface {
	Settings(ctx context.Context) (connexa.Settings, error)
	ChangeSettings(ctx context.Context, change func(*connexa.Settings) error) error
}

// CurrentSettings returns the settings.
func (a *App) CurrentSettings(ctx context.Context) (connexa.Settings, error) {
	return a.Settings.Settings(ctx)
}

// ChangeSettings puts fresh in place of the settings, or says with FieldErrors
// what is out of bounds. Whether the key was confirmed and whether GRE works are
// not settings that a form can change, and speed tests, services and the monitor
// have forms of their own. Less encryption exposes the stored passwords of all
// nodes that have no policy of their own, so it needs a proof (WithProof).
func (a *App) ChangeSettings(ctx context.Context, fresh connexa.Settings) error {
	return a.changeSettings(ctx, func(s *connexa.Settings) error {
		if fresh.Encryption.Weaker(s.Encryption) && !Proved(ctx) {
			return connexa.FieldErrors{"encryption": connexa.T("account.proof.encryption")}
		}
		fresh.ZoneInForce, fresh.ZoneSince = s.ZoneInForce, s.ZoneSince
		fresh.KeyConfirmed, fresh.GREPassed, fresh.Speed, fresh.Service, fresh.Monitor = s.KeyConfirmed, s.GREPassed, s.Speed, s.Service, s.Monitor
		*s = fresh
		s.FollowZone(a.Now())
		return nil
	})
}

// changeSettings lets change alter the settings, checks them, records each change
// with its old and new value, and publishes it.
func (a *App) changeSettings(ctx context.Context, change func(*connexa.Settings) error) error {
	var changes []connexa.Change
	err := a.Settings.ChangeSettings(ctx, func(s *connexa.Settings) error {
		was := *s
		if err := change(s); err != nil {
			return err
		}
		changes = was.Changes(*s)
		return s.Check()
	})
	if err != nil {
		return err
	}
	a.recordAct(ctx, connexa.ActSettings, connexa.ChangesText(changes))
	a.Publish(connexa.Event{Topic: connexa.PanelChanged})
	return nil
}

// ConfirmKey notes that the admin keeps a copy of the key apart from the
// database; the banner that asks for it goes.
func (a *App) ConfirmKey(ctx context.Context) error {
	err := a.Settings.ChangeSettings(ctx, func(s *connexa.Settings) error {
		if s.KeyConfirmed.IsZero() {
			s.KeyConfirmed = a.Now()
		}
		return nil
	})
	if err != nil {
		return err
	}
	a.recordAct(ctx, connexa.ActKeyConfirmed, connexa.Text{})
	a.Publish(connexa.Event{Topic: connexa.PanelChanged})
	return nil
}

// PanelZone is the time zone at whose midnight days of the panel begin.
func (a *App) PanelZone() *time.Location {
	if a.Zone == nil {
		return time.UTC
	}
	return a.Zone()
}

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

// Settings reads and changes the settings of the panel.
type Settings struct {
	env   Env
	store settingsStore
}

// NewSettings returns Settings.
func NewSettings(env Env, store settingsStore) *Settings {
	return &Settings{env: env, store: store}
}

// CurrentSettings returns the settings.
func (a *Settings) CurrentSettings(ctx context.Context) (connexa.Settings, error) {
	return a.store.Settings(ctx)
}

// ChangeSettings replaces the settings, or says with FieldErrors what is out of bounds.
// It keeps the confirmation of the key, the state of GRE, and the settings of speed
// tests, services and the monitor, which have their own forms. Weaker encryption
// exposes the stored passwords of all nodes without an own policy, so it requires a
// proof (WithProof).
func (a *Settings) ChangeSettings(ctx context.Context, fresh connexa.Settings) error {
	return a.changeSettings(ctx, func(s *connexa.Settings) error {
		if fresh.Encryption.Weaker(s.Encryption) && !Proved(ctx) {
			return connexa.FieldErrors{"encryption": connexa.T("account.proof.encryption")}
		}
		fresh.ZoneInForce, fresh.ZoneSince = s.ZoneInForce, s.ZoneSince
		fresh.KeyConfirmed, fresh.GREPassed, fresh.Speed, fresh.Service, fresh.Monitor = s.KeyConfirmed, s.GREPassed, s.Speed, s.Service, s.Monitor
		*s = fresh
		s.FollowZone(a.env.Now())
		return nil
	})
}

// changeSettings lets change edit the settings, checks them, and records and publishes
// each change.
func (a *Settings) changeSettings(ctx context.Context, change func(*connexa.Settings) error) error {
	var changes []connexa.Change
	err := a.store.ChangeSettings(ctx, func(s *connexa.Settings) error {
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
	a.env.recordAct(ctx, connexa.ActSettings, connexa.ChangesText(changes))
	a.env.Publish(connexa.Event{Topic: connexa.PanelChanged})
	return nil
}

// ConfirmKey records that the admin keeps a copy of the key outside the database. The
// banner that asks for it disappears.
func (a *Settings) ConfirmKey(ctx context.Context) error {
	err := a.store.ChangeSettings(ctx, func(s *connexa.Settings) error {
		if s.KeyConfirmed.IsZero() {
			s.KeyConfirmed = a.env.Now()
		}
		return nil
	})
	if err != nil {
		return err
	}
	a.env.recordAct(ctx, connexa.ActKeyConfirmed, connexa.Text{})
	a.env.Publish(connexa.Event{Topic: connexa.PanelChanged})
	return nil
}

// PanelZone is the time zone of the days of the panel.
func (a *Settings) PanelZone() *time.Location { return a.env.zone() }

// ChangeServiceSettings replaces the settings of services, or says with FieldErrors
// what is out of bounds.
func (a *Settings) ChangeServiceSettings(ctx context.Context, fresh connexa.ServiceSettings) error {
	return a.changeSettings(ctx, func(s *connexa.Settings) error {
		s.Service = fresh
		return nil
	})
}

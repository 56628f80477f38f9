package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/connexa-panel/connexa/db"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/events"
)

// settings caches the panel's settings for callers that read them a thousand times a
// second.
type settings struct {
	value atomic.Pointer[connexa.Settings]
}

func (s *settings) get() connexa.Settings { return *s.value.Load() }

func (s *settings) loadFrom(ctx context.Context, d *db.DB) error {
	fresh, err := d.Settings(ctx)
	if err != nil {
		return fmt.Errorf("read the settings: %w", err)
	}
	s.value.Store(&fresh)
	return nil
}

// followZone loads the settings and stores the present time zone: that of the host may
// have changed since the last start.
func (s *settings) followZone(ctx context.Context, d *db.DB) error {
	if err := s.loadFrom(ctx, d); err != nil {
		return err
	}
	if fresh := s.get(); !fresh.FollowZone(time.Now()) {
		return nil
	}
	err := d.ChangeSettings(ctx, func(s *connexa.Settings) error { s.FollowZone(time.Now()); return nil })
	if err != nil {
		return fmt.Errorf("note the time zone: %w", err)
	}
	return s.loadFrom(ctx, d)
}

// followChanges reloads the settings when they change.
func (s *settings) followChanges(ctx context.Context, b *events.Broker, d *db.DB, log *slog.Logger) error {
	box, done := b.Subscribe(func(e connexa.Event) bool { return e.Topic == connexa.PanelChanged })
	defer done()
	for {
		if _, ok := box.Next(ctx); !ok {
			return nil
		}
		if err := s.loadFrom(ctx, d); err != nil && ctx.Err() == nil {
			log.Error("the settings stay as they were", "err", err)
		}
	}
}

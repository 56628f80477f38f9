// Package app is what the panel does, without HTTP and without SQL: one type for each
// noun, in the files named after it, with the interfaces that it needs.
package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// App lists the types of one panel. They are safe for use by many goroutines.
type App struct {
	Accounts  *Accounts
	Acts      *Acts
	Audit     *Audit
	Channels  *Channels
	Clients   *Clients
	History   *History
	Imports   *Imports
	Monitor   *Monitor
	Nodes     *Nodes
	Profiles  *Profiles
	Runs      *Runs
	Services  *Services
	Settings  *Settings
	Speed     *Speed
	Templates *Templates
	VPNs      *VPNs
	Views     *Views
}

// Env is what all types of App share.
type Env struct {
	Audit   auditStore
	Publish func(connexa.Event)   // Publish is called after a commit. It must not block.
	Zone    func() *time.Location // Zone returns the time zone of the panel. Defaults to UTC.
	Now     func() time.Time
	Log     *slog.Logger
}

func (e *Env) zone() *time.Location {
	if e.Zone == nil {
		return time.UTC
	}
	return e.Zone()
}

// bell wakes a goroutine that works on what the store has. It holds at most one signal.
type bell chan struct{}

func (b bell) wakeUp() {
	select {
	case b <- struct{}{}:
	default:
	}
}

type actorKey struct{}

type actor struct{ name, address string }

// WithActor returns a context with the account that acts and its address.
func WithActor(ctx context.Context, name, address string) context.Context {
	return context.WithValue(ctx, actorKey{}, actor{name, address})
}

// Actor returns what WithActor put into ctx. Both are empty for the panel itself.
func Actor(ctx context.Context) (name, address string) {
	a, _ := ctx.Value(actorKey{}).(actor)
	return a.name, a.address
}

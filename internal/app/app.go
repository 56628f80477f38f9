// Package app is what the panel does, without HTTP and without SQL: one file per
// use case, each with the interfaces that it needs.
package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// Deps is what an App works with.
type Deps struct {
	Nodes         nodeStore
	Accounts      accountStore
	Settings      settingsStore
	Audit         auditStore
	Imports       importStore
	Runs          runStore
	Runner        runner
	Speed         speedStore
	Services      serviceStore
	ServiceRunner serviceRunner
	ClientStore   clientStore
	ClientUsage   clientUsage
	Channels      channelStore
	Notifier      notifier
	Monitored     monitorStore

	VPNs         vpnStore // nil: there can be no OpenVPN exits
	Running      exits
	Certificates certificates
	Lacks        func(context.Context) []connexa.VPNLack // what this machine lacks for exits; nil: nothing

	Try        func(context.Context, connexa.Endpoint) (connexa.Measurement, error) // measures a little, without a tunnel
	TryTargets func(ctx context.Context, targets []string) (answers []bool)
	Kinds      []connexa.RunKind   // of run that can be started here
	Publish    func(connexa.Event) // after a commit; never blocks
	Now        func() time.Time
	Zone       func() *time.Location // time zone of the panel's days. Defaults to UTC.
	Log        *slog.Logger
}

// App is the service layer. Its methods are safe for use by many goroutines.
type App struct {
	Deps
	passwords *passwords
	limiter   limiter
	pace      pace
	live      live
	imports   importBell
	deletion  deletion
}

// New returns an App. It starts nothing.
func New(d Deps) *App {
	return &App{Deps: d, passwords: newPasswords(usualCost), imports: make(importBell, 1), deletion: deletion{bell: make(chan struct{}, 1)}}
}

type auditStore interface {
	AddAudit(ctx context.Context, row connexa.AuditRow) error
	AuditRows(ctx context.Context, before int64, size int) ([]connexa.AuditRow, error)
}

type actorKey struct{}

type actor struct{ name, address string }

// WithActor says on whose behalf ctx acts, and from which address.
func WithActor(ctx context.Context, name, address string) context.Context {
	return context.WithValue(ctx, actorKey{}, actor{name, address})
}

// Actor returns what WithActor put into ctx; both are empty for the panel itself.
func Actor(ctx context.Context) (name, address string) {
	a, _ := ctx.Value(actorKey{}).(actor)
	return a.name, a.address
}

// recordAct records an act of the person in ctx. An act that cannot be recorded is
// logged, and has happened all the same.
func (a *App) recordAct(ctx context.Context, act connexa.Act, detail connexa.Text) {
	name, address := Actor(ctx)
	row := connexa.AuditRow{At: a.Now(), Account: name, Address: address, Act: act, Detail: connexa.AuditDetail(detail)}
	if err := a.Audit.AddAudit(context.WithoutCancel(ctx), row); err != nil {
		a.Log.Error("record an act", "act", string(act), "err", err)
	}
}

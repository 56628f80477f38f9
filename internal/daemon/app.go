package daemon

import (
	"time"

	"github.com/connexa-panel/connexa/internal/app"
	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/gateway"
)

// newApp returns the services of the panel, which work on its database and its runners.
func (p *Panel) newApp() app.App {
	env := app.Env{
		Audit: p.db, Publish: p.broker.Publish, Now: time.Now, Log: p.log,
		Zone: func() *time.Location { return p.settings.get().Location() },
	}
	issuer := gateway.Issuer{Now: time.Now}
	settings := app.NewSettings(env, p.db)
	services := app.NewServices(env, p.db, p.gateways, p.db, settings)
	runs := app.NewRuns(env, p.db, p.runner, connexa.RunPing, connexa.RunLogin, connexa.RunSpeed, connexa.RunPingSpeed)
	acts := app.NewActs(env, p.db, p.db, settings, services, runs, issuer)
	imports := app.NewImports(env, p.db, runs, services)
	return app.App{
		Accounts:  app.NewAccounts(env, p.db, p.notifier),
		Acts:      acts,
		Audit:     app.NewAudit(p.db),
		Channels:  app.NewChannels(env, p.db, p.notifier),
		Clients:   app.NewClients(env, p.db, p.access, services),
		History:   app.NewHistory(env, p.db, settings),
		Imports:   imports,
		Monitor:   app.NewMonitor(env, p.db, settings, p.tryTargets),
		Nodes:     app.NewNodes(env, p.db, settings),
		Profiles:  app.NewProfiles(env, p.db, issuer, p.db),
		Runs:      runs,
		Services:  services,
		Settings:  settings,
		Speed:     app.NewSpeed(env, p.db, settings, p.runner, p.speedMeters()),
		VPNs:      app.NewVPNs(env, p.db, p.gateways, p.preflight.Missing, services, acts),
		Templates: app.NewTemplates(env, p.db, imports),
		Views:     app.NewViews(env, p.db, p.db),
	}
}

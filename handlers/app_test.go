package handlers

import (
	"context"

	"github.com/connexa-panel/connexa/db"
	"github.com/connexa-panel/connexa/internal/access"
	"github.com/connexa-panel/connexa/internal/app"
	"github.com/connexa-panel/connexa/internal/connexa"
)

// parts is what the services of a test panel work with. After a change of a field call
// panel.rewire.
type parts struct {
	env      app.Env
	db       *db.DB
	kinds    []connexa.RunKind
	usage    *access.Directory
	services *fakeServices // nil: the panel has no services
	exits    *fakeExits    // nil: it has no OpenVPN exits
	missing  func(context.Context) []connexa.VPNLack
	try      func(context.Context, connexa.Endpoint) (connexa.Measurement, error)
	notifier interface {
		Check(connexa.Secret) error
		Notify(connexa.Notification)
		Test(context.Context, connexa.Channel) error
		Wake()
	}
}

func newParts(d *db.DB, env app.Env) *parts {
	return &parts{
		env: env, db: d, notifier: quietly{}, kinds: []connexa.RunKind{connexa.RunPing},
		usage: access.New(access.Config{Store: d, Log: env.Log, Now: env.Now}),
	}
}

func (p *parts) newApp() app.App {
	env, settings := p.env, app.NewSettings(p.env, p.db)
	runs, services, vpns := app.NewRuns(env, p.db, restful{}, p.kinds...), &app.Services{}, &app.VPNs{}
	if p.services != nil {
		services = app.NewServices(env, p.db, p.services, p.db, settings)
	}
	acts := app.NewActs(env, p.db, p.db, settings, services, runs, p.exits)
	if p.exits != nil {
		vpns = app.NewVPNs(env, p.db, p.exits, p.missing, services, acts)
	}
	imports := app.NewImports(env, p.db, runs, services)
	return app.App{
		Accounts: app.NewAccounts(env, p.db, p.notifier), Acts: acts, Audit: app.NewAudit(p.db), Channels: app.NewChannels(env, p.db, p.notifier),
		Clients: app.NewClients(env, p.db, p.usage, services), History: app.NewHistory(env, p.db, settings), Imports: imports, Templates: app.NewTemplates(env, p.db, imports),
		Monitor: app.NewMonitor(env, p.db, settings, answerFirst), Nodes: app.NewNodes(env, p.db, settings),
		Profiles: app.NewProfiles(env, p.db, p.exits, p.db), Runs: runs, Services: services, Settings: settings,
		Speed: app.NewSpeed(env, p.db, settings, restful{}, app.SpeedMeters{Try: p.try}), VPNs: vpns, Views: app.NewViews(env, p.db, p.db),
	}
}

// rewire gives the panel new services after its parts have changed.
func (p *panel) rewire() {
	p.app = p.parts.newApp()
	p.h.setServices(p.app)
}

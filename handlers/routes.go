package handlers

import (
	"net/http"

	"github.com/connexa-panel/connexa/internal/app"
	"github.com/connexa-panel/connexa/static"
)

// Routes returns the handler of the whole panel: one line per path. The method before a
// pattern says who may call it and how long it may take; see guards.go.
func (h *Handlers) Routes() http.Handler { return h.middleware(h.registerRoutes().mux) }

func (h *Handlers) registerRoutes() *guards {
	a := &guards{h: h, mux: http.NewServeMux()}

	// Before the login.
	a.public("GET "+static.Prefix, static.Handler().ServeHTTP)
	a.public("GET /healthz", h.healthz)
	a.public("GET /readyz", h.readyz)
	a.public("GET /metrics", h.serveMetrics)
	a.optionalAuth("GET /login", h.loginPage)
	a.optionalAuth("POST /login", h.logIn)
	a.optionalAuth("POST /preferences", h.savePreferences)

	// The account.
	a.authenticated("POST /logout", h.logOut)
	a.authenticated("GET /reauth", h.reauthPage)
	a.authenticated("POST /reauth", h.confirmPassword)
	a.authenticated("GET /account", h.showAccount)
	a.authenticated("POST /account/password", h.changePassword)
	a.recentAuth("POST /account/sessions/{id}/end", h.endSession)
	a.recentAuth("POST /account/sessions/end", h.endOtherSessions)
	a.authenticated("GET /password", h.forcedPassword)
	a.authenticated("POST /password", h.saveForcedPassword)

	// The panel.
	a.authenticated("GET /audit", h.listAudit)
	a.authenticated("GET /settings", h.showSettings)
	a.authenticated("POST /settings", h.saveSettings)
	a.authenticated("POST /settings/key", h.confirmKey)
	a.authenticated("POST /settings/speed", h.saveSpeedSettings)
	a.authenticated("POST /settings/services", h.saveServiceSettings)
	a.authenticated("POST /settings/monitor", h.saveMonitorSettings)
	a.authenticated("POST /settings/monitor/try", h.tryTargets)
	a.authenticated("POST /settings/monitor/decline", h.declineMonitor)
	a.authenticated("GET /speed/endpoints", h.newEndpoint)
	a.authenticated("POST /speed/endpoints", h.addEndpoint)
	a.authenticated("POST /speed/endpoints/test", h.testEndpoint)
	a.authenticated("POST /speed/endpoints/first", h.preferEndpoint)
	a.authenticated("POST /speed/endpoints/remove", h.removeEndpoint)
	a.authenticated("GET /channels", h.listChannels)
	a.authenticated("POST /channels", h.addChannel)
	a.authenticated("GET /channels/new", h.newChannel)
	a.authenticated("GET /channels/{id}/edit", h.editChannel)
	a.authenticated("POST /channels/{id}/edit", h.saveChannel)
	a.authenticated("POST /channels/{id}/test", h.testChannel)
	a.authenticated("POST /channels/{id}/remove", h.removeChannel)

	// Nodes.
	a.authenticated("GET /nodes", h.listNodes)
	a.authenticated("POST /nodes", h.addNode)
	a.authenticated("GET /nodes/complete", h.completeFilter)
	a.authenticated("GET /nodes/columns", h.chooseColumns)
	a.authenticated("POST /nodes/columns", h.saveColumns)
	a.authenticated("GET /nodes/new", h.newNode)
	a.authenticated("GET /nodes/{id}", h.showNode)
	a.authenticated("GET /nodes/{id}/edit", h.editNode)
	a.authenticated("POST /nodes/{id}/edit", h.saveNode)
	a.authenticated("POST /nodes/{id}/delete", h.deleteNode)
	a.authenticated("GET /nodes/{id}/inline", h.editNodeField)
	a.authenticated("POST /nodes/{id}/inline", h.saveNodeField)
	a.authenticated("POST /nodes/copy", h.copyNodes)
	a.recentAuth("GET /nodes/{id}/password", h.revealPassword)
	a.slow("POST /nodes/delete", h.deleteNodes)
	a.authenticated("GET /nodes/export", h.exportPage)
	a.slow("POST /nodes/export", h.downloadNodes)
	a.slow("GET /nodes.csv", h.exportNodes)
	a.slow("POST /acts", h.startAct)
	a.limited("POST /acts/logins", h.draftLogins, app.MaxLoginList+formBytes, longTime)
	a.authenticated("POST /acts/{id}/confirm", h.confirmAct)
	a.authenticated("POST /acts/{id}/undo", h.undoAct)
	a.authenticated("POST /acts/{id}/cancel", h.cancelAct)
	a.authenticated("GET /bin", h.showBin)
	a.slow("POST /bin/restore", h.restoreNodes)
	a.slow("POST /bin/purge", h.purgeNodes)
	a.slow("GET /nodes/{id}/history.csv", h.exportHistory)

	// Views of the node list.
	a.authenticated("GET /views", h.listViews)
	a.authenticated("POST /views", h.addView)
	a.authenticated("GET /views/new", h.newView)
	a.authenticated("GET /views/start", h.showStart)
	a.authenticated("GET /views/{id}", h.showView)
	a.authenticated("GET /views/{id}/edit", h.editView)
	a.authenticated("POST /views/{id}/edit", h.saveView)
	a.authenticated("POST /views/{id}/update", h.updateView)
	a.authenticated("POST /views/{id}/start", h.setStartView)
	a.authenticated("POST /views/{id}/delete", h.deleteView)

	// Services.
	a.authenticated("GET /services", h.listServices)
	a.slow("POST /services/start", h.startServices)
	a.slow("POST /services/stop", h.stopServices)
	a.authenticated("POST /services/retry", h.retryServices)
	a.recentAuth("GET /services/export", h.exportServices)
	a.authenticated("POST /nodes/{id}/service/retry", h.retryService)
	a.authenticated("POST /nodes/{id}/service/reach", h.allowDestinations)
	a.recentAuth("GET /nodes/{id}/service/credentials", h.serviceCredentials)

	// Clients of the services.
	a.authenticated("GET /clients", h.listClients)
	a.authenticated("POST /clients", h.addClient)
	a.authenticated("GET /clients/new", h.newClient)
	a.authenticated("GET /clients/{id}", h.showClient)
	a.authenticated("GET /clients/{id}/edit", h.editClient)
	a.authenticated("POST /clients/{id}/edit", h.saveClient)
	a.authenticated("POST /clients/{id}/enable", h.enableClient)
	a.authenticated("POST /clients/{id}/disable", h.disableClient)
	a.authenticated("POST /clients/{id}/delete", h.deleteClient)
	a.authenticated("POST /clients/{id}/reset", h.resetClientUsage)
	a.authenticated("POST /clients/{id}/password", h.renewClientPassword)
	a.recentAuth("GET /clients/{id}/credentials", h.clientCredentials)

	// OpenVPN exits and their profiles.
	a.slow("POST /services/vpn", h.switchVPNs)
	a.authenticated("POST /nodes/{id}/vpn", h.switchVPN)
	a.authenticated("POST /nodes/{id}/vpn/disconnect", h.disconnectVPN)
	a.authenticated("GET /profiles", h.listProfiles)
	a.authenticated("POST /profiles", h.addProfile)
	a.authenticated("GET /profiles/{id}", h.showProfile)
	a.recentAuth("GET /profiles/{id}/files", h.profileFiles)
	a.recentAuth("POST /profiles/{id}/link", h.linkProfile)
	a.authenticated("POST /profiles/{id}/revoke", h.revokeProfile)
	a.authenticated("POST /profiles/{id}/delete", h.deleteProfile)
	a.optionalAuth("GET /profile", h.profileByLink)
	a.optionalAuth("POST /profile", h.takeProfile)

	// Imports.
	a.authenticated("GET /imports", h.importStart)
	a.upload("POST /imports", h.startImport)
	a.authenticated("GET /imports/{id}", h.showImport)
	a.authenticated("POST /imports/{id}/confirm", h.confirmImport)
	a.authenticated("POST /imports/{id}/choice", h.chooseForImport)
	a.authenticated("POST /imports/{id}/test", h.chooseImportTest)
	a.recentAuth("GET /imports/{id}/bad", h.showBadLines)
	a.authenticated("POST /imports/{id}/lines/{line}", h.correctLine)
	a.authenticated("POST /imports/{id}/reread", h.rereadImport)
	a.authenticated("POST /imports/{id}/cancel", h.cancelImport)
	a.slow("POST /imports/{id}/undo", h.undoImport)
	a.slow("GET /imports/{id}/bad.csv", h.badLines)

	// Templates of imports.
	a.authenticated("GET /templates", h.listTemplates)
	a.authenticated("POST /templates", h.addTemplate)
	a.authenticated("GET /templates/new", h.newTemplate)
	a.authenticated("GET /templates/{id}/edit", h.editTemplate)
	a.authenticated("POST /templates/{id}/edit", h.saveTemplate)
	a.authenticated("POST /templates/{id}/delete", h.deleteTemplate)

	// Runs and the stream.
	a.authenticated("GET /runs", h.listRuns)
	a.authenticated("POST /runs", h.startRun)
	a.authenticated("GET /runs/{id}", h.showRun)
	a.authenticated("POST /runs/{id}/cancel", h.cancelRun)
	a.authenticated("POST /runs/{id}/resume", h.resumeRun)
	a.authenticated("POST /runs/{id}/retry", h.retryRun)
	a.authenticated("POST /runs/{id}/decide/{answer}", h.decideRun)
	a.slow("GET /runs/{id}/nodes.csv", h.exportGroup)
	a.stream("GET /events", h.streamEvents)

	// Addresses of earlier versions.
	a.moved("/access", "/clients")
	a.moved("/access/{id}/lines", "/clients/{id}/credentials")
	a.moved("/access/{rest...}", "/clients/{rest}")
	a.moved("/notifications", "/channels")
	a.moved("/notifications/{rest...}", "/channels/{rest}")
	a.moved("/nodes/{id}/service/access", "/nodes/{id}/service/credentials")
	a.moved("/import", "/imports")

	a.authenticated("GET /{$}", h.showDashboard)
	a.authenticated("/", h.notFound)
	return a
}

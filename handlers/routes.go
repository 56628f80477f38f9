package handlers

import (
	"net/http"

	"github.com/connexa-panel/connexa/static"
)

// Routes returns the whole panel: every address, one line each. The word before
// a pattern says who may come and how long it may take; see access.go.
func (h *Handlers) Routes() http.Handler { return h.wrap(h.routes().mux) }

func (h *Handlers) routes() *access {
	a := &access{h: h, mux: http.NewServeMux()}

	// Before the login.
	a.bare("GET "+static.Prefix, static.Handler().ServeHTTP)
	a.bare("GET /healthz", h.healthz)
	a.bare("GET /readyz", h.readyz)
	a.bare("GET /metrics", h.metrics)
	a.open("GET /login", h.loginPage)
	a.open("POST /login", h.logIn)
	a.open("POST /preferences", h.savePreferences)

	// The person.
	a.page("POST /logout", h.logOut)
	a.page("GET /reauth", h.reauthPage)
	a.page("POST /reauth", h.reauth)
	a.page("GET /account", h.account)
	a.page("POST /account/password", h.changePassword)
	a.secret("POST /account/sessions/{id}/end", h.endSession)
	a.secret("POST /account/sessions/end", h.endOtherSessions)
	a.page("GET /password", h.forcedPassword)
	a.page("POST /password", h.takeForcedPassword)

	// The panel.
	a.page("GET /audit", h.audit)
	a.page("GET /settings", h.settings)
	a.page("POST /settings", h.saveSettings)
	a.page("POST /settings/key", h.confirmKey)
	a.page("POST /settings/speed", h.saveSpeedSettings)
	a.page("POST /settings/services", h.saveServiceSettings)
	a.page("POST /settings/monitor", h.saveMonitorSettings)
	a.page("POST /settings/monitor/try", h.tryTargets)
	a.page("POST /settings/monitor/decline", h.declineMonitor)
	a.page("GET /speed/endpoints", h.newEndpoint)
	a.page("POST /speed/endpoints", h.addEndpoint)
	a.page("POST /speed/endpoints/test", h.testEndpoint)
	a.page("POST /speed/endpoints/first", h.preferEndpoint)
	a.page("POST /speed/endpoints/remove", h.removeEndpoint)
	a.page("GET /notifications", h.listChannels)
	a.page("POST /notifications", h.addChannel)
	a.page("GET /notifications/new", h.newChannel)
	a.page("GET /notifications/{id}/edit", h.editChannel)
	a.page("POST /notifications/{id}/edit", h.saveChannel)
	a.page("POST /notifications/{id}/test", h.testChannel)
	a.page("POST /notifications/{id}/remove", h.removeChannel)

	// Nodes.
	a.page("GET /nodes", h.listNodes)
	a.page("POST /nodes", h.addNode)
	a.page("GET /nodes/new", h.newNode)
	a.page("GET /nodes/{id}", h.showNode)
	a.page("GET /nodes/{id}/edit", h.editNode)
	a.page("POST /nodes/{id}/edit", h.saveNode)
	a.page("POST /nodes/{id}/delete", h.deleteNode)
	a.secret("GET /nodes/{id}/password", h.revealPassword)
	a.long("POST /nodes/delete", h.deleteNodes)
	a.long("GET /nodes.csv", h.exportNodes)
	a.long("GET /nodes/{id}/history.csv", h.exportHistory)

	// Services.
	a.page("GET /services", h.listServices)
	a.long("POST /services/start", h.startServices)
	a.long("POST /services/stop", h.stopServices)
	a.page("POST /services/retry", h.retryServices)
	a.secret("GET /services/export", h.exportServices)
	a.page("POST /nodes/{id}/service/retry", h.retryService)
	a.page("POST /nodes/{id}/service/reach", h.reachService)
	a.secret("GET /nodes/{id}/service/access", h.serviceAccess)

	// Access users.
	a.page("GET /access", h.listPeople)
	a.page("POST /access", h.addPerson)
	a.page("GET /access/new", h.newPerson)
	a.page("GET /access/{id}", h.showPerson)
	a.page("GET /access/{id}/edit", h.editPerson)
	a.page("POST /access/{id}/edit", h.savePerson)
	a.page("POST /access/{id}/enable", h.enablePerson)
	a.page("POST /access/{id}/disable", h.disablePerson)
	a.page("POST /access/{id}/delete", h.deletePerson)
	a.page("POST /access/{id}/reset", h.resetPerson)
	a.page("POST /access/{id}/password", h.renewPerson)
	a.secret("GET /access/{id}/lines", h.personLines)

	// OpenVPN exits and their profiles.
	a.long("POST /services/vpn", h.switchVPNs)
	a.page("POST /nodes/{id}/vpn", h.switchVPN)
	a.page("POST /nodes/{id}/vpn/disconnect", h.disconnectVPN)
	a.page("GET /profiles", h.listProfiles)
	a.page("POST /profiles", h.makeProfile)
	a.page("GET /profiles/{id}", h.showProfile)
	a.secret("GET /profiles/{id}/files", h.profileFiles)
	a.secret("POST /profiles/{id}/link", h.linkProfile)
	a.page("POST /profiles/{id}/revoke", h.revokeProfile)
	a.page("POST /profiles/{id}/delete", h.deleteProfile)
	a.open("GET /profile", h.profileByLink)
	a.open("POST /profile", h.takeProfile)

	// Imports.
	a.page("GET /import", h.importStart)
	a.page("GET /imports", h.importStart)
	a.upload("POST /imports", h.startImport)
	a.page("GET /imports/{id}", h.showImport)
	a.page("POST /imports/{id}/confirm", h.confirmImport)
	a.page("POST /imports/{id}/choice", h.chooseForImport)
	a.page("POST /imports/{id}/test", h.chooseImportTest)
	a.secret("GET /imports/{id}/bad", h.showBadLines)
	a.page("POST /imports/{id}/lines/{line}", h.correctLine)
	a.page("POST /imports/{id}/reread", h.rereadImport)
	a.page("POST /imports/{id}/cancel", h.cancelImport)
	a.long("GET /imports/{id}/bad.csv", h.badLines)

	// Runs and the stream.
	a.page("GET /runs", h.listRuns)
	a.page("POST /runs", h.startRun)
	a.page("GET /runs/{id}", h.showRun)
	a.page("POST /runs/{id}/cancel", h.cancelRun)
	a.page("POST /runs/{id}/resume", h.resumeRun)
	a.page("POST /runs/{id}/retry", h.retryRun)
	a.page("POST /runs/{id}/decide/{answer}", h.decideRun)
	a.long("GET /runs/{id}/nodes.csv", h.exportGroup)
	a.stream("GET /events", h.events)

	a.page("GET /{$}", h.dashboard)
	a.page("/", h.nowhere)
	return a
}

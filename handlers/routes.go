package handlers

import (
	"net/http"

	"github.com/connexa-panel/connexa/static"
)

// Routes returns the whole panel: every address, one line each. The word before
// a pattern says who may come and how long it may take; see access.go.
func (h *Handlers) Routes() http.Handler {
	a := access{h: h, mux: http.NewServeMux()}

	// Before the login.
	a.bare("GET "+static.Prefix, static.Handler().ServeHTTP)
	a.bare("GET /healthz", h.healthz)
	a.bare("GET /readyz", h.readyz)
	a.open("GET /login", h.loginPage)
	a.open("POST /login", h.logIn)
	a.open("POST /preferences", h.savePreferences)

	// The person.
	a.page("POST /logout", h.logOut)
	a.page("GET /reauth", h.reauthPage)
	a.page("POST /reauth", h.reauth)
	a.page("GET /account", h.account)
	a.page("POST /account/password", h.changePassword)
	a.page("POST /account/sessions/{id}/end", h.endSession)
	a.page("POST /account/sessions/end", h.endOtherSessions)

	// The panel.
	a.page("GET /audit", h.audit)
	a.page("GET /settings", h.settings)
	a.page("POST /settings", h.saveSettings)
	a.page("POST /settings/key", h.confirmKey)

	// Nodes.

	// Imports.

	// Runs and the stream.

	a.page("GET /{$}", h.home)
	a.page("/", h.nowhere)
	return h.wrap(a.mux)
}

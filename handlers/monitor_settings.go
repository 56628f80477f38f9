package handlers

import (
	"net/http"
	"net/url"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// saveMonitorSettings answers POST /settings/monitor.
func (h *Handlers) saveMonitorSettings(w http.ResponseWriter, r *http.Request) error {
	return saveForm(h, w, r, readMonitorSettings, h.monitor.ChangeMonitorSettings, "/settings#monitor")
}

// readMonitorSettings returns the values of the form.
func readMonitorSettings(f url.Values) connexa.MonitorSettings {
	return connexa.MonitorSettings{
		On: f.Get("monitor_on") == "1", Tags: f.Get("monitor_tags"), Targets: f.Get("monitor_targets"),
		PingMinutes: formNumber(f, "monitor_ping_minutes"), LoginHours: formNumber(f, "monitor_login_hours"),
	}
}

// tryTargets answers POST /settings/monitor/try: it reports whether the typed reference
// targets answer now. It saves nothing.
func (h *Handlers) tryTargets(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	targets, answers, err := h.monitor.TryTargets(r.Context(), r.PostForm.Get("monitor_targets"))
	if err != nil {
		return h.renderSettingsError(w, r, err)
	}
	vm, err := h.typedSettings(r)
	if err != nil {
		return err
	}
	for i, t := range targets {
		vm.Monitor.Tried = append(vm.Monitor.Tried, views.TriedTarget{Target: t, Answered: answers[i]})
	}
	pg := h.layoutData(w, r, connexa.T("settings.title"), views.NavSettings)
	pg.Here = "/settings"
	return h.renderPage(w, r, views.Settings(pg, vm))
}

// declineMonitor answers POST /settings/monitor/decline. The monitor is not offered
// again.
func (h *Handlers) declineMonitor(w http.ResponseWriter, r *http.Request) error {
	if err := h.monitor.DeclineMonitor(r.Context()); err != nil {
		return err
	}
	return h.redirectTo(w, r, pageAfter(ownPath(r.Referer(), r.Host)))
}

package handlers

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// saveMonitorSettings answers POST /settings/monitor.
func (h *Handlers) saveMonitorSettings(w http.ResponseWriter, r *http.Request) {
	saveForm(h, w, r, readMonitorSettings, h.monitor.ChangeMonitorSettings, "/settings#monitor")
}

// readMonitorSettings reads the form. What is no number becomes one that is out
// of every bound, so that it is complained about.
func readMonitorSettings(f url.Values) connexa.MonitorSettings {
	number := func(name string) int {
		n, err := strconv.Atoi(strings.TrimSpace(f.Get(name)))
		if err != nil {
			return -1
		}
		return n
	}
	return connexa.MonitorSettings{
		On: f.Get("monitor_on") == "1", Tags: f.Get("monitor_tags"), Targets: f.Get("monitor_targets"),
		PingMinutes: number("monitor_ping_minutes"), LoginHours: number("monitor_login_hours"),
	}
}

// tryTargets answers POST /settings/monitor/try: whether the reference targets
// that were typed answer now. Nothing is saved.
func (h *Handlers) tryTargets(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		h.renderFailure(w, r, badForm(err))
		return
	}
	targets, answers, err := h.monitor.TryTargets(r.Context(), r.PostForm.Get("monitor_targets"))
	var errs connexa.FieldErrors
	switch {
	case errors.As(err, &errs):
		h.refuseSettings(w, r, errs)
		return
	case err != nil:
		h.renderFailure(w, r, err)
		return
	}
	vm, err := h.typedSettings(r)
	if err != nil {
		h.renderFailure(w, r, err)
		return
	}
	for i, t := range targets {
		vm.Monitor.Tried = append(vm.Monitor.Tried, views.TriedTarget{Target: t, Answered: answers[i]})
	}
	pg := h.layoutData(w, r, connexa.T("settings.title"), views.NavSettings)
	pg.Here = "/settings"
	h.renderPage(w, r, views.Settings(pg, vm))
}

// declineMonitor answers POST /settings/monitor/decline: it is not offered again.
func (h *Handlers) declineMonitor(w http.ResponseWriter, r *http.Request) {
	if err := h.monitor.DeclineMonitor(r.Context()); err != nil {
		h.renderFailure(w, r, err)
		return
	}
	h.redirectTo(w, r, pageAfter(ownPath(r.Referer(), r.Host)))
}

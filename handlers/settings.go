package handlers

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

func (h *Handlers) showSettings(w http.ResponseWriter, r *http.Request) error {
	s, err := h.settings.CurrentSettings(r.Context())
	if err != nil {
		return err
	}
	vm := views.SettingsOf(s)
	vm.Version = h.version
	if vm.Speed, err = h.speedSetup(r.Context()); err != nil {
		return err
	}
	return h.renderPage(w, r, views.Settings(h.layoutData(w, r, connexa.T("settings.title"), views.NavSettings), vm))
}

func (h *Handlers) saveSettings(w http.ResponseWriter, r *http.Request) error {
	return saveForm(h, w, r, readSettings, h.settings.ChangeSettings, "/settings")
}

// saveForm saves one of the forms of the settings and redirects back to it.
func saveForm[T any](h *Handlers, w http.ResponseWriter, r *http.Request, read func(url.Values) T, change func(context.Context, T) error, back string) error {
	if err := parseForm(r); err != nil {
		return err
	}
	ctx, err := h.withProof(w, r)
	if err == nil {
		err = change(ctx, read(r.PostForm))
	}
	if err != nil {
		return h.renderSettingsError(w, r, err)
	}
	return h.redirectDone(w, r, connexa.T("settings.saved"), back)
}

// renderSettingsError is renderFormError for the forms of the settings page.
func (h *Handlers) renderSettingsError(w http.ResponseWriter, r *http.Request, err error) error {
	return renderFormError(err, func(status int, errs connexa.FieldErrors) error {
		vm, err := h.typedSettings(r)
		if err != nil {
			return err
		}
		vm.Errors, vm.Speed.Errors, vm.Service.Errors, vm.Monitor.Errors = errs, errs, errs, errs
		pg := h.layoutData(w, r, connexa.T("settings.title"), views.NavSettings)
		pg.Here = "/settings"
		return h.renderStatus(w, r, status, views.Settings(pg, vm))
	})
}

// typedSettings returns the settings page with the posted values of one of its forms.
func (h *Handlers) typedSettings(r *http.Request) (views.SettingsPage, error) {
	s, err := h.settings.CurrentSettings(r.Context())
	if err != nil {
		return views.SettingsPage{}, err
	}
	vm := views.SettingsOf(s)
	vm.Version = h.version
	if vm.Speed, err = h.speedSetup(r.Context()); err != nil {
		return views.SettingsPage{}, err
	}
	values := vm.Values
	switch {
	case r.PostForm.Has("speed_mode"): // the speed form
		values = vm.Speed.Values
	case r.PostForm.Has("service_listen"): // the services form
		values = vm.Service.Values
	case r.PostForm.Has("monitor_ping_minutes"): // the monitor form
		values = vm.Monitor.Values
	}
	for name := range values {
		values[name] = r.PostForm.Get(name)
	}
	return vm, nil
}

// readSettings returns the values of the form.
func readSettings(f url.Values) connexa.Settings {
	return connexa.Settings{
		Concurrency:    formNumber(f, "concurrency"),
		ConnectRate:    formNumber(f, "connect_rate"),
		PerNetwork:     formNumber(f, "per_network"),
		PerAddress:     formNumber(f, "per_address"),
		PingAttempts:   formNumber(f, "ping_attempts"),
		HistoryRawDays: formNumber(f, "history_raw_days"),

		HistoryHourDays: formNumber(f, "history_hour_days"),
		HistoryDayDays:  formNumber(f, "history_day_days"),
		Encryption:      connexa.EncryptionPolicy(f.Get("encryption")),
		Zone:            strings.TrimSpace(f.Get("zone")),
	}
}

// formNumber returns the number in a field of a form. An invalid one becomes -1, which is
// out of all bounds, so that its field gets an error.
func formNumber(f url.Values, name string) int {
	n, err := strconv.Atoi(strings.TrimSpace(f.Get(name)))
	if err != nil {
		return -1
	}
	return n
}

// confirmKey answers POST /settings/key: the admin confirms having a copy of the key.
func (h *Handlers) confirmKey(w http.ResponseWriter, r *http.Request) error {
	if err := h.settings.ConfirmKey(r.Context()); err != nil {
		return err
	}
	return h.redirectDone(w, r, connexa.T("settings.key.confirmed"), pageAfter(ownPath(r.Referer(), r.Host)))
}
